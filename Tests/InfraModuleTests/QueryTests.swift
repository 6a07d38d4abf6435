import AWSClient
import PetrelKit
import PetrelSupport
import Testing

@testable import InfraModule

/// Parsing of queries, and their filters.
@Suite struct QueryTests {
    @Test(arguments: [
        ("i-0123abcd", "i-0123abcd"), (" I-0123456789ABCDEF0 ", "i-0123456789abcdef0"), ("10.2.3.4", "10.2.3.4"),
        ("2001:DB8:0:0::7", "2001:db8::7"), ("[2001:db8::7]", "2001:db8::7"),
        ("IP-10-2-3-4.eu-west-2.compute.internal.", "ip-10-2-3-4.eu-west-2.compute.internal"),
        ("ec2-203-0-113-25.compute-1.amazonaws.com", "ec2-203-0-113-25.compute-1.amazonaws.com"),
        ("web-1", "name:web-1"), ("web*", "name:web*"), ("name:web*", "name:web*"), ("i-robot", "name:i-robot"),
        ("name:\"Jenkins master\"", "name:\"Jenkins master\""), ("\"Jenkins master\"", "name:\"Jenkins master\""),
        ("tag:Role=db", "tag:Role=db"), ("tag:Role=web*", "tag:Role=web*"), ("TAG:a:b=c=d", "tag:a:b=c=d"),
        ("tag:Name=x", "name:x"), ("tag:Role=", "tag:Role="), ("tag:\"My Role=x y\"", "tag:\"My Role=x y\""),
        ("web* state:Stopped type:t3.* az:eu-west-2a", "name:web* state:stopped type:t3.* az:eu-west-2a"),
        ("ami:ami-0123", "ami:ami-0123"), ("web web", "name:web"), ("a.b.example.com", "name:a.b.example.com"),
        ("name:i-123", "name:i-123"), ("tag:Env=\\prod", "tag:Env=prod"), ("a\\*\\\\\\b*", "name:a\\*\\\\b*"),
        ("name:help", "name:help"), ("*", "*"), ("* state:stopped", "* state:stopped"), ("name:*", "name:*"),
        ("tag:Name=", "tag:Name="), ("type:T3.Micro ami:AMI-1 az:EU-WEST-2A", "type:t3.micro ami:ami-1 az:eu-west-2a"),
        ("(I-0123ABCD),", "i-0123abcd"), ("10.2.3.4,", "10.2.3.4"), ("web,", "name:web,"), ("'10.2.3.4';", "10.2.3.4"),
        ("::ffff:10.2.3.4", "10.2.3.4"), ("ip-10-2-3-4", "10.2.3.4"), ("ip-10-2-3", "name:ip-10-2-3"),
        ("name:ip-10-2-3-4", "name:ip-10-2-3-4"),
        ("10.2.3.400", "name:10.2.3.400"), ("w\u{200B}eb", "name:web"),
    ]) func `queries have one normal form, which is a query as well`(text: String, typed: String) throws {
        let query = try InfraQuery(text)
        #expect(query.typed == typed)
        #expect(try InfraQuery(query.typed) == query)
    }

    @Test(arguments: [
        "", "   ", "i-123", "i-0123456789abcdef", "foo:bar", "state:on", "state:", "state:stopped", "type:t3.*",
        "state:stopped az:eu-west-2a", "tag:Role", "tag:=x", "name:", "web \"x", "web prod", "help", "--HELP",
        "10.2.3.0/24", "2001:db8::/32", "fe80::1%eth0", "\\",
        "type:\\", "10.0.0.0/8:x", "10.2.3.4:22", "10.2.3.4,10.2.3.5", "web\\", "tag:Role=\\", "tag:Role=a\\\\\\",
        String(repeating: "x", count: 256), "a* b* c* d* e* f* g* h* i* j* k*",
    ]) func `other lines are no queries`(text: String) {
        #expect(throws: QueryProblem.self) { _ = try InfraQuery(text) }
    }

    private static func searches(_ text: String) throws -> [String] {
        try InfraQuery(text).searches.map { filters in
            filters.map { "\($0.name)=\($0.values.joined(separator: ","))" }.joined(separator: " ")
        }
    }

