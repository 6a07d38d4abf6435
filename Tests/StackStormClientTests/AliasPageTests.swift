import Foundation
import PetrelKit
import Testing

@testable import StackStormClient

@Suite struct AliasPageTests {
    @Test(arguments: [
        #"{"name": 5}"#, #"{"name": "x"}"#, "null", "[]", #""text""#, #"{"name": "x", "pack": 1, "ref": []}"#,
    ]) func `an unreadable alias does not affect others`(poison: String) throws {
        func alias(_ name: String) -> String {
            #"{"name": "\#(name)", "pack": "p", "ref": "p.\#(name)", "action_ref": "core.local", "enabled": true, "formats": ["\#(name) {{x}}"]}"#
        }
        let body = "[\(alias("one")), \(poison), \(alias("two"))]"
        let endpoint = try Endpoint<Page<Alias>>.aliases(limit: 100)
        let page = try endpoint.decode(StackStormResponse(status: 200, headers: [:], body: Data(body.utf8)))
        #expect(page.items.map(\.ref) == ["p.one", "p.two"])
        #expect(page.malformed.count == 1)
    }
}
