package import PetrelKit
import PetrelSupport
import PlugInProtocol

extension ProcessModule: StatusReporting {
    /// Returns a line about the program, and the lines that it has reported.
    package func status() -> [StatusLine] {
        let (hasProgram, process, problem, version) = state.withLock {
            ($0.launch != nil, $0.current?.process, $0.problem, $0.version)
        }
        guard hasProgram else { return [] }
        let subject = "plug-in \(name)"
        guard let process else { return [StatusLine(subject, isHealthy: false, "the plug-in \(problem)")] }
        guard process.isResponsive else {
            return [StatusLine(subject, isHealthy: false, "the plug-in does not answer")]
        }
        return [StatusLine(subject, isHealthy: true, version.map { "running, version \($0)" } ?? "running")]
            + service.lines
    }
}

extension ProcessModule: GaugeReporting {
    /// Returns the gauges that the program has reported, and whether it runs.
    package func gauges() -> [(name: String, labels: [(String, String)], value: Double)] {
        let (hasProgram, isRunning) = state.withLock { ($0.launch != nil, $0.current != nil) }
        guard hasProgram else { return [] }
        return [("petrel_plugin_running", [("plugin", name)], isRunning ? 1 : 0)] + (isRunning ? service.gauges : [])
    }
}
