import PetrelKit
import PetrelSupport
import Testing

@testable import PetrelWeb

@Suite struct AddressTests {
    @Test(arguments: [
        ("127.0.0.1", "127.0.0.1", true), ("10.0.0.0/8", "10.255.1.2", true), ("10.0.0.0/8", "11.0.0.1", false),
        ("192.168.1.128/25", "192.168.1.200", true), ("192.168.1.128/25", "192.168.1.100", false),
        ("0.0.0.0/0", "8.8.8.8", true), ("0.0.0.0/0", "::1", false), ("::1", "::1", true),
        ("2001:db8::/32", "2001:db8:1::5", true), ("2001:db8::/32", "2001:db9::", false),
        ("127.0.0.1", "::ffff:127.0.0.1", true),
    ]) func `a network contains its addresses and no others`(network: String, address: String, expected: Bool) throws {
        #expect(try #require(IPNetwork(network)).contains(try #require(IPNetwork(address))) == expected)
    }

    @Test(arguments: ["", "localhost", "10.0.0.0/33", "10.0.0/8", "::1/129", "1.2.3.4/", "1.2.3.4/x", "1.2.3.4/8/8"])
    func `an invalid address is rejected`(text: String) {
        #expect(IPNetwork(text) == nil && TrustedProxies([text]) == nil)
    }

    @Test(arguments: [
        // Without a trusted proxy, the header is ignored.
        ([], "192.0.2.1", "10.9.9.9", "192.0.2.1"),
        (["127.0.0.1"], "192.0.2.1", "10.9.9.9", "192.0.2.1"),
        (["127.0.0.1"], "127.0.0.1", "192.0.2.1", "192.0.2.1"),
        // The entry of the proxy follows the entries that the client sent.
        (["127.0.0.1"], "127.0.0.1", "10.9.9.9, 192.0.2.1", "192.0.2.1"),
        (["127.0.0.1", "10.0.0.0/8"], "127.0.0.1", "192.0.2.1, 10.1.1.1", "192.0.2.1"),
        (["127.0.0.1"], "127.0.0.1", "192.0.2.1, garbage", "127.0.0.1"),
        (["127.0.0.1"], "127.0.0.1", "", "127.0.0.1"), (["::1"], "::1", "2001:db8::1", "2001:db8::1"),
        // A combining character before the comma must not hide the separator.
        (["127.0.0.1"], "127.0.0.1", "1.1.1.1\u{600}, 192.0.2.1", "192.0.2.1"),
    ]) func `only trusted proxies can set the origin of a request`(
        trusted: [String], peer: String, forwarded: String, expected: String
    ) throws {
        #expect(try #require(TrustedProxies(trusted)).origin(of: peer, forwarded: forwarded) == expected)
    }
}
