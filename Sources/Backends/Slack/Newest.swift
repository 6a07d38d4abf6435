/// A dictionary of limited capacity that removes the oldest keys first.
struct Newest<Value: Sendable>: Sendable {
    private var values: [String: Value] = [:]
    private var order: [String] = []
    private let capacity: Int

    init(_ capacity: Int) { self.capacity = capacity }

    /// The value of a key. Changing a value does not change the age of its key; setting nil has no effect.
    subscript(_ key: String) -> Value? {
        get { values[key] }
        set {
            guard let newValue else { return }
            if values.updateValue(newValue, forKey: key) == nil { order.append(key) }
            if order.count > capacity { values[order.removeFirst()] = nil }
        }
    }
}
