import AWSClient
import Logging
import PetrelSupport

/// Searches all accounts and regions at the same time.
final class InfraSearch: Sendable {
    /// The maximum number of queries whose results are remembered.
    private static let mostQueries = 64

    /// A closure that describes the instances with all of the properties in one place, and passes them to its last
    /// argument.
    typealias Describe =
        @Sendable (
            _ filters: [EC2.Filter], _ place: EC2.Place, _ deadline: Deadline,
            _ body: @escaping @Sendable (Instance) -> Void
        ) async throws -> Void

    /// A closure that creates or renews the session of a place.
    typealias Prepare = @Sendable (_ place: EC2.Place, _ deadline: Deadline) async throws -> Void

    private struct Memory: Sendable {
        var result: SearchResult
        var at: ContinuousClock.Instant
    }

    private struct State: Sendable {
        var running: [InfraQuery: Task<SearchResult, any Error>] = [:]
        var memory = Newest<InfraQuery, Memory>(InfraSearch.mostQueries)
    }

    let places: [InfraPlace]
    let health: InfraHealth
    private let limit: Duration
    private let cache: Duration
    private let meters: InfraMeters
    private let describe: Describe
    private let prepare: Prepare
    private let now: @Sendable () -> ContinuousClock.Instant
    private let state = Locked(State())

    init(
        _ settings: InfraSettings, meters: InfraMeters, logger: Logger,
        now: @escaping @Sendable () -> ContinuousClock.Instant = { .now },
        prepare: @escaping Prepare = { _, _ in }, describe: @escaping Describe
    ) {
        places = settings.places
        health = InfraHealth(settings.places, logger)
        limit = settings.limit
        cache = settings.cache
        self.meters = meters
        self.describe = describe
        self.prepare = prepare
        self.now = now
    }

    /// Searches, or returns what an identical query has just found. Identical queries at the same time share a search.
    ///
    /// The search runs outside of the caller's executor, because answers can be large. It ends within the time limit.
    func result(of query: InfraQuery) async throws -> SearchResult {
        let task = state.withLock { state in
            if let task = state.running[query] { return task }
            let known = state.memory[query].flatMap { $0.at.duration(to: now()) < cache ? $0 : nil }
            let task = Task { try await self.search(query, known) }
            state.running[query] = task
            return task
        }
        return try await task.sharedValue
    }

    /// Creates the sessions of all roles, and renews those that expire soon. The places of those that fail are marked.
    func prepareAll() async {
        let byRole = Dictionary(grouping: places, by: \.place.role)
        await withTaskGroup { group in
            for places in byRole.values {
                group.addTask {
                    do {
                        try await self.prepare(places[0].place, Deadline(after: self.limit))
                        for place in places { self.health.note(session: nil, place) }
                    } catch let error as AWSError {
                        for place in places { self.health.note(session: error, place) }
                    } catch {
                        // The bot is stopping.
                    }
                }
            }
        }
    }

    /// Searches the places that an earlier search has not reached.
    private func search(_ query: InfraQuery, _ known: Memory?) async throws -> SearchResult {
        defer { state.withLock { $0.running[query] = nil } }
        let start = now()
        let reached = Set(known?.result.searched ?? [])
        var result = await searched(query, places.filter { !reached.contains($0) })
        var at = start
        if let known {
            var all = known.result
            all.failures = []
            all.add(result)
            all.remembered = (known.at.duration(to: now()), reached.count)
            // The whole result counts as old as its oldest part.
            (result, at) = (all, known.at)
        }
        meters.searched(result, start.duration(to: now()))
        var kept = result
        kept.remembered = nil
        let memory = Memory(result: kept, at: at)
        if cache > .zero { state.withLock { $0.memory[query] = memory } }
        return result
    }

    private func searched(_ query: InfraQuery, _ places: [InfraPlace]) async -> SearchResult {
        let searches = query.searches
        let found = await withTaskGroup { group in
            for (index, place) in places.enumerated() {
                group.addTask { (index, await self.search(place, searches, query)) }
            }
            var found = [Result<PlaceResult, AWSError>?](repeating: nil, count: places.count)
            for await (index, result) in group { found[index] = result }
            return found
        }
        var result = SearchResult()
        for (place, part) in zip(places, found) {
            switch part {
            case .success(let part): result.add(part, of: place)
            case .failure(let error): result.failures.append((place, error))
            case nil: break
            }
        }
        return result
    }

    /// Searches one account and region, with all alternatives of the query at the same time.
    private func search(
        _ place: InfraPlace, _ searches: [[EC2.Filter]], _ query: InfraQuery
    ) async -> Result<PlaceResult, AWSError> {
        let deadline = Deadline(after: limit)
        do {
            let result = try await withThrowingTaskGroup(of: PlaceResult.self) { group in
                for filters in searches {
                    group.addTask {
                        let found = Locked(PlaceResult())
                        try await self.describe(filters, place.place, deadline) { instance in
                            if query.matches(instance) { found.withLock { $0.add(instance) } }
                        }
                        return found.value
                    }
                }
                var all = PlaceResult()
                for try await part in group { all.merge(part) }
                return all
            }
            note(nil, place)
            return .success(result)
        } catch {
            let error = error as? AWSError ?? AWSError(.late, "the search was cancelled")
            note(error, place)
            return .failure(error)
        }
    }

    private func note(_ error: AWSError?, _ place: InfraPlace) {
        health.note(error, place)
        meters.called(place.account, error?.code.rawValue ?? "ok")
    }
}
