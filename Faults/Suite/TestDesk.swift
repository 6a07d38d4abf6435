import PetrelKit
package import PetrelSupport
package import StackStormModule

/// A login desk without a page: a test enters the values that a user would enter on the page.
package final class TestDesk: LoginDesk {
    package let requests = Locked<[LoginRequest]>([])
    package let lifetime = Duration.seconds(600)

    package init() {}

    package func prepare(_ request: LoginRequest) throws -> Secret {
        Secret(
            requests.withLock { requests in
                requests.append(request)
                return "link-\(requests.count)"
            })
    }

    package func withdraw(_ key: String) -> Bool { false }

    /// Checks a proof for the last request and, unless `isWithdrawn`, confirms or declines the login as the page does.
    /// Throws if no login was requested.
    /// - Parameter agrees: The user's answer to the confirmation.
    @discardableResult
    package func enter(_ proof: LoginProof, isWithdrawn: Bool = false, agrees: Bool = true) async throws -> LoginVerdict
    {
        guard let request = requests.value.last else { throw Refusal("No login was requested.") }
        let verdict = await request.check(proof)
        guard case .proven(let login) = verdict, !isWithdrawn else { return verdict }
        if agrees { _ = await login.begin("192.0.2.1") } else { await login.decline("192.0.2.1") }
        return verdict
    }
}
