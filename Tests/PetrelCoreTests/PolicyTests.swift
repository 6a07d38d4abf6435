import CoreMetrics
import Foundation
import PetrelKit
import PetrelSupport
import Testing

@testable import PetrelCore

@Suite struct PolicyTests {
    @Test func `pauses grow up to a limit and are reset after a success`() {
        var random = SystemRandomNumberGenerator()
        var policy = Backoff(first: .seconds(1), longest: .seconds(10))
        let nominal: [Double] = [1, 2, 4, 8, 10, 10]
        for seconds in nominal {
            let pause = policy.pause(using: &random)
            #expect(pause >= .seconds(seconds / 2) && pause <= .seconds(seconds))
        }
        policy.succeeded()
        #expect(policy.pause(using: &random) <= .seconds(1))
    }

    @Test(arguments: [20, 50, 1_000]) func `long texts are split at lines, and fences are reopened`(limit: Int) {
        let code = (0..<50).map { "line \($0)" }.joined(separator: "\n")
        let pieces = MessageSplitter.split("before\n```\n\(code)\n```\nafter", atMost: limit)
        #expect(pieces.allSatisfy { $0.count <= limit })
        for piece in pieces { #expect(piece.components(separatedBy: "```").count % 2 == 1, "\(piece)") }
        let text = pieces.joined(separator: "\n").replacingOccurrences(of: "```", with: "")
        for number in 0..<50 { #expect(text.contains("line \(number)")) }
    }

    @Test func `a text with many lines is split, and no line is lost`() {
        let text = (1...25).map { "\($0)" }.joined(separator: "\n")
        let pieces = MessageSplitter.split(text, atMost: 1_000, mostLines: 10)
        #expect(pieces.map { $0.components(separatedBy: "\n").count } == [10, 10, 5])
        #expect(pieces.joined(separator: "\n") == text)
        #expect(MessageSplitter.split(text, atMost: 1_000, mostLines: 25) == [text])
        #expect(MessageSplitter.split("```\n\(text)\n```", atMost: 1_000, mostLines: 20).count == 2)
    }

    @Test func `a reopened fence has the same language`() {
        let code = (0..<50).map { "line \($0)" }.joined(separator: "\n")
        let pieces = MessageSplitter.split("```json\n\(code)\n```", atMost: 100)
        #expect(pieces.count > 4)
        #expect(pieces.allSatisfy { $0.hasPrefix("```json\n") && $0.hasSuffix("\n```") && $0.count <= 100 })
    }

    @Test func `graphemes are not split`() {
        let family = String(repeating: "👨‍👩‍👧‍👦", count: 40)
        let pieces = MessageSplitter.split(family, atMost: 20)
        #expect(pieces.joined() == family)
        #expect(pieces.allSatisfy { $0.count <= 20 })
    }

    @Test func `secrets are never printed`() {
        let secret = Secret("hunter2")
        var dumped = ""
        dump(secret, to: &dumped)
        #expect(!"\(secret) \(String(reflecting: secret)) \(dumped)".contains("hunter2"))
        #expect(secret.matches("hunter2"))
        #expect(!secret.matches("hunter"))
        #expect(!secret.matches("hunter22"))
        #expect(!Secret("").matches(""))
    }

    @Test func `metrics have the Prometheus text format`() {
        let metrics = PrometheusMetrics(help: ["a_total": "How often."])
        metrics.makeCounter(label: "a_total", dimensions: [("who", "x\"y\\\n")]).increment(by: 3)
        metrics.makeTimer(label: "t_seconds", dimensions: []).recordNanoseconds(2_000_000)
        let text = metrics.render()
        #expect(text.contains("# HELP a_total How often.\n# TYPE a_total counter\na_total{who=\"x\\\"y\\\\\\n\"} 3\n"))
        #expect(text.contains("t_seconds_bucket{le=\"0.0025\"} 1\n"))
        #expect(text.contains("t_seconds_bucket{le=\"0.001\"} 0\n"))
        #expect(text.contains("t_seconds_bucket{le=\"+Inf\"} 1\n"))
        #expect(text.contains("t_seconds_count 1\n"))
    }

    @Test func `CR LF is a line end`() {
        let text = (0..<120).map { "line of output number \($0)" }.joined(separator: "\r\n")
        let pieces = MessageSplitter.split(text, atMost: 500)
        #expect(pieces.joined(separator: "\n") == text.replacingOccurrences(of: "\r\n", with: "\n"))
        #expect(pieces.allSatisfy { $0.unicodeScalars.count <= 500 && $0.hasPrefix("line of output") })
    }

    @Test func `a fence whose line is too long keeps its text`() {
        let word = String(repeating: "x", count: 300)
        let pieces = MessageSplitter.split("```\(word)```", atMost: 100)
        #expect(pieces.allSatisfy { $0.hasPrefix("```\n") && $0.hasSuffix("\n```") && $0.count <= 100 })
        #expect(pieces.joined().unicodeScalars.count { $0 == "x" } == 300)
    }

    @Test(arguments: [72, 300, 3_000]) func `no run of backticks makes a piece longer than a message`(limit: Int) {
        let run = String(repeating: "`", count: limit * 2 / 3)
        let text = "before\n```\(String(repeating: "s", count: limit))\nls -l \(run) x\n\(run)y\n```\nafter \(run)"
        let pieces = MessageSplitter.split(text, atMost: limit)
        #expect(pieces.allSatisfy { $0.unicodeScalars.count <= limit })
        #expect(pieces.joined().unicodeScalars.count { $0 == "`" } >= limit * 2 / 3 * 3)
        #expect(pieces.contains { $0.contains("y") } && pieces.last?.contains("`") == true)
    }
}
