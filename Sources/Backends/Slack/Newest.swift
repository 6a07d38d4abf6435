/// Values by their keys, of which the oldest are forgotten when there are too many.
struct Newest<Value: Sendable>: Sendable {
    private var values: [String: Value] = [:]
    private var order: [String] = []
    private let capacity: Int

    init(_ capacity: Int) { self.capacity = capacity }

    /// A key that is new is the youngest; nil changes nothing.
    subscript(_ key: String) -> Value? {
        get { values[key] }
        set {
            guard let newValue else { return }
            if values.updateValue(newValue, forKey: key) == nil { order.append(key) }
            if order.count > capacity { values[order.removeFirst()] = nil }
        }
    }
}
