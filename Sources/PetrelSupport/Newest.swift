/// A dictionary of limited capacity that removes the oldest keys first.
public struct Newest<Key: Hashable & Sendable, Value: Sendable>: Sendable {
    private var values: [Key: Value] = [:]
    private var order: [Key] = []
    private let capacity: Int

    /// Creates an empty dictionary.
    /// - Parameter capacity: the maximum number of keys.
    public init(_ capacity: Int) { self.capacity = capacity }

    /// The value of a key. Changing a value does not change the age of its key; setting nil has no effect.
    public subscript(_ key: Key) -> Value? {
        get { values[key] }
        set {
            guard let newValue else { return }
            if values.updateValue(newValue, forKey: key) == nil { order.append(key) }
            if order.count > capacity { values[order.removeFirst()] = nil }
        }
    }
}
