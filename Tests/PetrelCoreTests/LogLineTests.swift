import Foundation
import Logging
import PetrelKit
import PetrelSupport
import Testing

@testable import PetrelCore

@Suite struct LogLineTests {
    @Test func `a place cannot forge the fields of a log line`() {
        let lines = Locked("")
        let control = LineLogHandler.Control(level: .trace)
        control.redirect { line in lines.withLock { $0 += line } }
        var logger = Logger(label: "x") { LineLogHandler(label: $0, control: control) }
        logger[metadataKey: "room"] = "#x\" person=@alice"
        logger.info("said in #x\u{1B}]0;PWN\u{07}")
        #expect(lines.value.contains("room=\"#x\\\" person=@alice\""))
        #expect(!lines.value.utf8.contains(0x1B) && !lines.value.utf8.contains(7))
    }

    @Test(
        arguments: [(nil, ["warning"]), (.info, ["info", "notice", "warning"]), (.error, [])]
            as [(Logger.Level?, [String])])
    func `a chat shows only warnings, unless another level is set`(level: Logger.Level?, shown: [String]) {
        let lines = Locked<[String]>([])
        let control = LineLogHandler.Control(level: level, format: .text)
        #expect(control.level == level ?? .info)
        let logger = Logger(label: "x") { LineLogHandler(label: $0, control: control) }
        control.redirectIntoChat(to: { line in lines.withLock { $0.append(line) } })
        for _ in 0..<2 {
            lines.withLock { $0 = [] }
            logger.info("info")
            logger.notice("notice")
            logger.warning("warning")
            #expect(lines.value.map { $0.split(separator: " ").last?.trimmingCharacters(in: .newlines) } == shown)
            // A reload does not change this.
            control.set(level: level, format: .text)
        }
    }

    @Test func `the level is only set if the configuration has it`() {
        func level(_ log: JSONValue) -> (Logger.Level?, [SettingsProblem]) {
            let context = SettingsContext(folder: FileManager.default.temporaryDirectory, environment: [:])
            let settings = CoreSettings(SettingsSection(["log": log], at: "", in: context))
            return (settings.logLevel, context.problems)
        }
        #expect(level([:]).0 == nil && level(["format": "json"]).1.isEmpty)
        #expect(level(["level": "info"]).0 == .info)
        #expect(level(["level": "loud"]).1.map(\.path) == ["log.level"])
    }
}
