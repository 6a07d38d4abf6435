import Foundation
import Logging
import PetrelKit
import StackStormClient

extension StackStormModule {
    func note(
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
    func check(
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
        let since = now()
        return .accepted { [self] in await begin(proven, by: proof.method, since, owner, person, at: address, accounts)
        }
    }

    private func begin(
        _ proven: ProvenAccount, by method: String, _ since: Date, _ owner: Identity, _ person: Person,
        at address: Address,
        _ accounts: Accounts
    ) async -> String {
        let session = Session(
            id: UUID(), owner: owner, name: person.name, account: proven.user, method: method,
            credential: proven.credential, stackStorm: settings.place, since: since,
            until: min(since + TimeInterval(settings.sessionTTL), proven.expiry ?? .distantFuture))
        guard await accounts.begin(session) else {
            return "This login was withdrawn in chat meanwhile, and did not begin."
        }
        let lasts = Duration.seconds(session.until.timeIntervalSince(since)).inWords
        logger.info("\(person.name) on \(owner.backend) logged in to StackStorm as \(proven.user).")
        record("logged in to StackStorm as \(proven.user) by \(method)", isAllowed: true, owner, person)
        await tell("You are logged in to StackStorm as \(Markdown.escaped(proven.user)), for \(lasts).", at: address)
        return
            "Commands of \(person.described) on \(owner.backend) now run in StackStorm as \(proven.user), for \(lasts). "
            + "You can close this page."
    }

    func tell(_ text: String, at address: Address) async {
        do {
            try host.value?.say(Reply(text, style: .markdown, isPrivate: true), at: address)
        } catch {
            logger.error("Nobody could be told about a login: \(error)")
        }
    }
}

extension Person {
    /// The name, and the id where that says more: names can be taken over.
    var described: String { id == name ? name : "\(name) (\(id))" }
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
