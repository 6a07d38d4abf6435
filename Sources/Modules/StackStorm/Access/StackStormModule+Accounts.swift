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
        case .expired: throw Refusal("Your login to StackStorm has expired. \(how)")
        case .refused: throw Refusal("StackStorm has ended your login. \(how)")
        case nil: throw Refusal("You are not logged in to StackStorm. \(how)")
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
            // `st2session_start` and `st2 session_start` are easily taken for each other.
            let other = settings.prefix.isEmpty ? [] : ["\(settings.prefix) \(name)"]
            return Command(
                settings.commandName(name), usage: usage, summary: summary, isAdminOnly: isAdminOnly,
                isDirectOnly: isDirectOnly && isOn, needsStableIdentity: needsStable, takesNoArguments: usage.isEmpty,
                isListed: isOn, masking: masking,
                otherNames: other
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
        guard !word.contains(where: \.isNewline) else { throw Refusal("The word must be on one line.") }
        let address = Address(backend: owner.backend, place: .direct(person.id))
        let link = try logins.prepare(
            LoginRequest(
                key: loginKey(owner), person: "\(person.described) on \(owner.backend)", word: Secret(word),
                check: { [self] proof in await check(proof, of: owner, person, at: address) },
                happened: { [self] event, origin in
                    await note(event, from: origin, owner, person, invocation.prefix, at: address)
                }))
        let minutes = logins.lifetime.inWords
        return Reply(
            "Open this page within \(minutes) and give the word that you chose. It opens only once:\n"
                + "\(page.absoluteString)#\(link.reveal())", isPrivate: true, isConfidential: true)
    }

    private func note(
        _ event: LoginEvent, from origin: String, _ owner: Identity, _ person: Person, _ prefix: String,
        at address: Address
    ) async {
        let what =
            switch event {
            case .opened: "the login link was opened from \(origin)"
            case .openedAgain: "the login link was opened again, from \(origin)"
            case .wrongWord: "a wrong word on the login page, from \(origin)"
            case .refusedProof: "StackStorm did not accept what was entered on the login page, from \(origin)"
            case .withdrawn: "the login link was withdrawn after too many wrong tries, the last from \(origin)"
            }
        logger.notice("\(person.name) on \(owner.backend): \(what).")
        record(what, isAllowed: event == .opened, owner, person)
        switch event {
        case .opened, .wrongWord, .refusedProof: break
        case .openedAgain:
            await tell(
                "Somebody opened your login link a second time. It did not work, but whoever it was has seen the link. "
                    + "If you did not open it first, tell an administrator.", at: address)
        case .withdrawn:
            await tell(
                "Your login link was withdrawn after too many wrong tries. If that was not you, somebody has seen it: "
                    + "tell an administrator. \(loginHint(prefix))", at: address)
        }
    }

    private func record(_ what: String, isAllowed: Bool, _ owner: Identity, _ person: Person) {
        host.value?.audit.record(
            AuditEntry(
                backend: owner.backend, person: owner.id, name: person.name, room: nil,
                line: settings.commandName("session_start"), isAllowed: isAllowed, rule: nil, reason: what))
    }

    /// Asks StackStorm whose proof this is, and begins the session.
    private func check(
        _ proof: LoginProof, of owner: Identity, _ person: Person, at address: Address
    ) async -> LoginVerdict {
        guard let accounts = accounts.value else { return .undecided(starting) }
        let proven: ProvenAccount
        do {
            proven = try await client.prove(StackStormSettings.Login(proof))
        } catch let error as StackStormError where error.code == .unauthorized || error.code == .forbidden {
            return .refused("StackStorm does not accept this \(proof.method).")
        } catch let error as StackStormError where error.status == 404 {
            logger.error("StackStorm's login is not where auth_url and api_url say: \(error)")
            return .undecided("StackStorm is not where I look for it. An administrator has to look at the log.")
        } catch let error as StackStormError where error.status == 400 && proof.isPassword {
            logger.error("StackStorm makes no token for people: \(error). Look at user_token_ttl.")
            return .undecided("StackStorm makes no token of this length. An administrator has to look at the log.")
        } catch {
            logger.warning("A login could not be checked: \(error)")
            return .undecided("StackStorm cannot be reached at the moment. This page is still good: try again.")
        }
        return .accepted { [self] in await begin(proven, by: proof.method, owner, person, at: address, accounts) }
    }

    private func begin(
        _ proven: ProvenAccount, by method: String, _ owner: Identity, _ person: Person, at address: Address,
        _ accounts: Accounts
    ) async -> String {
        let since = now()
        let session = Session(
            id: UUID(), owner: owner, name: person.name, account: proven.user, method: method,
            credential: proven.credential, stackStorm: settings.place, since: since,
            until: min(since + TimeInterval(settings.sessionTTL), proven.expiry ?? .distantFuture))
        await accounts.begin(session)
        let lasts = Duration.seconds(session.until.timeIntervalSince(since)).inWords
        logger.info("\(person.name) on \(owner.backend) logged in to StackStorm as \(proven.user).")
        record("logged in to StackStorm as \(proven.user) by \(method)", isAllowed: true, owner, person)
        await tell("You are logged in to StackStorm as \(proven.user), for \(lasts).", at: address)
        return
            "Commands of \(person.described) on \(owner.backend) now run in StackStorm as \(proven.user), for \(lasts). "
            + "You can close this page."
    }

    private func tell(_ text: String, at address: Address) async {
        do {
            try await host.value?.say(Reply(text, style: .markdown, isPrivate: true), at: address)
        } catch {
            logger.error("Nobody could be told about a login: \(error)")
        }
    }

    private func loginKey(_ owner: Identity) -> String { "\(name)/\(owner.key)" }

    private func endLogin(_ invocation: Invocation, _ accounts: Accounts) async throws -> Reply {
        let owner = Identity(invocation)
        let wasWaiting = logins?.withdraw(loginKey(owner)) ?? false
        if try await accounts.endAll(of: owner) {
            return Reply("You are logged out of StackStorm.", isPrivate: true)
        }
        let text = wasWaiting ? "The login link that you asked for is withdrawn." : "You are not logged in."
        return Reply(text, isPrivate: true)
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
        let found = await accounts.all().filter { session in
            session.id.uuidString.lowercased() == wanted || session.name.lowercased() == wanted
                || (wanted.count >= 6 && session.id.uuidString.lowercased().hasPrefix(wanted))
        }
        guard let session = found.first, found.count == 1 else {
            let problem = found.isEmpty ? "There is no login" : "More than one login is"
            throw Refusal("\(problem) “\(wanted.prefix(40))”. \(list)")
        }
        logins?.withdraw(loginKey(session.owner))
        try await accounts.endAll(of: session.owner)
        await tell(
            "An administrator ended your login to StackStorm. \(loginHint(invocation.prefix))",
            at: Address(backend: session.owner.backend, place: .direct(session.owner.id)))
        return Reply("The login of \(session.name) as \(session.account) is ended.", isPrivate: true)
    }
}

extension Person {
    /// The name, and the id where that says more: names can be taken over.
    fileprivate var described: String { id == name ? name : "\(name) (\(id))" }
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
