import Foundation
import Logging
import PetrelKit
import StackStormClient

extension StackStormModule {
    /// Whose rights a command runs with.
    struct Caller: Sendable {
        /// Nil where everything runs as the bot.
        var session: Session?
    }

    /// Whoever asks, as StackStorm knows them. Throws ``Refusal`` with what to do where they are not logged in.
    func caller(_ invocation: Invocation) async throws -> Caller {
        guard settings.access != .standalone else { return Caller() }
        guard let accounts = accounts.value else { throw Refusal(starting) }
        guard invocation.message.sender.isStable else {
            throw Refusal(
                "Your name here is not bound to an account, so I cannot know whose StackStorm rights you have. "
                    + "Write to me in a direct chat of your own account.")
        }
        let owner = Identity(invocation)
        if let session = await accounts.session(of: owner) { return Caller(session: session) }
        let how = loginHint(invocation.prefix)
        switch await accounts.lastEnd(of: owner) {
        case .expired: throw Refusal("Your login to StackStorm has expired, so nothing was started. \(how)")
        case .refused: throw Refusal("StackStorm has ended your login, so nothing was started. \(how)")
        case nil: throw Refusal("You are not logged in to StackStorm, so nothing was started. \(how)")
        }
    }

    /// Makes one call with the rights of whoever asked. A login that StackStorm no longer accepts ends here.
    func call<Value>(_ endpoint: Endpoint<Value>, as caller: Caller, _ invocation: Invocation) async throws -> Value {
        try await with(caller, invocation) { try await self.client.call(endpoint, as: $0) }
    }

    func with<Value: Sendable>(
        _ caller: Caller, _ invocation: Invocation, _ work: (Credential?) async throws -> Value
    ) async throws -> Value {
        do {
            return try await work(caller.session?.credential)
        } catch let error as StackStormError where error.code == .unauthorized {
            guard let session = caller.session, let accounts = accounts.value else { throw error }
            await accounts.end(session, because: .refused)
            // Told here and now: what was kept to be told later is not needed.
            _ = await accounts.lastEnd(of: session.owner)
            logger.notice("StackStorm no longer accepts the login of \(session.account); it was ended.")
            throw Refusal(
                "StackStorm no longer accepts your login: it expired or was revoked. Nothing was started. "
                    + loginHint(invocation.prefix))
        }
    }

    private func loginHint(_ prefix: String) -> String {
        "Write `\(prefix)\(settings.commandName("session_start")) WORD`, with a word of your choice, to me in a direct "
            + "chat to log in."
    }
}

extension StackStormModule {
    /// The commands about logins. Without logins they say so.
    var accountCommands: [Command] {
        let isOn = settings.access != .standalone
        func command(
            _ name: String, _ usage: String, _ summary: String, isAdminOnly: Bool = false, isDirectOnly: Bool = false,
            needsStable: Bool = false, masking: (@Sendable (String) -> String)? = nil,
            _ handler: @escaping @Sendable (Invocation, Accounts) async throws -> Reply?
        ) -> Command {
            Command(
                settings.commandName(name), usage: usage, summary: summary, isAdminOnly: isAdminOnly,
                isDirectOnly: isDirectOnly, needsStableIdentity: needsStable, isListed: isOn, masking: masking
            ) { [self] invocation in
                guard isOn else {
                    throw Refusal(
                        "Everybody here acts as the bot's own StackStorm account: there is nothing to log in to.")
                }
                guard let accounts = accounts.value else { throw Refusal(starting) }
                return try await handler(invocation, accounts)
            }
        }
        return [
            command(
                "session_start", "WORD", "Log in to StackStorm as yourself.", isDirectOnly: true, needsStable: true,
                masking: { $0.isEmpty ? "" : "•••" }
            ) { [self] invocation, _ in try startLogin(invocation) },
            command("session_end", "", "Log out of StackStorm.") { [self] invocation, accounts in
                try await endLogin(invocation, accounts)
            },
            command("session_list", "", "Who is logged in to StackStorm.", isAdminOnly: true) { [self] _, accounts in
                await listLogins(accounts)
            },
            command("session_cancel", "ID", "End somebody's login to StackStorm.", isAdminOnly: true) {
                [self] invocation, accounts in
                try await cancelLogin(invocation, accounts)
            },
        ]
    }

