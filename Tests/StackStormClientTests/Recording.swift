import Foundation

/// The files that were recorded with a running StackStorm.
enum Recording {
    static func data(_ name: String) -> Data {
        guard let folder = Bundle.module.resourceURL?.appendingPathComponent("Recordings"),
            let data = try? Data(contentsOf: folder.appendingPathComponent(name))
        else { preconditionFailure("no recording \(name)") }
        return data
    }

    static func json<Value: Decodable>(_ name: String) -> Value {
        do {
            return try JSONDecoder().decode(Value.self, from: data("\(name).json"))
        } catch {
            preconditionFailure("\(name): \(error)")
        }
    }
}
