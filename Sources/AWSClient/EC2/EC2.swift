import PetrelSupport
import XMLStream

/// The actions of EC2 that are used.
package struct EC2: Sendable {
    /// A filter of `DescribeInstances`: the instances for which the property has one of the values. In values, `*`
    /// stands for any text and `?` for any character, unless there is a backslash before it.
    package struct Filter: Sendable, Hashable {
        /// The name, such as `instance-id` or `tag:Role`.
        package var name: String
        /// The values.
        package var values: [String]

        /// Creates a filter.
        package init(_ name: String, _ values: [String]) {
            self.name = name
            self.values = values
        }
    }

    /// A role in another account, and a region of that account.
    package struct Place: Sendable, Hashable {
        /// The role.
        package var role: AssumableRole
        /// The region whose instances are described.
        package var region: String
        /// The region whose STS issues the session.
        package var sessionRegion: String

        /// Creates a place.
        package init(role: AssumableRole, region: String, sessionRegion: String) {
            self.role = role
            self.region = region
            self.sessionRegion = sessionRegion
        }
    }

    /// The receiver of instances.
    package struct Receiver: Sendable {
        /// The number of instances on the first page.
        let firstPage: Int
        private let take: @Sendable (Instance) -> Void
        private let wantsMore: @Sendable () -> Bool

        /// Creates a receiver.
        /// - Parameters:
        ///   - firstPage: The number of instances on the first page. A small page makes a broad search in many places
        ///     quick.
        ///   - wantsMore: A closure that is called when EC2 has a further page. If it returns false, the page is not
        ///     read.
        ///   - take: A closure that is called for each instance.
        package init(
            firstPage: Int = EC2.pageSize, while wantsMore: @escaping @Sendable () -> Bool = { true },
            _ take: @escaping @Sendable (Instance) -> Void
        ) {
            self.firstPage = min(max(firstPage, EC2.leastPageSize), EC2.pageSize)
            self.take = take
            self.wantsMore = wantsMore
        }

        /// Passes an instance to the receiver.
        package func callAsFunction(_ instance: Instance) { take(instance) }

        /// Returns true if a further page is to be read.
        package func takesMore() -> Bool { wantsMore() }
    }

    /// The maximum number of instances on a page, and the minimum that EC2 accepts.
    package static let pageSize = 250
    static let leastPageSize = 5
    /// The maximum number of pages.
    package static let mostPages = 40

    /// The time for which a place that has rejected a new session is remembered.
    private static let rejectionLifetime = Duration.seconds(600)

    private let client: QueryClient
    private let sessions: RoleSessions
    /// The places that have rejected a new session, and the time: a renewal does not help there.
    private let rejecting = Locked<[Place: ContinuousClock.Instant]>([:])

    /// Creates a client of EC2.
    package init(_ client: QueryClient, _ sessions: RoleSessions) {
        self.client = client
        self.sessions = sessions
    }

    /// Passes each instance that has all of the properties to a receiver, while the answers are read. If a call is
    /// repeated, the receiver may get an instance twice.
    ///
    /// A session that AWS rejects is renewed once. Throws ``AWSError``, or `CancellationError` if the task is cancelled.
    package func describeInstances(
        _ filters: [Filter], in place: Place, until deadline: Deadline,
        _ receiver: Receiver
    ) async throws {
        var token: String?
        for _ in 0..<Self.mostPages {
            let next = try await page(filters, token, in: place, until: deadline, receiver)
            guard let next, !next.isEmpty, receiver.takesMore() else { return }
            guard next != token else { throw AWSError(.unexpectedAnswer, "EC2 repeats a page of its answer") }
            token = next
        }
        throw AWSError(
            .tooLarge, "EC2 has more than \(Self.mostPages) pages of instances for this query; please narrow it")
    }

    /// Creates the session of a place, or renews it if it expires soon, so that a later call does not wait for that.
    package func prepare(_ place: Place, until deadline: Deadline) async throws {
        _ = try await sessions.credentials(of: place.role, region: place.sessionRegion, until: deadline)
    }

    /// The reading of a page, which results in the token of the next page, or in nil for the last page.
    static func reading(_ receiver: Receiver) -> QueryClient.Reading<String?> {
        QueryClient.Reading(initial: nil) { next, element in
            switch element.name {
            case "item":
                for instance in element.child("instancesSet")?.children ?? [] {
                    guard let instance = Instance(instance) else {
                        throw AWSError(.unexpectedAnswer, "the answer of EC2 has an instance without an ID")
                    }
                    receiver(instance)
                }
            case "nextToken": next = element.text
            default: break
            }
        }
    }

    private func page(
        _ filters: [Filter], _ token: String?, in place: Place, until deadline: Deadline,
        _ receiver: Receiver
    ) async throws -> String? {
        let call = Self.call(filters, token, size: token == nil ? receiver.firstPage : Self.pageSize)
        let reading = Self.reading(receiver)
        let session = try await sessions.credentials(of: place.role, region: place.sessionRegion, until: deadline)
        do {
            let next = try await client.send(call, in: place.region, with: session, until: deadline, reading: reading)
            rejecting.withLock { $0[place] = nil }
            return next
        } catch let error as AWSError
            where isRejection(error) && (error.code == .expired || !hasRejectedNewSession(place))
        {
            await sessions.drop(session, of: place.role)
            let newer = try await sessions.credentials(of: place.role, region: place.sessionRegion, until: deadline)
            do {
                return try await client.send(call, in: place.region, with: newer, until: deadline, reading: reading)
            } catch let error as AWSError where isRejection(error) {
                rejecting.withLock { $0[place] = .now }
                throw error
            }
        }
    }

    private func isRejection(_ error: AWSError) -> Bool {
        [.expired, .signature, .unknownKey].contains(error.code)
    }

    /// Returns true if a place has lately rejected a new session, as a region does that is not enabled in the account.
    /// All regions of the account share the session, so that renewing it again would disturb their searches.
    private func hasRejectedNewSession(_ place: Place) -> Bool {
        rejecting.value[place].map { $0.duration(to: .now) < Self.rejectionLifetime } ?? false
    }

    private static func call(_ filters: [Filter], _ token: String?, size: Int) -> QueryCall {
        var parameters: [(name: String, value: String)] = [("MaxResults", "\(size)")]
        for (index, filter) in filters.enumerated() {
            parameters.append(("Filter.\(index + 1).Name", filter.name))
            for (place, value) in filter.values.enumerated() {
                parameters.append(("Filter.\(index + 1).Value.\(place + 1)", value))
            }
        }
        if let token { parameters.append(("NextToken", token)) }
        return QueryCall(
            service: "ec2", action: "DescribeInstances", version: "2016-11-15", parameters: parameters, level: 2)
    }
}
