public import PetrelKit

/// The desk without its page: a test says what somebody would enter there.
public final class TestDesk: LoginDesk {
    public let requests = Locked<[LoginRequest]>([])
    public let lifetime = Duration.seconds(600)

    public init() {}

    public func prepare(_ request: LoginRequest) throws -> Secret {
        Secret(
            requests.withLock { requests in
                requests.append(request)
                return "link-\(requests.count)"
            })
    }

    public func withdraw(_ key: String) -> Bool { false }

    /// What the page does with a good proof, unless `isWithdrawn`. Throws where nobody has asked for a link.
    @discardableResult
    public func enter(_ proof: LoginProof, isWithdrawn: Bool = false) async throws -> LoginVerdict {
        guard let request = requests.value.last else { throw Refusal("Nobody has asked for a login.") }
        let verdict = await request.check(proof)
        if case .accepted(let begin) = verdict, !isWithdrawn { _ = await begin() }
        return verdict
    }
}
