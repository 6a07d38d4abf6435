import PetrelSupport
import PlugInProtocol
import Testing

@testable import ProcessModule

@Suite(.timeLimit(.minutes(30))) struct ArgumentTests {
    private static func grammar(_ arguments: JSONValue) throws -> ArgumentGrammar {
        try #require(try ArgumentGrammar(try Members(["arguments": arguments])))
    }

    private static func grammar() throws -> ArgumentGrammar {
        try grammar([
            ["name": "city", "required": true], ["name": "days", "type": "integer"],
            ["name": "unit", "type": "choice", "choices": ["c", "f"]], ["name": "pin", "secret": true],
        ])
    }

    @Test(
        arguments: [
            ("Oslo", ["city": "Oslo"]), ("  Oslo  ", ["city": "Oslo"]),
            ("'New York' 3", ["city": "New York", "days": 3]),
            ("“New York” 3", ["city": "New York", "days": 3]), ("city=Oslo", ["city": "Oslo"]),
            ("days=3 Oslo", ["city": "Oslo", "days": 3]), (#"city="a b" unit=f"#, ["city": "a b", "unit": "f"]),
            (#"a\ b"#, ["city": "a b"]), (#"'a\ b'"#, ["city": #"a\ b"#]), (#""a\"b""#, ["city": #"a"b"#]),
            ("a=b", ["city": "a=b"]), ("city=", ["city": ""]), ("Oslo\u{A0}3", ["city": "Oslo", "days": 3]),
            ("Oslo\r\n3", ["city": "Oslo", "days": 3]), ("e\u{301}", ["city": "e\u{301}"]), (#"a\"#, ["city": #"a\"#]),
            ("\"\"", ["city": ""]), ("x''y", ["city": "xy"]),
        ] as [(String, JSONValue)])
    func `a line is parsed as declared`(line: String, values: JSONValue) throws {
        let parsed = try Self.grammar().parse(line, nil)
        #expect(parsed.problem == nil)
        #expect(JSONValue.object(parsed.json) == values)
    }

    @Test(
        arguments: [
            ("", "`city` is missing."), (" \u{3000} ", "`city` is missing."), ("a b", "`days` must be a whole number."),
            ("a 1 c d e", "There are too many arguments."), ("a days=1 days=2", "`days` is given twice."),
            ("a unit=k", "`unit` must be one of c, f."), ("'a", "The quotation mark `'` is not closed."),
            ("a 99999999999999999999", "`days` must be a whole number."), ("a days=", nil),
        ] as [(String, String?)])
    func `a line that does not fit is rejected with a reason`(line: String, problem: String?) throws {
        #expect(try Self.grammar().parse(line, nil).problem == problem)
    }

    @Test func `the rest of a line is taken as it is`() throws {
        let grammar = try Self.grammar([["name": "to"], ["name": "text", "rest": true]])
        #expect(
            grammar.parse(#"bob  it's "5" \ o'clock=now  "#, nil).json == [
                "to": "bob", "text": #"it's "5" \ o'clock=now"#,
            ])
        #expect(grammar.parse("text=all of it", nil).json == ["text": "all of it"])
        #expect(grammar.usage == "[to] [text…]")
    }

    @Test func `values of a form are checked like those of a line`() throws {
        let grammar = try Self.grammar()
        #expect(grammar.parse("", ["city": "A\nB", "days": "", "unit": "c"]).json == ["city": "A\nB", "unit": "c"])
        #expect(grammar.parse("", ["city": "A", "x": "1"]).problem == "There is no argument “x”.")
        #expect(grammar.parse("", ["days": "1"]).problem == "`city` is missing.")
    }

    @Test func `secret arguments are masked`() throws {
        let values = try Self.grammar().parse("'New York' pin=1234", nil)
        #expect(values.masked == "city=\"New York\" pin=•••")
    }

    @Test(
        arguments: [
            [["name": "a b"]], [["name": ""]], [["name": "a"], ["name": "a"]], [["name": "a", "type": "x"]],
            [["name": "a", "type": "choice"]], [["name": "a", "rest": true], ["name": "b"]], [[:]], "x",
        ] as [JSONValue])
    func `an invalid declaration is rejected`(arguments: JSONValue) {
        #expect(throws: RPCError.self) { try Self.grammar(arguments) }
    }

    @Test func `typed values of each kind become JSON`() throws {
        let grammar = try Self.grammar([["name": "n", "type": "number"], ["name": "b", "type": "boolean"]])
        #expect(grammar.parse("1.5 yes", nil).json == ["n": .number(1.5), "b": true])
        #expect(grammar.parse("nan", nil).problem == "`n` must be a number.")
        #expect(grammar.parse("1 maybe", nil).problem == "`b` must be true or false.")
    }
}