    private func startLogin(_ invocation: Invocation) throws -> Reply {
        guard case .clientside(let page) = settings.access, let logins else { throw Refusal(starting) }
        let word = invocation.arguments
        guard !word.isEmpty else {
            throw Refusal(
                "Write `\(invocation.prefix)\(invocation.command) WORD` with a word of your choice: the login page will "
                    + "ask you for it.")
        }
        guard word.utf8.count <= 256 else { throw Refusal("That word is too long; 256 bytes are the most.") }
        let owner = Identity(invocation)
        let person = invocation.message.sender
        let address = Address(backend: owner.backend, place: .direct(person.id))
        let link = try logins.prepare(
            LoginRequest(
                key: "\(name)/\(owner.key)", person: "\(person.name) on \(owner.backend)", word: Secret(word),
                check: { [self] proof in await check(proof, of: owner, person.name, at: address) },
                withdrawn: { [self] in
                    await tell(
                        "Your login link was withdrawn after too many wrong tries. If that was not you, somebody has "
                            + "seen it: tell an administrator. \(loginHint(invocation.prefix))", at: address)
                }))
        let minutes = logins.lifetime.inWords
        return Reply(
            "Open this page within \(minutes) and give the word that you chose. It opens only once:\n"
                + "\(page.absoluteString)#\(link.reveal())", isPrivate: true, isConfidential: true)
    }

    /// Asks StackStorm whose proof this is, and begins the session.
    private func check(
        _ proof: LoginProof, of owner: Identity, _ name: String, at address: Address
    ) async -> LoginVerdict {
        guard let accounts = accounts.value else { return .undecided(starting) }
        let proven: ProvenAccount
        do {
            proven = try await client.prove(StackStormSettings.Login(proof))
        } catch let error as StackStormError where error.code == .unauthorized || error.code == .forbidden {
            return .refused("StackStorm does not accept this \(proof.method).")
        } catch let error as StackStormError where error.code == .refused && proof.isPassword {
            logger.error("StackStorm makes no token for people: \(error). Look at user_token_ttl.")
            return .undecided("StackStorm makes no token of this length. An administrator has to look at the log.")
        } catch {
            logger.warning("A login could not be checked: \(error)")
            return .undecided("StackStorm cannot be reached at the moment. This page is still good: try again.")
        }
        let since = now()
        let session = Session(
            id: UUID(), owner: owner, name: name, account: proven.user, method: proof.method,
            credential: proven.credential, since: since,
            until: min(since + TimeInterval(settings.sessionTTL), proven.expiry ?? .distantFuture))
        await accounts.begin(session)
        let lasts = Duration.seconds(session.until.timeIntervalSince(since)).inWords
        logger.info("\(name) on \(owner.backend) logged in to StackStorm as \(proven.user).")
        await tell("You are logged in to StackStorm as \(proven.user), for \(lasts).", at: address)
        return .accepted("You are logged in to StackStorm as \(proven.user), for \(lasts). You can close this page.")
    }

    private func tell(_ text: String, at address: Address) async {
        do {
            try await host.value?.say(Reply(text, style: .markdown, isPrivate: true), at: address)
        } catch {
            logger.error("Nobody could be told about a login: \(error)")
        }
    }

    private func endLogin(_ invocation: Invocation, _ accounts: Accounts) async throws -> Reply {
        let owner = Identity(invocation)
        let wasWaiting = logins?.withdraw("\(name)/\(owner.key)") ?? false
        guard let session = await accounts.session(of: owner) else {
            let text = wasWaiting ? "The login link that you asked for is withdrawn." : "You are not logged in."
            return Reply(text, isPrivate: true)
        }
        try await accounts.end(session)
        return Reply("You are logged out of StackStorm.", isPrivate: true)
    }

    private func listLogins(_ accounts: Accounts) async -> Reply {
        let lines = await accounts.all().map { session in
            "\(session.id.uuidString.lowercased())  \(session.name) (\(session.owner.id)) on \(session.owner.backend) as "
                + "\(session.account) by \(session.method), \(session.since.formatted(.iso8601)) to "
                + session.until.formatted(.iso8601)
        }
        return Reply(lines.isEmpty ? "Nobody is logged in." : lines.joined(separator: "\n"), isPrivate: true)
    }

    private func cancelLogin(_ invocation: Invocation, _ accounts: Accounts) async throws -> Reply {
        let wanted = invocation.arguments.lowercased()
        let list = "`\(invocation.prefix)\(settings.commandName("session_list"))` lists them."
        guard !wanted.isEmpty else { throw Refusal("Which login? \(list)") }
        guard let session = await accounts.all().first(where: { $0.id.uuidString.lowercased() == wanted }) else {
            throw Refusal("There is no login “\(wanted.prefix(40))”. \(list)")
        }
        try await accounts.end(session)
        await tell(
            "An administrator ended your login to StackStorm. \(loginHint(invocation.prefix))",
            at: Address(backend: session.owner.backend, place: .direct(session.owner.id)))
        return Reply("The login of \(session.name) as \(session.account) is ended.", isPrivate: true)
    }
}

extension LoginProof {
    fileprivate var isPassword: Bool { if case .password = self { true } else { false } }

    fileprivate var method: String {
        switch self {
        case .password: "user name and password"
        case .token: "token"
        case .apiKey: "API key"
        }
    }
}

extension StackStormSettings.Login {
    fileprivate init(_ proof: LoginProof) {
        switch proof {
        case .password(let name, let password): self = .password(name: name, password: password)
        case .token(let token): self = .token(token)
        case .apiKey(let key): self = .apiKey(key)
        }
    }
}
