import Foundation
import PetrelKit
import PetrelSupport
import Testing

@testable import StackStormClient

@Suite struct RecordingsTests {
    @Test func `all recordings exist`() {
        #expect(RecordedExchange.all.count == 300)
    }

    @Test func `an inquiry of a workflow is read from its execution`() throws {
        let response = RecordedExchange.named("inquiry_as_execution").response
        let inquiry = try Endpoint.pendingInquiry("6b00fe3fc3c5945b03697e18").decode(response)
        #expect(inquiry.id == "6b00fe3fc3c5945b03697e18" && inquiry.status == PendingInquiry.pending)
        // The execution of the workflow that asks, which was started from chat.
        #expect(inquiry.ancestors == ["6b00fe2df4a16c1983cc58c8"])
        #expect(inquiry.ttl == 30 && inquiry.start == StackStormTime("2026-11-21T02:13:19.906235Z"))
        #expect(inquiry.schema?["properties"]?["approved"]?["required"] == true)
        #expect(throws: StackStormError.self) { try Endpoint.pendingInquiry("../x").decode(response) }
    }

    @Test(arguments: RecordedExchange.all) func `decodes to the right value or the right error`(
        exchange: RecordedExchange
    ) throws {
        let status = exchange.response.status
        do {
            let value = try Self.decode(exchange)
            #expect((200...299).contains(status))
            try Self.check(value, exchange)
        } catch let error as StackStormError {
            guard !(200...299).contains(status) else {
                // The response of nginx for a dead stream service has status 200.
                #expect(error.code == .unexpectedAnswer)
                #expect(["api_options"].contains(exchange.name), "\(error)")
                return
            }
            #expect(error.status == status)
            #expect(error.requestID == exchange.response.headers["x-request-id"])
            #expect(error.code == Self.code(of: status))
            Self.checkMessage(error, exchange)
        }
    }

    private static func code(of status: Int) -> StackStormError.Code {
        [401: .unauthorized, 403: .forbidden, 404: .notFound][status] ?? (status >= 500 ? .serverFailure : .refused)
    }