    @Test func `an address is searched in every property that can have it`() throws {
        #expect(try Self.searches("10.2.3.4") == ["network-interface.addresses.private-ip-address=10.2.3.4"])
        #expect(
            try Self.searches("203.0.113.7 state:running") == [
                "ip-address=203.0.113.7 instance-state-name=running",
                "network-interface.addresses.association.public-ip=203.0.113.7 instance-state-name=running",
                "network-interface.addresses.private-ip-address=203.0.113.7 instance-state-name=running",
            ])
        #expect(
            try Self.searches("2001:db8::7") == ["network-interface.ipv6-addresses.ipv6-address=2001:db8::7"])
        #expect(
            try Self.searches("ip-10-2-3-4.ec2.internal").map { $0.split(separator: "=")[0] }
                == [
                    "private-dns-name", "network-interface.private-dns-name",
                    "network-interface.addresses.private-dns-name",
                ])
        #expect(
            try Self.searches("ec2-203-0-113-25.compute-1.amazonaws.com").map { $0.split(separator: "=")[0] }
                == ["dns-name", "network-interface.addresses.association.public-dns-name"])
    }

    @Test func `only one term with several alternatives is searched, and none beside an ID`() throws {
        let (name, other) = ("ip-1-2-3-4.ec2.internal", "ec2-1-2-3-4.compute-1.amazonaws.com")
        let query = try InfraQuery("8.8.8.8 \(name) \(other) state:running")
        #expect(query.searches.count == 2 && query.searches.allSatisfy { $0.count == 2 })
        #expect(query.checked.map(\.typed) == ["8.8.8.8", name])
        #expect(try Self.searches("8.8.8.8 i-0123abcd") == ["instance-id=i-0123abcd"])
        var instance = Instance(id: "i-0123abcd")
        instance.publicAddresses = ["8.8.8.8"]
        #expect(!query.matches(instance))
        instance.privateNames = [name]
        #expect(query.matches(instance))
    }

    @Test func `a star is every instance, also without a name`() throws {
        #expect(try InfraQuery("*").searches == [[]])
        #expect(try Self.searches("* state:stopped") == ["instance-state-name=stopped"])
        #expect(try InfraQuery("*").matches(Instance(id: "i-0123abcd")))
        #expect(try Self.searches("name:*") == ["tag:Name=*"])
    }

    @Test func `terms for the same property are checked in the answer`() throws {
        let query = try InfraQuery("web* *-1 tag:Role=a* tag:Role=*b 10.0.0.1 10.0.0.2")
        #expect(query.searches.count == 1 && query.searches[0].count == 3)
        var instance = Instance(id: "i-0123abcd")
        instance.tags = ["Name": "web-1", "Role": "ab"]
        instance.privateAddresses = ["10.0.0.1", "10.0.0.2"]
        #expect(query.matches(instance))
        for change in [
            { $0.tags["Name"] = "web-2" }, { $0.tags["Role"] = "ac" }, { $0.privateAddresses = ["10.0.0.1"] },
        ] as [(inout Instance) -> Void] {
            var other = instance
            change(&other)
            #expect(!query.matches(other))
        }
    }

    @Test(arguments: [
        ("web-1", "web*", true), ("web", "web*", true), ("Web", "web*", false), ("web", "?eb", true),
        ("eb", "?eb", false),
        ("a*b", "a\\*b", true), ("axb", "a\\*b", false), ("aXbXc", "a*b*c", true), ("abc", "*", true), ("", "*", true),
        ("", "", true), ("x", "", false), ("aaaaaaaaab", "a*a*a*a*b", true), ("aaaaaaaaac", "a*a*a*a*b", false),
        ("e\u{301}", "?", false), ("a\\", "a\\\\", true),
    ]) func `patterns match as those of EC2`(text: String, pattern: String, expected: Bool) {
        #expect(Wildcard.matches(text, pattern) == expected)
    }

    @Test(
        arguments: [
            ("web-1", nil), ("a b", nil), ("💥", nil), ("we\u{200B}b", "name:we?b"), ("❤\u{FE0F}", "name:❤?"),
            ("a\u{200B} b*\\?", "name:\"a? b\\*\\\\\\?\""), ("the “best”\u{A0}\"x\"", "name:\"the ?best???x?\""),
            ("a\tb\u{85}", "name:a?b?"),
        ] as [(String, String?)])
    func `a name that cannot be typed is found by a pattern`(name: String, typed: String?) throws {
        let term = InfraTerm.findingUntypable(name)
        #expect(term?.typed == typed)
        guard let term else { return }
        #expect(try InfraQuery(term.typed).terms == [term])
        var instance = Instance(id: "i-0123abcd")
        instance.tags["Name"] = name
        #expect(term.matches(instance))
    }

    @Test func `texts are compared by their scalars, as EC2 does`() throws {
        let (one, two) = (try InfraQuery("\u{E9}"), try InfraQuery("e\u{301}"))
        #expect(one != two && Set([one, two, one]).count == 2)
        let both = try InfraQuery("tag:\u{E9}=a tag:e\u{301}=b name:\u{E9} name:e\u{301}*")
        #expect(both.terms.count == 4)
        var instance = Instance(id: "i-0123abcd")
        instance.tags = ["\u{E9}": "a", "e\u{301}": "b"]
        #expect(both.terms.map { $0.matches(instance) } == [true, true, false, false])
    }

    @Test func `rules about arguments see the normal form of each term`() {
        let readings = InfraModule.parsed("I-0123ABCD tag:\"Env=prod\"").readings()
        #expect(readings.contains(.part("tag:Env=prod")) && readings.contains(.part("i-0123abcd")))
    }
}
