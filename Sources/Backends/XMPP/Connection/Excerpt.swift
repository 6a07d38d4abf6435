extension String {
    /// Returns the first scalars of a text from another party as a single line.
    /// - Parameter most: the maximum number of Unicode scalars.
    func excerpt(_ most: Int = 200) -> String {
        var text = String.UnicodeScalarView()
        for scalar in unicodeScalars.prefix(most) {
            let category = scalar.properties.generalCategory
            let isShown = ![.control, .lineSeparator, .paragraphSeparator].contains(category)
            text.append(isShown ? scalar : " ")
        }
        return String(text)
    }
}
