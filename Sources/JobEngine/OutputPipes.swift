import PetrelSupport
import SystemPackage

#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

/// The pipes of both output streams of a program.
///
/// One task reads both, so that bytes are taken in the order in which they arrived, as far as the system tells it. What
/// is in both pipes at the same time is taken from standard output first.
final class OutputPipes: Sendable {
    private struct Pipe: Sendable {
        var stream: ProgramStream
        var readEnd: FileDescriptor
        var writeEnd: FileDescriptor
    }

    /// The number of bytes that are read at once.
    private static let step = 64 << 10
    /// The number of bytes that are still read after reading was cancelled.
    private static let rest = 256 << 10

    private let pipes: [Pipe]
    private let isWritable = Locked(true)

    init() throws {
        let output = try Self.pipe(.output)
        do {
            pipes = [output, try Self.pipe(.error)]
        } catch {
            Self.close(output.readEnd)
            Self.close(output.writeEnd)
            throw error
        }
    }

    deinit {
        closeWriteEnds()
        for pipe in pipes { Self.close(pipe.readEnd) }
    }

    /// The descriptors to which the program writes.
    var writeEnds: (output: FileDescriptor, error: FileDescriptor) { (pipes[0].writeEnd, pipes[1].writeEnd) }

    /// Closes the descriptors to which the program writes, once it has its own.
    func closeWriteEnds() {
        let wasWritable = isWritable.withLock { isWritable in
            defer { isWritable = false }
            return isWritable
        }
        if wasWritable { for pipe in pipes { Self.close(pipe.writeEnd) } }
    }

    private static func pipe(_ stream: ProgramStream) throws -> Pipe {
        let (readEnd, writeEnd) = try FileDescriptor.pipe()
        // Neither may be open in other programs. The write end must block, because the program writes to it.
        for end in [readEnd, writeEnd] { _ = fcntl(end.rawValue, F_SETFD, FD_CLOEXEC) }
        _ = fcntl(readEnd.rawValue, F_SETFL, O_NONBLOCK)
        return Pipe(stream: stream, readEnd: readEnd, writeEnd: writeEnd)
    }

    /// Closing fails only for a descriptor that is not open.
    private static func close(_ descriptor: FileDescriptor) { try? descriptor.close() }

    /// Reads both pipes to their ends, or until the task is cancelled. Returns true if nothing can follow.
    func read(to sink: any OutputSink) async -> Bool {
        var reader = PipeReader(pipes.map { ($0.stream, $0.readEnd) }, Self.step)
        while !reader.isAtEnd, !Task.isCancelled {
            guard let chunks = reader.next() else {
                // A pipe may also have reached its end just now.
                if !reader.isAtEnd { await DescriptorPoll.shared.wait(for: reader.descriptors) }
                continue
            }
            for chunk in chunks { await sink.write(chunk.bytes, from: chunk.stream) }
        }
        guard !reader.isAtEnd else { return true }
        // What the program itself has printed is in the pipes; a process that it left behind may fill them for ever.
        var (left, last) = (Self.rest, [PipeReader.Chunk]())
        while left > 0, let chunks = reader.next() {
            last += chunks
            left -= chunks.reduce(0) { $0 + $1.bytes.count }
        }
        let chunks = last
        // In a task of its own, because this one is cancelled.
        await Task { for chunk in chunks { await sink.write(chunk.bytes, from: chunk.stream) } }.value
        return reader.isAtEnd
    }
}

/// Reads what is in pipes, without waiting.
private struct PipeReader {
    struct Chunk: Sendable {
        var stream: ProgramStream
        var bytes: [UInt8]
    }

    private var open: [(stream: ProgramStream, descriptor: FileDescriptor)]
    private var buffer: [UInt8]

    init(_ pipes: [(ProgramStream, FileDescriptor)], _ step: Int) {
        open = pipes.map { (stream: $0.0, descriptor: $0.1) }
        buffer = Array(repeating: 0, count: step)
    }

    /// True if all pipes were read to their ends.
    var isAtEnd: Bool { open.isEmpty }

    /// The descriptors of the pipes that are not at their ends.
    var descriptors: [Int32] { open.map(\.descriptor.rawValue) }

    /// Returns at most one chunk of each pipe; nil if the pipes are empty or at their ends.
    mutating func next() -> [Chunk]? {
        var chunks: [Chunk] = []
        // Standard error is read first: what was printed to standard output before it is there then.
        for pipe in open.reversed() {
            do {
                let count = try buffer.withUnsafeMutableBytes { try pipe.descriptor.read(into: $0) }
                if count > 0 {
                    chunks.append(Chunk(stream: pipe.stream, bytes: Array(buffer[..<count])))
                } else {
                    open.removeAll { $0.stream == pipe.stream }
                }
            } catch Errno.wouldBlock {
                continue
            } catch {
                // A pipe has no other errors; if it had, nothing could be read from it any more.
                open.removeAll { $0.stream == pipe.stream }
            }
        }
        return chunks.isEmpty ? nil : chunks.reversed()
    }
}
