import Foundation
import JobEngine
import PetrelKit
import PetrelSupport

/// The settings of the section `jobs`.
struct JobsSettings: Sendable {
    /// The commands, sorted by their names.
    var commands: [CommandDefinition] = []
    /// The folders of scripts.
    var scripts: [ScriptSettings] = []
    /// The plug-ins for CatOps; nil for none.
    var catops: CatOpsSettings?
    /// The relay of logs; nil for none.
    var logRelay: LogRelaySettings?
    /// The size of the pool and of the queue, and the time that jobs have at the end of Petrel.
    var limits = JobEngine.Limits()
    /// The word before the names of the built-in commands; empty for none.
    var prefix = ""
    /// True if only members of a group get answers, and only in direct chats.
    var isStealthy = false
    /// The number of days for which jobs are kept.
    var retentionDays = 90
    /// The number of bytes for which output is kept.
    var retentionBytes: Int64 = 1_024 << 20
    /// The number of bytes for which the output of one job is kept.
    var outputBytes: Int64 = 1_024 << 20
    /// The replies about lines that are not commands, if they are configured.
    var format: ReplyFormat
    /// True if the configuration sets the reply to unknown commands.
    var answersUnknown = false
    /// The groups of the access rules, and `admin`.
    var groups: [String: [String]] = [:]
    /// The environment that programs inherit.
    var environment: [String: String] = [:]

    /// The members of all groups.
    var everyone: Set<String> { Set(groups.values.joined()) }

    /// Reads a section, and reports every error to it.
    init(_ section: SettingsSection) {
        limits.pool = section.integer("pool", default: 20, in: 1...1_000)
        limits.queue = section.integer("queue", default: 200, in: 0...100_000)
        limits.stopTimeout = .seconds(section.integer("stop_timeout", default: 5, in: 0...7))
        prefix = section.string("prefix", default: "")
        if !prefix.isEmpty, Self.problem(ofName: prefix) != nil {
            section.problem("prefix", "must be one word of at most 64 bytes, such as \"mb\"")
        }
        isStealthy = section.bool("stealth", default: false)
        retentionDays = section.integer("retention_days", default: 90, in: 1...36_500)
        retentionBytes = Int64(section.integer("retention_mb", default: 1_024, in: 1...1_048_576)) << 20
        outputBytes = Int64(section.integer("output_mb", default: 1_024, in: 1...1_048_576)) << 20
        format = ReplyFormat.standard.read(section)
        answersUnknown =
            section.optionalSection("templates")?.contains("unknowncommand") == true
            || section.optionalSection("messages")?.contains("unknowncommand") == true
        groups = section.groups
        groups["admin"] = section.admins
        if section.groups["admin"] != nil {
            section.warn("", "the group \"admin\" of the commands is the list admins, not groups.admin")
        }
        environment = section.environmentForPrograms
        let commands = section.section("commands")
        let prefix = Command.key(prefix)
        var names: [String: String] = [:]
        self.commands = commands.keys.sorted().compactMap { name in
            guard let command = commands.optionalSection(name) else { return nil }
            if let problem = Self.problem(ofName: name) { commands.problem(name, problem) }
            if let other = names.updateValue(name, forKey: Command.key(name)) {
                commands.problem(name, "is the same name as \"\(other)\", because case and _ make no difference")
            } else if !prefix.isEmpty, Command.key(name) == prefix {
                commands.problem(name, "is the word in jobs.prefix; choose another name")
            }
            defer { command.finish() }
            return CommandDefinition(name, command, format, groups)
        }
        catops = section.optionalSection("catops").map { CatOpsSettings($0, format, groups) }
        logRelay = section.optionalSection("log_relay").flatMap { LogRelaySettings($0) }
        scripts = section.sections("scripts").map { ScriptSettings($0, format, groups) }
        var folders: Set<[UInt8]> = []
        for folder in scripts.map(\.directory) where !folders.insert(Array(folder.utf8)).inserted {
            section.problem("scripts", "has the folder \(folder) more than once")
        }
        section.finish()
    }

    /// Returns the reason for which a name cannot be that of a command; nil if it can.
    static func problem(ofName name: String) -> String? {
        guard !name.isEmpty, name.utf8.count <= 64 else { return "is not a name: use 1 to 64 bytes" }
        let isPlain = name.unicodeScalars.allSatisfy { !$0.isSeparator && !$0.isInvisible && !$0.isTreacherous }
        guard isPlain else { return "is not a name: use one word without spaces and control characters" }
        // Alone it is the name of nothing, because `_` and a space are the same.
        return Command.key(name).isEmpty ? "is not a name: use more than \"_\"" : nil
    }
}

extension CommandDefinition {
    /// Reads a command of the configuration, and reports every error to its section.
    init(_ name: String, _ section: SettingsSection, _ format: ReplyFormat, _ groups: [String: [String]]) {
        self.init(name: name, origin: section.path, program: section.requiredString("command"), format: format)
        arguments = section.strings("args")
        read(section, groups, confirms: true)
        environment = Self.environment(section)
        folder = section.file("cwd")
        if section.contains("answer") { answer = section.choice("answer", default: .text) }
        hasInput = section.choice("stdin", default: CommandInput.none) == .json
        let help = section.section("help")
        self.help = Help(summary: help.string("summary", default: ""), arguments: help.strings("args"))
        help.finish()
        reviewPeople(section)
        review(section)
    }

    /// Reads what the section of a source of commands states for all of its commands.
    /// - Parameter kind: what the commands are, for warnings, such as `scripts`.
    init(all kind: String, of section: SettingsSection, _ format: ReplyFormat, _ groups: [String: [String]]) {
        self.init(name: "", origin: section.path, program: "", format: format)
        read(section, groups, confirms: false)
        if let reason = rights.emptiness { section.warn("auth_strategy", "nobody may run the \(kind): \(reason)") }
    }

