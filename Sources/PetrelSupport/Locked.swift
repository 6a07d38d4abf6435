import Synchronization

/// A value that is protected by a lock.
///
/// Use it for state that is not held across a suspension point. All locks of the project are of this type, because
/// ThreadSanitizer reports false data races inside `Synchronization.Mutex`: a sanitizer run can replace the lock here.
public final class Locked<Value: Sendable>: Sendable {
    private let mutex: Mutex<Value>

    /// Creates a lock around an initial value.
    public init(_ value: Value) {
        mutex = Mutex(value)
    }

    /// Calls a closure with exclusive access to the value, and returns its result.
    ///
    /// The lock is not recursive: the closure must not use it again.
    public func withLock<Result: Sendable>(_ body: (inout Value) throws -> Result) rethrows -> Result {
        try mutex.withLock { value in try body(&value) }
    }

    /// A copy of the value.
    public var value: Value { withLock { $0 } }
}
