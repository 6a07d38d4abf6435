import Foundation
import PetrelKit
import PetrelTesting
import Testing

@Suite(.timeLimit(.minutes(30))) struct StandardStreamTests {
    /// Returns a full pipe that is not read yet.
    private static func full() throws -> (stream: StandardStream, pipe: Pipe, filler: Int) {
        let pipe = Pipe()
        let descriptor = pipe.fileHandleForWriting.fileDescriptor
        let flags = fcntl(descriptor, F_GETFL)
        _ = fcntl(descriptor, F_SETFL, flags | O_NONBLOCK)
        var filler = 0
        while case let count = write(descriptor, [UInt8](repeating: 46, count: 4096), 4096), count > 0 {
            filler += count
        }
        _ = fcntl(descriptor, F_SETFL, flags)
        return (StandardStream(descriptor: descriptor), pipe, filler)
    }

    private static func read(_ count: Int, from pipe: Pipe) throws -> String {
        var bytes = Data()
        while bytes.count < count, let more = try pipe.fileHandleForReading.read(upToCount: count - bytes.count) {
            bytes += more
        }
        return String(decoding: bytes, as: UTF8.self)
    }

    @Test func `the file of a writer stays open`() async throws {
        let reader: FileHandle
        let stream: StandardStream
        do {
            let pipe = Pipe()
            reader = pipe.fileHandleForReading
            stream = StandardStream(pipe.fileHandleForWriting)
        }
        #expect(await stream.send("text") == 0)
        #expect(try reader.read(upToCount: 4) == Data("text".utf8))
    }

    @Test func `text that is not read does not block the writer, and arrives in order later`() throws {
        let (stream, pipe, filler) = try Self.full()
        let long = String(repeating: "x", count: 100_000)
        for text in ["one\n", long, "two\n"] { stream.offer(text) }
        #expect(try Self.read(filler, from: pipe).allSatisfy { $0 == "." })
        #expect(try Self.read(100_008, from: pipe) == "one\n" + long + "two\n")
    }

    @Test func `lines beyond the buffer's capacity are dropped and counted`() throws {
        let (stream, pipe, filler) = try Self.full()
        let megabyte = String(repeating: "y", count: 1 << 20)
        for text in [megabyte, "lost\n", "lost too\n"] { stream.offer(text) }
        _ = try Self.read(filler + megabyte.utf8.count, from: pipe)
        stream.write("")
        stream.offer("goes on\n")
        let note = "petrel: 2 lines were dropped here because the output was not read\ngoes on\n"
        #expect(try Self.read(note.utf8.count, from: pipe) == note)
    }

    @Test func `a cancelled write fails, and none of it is written`() async throws {
        let (stream, pipe, filler) = try Self.full()
        stream.offer("first\n")
        let task = Task { await stream.send("taken back\n") }
        task.cancel()
        let code = await task.value
        #expect(code == ECANCELED)
        stream.offer("last\n")
        _ = try Self.read(filler, from: pipe)
        #expect(try Self.read(11, from: pipe) == "first\nlast\n")
    }

    @Test func `a write reports its completion or the reason of its failure`() async throws {
        let (stream, pipe, filler) = try Self.full()
        async let code = stream.send("late\n")
        _ = try Self.read(filler, from: pipe)
        let written = await code
        #expect(written == 0)
        stream.write("more\n")
        #expect(try Self.read(10, from: pipe) == "late\nmore\n")
        let full = await StandardStream(descriptor: open("/dev/full", O_WRONLY)).send("never\n")
        #expect(full == ENOSPC)
    }

    @Test func `an incomplete line is completed before the next one begins`() async throws {
        signal(SIGPIPE, SIG_IGN)
        try await withFolder { folder in
            let path = folder.appendingPathComponent("fifo").path
            #expect(mkfifo(path, 0o600) == 0)
            let first = FileHandle(fileDescriptor: open(path, O_RDONLY | O_NONBLOCK), closeOnDealloc: true)
            let stream = StandardStream(descriptor: open(path, O_WRONLY))
            let long = String(repeating: "x", count: 1 << 20)
            async let code = stream.send(long)
            var begun = pollfd(fd: first.fileDescriptor, events: Int16(POLLIN), revents: 0)
            #expect(poll(&begun, 1, 600_000) == 1)
            try first.close()
            let broken = await code
            #expect(broken == EPIPE)
            let second = FileHandle(fileDescriptor: open(path, O_RDONLY), closeOnDealloc: true)
            async let next = stream.send("next\n")
            var text = ""
            while !text.hasSuffix("next\n") { text += String(decoding: second.availableData, as: UTF8.self) }
            let written = await next
            #expect(written == 0 && text.hasSuffix("x\nnext\n"))
        }
    }

    @Test func `a terminal that is not read blocks no writer`() async throws {
        var (master, terminal): (CInt, CInt) = (-1, -1)
        #expect(openpty(&master, &terminal, nil, nil, nil) == 0)
        let stream = StandardStream(descriptor: terminal)
        let lines = (0..<2_000).map { "line \($0)" }
        for line in lines { stream.offer(line + "\n") }
        let reader = FileHandle(fileDescriptor: master, closeOnDealloc: true)
        var text = ""
        while !text.hasSuffix("line 1999\r\n") { text += String(decoding: reader.availableData, as: UTF8.self) }
        #expect(text == lines.map { $0 + "\r\n" }.joined())
        close(terminal)
    }
}
