import PetrelKit
import PetrelSupport

/// The module that hosted cases use: `echo`, `count`, `whisper`, `refuse`, `crash` and `burst`, and further commands.
struct ConformanceModule: BotModule {
    let name = "conformance"
    let more: [Command]
    private let runs = Locked(0)

    init(more: [Command]) {
        self.more = more
    }

    var commands: [Command] {
        [
            Command("echo", usage: "TEXT", summary: "Return the text.") { Reply($0.arguments) },
            Command("whisper", usage: "TEXT", summary: "Return the text in private.") {
                Reply($0.arguments, isPrivate: true)
            },
            Command("count", summary: "Return the number of calls.") { [runs] _ in
                Reply("run \(runs.withLock { $0 += 1; return $0 }).")
            },
            Command("refuse", summary: "Refuse.") { _ in throw Refusal("This is refused; use echo.") },
            Command("crash", summary: "Fail.") { _ in throw Crash() },
            Command("burst", usage: "COUNT", summary: "Send numbers.") { call in
                for number in 1...(Int(call.arguments) ?? 1) { call.say(Reply("n\(number)")) }
                return nil
            },
        ] + more
    }

    private struct Crash: Error, CustomStringConvertible {
        let description = "internal details"
    }
}
