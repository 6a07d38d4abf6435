import Foundation

/// What is fuzzed: a function of bytes that stops the process when something is wrong.
enum FuzzTarget: String, CaseIterable {
    /// The parser of `text/event-stream`.
    case events
    /// The alias matcher, against a slow one.
    case aliases
    /// The normaliser of command lines, and what is judged of them and run.
    case lines
    /// The reader of configurations.
    case settings
    /// The readers of JSON, and what makes a message of an announcement.
    case payloads
    /// The text of a result, to what people read on Slack and over XMPP.
    case results
    /// The parser of XMPP's streams, and what is written into them.
    case stanzas
    /// The client of SCRAM.
    case scram

    func run(_ bytes: [UInt8]) {
        switch self {
        case .events: fuzzEvents(bytes)
        case .aliases: fuzzAliases(bytes)
        case .lines: fuzzLines(bytes)
        case .settings: fuzzSettings(bytes)
        case .payloads: fuzzPayloads(bytes)
        case .results: fuzzResults(bytes)
        case .stanzas: fuzzStanzas(bytes)
        case .scram: fuzzSCRAM(bytes)
        }
    }
}

/// Stops the process, which is how a fuzzer learns of a mistake.
func require(_ condition: Bool, _ text: @autoclosure () -> String) {
    if !condition { fatalError(text()) }
}

/// Byte by byte: Foundation's search stops the process on some texts that hold NUL.
func holds(_ text: String, _ part: String) -> Bool { text.utf8.contains(part.utf8) }

#if FUZZING
    private let target: FuzzTarget = {
        let name = ProcessInfo.processInfo.environment["PETREL_FUZZ"] ?? ""
        guard let target = FuzzTarget(rawValue: name) else {
            fatalError("PETREL_FUZZ must be one of \(FuzzTarget.allCases.map(\.rawValue))")
        }
        return target
    }()

    /// libFuzzer's entry (https://llvm.org/docs/LibFuzzer.html#fuzz-target).
    @_cdecl("LLVMFuzzerTestOneInput")
    public func fuzzOne(_ data: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
        target.run(Array(UnsafeBufferPointer(start: data, count: count)))
        return 0
    }
#else
    /// Without the fuzzer: runs the files of a corpus once.
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
