/// The bounds of the web server. Each time is for the whole of something: bytes that arrive do not extend it.
package struct WebLimits: Sendable {
    /// Connections that are open at the same time.
    package var connections = 512
    /// Connections of one address. A trusted proxy has no limit of its own.
    package var connectionsOfAddress = 64
    /// Requests with a body that one address may have in progress.
    package var requestsOfAddress = 64
    /// From the opening of a connection, TLS included, to the end of the first head.
    package var head = Duration.seconds(10)
    /// From the end of an answer to the end of the next head. Longer than nginx keeps a connection to an upstream server.
    package var idle = Duration.seconds(75)
    /// From the end of a head to the end of its body.
    package var body = Duration.seconds(30)
    /// From the end of a request to the end of its answer.
    package var answer = Duration.seconds(90)

    package init() {}

    func time(for phase: RequestPhases.Phase) -> Duration {
        switch phase {
        case .head: head
        case .idle: idle
        case .body: body
        case .answer: answer
        }
    }
}
