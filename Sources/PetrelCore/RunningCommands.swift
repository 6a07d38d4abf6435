import PetrelKit
import PetrelSupport

/// The commands that are running, which can be ended from outside.
struct RunningCommands: Sendable {
    /// A command, and the reason for which it is being ended.
    struct Command: Sendable {
        /// The command.
        var entry: FairQueue<Dispatcher.Job>.Entry
        /// The reason, as a clause; nil if it is not being ended.
        var reason: String?
    }

    private var commands: [Int: Command] = [:]
    private var count = 0

    /// Adds a command, and returns its number.
    mutating func add(_ entry: FairQueue<Dispatcher.Job>.Entry) -> Int {
        count += 1
        commands[count] = Command(entry: entry)
        return count
    }

    /// Returns the reason for which a command is being ended; nil if it is not.
    func reason(of number: Int) -> String? { commands[number]?.reason }

    /// Removes a command, which is done or given up. Returns nil if that was done before.
    mutating func remove(_ number: Int) -> Command? { commands.removeValue(forKey: number) }

    /// Marks the commands that are not being ended yet, and returns them by their numbers.
    mutating func end(_ reason: String) -> [Int: Command] {
        var ended: [Int: Command] = [:]
        for (number, command) in commands where command.reason == nil {
            commands[number]?.reason = reason
            ended[number] = command
        }
        return ended
    }
}
