import AWSClient
import Logging
import PetrelSupport

/// Searches all accounts and regions at the same time.
final class InfraSearch: Sendable {
    /// The maximum number of queries whose results are remembered.
    private static let mostQueries = 64

    /// The number of instances after which no further page of any place is read, so that a broad search ends in time.
    private static let enough = 1_000
    /// The number of instances that the first pages of all places have together at most, as far as EC2 allows that.
    private static let firstPages = 4_000

    /// A closure that describes the instances with all of the properties in one place, and passes them to its last
    /// argument.
    typealias Describe =
        @Sendable (
            _ filters: [EC2.Filter], _ place: EC2.Place, _ deadline: Deadline,
            _ receiver: EC2.Receiver
        ) async throws -> Void

    /// A closure that creates or renews the session of a place.
    typealias Prepare = @Sendable (_ place: EC2.Place, _ deadline: Deadline) async throws -> Void

    private struct Memory: Sendable {
        var result: SearchResult
        var at: ContinuousClock.Instant
    }

    private struct Running: Sendable {
        var task: Task<SearchResult, any Error>
        var start: ContinuousClock.Instant
    }

    private struct State: Sendable {
        var running: [InfraQuery: Running] = [:]
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
        let (running, isOwn) = state.withLock { state in
            if let running = state.running[query] { return (running, false) }
            let known = state.memory[query].flatMap { $0.at.duration(to: now()) < cache ? $0 : nil }
            let running = Running(task: Task { try await self.search(query, known) }, start: now())
            state.running[query] = running
            return (running, true)
        }
        var result = try await running.task.sharedValue
        let age = running.start.duration(to: now())
        // What another person's search has seen may be older than the question.
        if !isOwn, result.remembered == nil, age >= .seconds(1) {
            result.remembered = (age, result.searched.count + result.failures.count)
        }
        return result
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
                        self.meters.prepared(places[0].account, nil)
                    } catch let error as AWSError {
                        for place in places { self.health.note(session: error, place) }
                        self.meters.prepared(places[0].account, error)
                    } catch {
                        // The bot is stopping.
                    }
                }
            }
        }
        health.report()
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
        health.report()
        meters.searched(result, reached.count < places.count ? start.duration(to: now()) : nil)
        var kept = result
        kept.remembered = nil
        let memory = Memory(result: kept, at: at)
        // A result without any place would only make the next one look old.
        if cache > .zero, !kept.searched.isEmpty { state.withLock { $0.memory[query] = memory } }
        return result
    }

    private func searched(_ query: InfraQuery, _ places: [InfraPlace]) async -> SearchResult {
        let searches = query.searches
        let count = Locked(0)
        let found = await withTaskGroup { group in
            for (index, place) in places.enumerated() {
                group.addTask { (index, await self.search(place, searches, query, count)) }
            }
            var found = [Result<PlaceResult, AWSError>?](repeating: nil, count: places.count)
            for await (index, result) in group { found[index] = result }
            return found
        }
        return Self.combined(zip(places, found))
    }

    /// Returns the results of places as one. An instance that two roles can see counts for the first of their places.
    private static func combined(
        _ parts: some Sequence<(InfraPlace, Result<PlaceResult, AWSError>?)>
    ) -> SearchResult {
        var result = SearchResult()
        var places: [InfraPlace] = []
        var merged: [AccountRegion: PlaceResult] = [:]
        for (place, part) in parts {
            switch part {
            case .success(let part):
                places.append(place)
                merged[place.key, default: PlaceResult()].merge(part)
            case .failure(let error): result.failures.append((place, error))
            case nil: break
            }
        }
        for place in places { result.add(merged.removeValue(forKey: place.key) ?? PlaceResult(), of: place) }
        return result
    }

    /// Searches one account and region, with all alternatives of the query at the same time.
    /// - Parameter count: The number of instances that were found in all places.
    private func search(
        _ place: InfraPlace, _ searches: [[EC2.Filter]], _ query: InfraQuery, _ count: Locked<Int>
    ) async -> Result<PlaceResult, AWSError> {
        let deadline = Deadline(after: limit)
        let firstPage = Self.firstPages / places.count
        do {
            let result = try await withThrowingTaskGroup(of: PlaceResult.self) { group in
                for filters in searches {
                    group.addTask {
                        let found = Locked(PlaceResult())
                        let receiver = EC2.Receiver(firstPage: firstPage, while: { Self.wantsMore(found, count) }) {
                            instance in
                            guard query.matches(instance), found.withLock({ $0.add(instance) }) else { return }
                            count.withLock { $0 += 1 }
                        }
                        try await self.describe(filters, place.place, deadline, receiver)
                        return found.value
                    }
                }
                var all = PlaceResult()
                for try await part in group { all.merge(part) }
                return all
            }
            note(nil, place)
            return .success(result)
        } catch let error as AWSError {
            note(error, place)
            return .failure(error)
        } catch {
            // The bot is stopping, which says nothing about the place.
            return .failure(AWSError(.late, "the search was cancelled"))
        }
    }

    /// Returns false if enough instances were found, and notes in the result that there are more.
    private static func wantsMore(_ found: Locked<PlaceResult>, _ count: Locked<Int>) -> Bool {
        guard count.value >= enough else { return true }
        found.withLock { $0.hasMore = true }
        return false
    }

    private func note(_ error: AWSError?, _ place: InfraPlace) {
        // A query that EC2 does not answer, which anybody can write, is no failure of the place.
        if error?.concernsQuery != true { health.note(error, place) }
        meters.called(place.account, error?.code.rawValue ?? "ok")
    }
}
