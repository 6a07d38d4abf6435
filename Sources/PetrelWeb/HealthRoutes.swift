package import PetrelKit

/// The routes `/health` for orchestrators and `/metrics` for Prometheus.
package struct HealthRoutes: WebRoutes {
    private let health: any StatusReporting
    private let version: String
    private let metrics: @Sendable () -> String

    /// Creates the routes.
    ///
    /// - Parameters:
    ///   - health: The source of the status lines. The host is ready if all of them are healthy.
    ///   - version: The version of Petrel.
    ///   - metrics: A closure that returns the metrics in the text format of Prometheus.
    package init(health: any StatusReporting, version: String, metrics: @escaping @Sendable () -> String) {
        self.health = health
        self.version = version
        self.metrics = metrics
    }

    private struct Health: Encodable {
        var live = true
        var ready: Bool
        /// One sentence for each component that is not healthy.
        var reasons: [String]
        var parts: [StatusLine]
        var version: String
    }

    package var routes: [WebRoute] {
        [
            WebRoute(.get, "/health", bodyLimit: 0) { _ in
                let parts = health.status()
                let reasons = parts.filter { !$0.isHealthy }.map { "\($0.subject): \($0.detail)" }
                let answer = Health(
                    ready: reasons.isEmpty, reasons: reasons, parts: parts, version: version)
                do {
                    return try .json(answer, status: reasons.isEmpty ? 200 : 503)
                } catch {
                    return .text("The health status cannot be encoded: \(error)", status: 500)
                }
            },
            WebRoute(.get, "/metrics", bodyLimit: 0) { _ in
                WebResponse(
                    status: 200, headers: ["content-type": "text/plain; version=0.0.4; charset=utf-8"],
                    body: Array(metrics().utf8))
            },
        ]
    }
}
