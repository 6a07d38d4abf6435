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
}
