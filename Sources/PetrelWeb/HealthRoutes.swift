package import PetrelKit

/// `/health` for orchestrators and `/metrics` for Prometheus.
package struct HealthRoutes: WebRoutes {
    private let health: any StatusReporting
    private let version: String
    private let metrics: @Sendable () -> String

    /// - Parameter metrics: renders Prometheus text.
    package init(health: any StatusReporting, version: String, metrics: @escaping @Sendable () -> String) {
        self.health = health
        self.version = version
        self.metrics = metrics
    }

    private struct Health: Encodable {
        var live = true
        var ready: Bool
        /// Why it is not ready: one sentence for each part that is ill.
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
                    return .text("the health could not be written: \(error)", status: 500)
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
