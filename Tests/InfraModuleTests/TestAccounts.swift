import AWSClient
import CoreMetrics
import Foundation
import Logging
import PetrelCore
import PetrelKit
import PetrelSupport
import PetrelTesting
import Testing

@testable import InfraModule

/// Settings, instances and bots for the tests.
enum TestAccounts {
    static func settings(
        _ accounts: [(name: String, account: String, regions: [String])], environment: [String: String] = [:]
    ) throws -> InfraSettings {
        var settings = InfraSettings(
            accounts: try accounts.map { one in
                let arn = try #require(RoleARN("arn:aws:iam::\(one.account):role/PetrelInspection"))
                return InfraAccount(name: one.name, role: AssumableRole(arn: arn), regions: one.regions)
            }, environment: environment)
        // The tests decide with signals, not with the speed of the machine, what is late.
        settings.patience = .seconds(3_600)
        settings.limit = .seconds(3_600)
        settings.cache = .seconds(3_600)
        return settings
    }

    /// Two accounts with three regions.
    static func two(_ environment: [String: String] = [:]) throws -> InfraSettings {
        try settings(
            [
                ("production", "111111111111", ["eu-west-2"]), ("staging", "222222222222", ["us-east-1", "eu-west-1"]),
            ], environment: environment)
    }

    static func instance(_ number: Int, name: String? = nil, _ change: (inout Instance) -> Void = { _ in }) -> Instance
    {
        let digits = String(number, radix: 16)
        var instance = Instance(id: "i-" + String(repeating: "0", count: 17 - digits.count) + digits)
        instance.state = "running"
        instance.type = "t3.micro"
        instance.zone = "eu-west-2a"
        instance.launched = 1_000_000
        instance.privateAddresses = ["10.0.0.\(number % 256)"]
        if let name { instance.tags["Name"] = name }
        change(&instance)
        return instance
    }

    /// Runs a bot with the module, whose instances come from a closure.
    static func run(
        _ settings: InfraSettings, on backend: RecordingBackend, policy: Dispatcher.Policy = Dispatcher.Policy(),
        describe: @escaping InfraSearch.Describe, _ body: @Sendable () async throws -> Void
    ) async throws {
        try await TestHost([backend], policy: policy).run({ host in
            let now = Date(timeIntervalSince1970: 1_000_000 + 90_000)
            let clock = AWSClock(local: { Int64(now.timeIntervalSince1970) }) { _, _ in }
            return [
                InfraModule(
                    settings, host: host.access(for: "infra"), clock: clock, now: { now }, describe: describe)
            ]
        }) { try await body() }
    }
}

extension RecordingBackend {
    /// Sends a line and returns the next reply.
    func ask(_ line: String, as person: String = "@alice") async throws -> Reply {
        type("!" + line, as: person)
        return try #require(await next()).reply
    }
}

extension TestAccounts {
    static var meters: InfraMeters { InfraMeters(NOOPMetricsHandler.instance) }
    static let silent = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
}
