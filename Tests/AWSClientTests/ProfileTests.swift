import Foundation
import PetrelSupport
import Testing

@testable import AWSClient

/// Credentials from the profiles of the shared files, without calls of AWS.
@Suite(.timeLimit(.minutes(30))) struct ProfileTests {
    /// Returns the credentials of a chain with two files. `FOLDER` in them is a folder with the other files.
    private static func credentials(
        config: String, credentials: String = "", files: [String: String] = [:], environment: [String: String] = [:],
        _ body: @Sendable (CredentialChain, URL) async throws -> AWSCredentials = { chain, _ in
            try await chain.credentials()
        }
    ) async throws -> AWSCredentials {
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent("aws \(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        for (name, text) in files.merging(["config": config, "credentials": credentials], uniquingKeysWith: { $1 }) {
            let file = folder.appendingPathComponent(name)
            try Data(text.replacing("FOLDER", with: folder.path).utf8).write(to: file)
        }
        let all = [
            "AWS_CONFIG_FILE": folder.appendingPathComponent("config").path,
            "AWS_SHARED_CREDENTIALS_FILE": folder.appendingPathComponent("credentials").path,
            "AWS_EC2_METADATA_DISABLED": "true", "AWS_ENDPOINT_URL": "http://127.0.0.1:1",
        ].merging(environment) { $1 }
        let clock = AWSClock(local: { 1_000_000_000 }) { _, _ in }
        let client = try QueryClient(environment: all, clock: clock)
        let assumption = RoleAssumption(client: client, session: "petrel", region: "eu-west-2", limit: .seconds(30))
        return try await body(CredentialChain(assumption, environment: all, programs: ["A": "b c"]), folder)
    }

    private static let printed = #"{"Version": 1, "AccessKeyId": "AKIAPROCESS", "SecretAccessKey": "s"}"#
    private static let keys = "aws_access_key_id = AKIA%\naws_secret_access_key = s\n"

    private static func keys(_ name: String) -> String { keys.replacing("%", with: name) }

    @Test(
        arguments: [
            (["AWS_ACCESS_KEY_ID": "AKIAENV", "AWS_SECRET_ACCESS_KEY": "s"], true, true, true, "AKIAENV"),
            ([:], true, true, true, "AKIACREDENTIALS"), ([:], false, true, true, "AKIAPROCESS"),
            ([:], false, false, true, "AKIACONFIG"),
        ] as [([String: String], Bool, Bool, Bool, String)])
    func `the sources are used in the order of botocore`(
        environment: [String: String], credentials: Bool, process: Bool, config: Bool, expected: String
    ) async throws {
        let found = try await Self.credentials(
            config: "[default]\n" + (process ? "credential_process = cat \"FOLDER/out.json\"\n" : "")
                + (config ? Self.keys("CONFIG") : ""),
            credentials: credentials ? "[default]\n" + Self.keys("CREDENTIALS") : "", files: ["out.json": Self.printed],
            environment: environment)
        #expect(found.accessKeyID == expected)
    }

    @Test func `a variable may end with a line end, but not contain white space`() async throws {
        let names = [("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"), ("AWS_ACCESS_KEY", "AWS_SECRET_KEY")]
        for (id, secret) in names {
            let found = try await Self.credentials(
                config: "", environment: [id: " A\r\n", secret: "s\n", "AWS_SESSION_TOKEN": "t\r"])
            #expect(found == AWSCredentials(accessKeyID: "A", secretAccessKey: Secret("s"), sessionToken: Secret("t")))
            let error = await #expect(throws: AWSError.self) {
                _ = try await Self.credentials(config: "", environment: [id: "A", secret: "a b"])
            }
            #expect(error?.clause == "there are no credentials: environment: \(secret) contains white space")
        }
    }

    @Test func `an access key may have a comment, and must be complete in its file`() async throws {
        let found = try await Self.credentials(
            config: "", credentials: "[default]\naws_access_key_id = A # first\naws_secret_access_key=s;#x ; second\n")
        #expect(found.accessKeyID == "A" && found.secretAccessKey.reveal() == "s;#x")
        await #expect(throws: AWSError.self) {
            _ = try await Self.credentials(
                config: "[default]\naws_secret_access_key = s", credentials: "[default]\naws_access_key_id = A")
        }
    }

    @Test func `a program prints credentials, which are used until they expire soon`() async throws {
        let script = "echo run >>'FOLDER/runs'\ncat 'FOLDER/out.json'\n"
        // The clock of the test is 2001-09-09T01:46:40Z.
        for (expiration, runs) in [("2001-09-09T03:00:00+00:00", 1), ("2001-09-09T03:50:00.123+02:00", 2)] {
            let found = try await Self.credentials(
                config: "[profile a b]\ncredential_process = /bin/sh \"FOLDER/script\" 'it is' # not a comment\n",
                files: [
                    "script": "test \"$#\" = 5 && test \"$A\" = 'b c' || exit 4\n" + script,
                    "out.json": """
                    {"Version": 1, "AccessKeyId": "A", "SecretAccessKey": "s", "SessionToken": "t", "Expiration": \
                    "\(expiration)"}
                    """,
                ], environment: ["AWS_PROFILE": "a b"]
            ) { chain, folder in
                _ = try await chain.credentials()
                let second = try await chain.credentials()
                let file = folder.appendingPathComponent("runs")
                func text() throws -> String { try String(contentsOf: file, encoding: .utf8) }
                let expected = String(repeating: "run\n", count: runs)
                // The program runs again while its first credentials are used.
                while try text().utf8.count < expected.utf8.count { await Task.yield() }
                #expect(try text() == expected, "\(expiration)")
                return second
            }
            #expect(found.sessionToken?.reveal() == "t" && found.expiration != nil)
        }
    }

    @Test(arguments: [
        ("false", "ends with status 1"), ("/absent/program", "cannot be started"), ("cat /dev/zero", "more than 64 kB"),
        ("cat \"x", "has an unclosed quotation mark"), ("\"\" x", "no program"),
        ("echo secret-word", "does not print JSON"),
        ("echo '{}'", "does not print \"Version\": 1"), ("cat FOLDER/2", "does not print \"Version\": 1"),
        ("echo '{\"Version\": 1, \"AccessKeyId\": \"A\"}'", "does not print AccessKeyId and SecretAccessKey"),
        ("cat 'FOLDER/late'", "prints credentials that have expired"),
        ("cat 'FOLDER/odd'", "prints an Expiration that is not a time"), ("sh -c 'kill -9 $$'", "is ended by signal 9"),
    ]) func `a program that does not print credentials is explained`(line: String, reason: String) async throws {
        let error = await #expect(throws: AWSError.self) {
            _ = try await Self.credentials(
                config: "[default]\ncredential_process = \(line.replacing("FOLDER/2", with: "'FOLDER/2'"))\n",
                files: [
                    "2": Self.printed.replacing(": 1", with: ": 2"),
                    "late": Self.printed.replacing("}", with: ", \"Expiration\": \"2001-09-09T01:46:40Z\"}"),
                    "odd": Self.printed.replacing("}", with: ", \"Expiration\": \"2001-09-09 03:00:00\"}"),
                ])
        }
        let text = try #require(error).clause
        #expect(text.contains("the profile default in ") && text.contains("has a credential_process that "), "\(text)")
        #expect(text.contains(reason) && !text.contains("secret-word"), "\(text)")
    }

    @Test func `a program that does not end is ended`() async throws {
        let program = ProcessCredentials(
            environment: [:], limit: .milliseconds(1), offset: { 0 }, now: { 0 })
        let section = SharedProfile.Section(file: "f", settings: ["credential_process": "/bin/sleep 3600"])
        await #expect(throws: AWSError.self) {
            _ = try await program.fetch(SharedProfile(name: "x", credentials: nil, config: section))
        }
    }

    private static let role = "role_arn = arn:aws:iam::111111111111:role/x\n"

    @Test(arguments: [
        ("source_profile = default", "has a source_profile that leads back to itself: default, default"),
        (
            "source_profile = b\n[profile b]\n\(role)source_profile=c\n[profile c]\n\(role)source_profile = b",
            "the profile c in FOLDER/config has a source_profile that leads back to itself: default, b, c, b"
        ),
        ("source_profile = b", "has source_profile = b, which does not exist"),
        ("source_profile = b\n[profile b]\nregion = x", "has no credentials for the profile default"),
        ("source_profile = b\ncredential_source = Environment", "has both source_profile and credential_source"),
        ("", "has role_arn, but neither source_profile nor credential_source"),
        ("credential_source = Moon", "is not one of Environment, EcsContainer, Ec2InstanceMetadata"),
        ("credential_source = environment", "has credential_source = Environment, which has no credentials"),
        ("source_profile = b\nduration_seconds = 90", "duration_seconds that is not a number from 900 to 43200"),
        ("source_profile = b\nmfa_serial = x", "has mfa_serial, but Petrel cannot enter a code"),
        ("source_profile = b\nrole_arn = x", "has a role_arn that is not the ARN of a role"),
        (
            "web_identity_token_file = /absent/token",
            "web_identity_token_file of the profile default: /absent/token cannot"
        ),
        (
            "source_profile = b\n[profile b]\nsso_session = x\nsso_account_id = 1",
            "use a role with source_profile or credential_source, or a second profile with credential_process = aws "
                + "configure export-credentials --profile b"
        ),
    ]) func `a profile with a role that cannot be assumed is explained`(settings: String, reason: String) async throws {
        let folder = Locked("")
        let error = await #expect(throws: AWSError.self) {
            _ = try await Self.credentials(config: "[default]\n\(Self.role)\(settings)\n") { chain, url in
                folder.withLock { $0 = url.path }
                return try await chain.credentials()
            }
        }
        let text = try #require(error).clause.replacing(folder.value, with: "FOLDER")
        #expect(text.hasPrefix("there are no credentials: ") && text.contains(reason), "\(text)")
    }

    @Test(
        arguments: [
            ("", []), ("a  b", ["a", "b"]), ("a\"b c\"d 'e\\' \"\"", ["ab cd", "e\\", ""]), ("a\\ b\\\"", ["a b\""]),
            (#""a\"b\\c\d""#, [#"a"b\c\d"#]), ("a\t#b $HOME *", ["a", "#b", "$HOME", "*"]), ("a\"", nil), ("a\\", nil),
            ("'\u{301}a b'\u{301} c", ["\u{301}a b\u{301}", "c"]),
        ] as [(String, [String]?)]) func `a line is split as by a shell`(line: String, words: [String]?)
    {
        #expect(ShellWords.split(line) == words)
    }

    @Test(
        arguments: [
            ("1970-01-01T01:00:00Z", 3_600), ("1970-01-01T01:00:00.123Z", 3_600), ("1970-01-01T01:00:00+01:00", 0),
            ("1970-01-01T01:00:00.5-00:30", 5_400), ("1970-01-01T01:00:00", nil), ("1970-01-01T01:00:00.Z", nil),
            ("1970-01-01T01:00:00+0100", nil), ("1970-01-01T01:00:00+1a:00", nil), ("1970-01-01T01:00:00 Z", nil),
            ("", nil),
        ] as [(String, Int64?)]) func `times have a zone`(text: String, seconds: Int64?)
    {
        #expect(AWSTime.seconds(text) == seconds)
    }
}
