import Foundation
import PetrelKit
import PetrelSupport

/// The texts about jobs in lists.
enum JobLines {
    /// The text in place of the name of a private room.
    static let unknownRoom = "unknown-channel"

    /// Returns a line such as `58 - 18 hours ago - docker-ps by pablo in DM - Successful`.
    static func line(_ job: JobRecord, hidesRoom: Bool) -> String {
        "\(job.id) - \(Humanized.time(job.started ?? job.created)) - \(Printable.line(job.command)) by "
            + "\(Printable.line(name(job))) in \(place(job, "DM", hidesRoom)) - \(job.status.rawValue)"
    }

    /// Returns the description of a job, a line for each property.
    /// - Parameter namesPerson: true for a reader who may not be the owner.
    static func details(_ job: JobRecord, hidesRoom: Bool, namesPerson: Bool = false) -> String {
        var lines = ["* ID \(job.id)", "* Status \(job.status.rawValue)", "* Command \(Printable.line(job.command))"]
        if !job.arguments.isEmpty {
            lines.append("* Args " + job.arguments.map { "\"\(Printable.line($0))\"" }.joined(separator: " "))
        }
        if namesPerson { lines.append("* By \(person(job.person, job.personName))") }
        lines.append("* Where \(place(job, "IM", hidesRoom))")
        let time = job.started ?? job.created
        lines.append("* When \(Humanized.time(time)) (\(UTCTime.text(Int64(time.timeIntervalSince1970)))Z)")
        if job.started != nil { lines.append("* Duration \(duration(job)) s") }
        if let code = job.exitCode, code != 0 { lines.append("* Exit code \(code)") }
        if let signal = job.signal { lines.append("* Signal \(signal)") }
        if let reason = job.reason { lines.append("* Reason \(Printable.line(reason))") }
        if let token = job.token { lines.append("* Token \(token)") }
        if let note = job.note { lines.append("* Note \(note)") }
        return lines.joined(separator: "\n")
    }

    /// Returns the sentence about a search that ended at a job, because it had looked at as many as it may.
    static func limit(_ end: JobRecord) -> String {
        "… Jobs before \(end.id) were not searched: a search looks at the newest \(JobBook.longestSearch)."
    }

    static func duration(_ job: JobRecord) -> String { Humanized.number((job.duration() * 10).rounded() / 10) }

    /// Returns the name of a person, with the identifier if that is another one.
    static func person(_ id: String, _ name: String) -> String {
        id.utf8.elementsEqual(name.utf8) ? Printable.line(name) : Printable.line("\(name) (\(id))")
    }

    private static func name(_ job: JobRecord) -> String {
        String(job.personName.unicodeScalars.drop { $0 == "@" })
    }

    private static func place(_ job: JobRecord, _ direct: String, _ hidesRoom: Bool) -> String {
        guard let room = job.roomName ?? job.room else { return direct }
        return hidesRoom ? unknownRoom : Printable.line(room)
    }

    /// Returns true if the room of a job must not be shown to the caller: it is private, and the caller is not in it.
    static func hidesRoom(of job: JobRecord, from caller: CommandCaller) -> Bool {
        guard job.isPrivateRoom == true else { return false }
        if job.belongs(to: caller.person, on: caller.backend) { return false }
        let isInside = caller.room.map { room in job.room.map { $0.utf8.elementsEqual(room.id.utf8) } == true } ?? false
        return !(isInside && job.address.backend.utf8.elementsEqual(caller.backend.utf8))
    }
}
