extension String {
    /// Within so many UTF-16 code units, which is what Slack counts; cut between characters, with an ellipsis.
    func fitting(_ most: Int) -> String {
        guard utf16.count > most else { return self }
        var (kept, size) = ("", 1)
        for character in self {
            size += character.utf16.count
            if size > most { break }
            kept.append(character)
        }
        return kept + "…"
    }
}
