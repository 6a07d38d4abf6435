extension String {
    /// Returns the text, truncated between characters and with an ellipsis if it is longer than this number of UTF-16
    /// code units, which is how Slack measures length.
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
