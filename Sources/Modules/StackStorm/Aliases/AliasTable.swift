import Foundation
import Logging
import PetrelKit
import PetrelSupport
import StackStormClient

/// The aliases of one sync. It is immutable: a sync replaces it.
struct AliasTable: Sendable {
    let matcher: AliasMatcher
    /// The disabled aliases, so that a user who runs one is told why it does not run.
    let disabled: AliasMatcher
    /// The references of the aliases that share a name, by that name. StackStorm runs only one of them.
    let duplicates: [String: [String]]
    /// The leading fixed words of the display formats: the first word, the first two words, and so on.
    private let beginnings: Set<String>

    /// - Parameter tried: A closure that is called each time a line is matched against a format, for tests.
    init(_ aliases: [Alias], reusing last: AliasTable? = nil, tried: AliasFormat.Observer? = nil) {
        matcher = AliasMatcher(aliases, reusing: last?.matcher, tried: tried)
        disabled = AliasMatcher(
            aliases.filter { !$0.enabled }.map { alias in
                var alias = alias
                alias.enabled = true
                return alias
            })
        duplicates = Dictionary(grouping: aliases.filter(\.enabled), by: \.name).filter { $0.value.count > 1 }
            .mapValues { $0.map(\.ref).sorted() }
        var beginnings: Set<String> = []
        for display in aliases.flatMap(\.formats).compactMap(\.display) {
            var beginning = ""
            for word in Self.fixedWords(of: display) {
                beginning += beginning.isEmpty ? word : " " + word
                beginnings.insert(beginning)
            }
        }
        self.beginnings = beginnings
    }

    /// Returns the words of a display format before its first parameter.
    private static func fixedWords(of display: String) -> [Substring] {
        Array(display.split(separator: " ").prefix { !$0.contains(where: "{<([".contains) })
    }

    /// Returns the leading words of a line that are also the leading words of a format, and `…` for the rest.
    func knownBeginning(of line: String) -> String {
        let words = line.words
        var known = ""
        for word in words {
            let longer = known.isEmpty ? word : "\(known) \(word)"
            guard beginnings.contains(longer) else { return known.isEmpty ? "…" : known + " …" }
            known = longer
        }
        return known
    }

    var aliases: [Alias] { matcher.aliases }

    /// Returns a number of aliases in words, such as `1 alias`.
    static func count(_ number: Int) -> String { number == 1 ? "1 alias" : "\(number) aliases" }

    /// The display formats of the enabled aliases, without the prefix.
    var displays: [String] {
        aliases.filter(\.enabled).flatMap { $0.formats.compactMap(\.display) }
    }

    /// Returns the display formats that begin with a text, followed by those with similar leading words.
    func near(_ text: String) -> [String] {
        let typed = text.words
        let begun = begun(with: typed)
        return begun + nearest(to: typed).filter { !begun.contains($0) }
    }

    /// Returns the display formats whose fixed words begin with the given words, in any case.
    func begun(with typed: [String]) -> [String] {
        guard !typed.isEmpty else { return [] }
        return displays.filter { display in
            let words = Self.fixedWords(of: display)
            return words.count >= typed.count && zip(words, typed).allSatisfy { $0.lowercased() == $1.lowercased() }
        }
    }

    private func nearest(to typed: [String]) -> [String] {
        var displaysByBeginning: [String: [String]] = [:]
        var beginnings: [Int: [String]] = [:]
        for display in displays {
            let words = Self.fixedWords(of: display)
            guard !words.isEmpty else { continue }
            let beginning = words.joined(separator: " ")
            if displaysByBeginning[beginning] == nil { beginnings[words.count, default: []].append(beginning) }
            displaysByBeginning[beginning, default: []].append(display)
        }
        return beginnings.sorted { $0.key > $1.key }.flatMap { count, candidates in
            Nearness.nearest(to: typed.prefix(count).joined(separator: " "), among: candidates)
        }.flatMap { displaysByBeginning[$0] ?? [] }
    }
}
