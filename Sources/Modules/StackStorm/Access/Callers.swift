import Foundation
import Logging
import PetrelKit
import PetrelSupport
import StackStormClient

/// The account with whose permissions a command runs.
struct Caller: Sendable {
    /// The session of the user, or nil if the command runs with the bot's account.
    var session: Session?
}

/// Determines the StackStorm account of a user, and makes calls with it.
struct Callers: Sendable {
    let accounts: Accounts
    private let tokens: ImpersonatedTokens
    private let client: StackStormClient
    private let settings: StackStormModuleSettings
    private let host: ModuleHost
    /// Opened when the logins of the last run are loaded. Until then it is not known whether a user is logged in.
    private let restored = Signal()

    init(
        _ client: StackStormClient, _ settings: StackStormModuleSettings, _ host: ModuleHost,
        now: @escaping @Sendable () -> Date
    ) {
        self.client = client
        self.settings = settings
        self.host = host
        let isKept = settings.secretsStore == .encrypted
        func credentials(_ collection: String, areKept: Bool) -> any RecordCollection {
            areKept ? host.storage.sealed(collection) : MemoryRecords()
        }
        accounts = Accounts(
            credentials("sessions", areKept: isKept),
            links: isKept ? host.storage.records("account_links") : MemoryRecords(), logger: host.logger, now: now)
        tokens = ImpersonatedTokens(
            client, credentials("impersonations", areKept: isKept && settings.impersonation != nil),
            for: settings.place, logger: host.logger, now: now)
    }

    /// Loads the logins of the last run.
    func restore() async {
        defer { restored.open() }
        let isKept = settings.secretsStore == .encrypted
        if !isKept { await clear("sessions") }
        if !isKept || settings.impersonation == nil { await clear("impersonations") }
        await accounts.restore(for: settings.place)
        await tokens.restore()
    }

    /// Removes the credentials that an earlier configuration stored.
    private func clear(_ collection: String) async {
        do {
            try await host.storage.sealed(collection).replaceAll(with: [])
        } catch is CancellationError {
            return
        } catch {
            host.logger.error("Cannot remove the stored logins of an earlier configuration: \(error)")
        }
    }

    /// Returns the account of the user. Throws ``Refusal`` with instructions if the user is not logged in.
    func caller(_ invocation: Invocation) async throws -> Caller {
        guard settings.access != .standalone else { return Caller() }
        await restored.wait()
        guard invocation.message.sender.isStable else {
            throw Refusal(
                "Your name here is not bound to an account, so your StackStorm permissions are not known. "
                    + "Write to the bot in a direct chat from your own account.")
        }
        let owner = Identity(invocation)
        if let session = await accounts.session(of: owner) { return Caller(session: session) }
        let end = await accounts.lastEnd(of: owner)
        if let impersonation = settings.impersonation {
            guard end == nil else { throw Refusal(fallenBack(invocation)) }
            return Caller(session: try await impersonated(owner, impersonation, invocation))
        }
        let how = loginHint(invocation.prefix)
        switch end {
        case .expired: throw Refusal("Your login to StackStorm has expired. \(how)")
        case .refused: throw Refusal("StackStorm has ended your login. \(how)")
        case nil: throw Refusal("You are not logged in to StackStorm. \(how)")
        }
    }

    /// Returns the reply after a login has ended: a command that was meant for one account must not run with another.
    private func fallenBack(_ invocation: Invocation) -> String {
        "Your login to StackStorm has ended, and nothing was started. From now on, your commands run as the "
            + "StackStorm user that is assigned to your chat account; repeat the command if that is intended. "
            + loginHint(invocation.prefix)
    }

    /// Returns a session with the token that StackStorm issues to the bot's account for a user. Throws ``Refusal`` if
    /// no StackStorm user is assigned to the user.
    private func impersonated(
        _ owner: Identity, _ impersonation: Impersonation, _ invocation: Invocation, refused: Session? = nil
    ) async throws -> Session {
        let id = Printable.name(owner.id)
        let orLogIn = settings.loginPage == nil ? "" : " \(loginHint(invocation.prefix))"
        guard let person = impersonation.person(owner) else {
            throw Refusal(
                "No StackStorm user is assigned to you, and nothing was started: \(owner.backend)/\(id) is not in "
                    + "rbac_auth.impersonate.users. An administrator can add it.\(orLogIn)")
        }
        do {
            return try await tokens.session(
                of: owner, called: invocation.message.sender.name, as: person, refused: refused)
        } catch let error as StackStormError where error.code == .notFound {
            throw Refusal(
                "StackStorm has no user with your nickname, and nothing was started. Its administrator can give your user "
                    + "the nickname \(id) of \(owner.backend).\(orLogIn)")
        }
    }

    /// Makes a call with the permissions of the user. A login that StackStorm no longer accepts is ended.
    func call<Value>(_ endpoint: Endpoint<Value>, as caller: Caller, _ invocation: Invocation) async throws -> Value {
        try await with(caller, invocation) { try await self.client.call(endpoint, as: $0) }
    }

    /// Runs an operation with the credential of the user, as ``call(_:as:_:)`` does.
    func with<Value: Sendable>(
        _ caller: Caller, _ invocation: Invocation, _ work: (Credential?) async throws -> Value
    ) async throws -> Value {
        do {
            return try await work(caller.session?.credential)
        } catch let error as StackStormError where error.code == .unauthorized {
            guard let session = caller.session else { throw error }
            if session.isImpersonated, let impersonation = settings.impersonation {
                // The token was revoked. StackStorm has not executed a call that it answers with 401.
                let fresh = try await impersonated(session.owner, impersonation, invocation, refused: session)
                return try await work(fresh.credential)
            }
            await accounts.end(session, because: .refused)
            // The refusal below tells the user, so the next command must not do it again.
            _ = await accounts.lastEnd(of: session.owner)
            host.logger.notice("StackStorm no longer accepts the login of \(session.account); it was ended.")
            guard settings.impersonation == nil else { throw Refusal(fallenBack(invocation)) }
            throw Refusal(
                "StackStorm no longer accepts your login: it expired or was revoked. Nothing was started. "
                    + loginHint(invocation.prefix))
        }
    }

    func loginHint(_ prefix: String) -> String {
        "Write `\(prefix)\(settings.commandName("session_start")) WORD` to the bot in a direct chat to log in, with a "
            + "word of your choice of at least \(LoginRequest.shortestWord) characters."
    }
}
