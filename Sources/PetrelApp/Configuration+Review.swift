import Foundation
import PetrelCore
import PetrelKit
import PetrelStore
import PetrelSupport
import PetrelWeb

extension Configuration {
    /// Returns warnings about settings that are valid but probably not intended.
    func review() -> [SettingsProblem] {
        let commands = outlines.flatMap { outline in
            // An empty name stands for any command.
            (outline.commands + (outline.addsCommands ? [""] : [])).map {
                AccessReview.KnownCommand(module: outline.name, name: $0)
            }
        }
        let review = AccessReview(
            settings: core.access, commands: commands, changeable: backends.filter(\.facts.namesChange).map(\.name),
            backends: backends.map(\.name), prefix: core.prefixes.prefix,
            names: Dictionary(backends.map { ($0.name, $0.facts.names) }) { first, _ in first })
        return review.warnings() + cautions + [openness, emptyPrefix].compactMap(\.self)
    }

    /// The warnings of backends about access rules.
    private var cautions: [SettingsProblem] {
        guard !core.access.rules.isEmpty else { return [] }
        return backends.compactMap { backend in
            backend.facts.caution.map { SettingsProblem(path: "backends.\(backend.name)", message: $0) }
        }
    }

    /// The backends to which several people write.
    private var shared: [String] { backends.filter(\.facts.isShared).map(\.name) }

    private var emptyPrefix: SettingsProblem? {
        guard core.prefixes.prefix.isEmpty, !shared.isEmpty else { return nil }
        return SettingsProblem(
            path: "bot.prefix",
            message: "is empty: on \(shared.joined(separator: ", ")) every message that people write to each other is "
                + "treated as a command")
    }

    /// The warning about missing access rules; nil if there are rules, or if the configuration is marked as open.
    private var openness: SettingsProblem? {
        let exposures = outlines.compactMap(\.exposure)
        guard !shared.isEmpty, !exposures.isEmpty, !core.isOpen, core.access.rules.isEmpty, core.access.usual.isEmpty
        else { return nil }
        return SettingsProblem(
            path: "access_controls",
            message: "is empty: everyone who can write to the bot on \(shared.joined(separator: ", ")) may run "
                + "\(exposures.joined(separator: " and ")); write rules, or set \"open\": true if this is intended")
    }

    /// Checks which other users can read or write the file.
    func reviewFile(_ path: String, _ root: SettingsSection) {
        guard let mode = try? FileManager.default.attributesOfItem(atPath: path)[.posixPermissions] as? Int else {
            return
        }
        let isOpen = mode & 0o004 != 0
        if isOpen, case .value = core.store.key, root.section("store").value("key")?.string != nil {
            root.problem(
                "store.key", "is in a file that every user of this machine can read; run `chmod 600 \(path)`")
        } else if isOpen {
            root.warn("", "every user of this machine can read this file; run `chmod 640 \(path)`")
        }
        if mode & 0o022 != 0 { root.warn("", "other users can write this file and so change the access rules") }
    }

    /// Checks the format of the store's key.
    func reviewKey(_ root: SettingsSection) {
        guard case .value(let text) = core.store.key, StoreKey(text) == nil else { return }
        root.problem("store.key", "must be 32 bytes in base64, as `openssl rand -base64 32` prints them")
    }

    /// Checks that names are unique: modules of the same name would share commands, records and secrets, and commands
    /// of the same name would hide each other.
    func reviewNames(_ root: SettingsSection) {
        var modules: Set<String> = []
        var commands: Set<String> = []
        for plugIn in self.modules {
            let place = type(of: plugIn).section ?? ""
            for outline in plugIn.outlines {
                let naming = outline.naming ?? "it"
                if !modules.insert(outline.name.lowercased()).inserted {
                    root.problem(place, "\(naming) creates a second module \"\(outline.name)\"; choose another name")
                    // Each of its commands would be reported as well, for the same reason.
                    continue
                }
                for name in outline.commands where !commands.insert(Command.key(name)).inserted {
                    root.problem(place, "\(naming) creates a second command \"\(name)\"")
                }
            }
        }
    }

    /// Checks for settings that let others on the network read or forge requests.
    func reviewWeb(_ root: SettingsSection) {
        guard let web = core.web else { return }
        if TrustedProxies(web.trustedProxies) == nil {
            root.problem("web.trusted_proxies", "must be addresses or networks, such as 127.0.0.1 or 10.0.0.0/8")
        }
        if web.certificate == nil, !["127.0.0.1", "localhost", "::1"].contains(web.host) {
            root.warn(
                "web.host",
                "\(web.host) accepts connections from other hosts, and without web.tls passwords and webhook_secret "
                    + "are sent unencrypted")
        }
        for (index, entry) in web.trustedProxies.enumerated() {
            guard let excess = TrustedProxies.excess(of: entry) else { continue }
            root.warn(
                "web.trusted_proxies[\(index)]",
                "\(entry) \(excess): a client can choose the address that is limited and logged, by sending "
                    + "X-Forwarded-For")
        }
    }
}
