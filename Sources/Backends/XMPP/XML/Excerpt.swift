extension String {
    /// At most so many scalars of what others wrote, on one line.
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
