import Foundation
import PetrelKit
import Testing

@Suite(.timeLimit(.minutes(1))) struct StandardStreamTests {
    /// A pipe that nobody reads yet, filled up.
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

    @Test func `what is offered to nobody holds up nobody, and comes in order once somebody reads`() throws {
        let (stream, pipe, filler) = try Self.full()
        let long = String(repeating: "x", count: 100_000)
        for text in ["one\n", long, "two\n"] { stream.offer(text) }
        #expect(try Self.read(filler, from: pipe).allSatisfy { $0 == "." })
        #expect(try Self.read(100_008, from: pipe) == "one\n" + long + "two\n")
    }

    @Test func `what is too much for a reader who never comes is counted`() throws {
        let (stream, pipe, filler) = try Self.full()
        let megabyte = String(repeating: "y", count: 1 << 20)
        for text in [megabyte, "lost\n", "lost too\n"] { stream.offer(text) }
        _ = try Self.read(filler + megabyte.utf8.count, from: pipe)
        let note = "petrel: 2 lines were lost here: nobody read them\n"
        #expect(try Self.read(note.utf8.count, from: pipe) == note)
        stream.offer("goes on\n")
        #expect(try Self.read(8, from: pipe) == "goes on\n")
    }

    @Test func `who no longer waits is told so, and nothing of it is written`() async throws {
        let (stream, pipe, filler) = try Self.full()
        stream.offer("first\n")
        let task = Task { await stream.send("taken back\n") }
        task.cancel()
        let isWritten = await task.value
        #expect(!isWritten)
        stream.offer("last\n")
        _ = try Self.read(filler, from: pipe)
        #expect(try Self.read(11, from: pipe) == "first\nlast\n")
    }

    @Test func `who waits hears when it is written, and that it can never be`() async throws {
        let (stream, pipe, filler) = try Self.full()
        async let isSent = stream.send("late\n")
        _ = try Self.read(filler, from: pipe)
        let isWritten = await isSent
        #expect(isWritten)
        #expect(stream.write("more\n"))
        #expect(try Self.read(10, from: pipe) == "late\nmore\n")
        let full = StandardStream(descriptor: open("/dev/full", O_WRONLY))
        let isLost = await full.send("never\n")
        #expect(!isLost)
        #expect(!full.write("never\n"))
    }
}
