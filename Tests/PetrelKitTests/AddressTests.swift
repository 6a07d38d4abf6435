import Foundation
import PetrelKit
import PetrelSupport
import Testing

@Suite struct AddressTests {
    @Test(arguments: [
        Address(backend: "xmpp", place: .room("ops@conference.example.com"), thread: "t\"1", inReplyTo: "7"),
        Address(backend: "text", place: .direct("@alice")),
    ]) func `an address is read by its decoder`(address: Address) throws {
        var object = JSONObject()
        object.set("address", address.json)
        let read = try JSONDecoder().decode([String: Address].self, from: Data(object.finish()))
        #expect(read == ["address": address])
    }
}
