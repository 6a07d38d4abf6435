import Foundation
import PetrelSupport

@testable import StackStormClient

/// A recorded request and its response.
struct RecordedExchange: Sendable, CustomStringConvertible {
    var name: String
    var method: String
    var target: String
    var requestHeaders: [String: String]
    var requestBody: [UInt8]
    var response: StackStormResponse

    var description: String { name }

    /// The path without the service and the version, such as `/executions/…`.
    var path: String {
        let path = target.split(separator: "?")[0]
        return "/" + path.split(separator: "/").dropFirst(2).joined(separator: "/")
    }

    var service: String { String(target.split(separator: "/").first ?? "") }

    static let all: [RecordedExchange] = {
        let folder = Bundle.module.resourceURL?.appendingPathComponent("Recordings/http")
        let files = (try? FileManager.default.contentsOfDirectory(atPath: folder?.path ?? "")) ?? []
        return files.sorted().map { RecordedExchange(String($0.dropLast(5)), Recording.data("http/\($0)")) }
    }()

    static func named(_ name: String) -> RecordedExchange {
        guard let exchange = all.first(where: { $0.name == name }) else { preconditionFailure("no exchange \(name)") }
        return exchange
    }

    private init(_ name: String, _ data: Data) {
        self.name = name
        let text = String(decoding: data, as: UTF8.self).replacingOccurrences(of: "\r\n", with: "\n")
        let halves = text.components(separatedBy: "### RESPONSE\n")
        let request = Self.parts(String(halves[0].drop { $0 != "\n" }.dropFirst()))
        let words = request.start.split(separator: " ")
        method = String(words[0])
        target = String(words[1])
        requestHeaders = request.headers
        requestBody = Array(request.body.trimmingCharacters(in: .newlines).utf8)
        let answer = Self.parts(halves.count > 1 ? halves[1] : "HTTP/1.1 0 none\n\n")
        response = StackStormResponse(
            status: Int(answer.start.split(separator: " ")[1]) ?? 0, headers: answer.headers,
            body: Data(answer.body.utf8))
    }

    private static func parts(_ text: String) -> (start: String, headers: [String: String], body: String) {
        let end = text.range(of: "\n\n") ?? text.endIndex..<text.endIndex
        let lines = text[..<end.lowerBound].split(separator: "\n")
        let headers = lines.dropFirst().map { line in
            let sides = line.split(separator: ":", maxSplits: 1)
            return (sides[0].lowercased(), sides.count > 1 ? sides[1].trimmingCharacters(in: .whitespaces) : "")
        }
        return (
            String(lines.first ?? ""), Dictionary(headers) { first, _ in first }, String(text[end.upperBound...])
        )
    }
}
