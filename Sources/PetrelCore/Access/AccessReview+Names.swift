import PetrelKit

extension AccessReview {
    /// Returns warnings about names that match no user or room on any backend, and about names that differ only in
    /// case.
    func reviewNames() -> [SettingsProblem] {
        guard !names.isEmpty else { return [] }
        var spellings: [String: AccessMention] = [:]
        return settings.mentions.flatMap { mention -> [SettingsProblem] in
            // A pattern may match both names and ids.
            guard Glob(mention.text).isLiteral, !isDirectChat(mention) else { return [] }
            let key = "\(mention.kind) \(mention.text.lowercased())"
            let other = spellings[key]
            if other == nil { spellings[key] = mention }
            return [unknownForm(mention), capitals(mention), otherCase(mention, other)].compactMap(\.self)
        }
    }

    private func isDirectChat(_ mention: AccessMention) -> Bool {
        mention.kind == .room && mention.text == "@" + settings.botName
    }

    /// Returns a name without its backend, and the backends on which it is matched.
    private func parts(_ mention: AccessMention) -> (text: String, backends: [String]) {
        let all = names.keys.sorted()
        guard let backend = all.first(where: { mention.text.hasPrefix($0 + "/") }) else { return (mention.text, all) }
        return (String(mention.text.unicodeScalars.dropFirst(backend.unicodeScalars.count + 1)), [backend])
    }

    private func unknownForm(_ mention: AccessMention) -> SettingsProblem? {
        let (text, backends) = parts(mention)
        let first = text.unicodeScalars.first
        let own = mention.kind.sigil
        let foreign = (mention.kind == .person ? AccessMention.Kind.room : .person).sigil
        // A name with the other sigil is reported elsewhere.
        guard first != foreign, !backends.contains(where: { names[$0]?.isID(text, mention.kind) == true }) else {
            return nil
        }
        let withSigils = backends.filter { names[$0]?.haveSigils == true }
        if first == own {
            guard withSigils.isEmpty else { return nil }
            return problem(
                mention,
                "matches no \(mention.kind.word): on \(backends.joined(separator: ", ")) every \(mention.kind.word) is written as an ID, without \(own)"
            )
        }
        let hint = withSigils.isEmpty ? "" : "; did you mean “\(own)\(text)”?"
        return problem(
            mention,
            "is neither a name, which begins with \(own), nor an ID, and matches no \(mention.kind.word)\(hint)")
    }

    private func capitals(_ mention: AccessMention) -> SettingsProblem? {
        let (text, backends) = parts(mention)
        guard text.unicodeScalars.contains(where: \.properties.isUppercase) else { return nil }
        let isName = text.unicodeScalars.first == mention.kind.sigil
        let matching = backends.filter { backend in
            guard let form = names[backend] else { return false }
            if form.isID(text, mention.kind) { return form.haveSigils || !form.areLowercase }
            return isName && form.haveSigils && !form.areLowercase
        }
        let isKnown = isName || backends.contains { names[$0]?.isID(text, mention.kind) == true }
        guard matching.isEmpty, isKnown else { return nil }
        return problem(
            mention,
            "has capital letters, and on \(backends.joined(separator: ", ")) names have none: it matches no \(mention.kind.word)"
        )
    }

    private func otherCase(_ mention: AccessMention, _ other: AccessMention?) -> SettingsProblem? {
        guard let other, other.text != mention.text else { return nil }
        return problem(
            mention, "and “\(other.text)” (\(other.path)) differ only in case: names are case-sensitive")
    }

    private func problem(_ mention: AccessMention, _ message: String) -> SettingsProblem {
        SettingsProblem(path: mention.path, message: "“\(mention.text)” \(message)")
    }
}
