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

    /// The number of instances on a page.
    static let pageSize = 500
    /// The maximum number of pages.
    package static let mostPages = 20

    private let client: QueryClient
    private let sessions: RoleSessions

    /// Creates a client of EC2.
    package init(_ client: QueryClient, _ sessions: RoleSessions) {
        self.client = client
        self.sessions = sessions
    }

    /// Calls a closure for each instance that has all of the properties, while the answers are read. If a call is
    /// repeated, the closure may be called twice for an instance.
    ///
    /// A session that AWS rejects is renewed once. Throws ``AWSError``, or `CancellationError` if the task is cancelled.
    package func describeInstances(
        _ filters: [Filter], in place: Place, until deadline: Deadline,
        _ body: @escaping @Sendable (Instance) -> Void
    ) async throws {
        var token: String?
        for _ in 0..<Self.mostPages {
            let next = try await page(filters, token, in: place, until: deadline, body)
            guard let next, !next.isEmpty else { return }
            token = next
        }
        throw AWSError(
            .tooLarge, "EC2 has more than \(Self.mostPages) pages of instances for this query; please narrow it")
    }

    /// Creates the session of a place, or renews it if it expires soon, so that a later call does not wait for that.
    package func prepare(_ place: Place, until deadline: Deadline) async throws {
        _ = try await sessions.credentials(of: place.role, region: place.sessionRegion, until: deadline)
    }

    /// The reading of a page, which results in the token of the next page; nil if it is the last one.
    static func reading(_ body: @escaping @Sendable (Instance) -> Void) -> QueryClient.Reading<String?> {
        QueryClient.Reading(initial: nil) { next, element in
            switch element.name {
            case "item":
                for instance in element.child("instancesSet")?.children ?? [] {
                    guard let instance = Instance(instance) else {
                        throw AWSError(.unexpectedAnswer, "the answer of EC2 has an instance without an ID")
                    }
                    body(instance)
                }
            case "nextToken": next = element.text
            default: break
            }
        }
    }

    private func page(
        _ filters: [Filter], _ token: String?, in place: Place, until deadline: Deadline,
        _ body: @escaping @Sendable (Instance) -> Void
    ) async throws -> String? {
        let call = Self.call(filters, token)
        let reading = Self.reading(body)
        let session = try await sessions.credentials(of: place.role, region: place.sessionRegion, until: deadline)
        do {
            return try await client.send(call, in: place.region, with: session, until: deadline, reading: reading)
        } catch let error as AWSError where [.expired, .signature, .unknownKey].contains(error.code) {
            await sessions.drop(session, of: place.role)
            let newer = try await sessions.credentials(of: place.role, region: place.sessionRegion, until: deadline)
            return try await client.send(call, in: place.region, with: newer, until: deadline, reading: reading)
        }
    }

    private static func call(_ filters: [Filter], _ token: String?) -> QueryCall {
        var parameters: [(name: String, value: String)] = [("MaxResults", "\(pageSize)")]
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
