/// The limits of the web server. Each time limit is for a whole phase: data that arrives does not extend it.
package struct WebLimits: Sendable {
    /// The maximum number of open connections.
    package var connections = 512
    /// The maximum number of open connections of one client address. It does not apply to trusted proxies.
    package var connectionsOfAddress = 64
    /// The maximum number of POST requests in progress of one client address.
    package var requestsOfAddress = 64
    /// The time from the opening of a connection, including the TLS handshake, to the end of the first request head.
    package var head = Duration.seconds(10)
    /// The time from the end of a response to the end of the next request head. The default is longer than nginx keeps
    /// a connection to an upstream server.
    package var idle = Duration.seconds(75)
    /// The time from the end of a request head to the end of its body.
    package var body = Duration.seconds(30)
    /// The time from the end of a request to the end of its response.
    package var answer = Duration.seconds(90)

    /// Creates the default limits.
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
