extension JSONValue {
    /// Decodes a type from the value.
    ///
    /// `JSONDecoder` does the same from a text, but takes a time that grows with the cube of the nesting if the type
    /// contains a ``JSONValue``.
    public func decoded<Value: Decodable>(
        as type: Value.Type = Value.self, userInfo: [CodingUserInfoKey: any Sendable] = [:]
    ) throws -> Value {
        try Value(from: JSONValueDecoder(value: self, codingPath: [], userInfo: userInfo))
    }
}

/// A decoder of a JSON value, with the errors of `JSONDecoder`.
struct JSONValueDecoder: Decoder, SingleValueDecodingContainer {
    let value: JSONValue
    let codingPath: [any CodingKey]
    let userInfo: [CodingUserInfoKey: Any]

    func container<Key: CodingKey>(keyedBy type: Key.Type) throws -> KeyedDecodingContainer<Key> {
        guard case .object(let object) = value else { throw mismatch([String: JSONValue].self) }
        return KeyedDecodingContainer(Fields(object: object, decoder: self))
    }

    func unkeyedContainer() throws -> any UnkeyedDecodingContainer {
        guard case .array(let items) = value else { throw mismatch([JSONValue].self) }
        return Items(items: items, decoder: self)
    }

    func singleValueContainer() -> any SingleValueDecodingContainer { self }

    func decodeNil() -> Bool { value == .null }

    func decode(_ type: Bool.Type) throws -> Bool { try value.bool ?? mismatch(type) }

    func decode(_ type: String.Type) throws -> String { try value.string ?? mismatch(type) }

    func decode(_ type: Double.Type) throws -> Double {
        switch value {
        case .integer(let number): Double(number)
        case .number(let number): number
        default: throw mismatch(type)
        }
    }

    func decode(_ type: Float.Type) throws -> Float { Float(try decode(Double.self)) }
    func decode(_ type: Int.Type) throws -> Int { try integer(type) }
    func decode(_ type: Int8.Type) throws -> Int8 { try integer(type) }
    func decode(_ type: Int16.Type) throws -> Int16 { try integer(type) }
    func decode(_ type: Int32.Type) throws -> Int32 { try integer(type) }
    func decode(_ type: Int64.Type) throws -> Int64 { try integer(type) }
    func decode(_ type: UInt.Type) throws -> UInt { try integer(type) }
    func decode(_ type: UInt8.Type) throws -> UInt8 { try integer(type) }
    func decode(_ type: UInt16.Type) throws -> UInt16 { try integer(type) }
    func decode(_ type: UInt32.Type) throws -> UInt32 { try integer(type) }
    func decode(_ type: UInt64.Type) throws -> UInt64 { try integer(type) }
    func decode<Value: Decodable>(_ type: Value.Type) throws -> Value { try Value(from: self) }

    private func integer<Number: FixedWidthInteger>(_ type: Number.Type) throws -> Number {
        try value.int.flatMap { Number(exactly: $0) } ?? mismatch(type)
    }

    private func mismatch(_ type: Any.Type) -> DecodingError {
        let context = DecodingError.Context(codingPath: codingPath, debugDescription: "not \(value.typeName)")
        return value == .null ? .valueNotFound(type, context) : .typeMismatch(type, context)
    }

    private func mismatch<Value>(_ type: Any.Type) throws -> Value { throw mismatch(type) as DecodingError }

    fileprivate func decoder(of value: JSONValue, at key: any CodingKey) -> JSONValueDecoder {
        JSONValueDecoder(value: value, codingPath: codingPath + [key], userInfo: userInfo)
    }
}

extension JSONValueDecoder {
    /// The fields of an object.
    private struct Fields<Key: CodingKey>: KeyedDecodingContainerProtocol {
        let object: [String: JSONValue]
        let decoder: JSONValueDecoder

        var codingPath: [any CodingKey] { decoder.codingPath }
        var allKeys: [Key] { object.keys.compactMap { Key(stringValue: $0) } }

        func contains(_ key: Key) -> Bool { object[key.stringValue] != nil }

        func decodeNil(forKey key: Key) throws -> Bool { try field(key).decodeNil() }

        func decode<Value: Decodable>(_ type: Value.Type, forKey key: Key) throws -> Value {
            try Value(from: field(key))
        }

        func nestedContainer<Nested: CodingKey>(
            keyedBy type: Nested.Type, forKey key: Key
        ) throws -> KeyedDecodingContainer<Nested> {
            try field(key).container(keyedBy: type)
        }

        func nestedUnkeyedContainer(forKey key: Key) throws -> any UnkeyedDecodingContainer {
            try field(key).unkeyedContainer()
        }

        func superDecoder() -> any Decoder { decoder }

        func superDecoder(forKey key: Key) throws -> any Decoder { try field(key) }

        private func field(_ key: Key) throws -> JSONValueDecoder {
            guard let value = object[key.stringValue] else {
                let context = DecodingError.Context(codingPath: codingPath, debugDescription: "no such field")
                throw DecodingError.keyNotFound(key, context)
            }
            return decoder.decoder(of: value, at: key)
        }
    }

    /// The elements of an array.
    private struct Items: UnkeyedDecodingContainer {
        struct Index: CodingKey {
            let number: Int
            var intValue: Int? { number }
            var stringValue: String { "\(number)" }

            init(_ number: Int) { self.number = number }
            init?(intValue: Int) { number = intValue }
            init?(stringValue: String) { return nil }
        }

        let items: [JSONValue]
        let decoder: JSONValueDecoder
        var currentIndex = 0

        var codingPath: [any CodingKey] { decoder.codingPath }
        var count: Int? { items.count }
        var isAtEnd: Bool { currentIndex >= items.count }

        mutating func decodeNil() throws -> Bool {
            guard try item().decodeNil() else { return false }
            currentIndex += 1
            return true
        }

        mutating func decode<Value: Decodable>(_ type: Value.Type) throws -> Value {
            let value = try Value(from: item())
            currentIndex += 1
            return value
        }

        mutating func nestedContainer<Nested: CodingKey>(
            keyedBy type: Nested.Type
        ) throws -> KeyedDecodingContainer<Nested> {
            let container = try item().container(keyedBy: type)
            currentIndex += 1
            return container
        }

        mutating func nestedUnkeyedContainer() throws -> any UnkeyedDecodingContainer {
            let container = try item().unkeyedContainer()
            currentIndex += 1
            return container
        }

        mutating func superDecoder() -> any Decoder { decoder }

        private func item() throws -> JSONValueDecoder {
            let key = Index(currentIndex)
            guard !isAtEnd else {
                let context = DecodingError.Context(codingPath: codingPath + [key], debugDescription: "at the end")
                throw DecodingError.valueNotFound(JSONValue.self, context)
            }
            return decoder.decoder(of: items[currentIndex], at: key)
        }
    }
}
