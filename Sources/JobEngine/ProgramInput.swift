import SystemPackage

#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

/// The standard input of a program: the null device, or a pipe that already contains the whole input, so that nothing
/// has to be written while the program runs.
struct ProgramInput {
    /// The failure to prepare an input.
    struct Failure: Error, CustomStringConvertible {
        let description: String
    }

    /// The descriptor from which the program reads.
    let descriptor: FileDescriptor

    /// Prepares an input; nil for none.
    init(_ bytes: [UInt8]?) throws {
        guard let bytes else {
            descriptor = try FileDescriptor.open("/dev/null", .readOnly, options: .closeOnExec)
            return
        }
        // Children get no other descriptors than their three streams, so that no other program holds the pipe open.
        let (readEnd, writeEnd) = try FileDescriptor.pipe()
        do {
            try writeEnd.closeAfter { try Self.fill(writeEnd, bytes) }
        } catch {
            try readEnd.close()
            throw error
        }
        descriptor = readEnd
    }

    /// Closes the descriptor.
    func close() {
        // Closing fails only for a descriptor that is not open.
        try? descriptor.close()
    }

    /// Writes to a pipe that, where the system allows it, is made large enough. Writing does not wait.
    private static func fill(_ pipe: FileDescriptor, _ bytes: [UInt8]) throws {
        #if os(Linux)
            // F_SETPIPE_SZ, which the module of Glibc does not export. If it fails, the write is incomplete.
            if bytes.count > 60_000 { _ = fcntl(pipe.rawValue, 1_031, Int32(clamping: bytes.count + 4_096)) }
        #endif
        _ = fcntl(pipe.rawValue, F_SETFL, O_NONBLOCK)
        let count = try bytes.withUnsafeBytes { try pipe.write($0) }
        guard count == bytes.count else {
            throw Failure(description: "its input of \(bytes.count) bytes is too large for a pipe")
        }
    }
}
