import AWSClient
import Foundation
import PetrelSupport

/// The lines about instances.
struct InfraLines: Sendable {
    let style: InfraStyle
    let now: Date
    /// The addresses of the query, which a line in a list shows rather than the first one of the instance.
    var addresses: Set<String> = []

    /// Returns the facts about one instance in few lines.
    func compactDetails(of hit: InfraHit) -> [String] {
        let lines = details(of: hit)
        let count = 2 + facts(of: hit.instance).count
        let facts = lines.prefix(count).dropFirst().joined(separator: " · ")
        let links = lines.dropFirst(count).first.map { String($0.unicodeScalars.prefix { $0 != "\n" }) }
        return Array(lines.prefix(1)) + [facts] + (links.map { [$0] } ?? [])
    }

    /// Returns the facts about one instance, one for each line.
    func details(of hit: InfraHit) -> [String] {
        let instance = hit.instance
        let name = instance.name.map { "\(style.bold($0)) (\(style.code(instance.id)))" } ?? style.code(instance.id)
        let kind = " " + (instance.type.isEmpty ? "instance" : style.code(instance.type))
        let zone = instance.zone.isEmpty ? "" : " in \(style.text(instance.zone))"
        let account = "\(style.bold(hit.place.account)) (\(hit.place.role.account)), region \(hit.place.region)"
        let article = instance.state == Instance(id: "").state ? "an" : "a"
        var lines = ["\(name) is \(article) \(style.code(instance.state))\(kind)\(zone)", "Account: \(account)"]
        lines += facts(of: instance).map { "\($0.label): \($0.text)" }
        if let links = ConsoleLinks(hit) {
            let both = [style.link("Console", links.instance), style.link("Configuration timeline", links.timeline)]
            lines.append(both.joined(separator: style == .plain ? "\n" : " · "))
        }
        return lines
    }

    /// Returns the tags, the addresses and the age of an instance, as far as they are known.
    func facts(of instance: Instance) -> [(label: String, text: String)] {
        func list(_ texts: [String]) -> String? {
            texts.isEmpty ? nil : texts.map { style.text($0) }.joined(separator: ", ")
        }
        func tag(_ key: String) -> String? { instance.tags[key].flatMap { $0.isBlank ? nil : style.text($0) } }
        let all: [(String, String?)] = [
            ("Name as a query", instance.name.flatMap { InfraTerm.findingUntypable($0) }.map { style.code($0.typed) }),
            ("Environment", tag("Environment")), ("Role", tag("Role")),
            ("Private", list(instance.privateAddresses)), ("Public", list(instance.publicAddresses)),
            ("IPv6", list(instance.version6Addresses)), ("Launched", age(of: instance)),
        ]
        return all.compactMap { label, text in text.map { (label, $0) } }
    }

    private func age(of instance: Instance) -> String? {
        guard let launched = instance.launched else { return nil }
        let age = Duration.seconds(now.timeIntervalSince1970 - Double(launched))
        return "\(age.inWords) ago (\(UTCTime.text(launched))Z)"
    }

    /// Returns the facts about one of several instances, in one line.
    func summary(of hit: InfraHit) -> String {
        let instance = hit.instance
        let id = ConsoleLinks(hit).map { links in
            style == .markdown ? style.link(instance.id, links.instance) : instance.id
        }
        func address(_ all: [String]) -> String? { all.first(where: addresses.contains) ?? all.first }
        let six = instance.version6Addresses.filter { instance.privateAddresses.isEmpty || addresses.contains($0) }
        let facts = [
            instance.name.map { style.bold($0) }, id ?? style.code(instance.id), style.text(instance.state),
            instance.type.isEmpty ? nil : style.text(instance.type),
            instance.zone.isEmpty ? hit.place.region : style.text(instance.zone), style.text(hit.place.account),
            address(instance.privateAddresses).map { style.text($0) }, address(six).map { style.text($0) },
            address(instance.publicAddresses).map { style.text($0) },
        ]
        return facts.compactMap(\.self).joined(separator: " · ")
    }
}
