import Foundation
import PetrelKit
import PetrelSupport
import Testing

@testable import StackStormModule

@Suite struct AccountSettingsTests {
    private static func settings(_ json: JSONValue) -> (StackStormModuleSettings, [String]) {
        let context = SettingsContext(folder: URL(fileURLWithPath: "/nowhere"), environment: [:])
        let section = SettingsSection(json.object ?? [:], at: "stackstorm", in: context)
        let settings = StackStormModuleSettings(section)
        return (settings, context.problems.map(\.description))
    }

    @Test(arguments: [
        (
            #"{"standalone": {}, "clientside": {"url": "https://a/"}}"#,
            "stackstorm.rbac_auth: contains clientside and standalone; only one of them is allowed"
        ),
        (#"{"serverside": {}}"#, "stackstorm.rbac_auth.serverside: unknown key"),
        (#"{}"#, "stackstorm.rbac_auth: must be"), (#"null"#, "stackstorm.rbac_auth: must not be null"),
        (#""standalone""#, "stackstorm.rbac_auth: must be an object"),
        (#"{"clientside": {}}"#, "stackstorm.rbac_auth.clientside.url: is required"),
        (
            #"{"clientside": {"url": "http://petrel.example.com/"}}"#,
            "stackstorm.rbac_auth.clientside.url: must be https://"
        ),
        (#"{"clientside": {"url": "https://a/?x=1"}}"#, "stackstorm.rbac_auth.clientside.url: must be a URL"),
        (#"{"clientside": {"url": "https://a/", "uri": 1}}"#, "stackstorm.rbac_auth.clientside.uri: unknown key"),
        (#"{"impersonate": {}}"#, "stackstorm.rbac_auth.impersonate.users: is empty and nicknames is false"),
        (#"{"impersonate": {"users": {"U7": "alice"}}}"#, "stackstorm.rbac_auth.impersonate.users.U7: must be BACKEND"),
        (
            #"{"impersonate": {"users": {"slack/U7": " "}}}"#,
            "stackstorm.rbac_auth.impersonate.users.slack/U7: must name a StackStorm user"
        ),
        (#"{"impersonate": {"nicknames": true}}"#, "stackstorm.rbac_auth.impersonate: requires api_auth.user alone"),
        (
            #"{"standalone": {}, "impersonate": {"nicknames": true}}"#,
            "stackstorm.rbac_auth: contains impersonate and standalone; only one of them is allowed"
        ),
        (#"{"standalone": {"url": "https://a/"}}"#, "stackstorm.rbac_auth.standalone.url: unknown key"),
    ]) func `invalid login settings are reported`(text: String, expected: String) throws {
        let (_, problems) = Self.settings(["rbac_auth": try JSONValue.parse(text.utf8)])
        #expect(problems.contains { $0.hasPrefix(expected) }, "\(problems)")
    }

    @Test(arguments: [
        ("replay_window", 0), ("replay_window", 31_536_001), ("grace_period", 0), ("grace_period", 86_401),
    ]) func `durations have limits`(key: String, value: Int) {
        let (_, problems) = Self.settings([key: .integer(value)])
        #expect(problems.contains { $0.hasPrefix("stackstorm.\(key): must be") }, "\(problems)")
    }

    @Test func `durations are in seconds`() {
        let (settings, problems) = Self.settings(["replay_window": 3_600, "grace_period": 30])
        #expect(problems.allSatisfy { !$0.contains("replay_window") && !$0.contains("grace_period") })
        #expect(settings.replayWindow == .seconds(3_600) && settings.gracePeriod == .seconds(30))
        let (plain, _) = Self.settings([:])
        #expect(plain.replayWindow == .seconds(86_400) && plain.gracePeriod == .seconds(60))
    }

    @Test func `the URL of the page gets a trailing slash`() throws {
        for (url, expected) in [
            ("https://a", "https://a/"), ("https://a/petrel", "https://a/petrel/"),
            ("https://a/x.html", "https://a/x.html"),
            ("http://127.0.0.1:3141/", "http://127.0.0.1:3141/"), ("http://localhost:1", "http://localhost:1/"),
        ] {
            let (settings, problems) = Self.settings(["rbac_auth": ["clientside": ["url": .string(url)]]])
            #expect(problems.isEmpty && settings.loginPage?.absoluteString == expected)
        }
    }
}