    /// Reads the settings that do not depend on where a command comes from.
    /// - Parameter confirms: whether a start is confirmed by default.
    private mutating func read(_ section: SettingsSection, _ groups: [String: [String]], confirms: Bool) {
        rights = CommandRights(section, groups)
        let seconds = section.integer("timeout", default: 60, in: 0...31_536_000)
        timeout = seconds == 0 ? nil : .seconds(seconds)
        hasHandshake = !section.bool("no_handshake", default: !confirms)
        format = format.read(section)
        secrets = SecretArguments(section)
    }

    /// Warns if nobody may run the command, unless the section says so itself.
    private func reviewPeople(_ section: SettingsSection) {
        guard let reason = rights.emptiness else { return }
        switch rights.people {
        case .group where !rights.groups.isEmpty:
            section.warn("allowed_groups", "nobody may run the command: \(reason)")
        case .none where !section.contains("auth_strategy"):
            section.warn(
                "auth_strategy",
                "is not set, so nobody may run the command; set \"any\" for everyone, or \"group\" with allowed_groups")
        case .none, .any, .group: break
        }
    }

    private mutating func review(_ section: SettingsSection) {
        if program.utf8.contains(0) { section.problem("command", "must not contain a NUL character") }
        for (index, argument) in arguments.enumerated() where argument.utf8.contains(0) {
            section.problem("args[\(index)]", "must not contain a NUL character")
        }
        if program.isEmpty { return section.problem("command", "must not be empty") }
        if let folder {
            var isFolder: ObjCBool = false
            if !FileManager.default.fileExists(atPath: folder, isDirectory: &isFolder) {
                section.warn("cwd", "the folder \(folder) does not exist")
            } else if !isFolder.boolValue {
                section.warn("cwd", "\(folder) is not a folder")
            }
        }
        let isPath = program.utf8.contains(UInt8(ascii: "/"))
        if isPath, program.utf8.first == UInt8(ascii: "~") {
            return section.warn("command", "~ is not replaced by a folder; write the whole path")
        }
        let hint = program.unicodeScalars.contains(where: \.isSeparator) ? "; the arguments belong into args" : ""
        guard isPath else {
            if ProgramFile.path(of: program, in: environment["PATH"] ?? section.environment["PATH"] ?? "") == nil {
                section.warn("command", "the program \(program) is not in PATH\(hint)")
            }
            return
        }
        program = section.path(of: program)
        if let objection = ProgramFile.objection(to: program) {
            section.warn("command", "\(program) \(objection)\(hint)")
        }
    }

    static func environment(_ section: SettingsSection) -> [String: String] {
        guard let variables = section.optionalSection("env") else { return [:] }
        var environment: [String: String] = [:]
        for key in variables.keys {
            if !variables.contains(key) { variables.problem(key, "must be a string, not null") }
            let text = variables.string(key, default: "")
            if key.isEmpty || key.utf8.contains(0) || key.utf8.contains(UInt8(ascii: "=")) || text.utf8.contains(0) {
                variables.problem(key, "must be a name without “=” and a value without NUL")
            } else if key.utf8.starts(with: "PETREL_".utf8) {
                variables.problem(key, "is set by Petrel; choose another name")
            }
            environment[key] = text
        }
        variables.finish()
        return environment
    }
}

extension CommandRights {
    init(_ section: SettingsSection, _ known: [String: [String]]) {
        people = section.choice("auth_strategy", default: .none)
        groups = section.strings("allowed_groups")
        for (index, name) in groups.enumerated() where known[name] == nil {
            let near = Nearness.nearest(to: name, among: known.keys.sorted(), limit: 1).first
            section.problem(
                "allowed_groups[\(index)]",
                "there is no group \"\(name)\"" + (near.map { "; did you mean \"\($0)\"?" } ?? ""))
        }
        members = Set(groups.flatMap { known[$0, default: []] })
        places = section.choice("channel_strategy", default: .any)
        rooms = section.strings("allowed_channels")
        if people == .group, groups.isEmpty {
            section.problem("allowed_groups", "is required with auth_strategy \"group\"")
        } else if people != .group, !groups.isEmpty {
            section.problem("allowed_groups", "has an effect only with auth_strategy \"group\"")
        }
        if places != .channel, !rooms.isEmpty {
            section.problem("allowed_channels", "has an effect only with channel_strategy \"channel\"")
        }
    }
}

extension SecretArguments {
    init(_ section: SettingsSection) {
        for (index, item) in (section.value("secrets")?.array ?? []).enumerated() {
            switch item {
            case .integer(let position) where position > 0: positions.insert(position)
            case .string(let text) where !text.isEmpty:
                // `--password=` stands for `--password=VALUE` as well.
                let name = text.utf8.last == UInt8(ascii: "=") ? String(text.unicodeScalars.dropLast()) : text
                if name.isBlank || name.unicodeScalars.contains(where: \.isSeparator) {
                    section.problem("secrets[\(index)]", "must be one word, such as \"--password\"")
                } else if Int(name) != nil {
                    section.warn(
                        "secrets[\(index)]", "is the word \"\(name)\"; write \(name) for the number of an argument")
                }
                names.append(name)
            default:
                section.problem(
                    "secrets[\(index)]", "must be the number of an argument, from 1, or the word before a value")
            }
        }
        if let value = section.value("secrets"), value.array == nil {
            section.problem("secrets", "must be a list, such as [1, \"--password\"], not \(value.typeName)")
        }
    }
}
