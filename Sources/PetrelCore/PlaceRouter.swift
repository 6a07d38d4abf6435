import PetrelKit

/// Finds the place for a bare name: `#ops`, `C42`, `@bob`, `ops@conference.example.com`, or any of these after the name
/// of a backend and a slash.
struct PlaceRouter: PlaceFinding {
    let backends: [String: any ChatBackend]
    let places: PlaceDirectory
    /// The backend for names that several backends could have.
    let fallback: String?

    private var names: [String] { backends.keys.sorted() }

    /// Finds the place for a name.
    /// - Parameters:
    ///   - preferred: the backend to use unless the name does not belong to it.
    ///   - own: the backend for names that several backends could have; nil for ``fallback``.
    func route(_ name: String, in preferred: String?, orElse own: String?) -> Route {
        if let (backend, rest) = prefixed(name) {
            return place(rest, on: backend).map { .to($0) }
                ?? .undecided("“\(rest)” is not a place on \(backend)")
        }
        if let preferred, backends[preferred] != nil, let address = place(name, on: preferred) { return .to(address) }
        let claims = names.map { ($0, claim($0, name)) }
        let certain = claims.filter { if case .own = $0.1 { true } else { false } }.map(\.0)
        let possible = claims.filter { $0.1 != .foreign }.map(\.0)
        var candidates = certain.isEmpty ? possible : certain
        if candidates.count > 1 {
            let seen = candidates.filter(places.backends(of: name).contains)
            if seen.count == 1 { candidates = seen }
        }
        if candidates.count > 1, let usual = own ?? fallback, candidates.contains(usual) { candidates = [usual] }
        guard candidates.count < 2 else {
            return .undecided(
                "“\(name)” could be on \(candidates.joined(separator: " or ")): write \(candidates[0])/\(name), or set "
                    + "default_backend")
        }
        guard let backend = candidates.first, let address = place(name, on: backend) else {
            return .undecided("“\(name)” is not a place on \(names.joined(separator: " or "))")
        }
        return .to(address)
    }

    func person(named name: String, on backend: String) -> Person? { places.person(named: name, on: backend) }
    func people(named name: String, on backend: String) -> [Person] { places.people(named: name, on: backend) }

    func room(named name: String, on backend: String) -> Room? { places.room(named: name, on: backend) }

    /// Splits a name such as `slack/#ops` into the backend and the name there.
    private func prefixed(_ name: String) -> (backend: String, rest: String)? {
        // The longest name first, because names of backends may contain a slash.
        let backend = names.sorted { $0.utf8.count > $1.utf8.count }.first { name.utf8.starts(with: ($0 + "/").utf8) }
        return backend.flatMap { backend in
            let rest = String(name.unicodeScalars.dropFirst(backend.unicodeScalars.count + 1))
            return rest.isEmpty ? nil : (backend, rest)
        }
    }

    private func claim(_ backend: String, _ name: String) -> PlaceClaim {
        if let naming = backends[backend] as? any PlaceNaming { return naming.claim(name) }
        return .possible(name.utf8.first == UInt8(ascii: "@") ? .direct(name) : .room(name))
    }

    private func place(_ name: String, on backend: String) -> Address? {
        switch claim(backend, name) {
        case .own(let place), .possible(let place): Address(backend: backend, place: place)
        case .foreign: nil
        }
    }
}
