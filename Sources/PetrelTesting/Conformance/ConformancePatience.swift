/// The time limits of the cases.
public enum ConformancePatience {
    /// The time limit for each event that a case waits for. The default suits a busy machine; a program that people wait
    /// for can bind a shorter one.
    @TaskLocal public static var limit = RecordingBackend.patience

    /// The time after which a case has failed. It only ends a case that hangs.
    static var ofCase: Duration { max(limit * 5, .seconds(120)) }
}
