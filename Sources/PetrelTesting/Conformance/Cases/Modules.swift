import PetrelKit
import PetrelSupport

extension ModuleConformance {
    /// Cases about the commands of a module.
    static let commands: [ModuleConformanceCase] = [
        ModuleConformanceCase("module.name", "the name is a word, and constant") { scene in
            try await scene.hosted { running in
                let name = running.module.name
                let isWord = !name.isEmpty && !name.unicodeScalars.contains { $0.properties.isWhitespace }
                try scene.expect(isWord && running.module.name == name, "a word", got: name.debugDescription)
            }
        },
        ModuleConformanceCase("commands.published", "the module publishes commands, and becomes ready") { scene in
            try await scene.hosted { running in
                try scene.expect(!running.commands.isEmpty, "a command", got: "none")
            }
        },
        ModuleConformanceCase("commands.help", "every listed command has a summary of one line") { scene in
            try await scene.hosted { running in
                for command in running.commands where command.isListed {
                    let summary = command.summary
                    try scene.expect(
                        !summary.isEmpty && !summary.utf8.contains(10), "a summary of “\(command.name)” in one line",
                        got: summary.debugDescription)
                }
            }
        },
        ModuleConformanceCase("commands.names", "the names of the commands can be typed, and are different") { scene in
            try await scene.hosted { running in
                var keys: Set<String> = []
                for name in running.commands.flatMap({ [$0.name] + $0.otherNames }) {
                    let isTypable = name.unicodeScalars.allSatisfy { $0.properties.generalCategory != .control }
                    try scene.expect(isTypable, "a name without control characters", got: name.debugDescription)
                    try scene.expect(keys.insert(Command.key(name)).inserted, "different names", got: "“\(name)” twice")
                }
            }
        },
        ModuleConformanceCase("commands.lines", "the lines for completion are single lines") { scene in
            try await scene.hosted { running in
                for line in running.commands.flatMap({ $0.lines?() ?? [] }) {
                    try scene.expect(!line.utf8.contains(10), "a single line", got: line.debugDescription)
                }
            }
        },
        ModuleConformanceCase("commands.help-line", "the module's commands are in the help of the bot") { scene in
            try await scene.hosted { running in
                let names = Set(running.host.help.commands(for: running.invocation("", "")).map(\.name))
                for command in running.module.commands where command.isListed {
                    try scene.expect(
                        names.contains(command.name), "“\(command.name)” in help", got: "\(names.sorted())")
                }
            }
        },
    ]

    /// Cases about arguments. A command answers, or throws a ``ReplyError``.
    static let arguments: [ModuleConformanceCase] = [
        ModuleConformanceCase("arguments.empty", "commands answer calls without arguments") { scene in
            try await scene.callAll([""])
        },
        ModuleConformanceCase("arguments.odd", "commands answer calls with odd arguments") { scene in
            try await scene.callAll(OddText.all.map(\.text))
        },
        ModuleConformanceCase("arguments.syntax", "commands answer calls with quotes, brackets and templates") {
            scene in
            try await scene.callAll([
                "\"", "'", "a=\"b", "=", "a==b=", "[", "{\"a\":", "{{ x }}", "<% x %>", "--", "-h", "\\", "a\\",
                "*", "(", "999999999999999999999999", "-1", "0", "true",
            ])
        },
        ModuleConformanceCase("arguments.long", "commands answer calls with 20 kB of arguments") { scene in
            try await scene.callAll([
                String(repeating: "word ", count: 4_000), String(repeating: "a=b ", count: 5_000),
                String(repeating: "(", count: 20_000), String(repeating: "\u{301}", count: 10_000),
            ])
        },
        ModuleConformanceCase("arguments.masking", "arguments of every kind can be masked") { scene in
            try await scene.hosted { running in
                for command in running.commands {
                    for text in OddText.all.map(\.text) + ["", "\"", "a=\"b", String(repeating: "=", count: 20_000)] {
                        _ = command.masking?(text)
                        _ = command.parse?(text, nil).masked
                        _ = command.parse?(text, [:]).masked
                    }
                }
            }
        },
        ModuleConformanceCase("arguments.secrets", "secrets in lines reach neither the audit log nor the log") {
            scene in
            guard !scene.stage.secretLines.isEmpty else {
                return scene.notes.skips(["no command with a secret argument is known"])
            }
            try await scene.hosted { running in
                for item in scene.stage.secretLines {
                    let id = running.backend.type("!\(item.line)", in: nil)
                    while let done = await running.backend.nextCompleted(within: DirectRun.patience), done != id {}
                    let entries = running.audit.all.map(\.line)
                    try scene.expect(!entries.isEmpty, "an entry in the audit log", got: "none")
                    for line in entries + running.log.value {
                        try scene.expect(!line.holds(item.secret), "no secret in a log", got: line)
                    }
                }
            }
        },
    ]

    /// Cases about the work of a module.
    static let behaviours: [ModuleConformanceCase] = [
        ModuleConformanceCase("run.stop", "`run` ends within a second of cancellation, whenever that is") { scene in
            for pause in [0, 1, 10, 100, 500] {
                try await scene.hosted {
                    try await scene.runs($0, for: .milliseconds(pause))
                } _: { _ in
                }
            }
        },
        ModuleConformanceCase("run.again", "a module that was stopped runs again, and its commands answer") { scene in
            try await scene.hosted { module in
                for _ in 1...2 { try await scene.runs(module, for: .milliseconds(20)) }
            } _: { running in
                for command in running.commands { try await running.call(command, "") }
            }
        },
        ModuleConformanceCase("status.quick", "a status is returned at once, with a subject") { scene in
            try await scene.hosted { running in
                guard let reporter = running.module as? any StatusReporting else {
                    return scene.notes.skips(["the module does not conform to StatusReporting"])
                }
                let clock = StepClock()
                clock.start()
                defer { clock.stop() }
                let start = ContinuousClock.now
                for _ in 0..<100 {
                    for line in reporter.status() {
                        try scene.expect(!line.subject.isEmpty, "a subject", got: line.detail)
                    }
                }
                let time = ContinuousClock.now - start
                scene.measured("status", time / 100)
                try scene.expect(clock.elapsed < .seconds(60), "100 statuses within a minute", got: "\(time)")
            }
        },
        ModuleConformanceCase("handler.cancel", "a command ends within a second of cancellation") { scene in
            try await scene.hosted { running in
                for command in running.commands {
                    let call = running.invocation(command.name, "", parsed: command.parse?("", nil).value)
                    let task = Task { _ = try await command.handler(call) }
                    task.cancel()
                    let start = ContinuousClock.now
                    try await withDeadline(DirectRun.stopPatience, "the end of “\(command.name)”") {
                        _ = await task.result
                    }
                    scene.measured("stop", .now - start)
                }
            }
        },
        ModuleConformanceCase("handler.parallel", "a command can run 20 times at once") { scene in
            try await scene.hosted { running in
                for command in running.commands {
                    try await withThrowingTaskGroup(of: Void.self) { group in
                        for _ in 0..<20 { group.addTask { try await running.call(command, "x") } }
                        try await group.waitForAll()
                    }
                }
            }
        },
    ]
}
