package import CoreMetrics
import PetrelKit
import PetrelSupport

/// A metrics back end that renders the Prometheus text format, version 0.0.4
/// (https://prometheus.io/docs/instrumenting/exposition_formats/).
package final class PrometheusMetrics: MetricsFactory {
    fileprivate struct Key: Hashable {
        var label: String
        var dimensions: [[String]]
    }

    private let counters = Locked<[Key: PrometheusCounter]>([:])
    private let gauges = Locked<[Key: PrometheusGauge]>([:])
    private let timers = Locked<[Key: PrometheusTimer]>([:])
    private let help: [String: String]

    /// Creates a back end.
    /// - Parameter help: the help text of each metric, by label.
    package init(help: [String: String] = [:]) {
        self.help = help
    }

    /// Returns the counter with this label and these dimensions.
    package func makeCounter(label: String, dimensions: [(String, String)]) -> any CounterHandler {
        counters.withLock { $0.handler(label, dimensions) { PrometheusCounter() } }
    }

    /// Returns the gauge with this label and these dimensions.
    package func makeRecorder(label: String, dimensions: [(String, String)], aggregate: Bool) -> any RecorderHandler {
        gauges.withLock { $0.handler(label, dimensions) { PrometheusGauge() } }
    }

    /// Returns the histogram with this label and these dimensions.
    package func makeTimer(label: String, dimensions: [(String, String)]) -> any TimerHandler {
        timers.withLock { $0.handler(label, dimensions) { PrometheusTimer() } }
    }

    /// Does nothing, because handlers are shared.
    package func destroyCounter(_ handler: any CounterHandler) {}
    /// Does nothing, because handlers are shared.
    package func destroyRecorder(_ handler: any RecorderHandler) {}
    /// Does nothing, because handlers are shared.
    package func destroyTimer(_ handler: any TimerHandler) {}

    /// Returns all metrics in the text format.
    package func render() -> String {
        var families: [String: (kind: String, lines: [String])] = [:]
        for (key, counter) in counters.value {
            families[key.label, default: ("counter", [])].lines.append("\(key.series()) \(counter.count.value)")
        }
        for (key, gauge) in gauges.value {
            families[key.label, default: ("gauge", [])].lines.append("\(key.series()) \(gauge.last.value)")
        }
        for (key, timer) in timers.value {
            families[key.label, default: ("histogram", [])].lines += timer.histogram.value.lines(for: key)
        }
        return families.sorted { $0.key < $1.key }.map { name, family in
            let about = help[name].map { "# HELP \(name) \($0)\n" } ?? ""
            let lines = family.kind == "histogram" ? family.lines : family.lines.sorted()
            return "\(about)# TYPE \(name) \(family.kind)\n" + lines.joined(separator: "\n") + "\n"
        }.joined()
    }
}

extension Dictionary where Key == PrometheusMetrics.Key {
    fileprivate mutating func handler(
        _ label: String, _ dimensions: [(String, String)], _ make: () -> Value
    ) -> Value {
        let key = Key(label: label, dimensions: dimensions.map { [$0.0, $0.1] })
        if let handler = self[key] { return handler }
        let handler = make()
        self[key] = handler
        return handler
    }
}

extension PrometheusMetrics.Key {
    fileprivate func series(_ suffix: String = "", _ more: [[String]] = []) -> String {
        let all = (dimensions + more).map { "\($0[0])=\"\(Self.escape($0[1]))\"" }
        return label + suffix + (all.isEmpty ? "" : "{\(all.joined(separator: ","))}")
    }

    private static func escape(_ value: String) -> String {
        value.reduce(into: "") { text, character in
            switch character {
            case "\\": text += "\\\\"
            case "\"": text += "\\\""
            case "\n": text += "\\n"
            default: text.append(character)
            }
        }
    }
}

private final class PrometheusCounter: CounterHandler {
    let count = Locked<Int64>(0)
    func increment(by amount: Int64) { count.withLock { $0 &+= amount } }
    func reset() { count.withLock { $0 = 0 } }
}

private final class PrometheusGauge: RecorderHandler {
    let last = Locked<Double>(0)
    func record(_ value: Int64) { record(Double(value)) }
    func record(_ value: Double) { last.withLock { $0 = value } }
}

private final class PrometheusTimer: TimerHandler {
    struct Histogram {
        static let bounds = [
            0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1_800,
        ]
        var counts = [Int](repeating: 0, count: bounds.count + 1)
        var sum = 0.0

        mutating func add(_ seconds: Double) {
            counts[Self.bounds.firstIndex { seconds <= $0 } ?? Self.bounds.count] += 1
            sum += seconds
        }

        func lines(for key: PrometheusMetrics.Key) -> [String] {
            var total = 0
            var lines: [String] = []
            for (count, bound) in zip(counts, Self.bounds.map { "\($0)" } + ["+Inf"]) {
                total += count
                lines.append("\(key.series("_bucket", [["le", bound]])) \(total)")
            }
            return lines + ["\(key.series("_sum")) \(sum)", "\(key.series("_count")) \(total)"]
        }
    }

    let histogram = Locked(Histogram())
    func recordNanoseconds(_ duration: Int64) { histogram.withLock { $0.add(Double(duration) / 1e9) } }
}
