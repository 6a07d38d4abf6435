import Synchronization

/// A value behind a lock, for state that never outlives an await.
///
/// The one place where the project locks: ThreadSanitizer reports false races inside `Synchronization.Mutex`, so it
/// can be replaced here for a sanitizer run.
public final class Locked<Value: Sendable>: Sendable {
    private let mutex: Mutex<Value>

    public init(_ value: Value) {
        mutex = Mutex(value)
    }

    public func withLock<Result: Sendable>(_ body: (inout Value) throws -> Result) rethrows -> Result {
        try mutex.withLock { value in try body(&value) }
    }

    public var value: Value { withLock { $0 } }
}
