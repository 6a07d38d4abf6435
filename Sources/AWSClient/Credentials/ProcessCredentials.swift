import Foundation
import JobEngine
import PetrelSupport

/// Credentials that a program prints, which the setting `credential_process` of a profile names
/// (https://docs.aws.amazon.com/sdkref/latest/guide/feature-process-credentials.html).
struct ProcessCredentials: Sendable {
    /// The time after which the program is ended.
    static let limit = Duration.seconds(30)
    /// The maximum size of its output, in bytes.
    static let mostBytes = 1 << 16
    private static let setting = "credential_process"

    /// The environment of the program.
    let environment: [String: String]
    /// The time limit.
    var limit = ProcessCredentials.limit
    /// Returns the correction for the clock of AWS, in seconds.
    let offset: @Sendable () throws -> Int64
    /// Returns the local time, in seconds since 1970.
    let now: @Sendable () -> Int64

    /// Runs the program of a profile, without a shell, and returns the credentials. Returns nil if the profile does not
    /// name a program.
    func fetch(_ profile: SharedProfile) async throws -> AWSCredentials? {
        guard let line = profile.line(Self.setting) else { return nil }
        guard let words = ShellWords.split(line), let executable = words.first, !executable.isEmpty else {
            throw Self.error(profile, "has an unclosed quotation mark or no program")
        }
        let output = ProgramOutput(most: Self.mostBytes)
        let program = RunningProgram(
            Program(executable, Array(words.dropFirst()), environment: environment, timeout: limit), to: output)
        output.stop = { program.stop(.cancelled(by: nil)) }
        let end = await program.run()
        output.stop = nil
        guard !output.isTooLong else { throw Self.error(profile, "prints more than \(Self.mostBytes >> 10) kB") }
        guard end.cause == nil else { throw Self.error(profile, "does not end within \(limit.inSeconds)") }
        switch end.status {
        case .exited(0): return try credentials(output.bytes, profile)
        // The output of errors is not shown, because it may contain secrets.
        case .exited(let code): throw Self.error(profile, "ends with status \(code); run it by hand to see the reason")
        case .signalled(let signal): throw Self.error(profile, "is ended by signal \(signal)")
        case .notStarted(let reason): throw Self.error(profile, "cannot be started: \(reason.oneLine(160))")
        // Only calls end so.
        case .answered: throw Self.error(profile, "has no status")
        }
    }

    private func credentials(_ output: [UInt8], _ profile: SharedProfile) throws -> AWSCredentials {
        // The error of the parser may contain a part of the output.
        guard let json = try? JSONValue.parse(output), json.object != nil else {
            throw Self.error(profile, "does not print JSON")
        }
        guard json["Version"] == 1 else { throw Self.error(profile, "does not print \"Version\": 1") }
        guard let key = json["AccessKeyId"]?.string, let secret = json["SecretAccessKey"]?.string, !key.isEmpty,
            !secret.isEmpty
        else { throw Self.error(profile, "does not print AccessKeyId and SecretAccessKey") }
        return AWSCredentials(
            accessKeyID: key, secretAccessKey: Secret(secret),
            sessionToken: json["SessionToken"]?.string.map { Secret($0) },
            expiration: try expiration(json["Expiration"], profile))
    }

    /// Returns the time of expiry by the local clock. Returns nil if the credentials do not expire.
    private func expiration(_ value: JSONValue?, _ profile: SharedProfile) throws -> Int64? {
        guard let value, value != .null else { return nil }
        guard let time = value.string.flatMap({ AWSTime.seconds($0) }) else {
            throw Self.error(profile, "prints an Expiration that is not a time such as 2026-11-21T02:10:16Z")
        }
        let local = try time - offset()
        guard local > now() else { throw Self.error(profile, "prints credentials that have expired") }
        return local
    }

    private static func error(_ profile: SharedProfile, _ clause: String) -> AWSError {
        profile.error("has a \(setting) that \(clause)", setting)
    }
}

/// The standard output of a program, up to a limit.
private final class ProgramOutput: OutputSink {
    private struct State {
        var bytes: [UInt8] = []
        var isTooLong = false
        var stop: (@Sendable () -> Void)?
    }

    private let most: Int
    private let state = Locked(State())

    init(most: Int) { self.most = most }

    var bytes: [UInt8] { state.value.bytes }
    var isTooLong: Bool { state.value.isTooLong }

    /// A closure that is called when the output exceeds the limit.
    var stop: (@Sendable () -> Void)? {
        get { state.value.stop }
        set { state.withLock { $0.stop = newValue } }
    }

    func write(_ bytes: [UInt8], from stream: ProgramStream) async {
        guard stream == .output else { return }
        let stop = state.withLock { state in
            guard state.bytes.count + bytes.count <= most else {
                state.isTooLong = true
                return state.stop
            }
            state.bytes += bytes
            return nil
        }
        stop?()
    }
}
