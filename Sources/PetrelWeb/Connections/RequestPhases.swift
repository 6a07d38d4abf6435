/// The state machine of the requests on one connection. Each event returns the phase that starts with it, if any.
struct RequestPhases {
    enum Phase {
        /// The connection waits for the first request head.
        case head
        /// The connection waits for the next request head.
        case idle
        /// The connection waits for the body of a request.
        case body
        /// A response is in progress.
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

    /// Notes the end of a response. If it is sent before the whole request was received, the body phase continues.
    mutating func wroteEnd() -> Phase? {
        unanswered = max(unanswered - 1, 0)
        if isReading { return nil }
        return unanswered > 0 ? .answer : .idle
    }
}
