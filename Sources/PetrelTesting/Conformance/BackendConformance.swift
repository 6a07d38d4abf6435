/// The requirements for chat backends.
///
/// A test suite runs each case of ``cases`` as a test with a ``ConformanceRecorder``; a program runs all of them with
/// ``run(_:only:_:)``.
public enum BackendConformance {
    /// All cases.
    public static let cases: [ConformanceCase] =
        declarations + deliveries + arrivingTexts + answers + longTexts + sentTexts + markup + errors + redeliveries
        + edits + reconnects + stops

    /// Runs the cases one after the other, each with a new stage.
    /// - Parameters:
    ///   - subject: the name of the backend in the report.
    ///   - selected: a closure that returns true for the cases to run. By default all are run.
    ///   - withStage: creates a stage, calls a closure with it, and takes it down.
    public static func run(
        _ subject: String, only selected: (ConformanceCase) -> Bool = { _ in true }, _ withStage: ConformanceStaging
    ) async -> ConformanceReport {
        var report = ConformanceReport(subject)
        for item in cases where selected(item) {
            let outcome = await item.outcome(withStage)
            report.entries.append(ConformanceReport.Entry(id: item.id, title: item.title, outcome: outcome))
        }
        return report
    }
}

/// A text that is easily damaged.
struct OddText: Sendable {
    let name: String
    let text: String

    /// The texts that travel in both directions.
    static let all = [
        OddText(name: "combining-marks", text: "e\u{301} and \u{E9} differ, a\u{308}\u{323} has two marks"),
        OddText(name: "emoji", text: "family 👨‍👩‍👧‍👦, flag 🇩🇪, skin 👍🏽, sign ☃\u{FE0F} and ☃\u{FE0E}"),
        OddText(name: "right-to-left", text: "name \u{5E9}\u{5DC}\u{5D5}\u{5DD} \u{202B}x\u{202C} \u{200F}end"),
        OddText(name: "line-breaks", text: "one\ntwo\n\n  three"),
        OddText(name: "cr-lf", text: "one\r\ntwo\rthree"),
        OddText(name: "tabs", text: "a\tb\t\tc"),
        OddText(name: "spaces-inside", text: "a  b   c\u{A0}d\u{3000}e"),
        OddText(name: "separators", text: "a\u{2028}b\u{2029}c\u{85}d\u{B}e\u{C}f"),
        OddText(name: "controls", text: "a\u{1}b\u{7}c\u{1B}[31md\u{7F}e\u{9B}f"),
        OddText(name: "nul", text: "a\u{0}b"),
        OddText(name: "noncharacters", text: "a\u{FFFE}b\u{FFFF}c\u{FFFD}d\u{FEFF}e"),
        OddText(name: "beyond-bmp", text: "𝔘𝔫𝔦 𠀋 \u{10FFFD}"),
        OddText(name: "entities", text: "&lt;b&gt; &amp;amp; &#65; %41 \\u0041 \\n <b>"),
        OddText(name: "json", text: #"{"a": "b\"c", 'd': [1]} </script>"#),
    ]
}
