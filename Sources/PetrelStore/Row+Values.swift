import Foundation
import GRDB

/// The error of a row that does not have the form that this program writes: the file is damaged, or another program has
/// changed it.
struct DamagedRow: Error, CustomStringConvertible {
    /// The name of the column.
    let column: String

    var description: String { "the column \(column) has a value that this version does not write" }
}

extension Row {
    /// The times that a column can have: from the year 1 to the year 9999.
    private static let times = -62_135_596_800.0...253_402_300_799.0

    /// Returns the value of a column. Use this in place of the subscript, which ends the process if the value has
    /// another type.
    func value<Value: DatabaseValueConvertible>(_ index: Int, as type: Value.Type = Value.self) throws -> Value {
        guard let value = Value.fromDatabaseValue(self[index]) else {
            throw DamagedRow(column: Array(columnNames)[index])
        }
        return value
    }

    /// Returns the value of a column; see ``value(_:as:)``.
    func value<Value: DatabaseValueConvertible>(_ column: String, as type: Value.Type = Value.self) throws -> Value {
        guard let value = Value.fromDatabaseValue(self[column]) else { throw DamagedRow(column: column) }
        return value
    }

    /// Returns the time of a column with seconds since 1970.
    func time(_ index: Int) throws -> Date { try time(value(index), of: Array(columnNames)[index]) }

    /// Returns the time of a column with seconds since 1970.
    func time(_ column: String) throws -> Date { try time(value(column), of: column) }

    private func time(_ seconds: Double, of column: String) throws -> Date {
        guard Self.times.contains(seconds) else { throw DamagedRow(column: column) }
        return Date(timeIntervalSince1970: seconds)
    }
}
