import Foundation
import PetrelKit
import PetrelSupport
import StackStormClient

/// The arguments of the help command.
struct HelpRequest: Equatable {
    /// The default of ``limit``.
    static let usual = 50

    var pack: String?
    var filter: String?
    var limit = HelpRequest.usual
    var offset = 0

    /// Parses `--pack core --limit 5`, `--pack=core`, `pack core limit 5`, or plain words: the name of a pack, or words
    /// to search for.
    init(_ text: String, packs: Set<String>) throws {
        var words = Self.words(of: text)[...]
        while let word = words.popFirst() {
            // A word without dashes is a key only if another word follows.
            let key = word.hasPrefix("--") ? word.dropFirst(2) : words.isEmpty ? "" : word
            switch key {
            case "pack": pack = try Self.value(of: key, &words)
            case "filter": filter = try Self.value(of: key, &words)
            case "limit": limit = try Self.number(key, &words, from: 1)
            case "offset": offset = try Self.number(key, &words, from: 0)
            default:
                guard !word.hasPrefix("--") else {
                    throw Refusal("Unknown option \(word). The options are --pack, --filter, --limit and --offset.")
                }
                let word = String(word)
                if pack == nil, packs.contains(word) {
                    pack = word
                } else {
                    filter = [filter, word].compactMap { $0 }.joined(separator: " ")
                }
            }
        }
    }

    /// Splits a text into words. A quoted text is one word, `--key=value` is two, and an em dash, which phones insert
    /// for `--`, is replaced.
    private static func words(of text: String) -> [Substring] {
        text.split(separator: "\"", omittingEmptySubsequences: false).enumerated().flatMap { index, part in
            if index % 2 == 1 { return [part] }
            return part.split(whereSeparator: \.isWhitespace).flatMap { word -> [Substring] in
                let word = word.hasPrefix("—") ? "--" + word.dropFirst() : word
                return word.hasPrefix("--") ? word.split(separator: "=", maxSplits: 1) : [word]
            }
        }
    }

    private static func value(of key: Substring, _ words: inout ArraySlice<Substring>) throws -> String {
        guard let value = words.popFirst() else { throw Refusal("--\(key) requires a value.") }
        return String(value)
    }

    private static func number(_ key: Substring, _ words: inout ArraySlice<Substring>, from least: Int) throws -> Int {
        let text = try value(of: key, &words)
        guard let number = Int(text), number >= least else {
            throw Refusal("--\(key) must be a whole number of at least \(least).")
        }
        return number
    }
}

extension AliasCommands {
    /// Returns the enabled aliases, grouped by pack, as one message of at most the backend's maximum length.
    func help(for invocation: Invocation) async throws -> Reply {
        guard let table = catalog.table.value else { throw Refusal(catalog.starting) }
        let enabled = try await visible(table, to: invocation)
        let request = try HelpRequest(invocation.arguments, packs: Set(enabled.map(\.pack)))
        let all = enabled.filter { request.pack == nil || $0.pack == request.pack }
            .sorted { ($0.pack, $0.name) < ($1.pack, $1.name) }
            .flatMap { alias in
                alias.formats.compactMap(\.display).filter { catalog.isShown($0, to: invocation) }
                    .map { (alias.pack, "\($0)", alias.description) }
            }
            .filter { matches($0, request.filter) }
        guard request.offset < all.count else {
            return Reply(
                all.isEmpty ? nothing(request, isEmpty: enabled.isEmpty) : "There are only \(all.count) commands.")
        }
        var lines: [String] = []
        var length = 0
        var shown = 0
        var pack = ""
        for (name, display, description) in all.dropFirst(request.offset).prefix(request.limit) {
            let heading = name == pack ? [] : ["[\(name)]"]
            let new =
                heading + [
                    "  \(invocation.typed(ownLine(display)))"
                        + (description.isEmpty ? "" : " — \(Self.oneLine(description))")
                ]
            let size = new.reduce(0) { $0 + $1.count + 1 }
            if shown > 0, length + size > invocation.traits.maximumLength - 200 { break }
            lines += new
            length += size
            shown += 1
            pack = name
        }
        let next = request.offset + shown
        if next == all.count, request.pack == nil, request.filter == nil {
            lines.append("Also: \(invocation.typed(ownLine(VerbCall.usage)))")
        }
        if next < all.count {
            lines.append(
                "\(request.offset + 1) to \(next) of \(all.count). More: \(invocation.typed(invocation.command + more(request, next)))"
            )
        }
        return Reply(lines.joined(separator: "\n"))
    }

    /// Returns the enabled aliases that StackStorm shows to the user.
    private func visible(_ table: AliasTable, to invocation: Invocation) async throws -> [Alias] {
        let enabled = table.aliases.filter(\.enabled)
        let caller = try await callers.caller(invocation)
        guard caller.session != nil else { return enabled }
        let refs = try await callers.with(caller, invocation) { credential in
            guard let credential else { return Set(enabled.map(\.ref)) }
            return try await self.client.aliasRefs(as: credential)
        }
        return enabled.filter { refs.contains($0.ref) }
    }

    private func matches(_ entry: (String, String, String), _ filter: String?) -> Bool {
        guard let filter = filter?.lowercased() else { return true }
        // Foundation's search traps for some texts with NUL characters.
        return "\(entry.0) \(entry.1) \(entry.2)".lowercased().utf8.contains(filter.utf8)
    }

    private func nothing(_ request: HelpRequest, isEmpty: Bool) -> String {
        if isEmpty { return "StackStorm has no enabled aliases." }
        let pack = request.pack.map { " in the pack “\($0)”" } ?? ""
        let filter = request.filter.map { " with “\($0)”" } ?? ""
        return "No command was found\(pack)\(filter)."
    }

    private func more(_ request: HelpRequest, _ offset: Int) -> String {
        let pack = request.pack.map { " --pack \($0)" } ?? ""
        let filter = request.filter.map { " --filter \($0)" } ?? ""
        let limit = request.limit == HelpRequest.usual ? "" : " --limit \(request.limit)"
        return "\(pack)\(filter)\(limit) --offset \(offset)"
    }

    private static func oneLine(_ text: String) -> String {
        text.split(whereSeparator: \.isWhitespace).joined(separator: " ")
    }
}