    /// The message is the first line of the `faultstring`, and never an HTML page.
    private static func checkMessage(_ error: StackStormError, _ exchange: RecordedExchange) {
        let json = try? JSONValue.parse(exchange.response.body)
        guard let fault = json?["faultstring"]?.string else {
            #expect(!error.message.contains("<"))
            return
        }
        let first = fault.split(whereSeparator: \.isNewline).first.map(String.init) ?? ""
        if !first.contains("http") { #expect(error.message == first) }
        #expect(!error.message.contains("\n"))
        #expect(!error.message.contains("http://"))
    }

    private static func decode(_ exchange: RecordedExchange) throws -> Any {
        let response = exchange.response
        switch (exchange.method, exchange.service, exchange.path) {
        case ("POST", "auth", "/tokens"), ("POST", "auth", "/tokens/"):
            return try Endpoint.token(ttl: nil).decode(response)
        case ("GET", "api", "/user"): return try Endpoint.user().decode(response)
        case ("GET", "api", "/actionalias"), ("GET", "api", "/actionalias/"):
            return try Endpoint.aliases(limit: -1).decode(response)
        case ("POST", "api", "/actionalias/match"): return try Endpoint.match("").decode(response)
        case ("GET", "api", "/actionalias/help"):
            return try Endpoint.help(pack: nil, filter: nil, limit: nil, offset: nil).decode(response)
        case ("GET", "api", let path) where path.hasPrefix("/actionalias/"):
            return try Endpoint.alias("a.b").decode(response)
        case ("POST", "api", "/aliasexecution"): return try runEndpoint().decode(response)
        case ("POST", "api", "/aliasexecution/match_and_execute"):
            return try Endpoint.matchAndExecute(command: "", user: "", channel: "", route: nil).decode(response)
        case ("GET", "api", "/executions"): return try Endpoint.executions([]).decode(response)
        case ("GET", "api", let path) where path.hasSuffix("/output"): return try Endpoint.output("a").decode(response)
        case ("GET", "api", let path) where path.hasPrefix("/executions/") && path.split(separator: "/").count == 2:
            return try Endpoint.execution("a").decode(response)
        case ("DELETE", "api", let path) where path.hasPrefix("/executions/"):
            return try Endpoint.cancel("a").decode(response) as Any
        case ("GET", "api", "/inquiries"): return try Endpoint.inquiries().decode(response)
        case ("GET", "api", let path) where path.hasPrefix("/inquiries/"):
            return try Endpoint.inquiry("a").decode(response)
        case ("PUT", "api", let path) where path.hasPrefix("/inquiries/"):
            return try Endpoint.answer("a", [:]).decode(response)
        default: return try response.checked()
        }
    }

    private static func runEndpoint() throws -> Endpoint<AliasExecution> {
        try .run(AliasRun(name: "", format: "", command: "", user: "", channel: "", route: nil, context: nil))
    }

    /// Compares the decoded value with the JSON.
    private static func check(_ value: Any, _ exchange: RecordedExchange) throws {
        let json = try? JSONValue.parse(exchange.response.body)
        switch value {
        case let token as Token:
            #expect(token.user == json?["user"]?.string)
            #expect(token.token.reveal() == json?["token"]?.string)
            #expect(token.expiry == json?["expiry"]?.string)
        case let account as Account: #expect(account.username == json?["username"]?.string)
        case let page as Page<Alias>:
            #expect(page.items.map(\.ref) == json?.array?.compactMap { $0["ref"]?.string } ?? [])
            #expect(page.total == exchange.response.headers["x-total-count"].flatMap { Int($0) })
            #expect(page.malformed.isEmpty)
        case let alias as Alias: #expect(alias.ref == json?["ref"]?.string)
        case let match as ServerMatch: #expect(match.representation == json?["representation"]?.string)
        case let page as HelpPage:
            #expect(page.available == json?["available"]?.int)
            #expect(page.helpstrings.count == json?["helpstrings"]?.array?.count)
        case let run as AliasExecution:
            #expect(run.execution.id == json?["execution"]?["id"]?.string)
            #expect(run.message == json?["message"]?.string)
            #expect(run.extra == json?["extra"]?.object, "an error message in place of the object is ignored")
        case let runs as [AliasExecution] where exchange.path.hasSuffix("match_and_execute"):
            #expect(runs.count == json?["results"]?.array?.count)
        case let execution as Execution:
            #expect(execution.id == json?["id"]?.string)
            #expect(execution.status == json?["status"]?.string)
        case let page as Page<Execution>: #expect(page.items.count == json?.array?.count)
        case let inquiries as [Inquiry]: #expect(inquiries.map(\.id) == json?.array?.compactMap { $0["id"]?.string })
        case let inquiry as Inquiry: #expect(inquiry.id == json?["id"]?.string)
        default: break
        }
    }

    @Test func `an announcement can be read from the execution history`() throws {
        let response = RecordedExchange.named("executions_announcements").response
        let page = try Endpoint.executions([]).decode(response)
        #expect(page.total == 71)
        #expect(page.items.count == 5)
        #expect(page.items[4].parameters?["message"] == "Result: hi")
        #expect(page.items[4].parent == "6b00fdc86bb8a0c04fbbc105")
        let parent = try Endpoint.execution("a").decode(
            RecordedExchange.named("execution_announcement_parent").response)
        #expect(parent.parameters?["execution_id"] == "6b010263f3f356f28483d894")
    }

    @Test func `a response without an ID is rejected with the name of the field`() {
        let broken = StackStormResponse(
            status: 200, headers: ["x-request-id": "r1"], body: Data(#"{"status": 5}"#.utf8))
        #expect(throws: StackStormError(.unexpectedAnswer, "`id` is missing", status: 200, requestID: "r1")) {
            try Endpoint.execution("a").decode(broken)
        }
    }

    @Test func `formats are read as StackStorm reads them`() throws {
        struct Case: Decodable {
            var `in`: JSONValue
            var display_representations_multiple: [JSONValue]?
            var error: String?
        }
        let cases: [Case] = Recording.json("alias_formats_normalised")
        #expect(cases.count == 8)
        for wanted in cases {
            let format = Alias.Format(json: wanted.in)
            let expected = wanted.display_representations_multiple
            #expect(format?.display.map { .string($0) } ?? .null == expected?[0] ?? .null)
            #expect(format?.representations == expected?[1].array?.compactMap(\.string))
            #expect(format?.matchesMultiple == expected?[2].bool)
        }
    }

    @Test func `an ID from chat cannot change the path`() {
        #expect(throws: StackStormError.self) { try Endpoint.execution("../../user") }
        #expect(throws: StackStormError.self) { try Endpoint.cancel("a?b") }
        #expect(throws: StackStormError.self) { try Endpoint.output("") }
    }
}
