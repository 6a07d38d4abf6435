import Foundation

/// A fuzz target: a function that takes bytes and stops the process when it finds an error.
enum FuzzTarget: String, CaseIterable {
    /// The parser of `text/event-stream`.
    case events
    /// The alias matcher, compared with a slow one.
    case aliases
    /// The normaliser of command lines, and the consistency of access decisions with the commands that run.
    case lines
    /// The reader of configurations.
    case settings
    /// The JSON readers, and the conversion of announcements to messages.
    case payloads
    /// The conversion of results to the texts that Slack and XMPP clients show.
    case results
    /// The parser and the writer of XMPP streams.
    case stanzas
    /// The reader of answers of EC2.
    case answers
    /// The parser of searches for instances.
    case queries
    /// The SCRAM client.
    case scram
    /// The parser, the writer, the splitter and the session of IRC.
    case irc
    /// The arguments of jobs, the names in their templates, and the bodies of requests.
    case jobs

    func run(_ bytes: [UInt8]) {
        switch self {
        case .events: fuzzEvents(bytes)
        case .aliases: fuzzAliases(bytes)
        case .lines: fuzzLines(bytes)
        case .settings: fuzzSettings(bytes)
        case .payloads: fuzzPayloads(bytes)
        case .results: fuzzResults(bytes)
        case .stanzas: fuzzStanzas(bytes)
        case .answers: fuzzAnswers(bytes)
        case .queries: fuzzQueries(bytes)
        case .scram: fuzzSCRAM(bytes)
        case .irc: fuzzIRC(bytes)
        case .jobs: fuzzJobs(bytes)
        }
    }
}

/// Stops the process with a text if a condition is false, which reports an error to the fuzzer.
func require(_ condition: Bool, _ text: @autoclosure () -> String) {
    if !condition { fatalError(text().debugDescription) }
}

/// Returns true if a text contains a part. Compares bytes, because Foundation's search crashes on some texts with NUL.
func holds(_ text: String, _ part: String) -> Bool { text.utf8.contains(part.utf8) }

#if FUZZING
    private let target: FuzzTarget = {
        let name = ProcessInfo.processInfo.environment["PETREL_FUZZ"] ?? ""
        guard let target = FuzzTarget(rawValue: name) else {
            fatalError("PETREL_FUZZ must be one of \(FuzzTarget.allCases.map(\.rawValue))")
        }
        return target
    }()

    /// The entry point of libFuzzer (https://llvm.org/docs/LibFuzzer.html#fuzz-target).
    @_cdecl("LLVMFuzzerTestOneInput")
    public func fuzzOne(_ data: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
        target.run(Array(UnsafeBufferPointer(start: data, count: count)))
        return 0
    }
#else
    /// A program without libFuzzer that runs the files of a corpus once.
    @main
    enum Replay {
        static func main() throws {
            guard CommandLine.arguments.count == 3, let target = FuzzTarget(rawValue: CommandLine.arguments[1]) else {
                print("usage: petrel-fuzz \(FuzzTarget.allCases.map(\.rawValue).joined(separator: "|")) FOLDER")
                exit(64)
            }
            let folder = URL(fileURLWithPath: CommandLine.arguments[2])
            let files = try FileManager.default.contentsOfDirectory(at: folder, includingPropertiesForKeys: nil)
            for file in files { target.run(Array(try Data(contentsOf: file))) }
            print("\(target.rawValue): \(files.count) files")
        }
    }
#endif
