import Foundation
import PetrelKit
import PetrelSupport

/// The commands `lock take`, `lock release` and `lock list`.
package struct LockModule: BotModule, StatusReporting {
    package let name = "lock"
    package let preparesItself = true
    private let locks: Locks
    private let host: ModuleHost

    package init(_ host: ModuleHost) {
        self.host = host
        locks = Locks(host.storage)
    }

    package var commands: [Command] {
        [
            Command("lock take", usage: "SERVICE REASON", summary: "Lock a service.", handler: take),
            Command("lock release", usage: "SERVICE", summary: "Release a lock.", handler: release),
            Command("lock list", summary: "List the locks.", takesNoArguments: true) { _ in list() },
        ]
    }

    package func run() async throws {
        try await locks.restore()
        host.commands.ready()
    }

    package func status() -> [StatusLine] {
        guard let all = locks.all else { return [StatusLine("locks", isHealthy: false, "not read from the store yet")] }
        return [StatusLine("locks", isHealthy: true, "\(all.count) taken")]
    }

    private func take(_ invocation: Invocation) async throws -> Reply? {
        let (service, reason) = invocation.arguments.firstWord
        guard !reason.isEmpty, service.utf8.count <= 64, reason.utf8.count <= 500 else {
            throw Refusal("Usage: \(invocation.typed("lock take SERVICE REASON")), with at most 64 and 500 bytes.")
        }
        try await locks.take(
            DeployLock(
                service: service, owner: owner(invocation), name: invocation.message.sender.name, reason: reason,
                since: Int64(Date.now.timeIntervalSince1970)))
        return Reply("\(service) is locked.")
    }

    private func release(_ invocation: Invocation) async throws -> Reply? {
        try await locks.release(invocation.arguments, by: owner(invocation), isAdmin: invocation.isAdmin)
        return Reply("\(invocation.arguments) is released.")
    }

    private func list() -> Reply {
        guard let all = locks.all else { return Reply("The locks are being read from the store. Try again.") }
        guard !all.isEmpty else { return Reply("No service is locked.") }
        return Reply(
            all.map { "\($0.service): \($0.name), since \(UTCTime.text($0.since)) UTC: \($0.reason)" }
                .joined(separator: "\n"))
    }

    private func owner(_ invocation: Invocation) -> String {
        "\(invocation.address.backend) \(invocation.message.sender.id)"
    }
}
