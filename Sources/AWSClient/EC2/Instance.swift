import PetrelSupport
import XMLStream

/// An EC2 instance.
package struct Instance: Sendable, Hashable {
    /// The ID, such as `i-0123456789abcdef0`.
    package var id: String
    /// The state, such as `running`.
    package var state = "unknown"
    /// The type, such as `t3.micro`.
    package var type = ""
    /// The ID of the image.
    package var image = ""
    /// The availability zone.
    package var zone = ""
    /// The time of the last launch, in seconds since 1970.
    package var launched: Int64?
    /// The private IPv4 addresses of all network interfaces, the primary one first.
    package var privateAddresses: [String] = []
    /// The public IPv4 addresses.
    package var publicAddresses: [String] = []
    /// The IPv6 addresses.
    package var version6Addresses: [String] = []
    /// The private DNS names.
    package var privateNames: [String] = []
    /// The public DNS names.
    package var publicNames: [String] = []
    /// The tags.
    package var tags = Tags()

    /// Creates an instance of which only the ID is known.
    package init(id: String) { self.id = id }

    /// The tag `Name`; nil if the instance does not have it, or if it is empty.
    package var name: String? { tags["Name"].flatMap { $0.isEmpty ? nil : $0 } }
}

/// The tags of an instance. Keys are compared by their scalars, as in EC2.
package struct Tags: Sendable, Hashable, ExpressibleByDictionaryLiteral {
    private var values: [ExactText: String] = [:]

    /// Creates an empty value.
    package init() {}

    /// Creates tags; of two with the same key, the last one counts.
    package init(dictionaryLiteral elements: (String, String)...) { for (key, value) in elements { self[key] = value } }

    /// The value of a tag; nil if the instance does not have the tag.
    package subscript(key: String) -> String? {
        get { values[ExactText(key)] }
        set { values[ExactText(key)] = newValue }
    }
}

extension Instance {
    /// Reads an `item` of `instancesSet`. Returns nil if it has no ID. Elements that are empty count as missing.
    init?(_ element: XMLElement) {
        guard let id = element.value("instanceId") else { return nil }
        self.init(id: id)
        state = element.child("instanceState")?.value("name") ?? state
        type = element.value("instanceType") ?? ""
        image = element.value("imageId") ?? ""
        zone = element.child("placement")?.value("availabilityZone") ?? ""
        launched = element.value("launchTime").flatMap { AWSTime.seconds($0) }
        privateAddresses.add(element.value("privateIpAddress"))
        publicAddresses.add(element.value("ipAddress"))
        version6Addresses.add(element.value("ipv6Address"))
        privateNames.add(element.value("privateDnsName"))
        publicNames.add(element.value("dnsName"))
        for tag in element.items("tagSet") {
            if let key = tag.child("key")?.text { tags[key] = tag.child("value")?.text ?? "" }
        }
        for interface in element.items("networkInterfaceSet") { add(interface) }
    }

    /// Adds the addresses of a network interface.
    private mutating func add(_ interface: XMLElement) {
        add(addresses: interface)
        for address in interface.items("privateIpAddressesSet") { add(addresses: address) }
        for address in interface.items("ipv6AddressesSet") { version6Addresses.add(address.value("ipv6Address")) }
    }

    private mutating func add(addresses element: XMLElement) {
        privateAddresses.add(element.value("privateIpAddress"))
        privateNames.add(element.value("privateDnsName"))
        let association = element.child("association")
        publicAddresses.add(association?.value("publicIp"))
        publicNames.add(association?.value("publicDnsName"))
    }
}

extension [String] {
    fileprivate mutating func add(_ text: String?) { if let text, !contains(text) { append(text) } }
}

extension XMLElement {
    /// Returns the text of a child. Returns nil if the element has no such child, or if the child is empty.
    fileprivate func value(_ name: String) -> String? {
        guard let text = child(name)?.text, !text.isBlank else { return nil }
        return text
    }

    /// Returns the items of a child that is a list.
    fileprivate func items(_ name: String) -> [XMLElement] {
        child(name)?.children.filter { $0.name.utf8.elementsEqual("item".utf8) } ?? []
    }
}
