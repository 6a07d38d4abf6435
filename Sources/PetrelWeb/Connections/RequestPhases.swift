/// The phases of the requests on one connection, as a value. Each event returns the phase that begins with it.
struct RequestPhases {
    enum Phase {
        /// The first head is expected.
        case head
        /// Another head is expected.
        case idle
        case body
        case answer
    }

    private var isReading = false
    private var unanswered = 0

    mutating func readHead() -> Phase? {
        isReading = true
        unanswered += 1
        return .body
    }

    mutating func readEnd() -> Phase? {
        isReading = false
        return unanswered > 0 ? .answer : .idle
    }

    /// An answer may come before the whole request: the time of the body goes on then.
    mutating func wroteEnd() -> Phase? {
        unanswered = max(unanswered - 1, 0)
        if isReading { return nil }
        return unanswered > 0 ? .answer : .idle
    }
}
