import Foundation
import JobEngine
import PetrelKit
import PetrelSupport

/// The record of a job.
struct JobRecord: Sendable, Codable {
    /// The state of a job.
    enum Status: String, Sendable, Codable, CaseIterable {
        case queued = "Queued"
        case running = "Running"
        case successful = "Successful"
        case failed = "Failed"
        case killed = "Killed"

        /// True if the job has ended.
        var isFinal: Bool { self != .queued && self != .running }

        /// Returns the status with this name, without regard to case; nil for another name.
        init?(named name: String) {
            guard let status = Self.allCases.first(where: { $0.rawValue.isKeyword(name) }) else { return nil }
            self = status
        }

        /// Returns the status with this name, or throws a refusal that lists all of them.
        static func required(_ name: String) throws -> Status {
            if let status = Status(named: name) { return status }
            let all = allCases.map { $0.rawValue.lowercased() }.joined(separator: ", ")
            throw Refusal("-status must be one of \(all), not \(name).")
        }
    }

    /// The number of the job.
    var id: Int
    /// The name of the command.
    var command: String
    /// The arguments that the person typed, with their secrets masked.
    var arguments: [String]
    /// The identifier of the person.
    var person: String
    /// The name of the person.
    var personName: String
    /// The identifier of the room; nil in a direct chat.
    var room: String?
    /// The name of the room.
    var roomName: String?
    /// True if the room is not open to everyone.
    var isPrivateRoom: Bool?
    /// The destination of the replies.
    var address: Address
    /// The short identifier of the token that started the job, if one did.
    var token: String?
    /// The way in which the output is answered; nil for the templates.
    var answer: CommandAnswer?
    /// The state.
    var status = Status.queued
    /// The time at which the job was accepted.
    var created: Date
    /// The time at which the program was started.
    var started: Date?
    /// The time at which the job ended.
    var ended: Date?
    /// The reason for the end, unless it was successful.
    var reason: String?
    /// The exit code, if the program exited.
    var exitCode: Int32?
    /// The number of the signal that ended the program, if one did.
    var signal: Int32?
    /// The process identifier of the program.
    var process: Int32?
    /// The ``ProcessTable/identity(of:)`` of the program.
    var processIdentity: String?
    /// A remark about the record, as a clause.
    var note: String?

    /// The time from the start to the end, or to now.
    func duration(at now: Date = .now) -> TimeInterval {
        guard let started else { return 0 }
        return max((ended ?? now).timeIntervalSince(started), 0)
    }

    /// True if the person owns the job.
    func belongs(to person: Person, on backend: String) -> Bool { belongs(to: person.id, on: backend) }

    /// True if the person of this identifier owns the job.
    func belongs(to person: String, on backend: String) -> Bool {
        address.backend.utf8.elementsEqual(backend.utf8) && self.person.utf8.elementsEqual(person.utf8)
    }

    /// The key of the record. Keys sort in the order of the numbers.
    static func key(_ id: Int) -> String { UTCTime.digits(id, 12) }
    var key: String { Self.key(id) }
    /// The largest number whose key sorts behind those of smaller ones.
    static let last = 999_999_999_999
    /// Returns the number of a key; nil if it is not the key of a job.
    static func number(of key: String) -> Int? {
        Int(key).flatMap { (1...last).contains($0) && Self.key($0).utf8.elementsEqual(key.utf8) ? $0 : nil }
    }
}

extension JobRecord {
    /// Records the end of the program.
    mutating func end(_ end: ProgramEnd, timeout: Duration?, at now: Date = .now) {
        ended = now
        switch end.status {
        case .exited(let code): exitCode = code
        case .signalled(let number): if started != nil { signal = number }
        case .notStarted(let cause):
            status = .failed
            reason = cause
            return
        case .answered: break
        }
        switch end.cause {
        case .timedOut:
            status = .killed
            reason = "timed out after \(timeout.map { Humanized.number($0 / .seconds(1)) } ?? "0") s"
        case .cancelled(let person):
            status = .killed
            reason = (person.map { "killed by \($0)" } ?? "cancelled") + (started == nil ? " before it started" : "")
        case .shutdown:
            status = .killed
            reason = started == nil ? "Petrel stopped before it started" : "Petrel stopped"
        case .interrupted(let cause):
            status = .killed
            reason = cause
        case nil:
            status = end.status == .exited(0) || end.status == .answered(failure: nil) ? .successful : .failed
            reason =
                switch end.status {
                case .exited(0): nil
                case .exited(let code): "exit status \(code)"
                case .signalled(let number): "ended by \(SignalName.of(number))"
                case .notStarted(let cause): cause
                case .answered(let failure): failure
                }
        }
    }
}
