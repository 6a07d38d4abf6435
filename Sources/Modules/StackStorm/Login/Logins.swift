import Foundation
import Logging
import PetrelKit
import PetrelSupport
import StackStormClient

/// The user who has requested a login.
struct LoginAsker: Sendable {
    var owner: Identity
    var person: Person
    /// The prefix of commands in the conversation of the request.
    var prefix: String

    /// The address for notifications about the login.
    var address: Address { Address(backend: owner.backend, place: .direct(owner.id)) }
    /// The user for display, such as `@alice (U1) on slack`.
    var described: String { "\(person.described) on \(owner.backend)" }
}

/// The login commands, and the handling of the events of login links.
final class Logins: Sendable {
    let desk: (any LoginDesk)?
    let accounts: Accounts
    let settings: StackStormModuleSettings
    let hint: @Sendable (_ prefix: String) -> String
    private let client: StackStormClient
    private let host: ModuleHost
    private let now: @Sendable () -> Date

    /// - Parameters:
    ///   - desk: The registry of one-time logins, or nil if users do not log in.
    ///   - now: A function that returns the current time, for the expiry of sessions.
    init(
        _ desk: (any LoginDesk)?, _ callers: Callers, _ client: StackStormClient,
        _ settings: StackStormModuleSettings, _ host: ModuleHost, now: @escaping @Sendable () -> Date
    ) {
        self.desk = desk
        self.client = client
        self.settings = settings
        self.host = host
        self.now = now
        accounts = callers.accounts
        hint = { callers.loginHint($0) }
    }

    /// Writes an event of a login link to the log and the audit log, and notifies its owner if necessary.
    func note(_ event: LoginEvent, from origin: String, _ asker: LoginAsker) async {
        let what =
            switch event {
            case .opened: "the login link was opened from \(origin)"
            case .openedAgain: "the login link was opened again, from \(origin)"
            case .wrongWord: "a wrong word was entered on the login page, from \(origin)"
            case .refusedProof: "StackStorm rejected the credential from the login page, from \(origin)"
            case .withdrawn: "the login link was withdrawn after too many failed attempts, the last from \(origin)"
            }
        host.logger.notice("\(asker.person.name) on \(asker.owner.backend): \(what).")
        record(what, isAllowed: event == .opened, asker)
        switch event {
        case .opened, .wrongWord, .refusedProof: break
        case .openedAgain:
            await tell(
                "Your login link was opened a second time. That had no effect, but another person may have seen the link. "
                    + "If you did not open it first, tell an administrator.", at: asker.address)
        case .withdrawn:
            await tell(
                "Your login link was withdrawn after too many failed attempts. If that was not you, another person has seen the "
                    + "link: tell an administrator. \(hint(asker.prefix))", at: asker.address)
        }
    }

    private func record(_ what: String, isAllowed: Bool, _ asker: LoginAsker) {
        host.audit.record(
            AuditEntry(
                backend: asker.owner.backend, person: asker.owner.id, name: asker.person.name, room: nil,
                line: settings.commandName("session_start"), isAllowed: isAllowed, rule: nil, reason: what))
    }

    /// Verifies a credential with StackStorm. The login begins only after it was confirmed on the page.
    func check(_ proof: LoginProof, of asker: LoginAsker) async -> LoginVerdict {
        let proven: ProvenAccount
        do {
            proven = try await client.prove(StackStormSettings.Login(proof))
        } catch let error as StackStormError where error.code == .unauthorized || error.code == .forbidden {
            return .refused("StackStorm does not accept this \(proof.method).")
        } catch let error as StackStormError where error.status == 404 {
            host.logger.error("StackStorm's authentication API was not found; check auth_url and api_url: \(error)")
            return .undecided("StackStorm was not found at its configured URL. An administrator has to check the log.")
        } catch let error as StackStormError where error.status == 400 && proof.isPassword {
            host.logger.error("StackStorm does not issue tokens for users: \(error). Check user_token_ttl.")
            return .undecided(
                "StackStorm does not issue tokens with the configured lifetime. An administrator has to check the log.")
        } catch is CancellationError {
            return .undecided("The verification was interrupted. Try again, or request a new link in chat.")
        } catch {
            host.logger.warning("Cannot verify a login: \(error)")
            return .undecided("StackStorm cannot be reached at the moment. This page is still valid: try again.")
        }
        let (since, method) = (now(), proof.method)
        return .proven(
            ProvenLogin(
                account: proven.user,
                begin: { [self] in await begin(proven, by: method, since, asker, from: $0) },
                decline: { [self] in await decline(proven.user, asker, from: $0) }))
    }

    private func begin(
        _ proven: ProvenAccount, by method: String, _ since: Date, _ asker: LoginAsker, from origin: String
    ) async -> String {
        let session = Session(
            id: UUID(), owner: asker.owner, name: asker.person.name, account: proven.user, method: method,
            credential: proven.credential, stackStorm: settings.place, since: since,
            until: min(since + TimeInterval(settings.sessionTTL), proven.expiry ?? .distantFuture))
        guard await accounts.begin(session) else {
            return "This login was withdrawn in chat in the meantime and did not begin."
        }
        let lasts = Duration.seconds(session.until.timeIntervalSince(since)).inWords
        host.logger.info("\(asker.person.name) on \(asker.owner.backend) logged in to StackStorm as \(proven.user).")
        record("logged in to StackStorm as \(proven.user) by \(method), from \(origin)", isAllowed: true, asker)
        await tell(
            "You are logged in to StackStorm as \(Markdown.escaped(proven.user)), for \(lasts). The login was confirmed from \(origin). If "
                + "that was not you, write `\(asker.prefix)\(settings.commandName("session_end"))`.", at: asker.address)
        for other in await accounts.link(session) { await tell(other, of: session, asker, from: origin, lasts) }
        return "Commands of \(asker.described) now run in StackStorm as \(proven.user), for \(lasts). "
            + "You can close this page."
    }

    /// Notifies a user who uses, or has used, the same StackStorm account.
    private func tell(
        _ other: Accounts.Link, of session: Session, _ asker: LoginAsker, from origin: String, _ lasts: String
    ) async {
        let cancel =
            "\(asker.prefix)\(settings.commandName("session_cancel")) \(session.id.uuidString.lowercased().prefix(8))"
        await tell(
            "\(Markdown.escaped(asker.described)) is now logged in to StackStorm as \(Markdown.escaped(session.account)), the account that you "
                + "have used here, for \(lasts). The login was confirmed from \(origin). If you do not know about it, tell "
                + "an administrator at once: `\(cancel)` ends it. Then change your StackStorm password.",
            at: Address(backend: other.owner.backend, place: .direct(other.owner.id)))
    }

    private func decline(_ account: String, _ asker: LoginAsker, from origin: String) async {
        host.logger.notice(
            "\(asker.person.name) on \(asker.owner.backend): the login as \(account) was declined, from \(origin).")
        record(
            "the login to StackStorm as \(account) was declined on its page, from \(origin)", isAllowed: false, asker)
        await tell(
            "The login that you requested was cancelled on its page, from \(origin). A login link is only for your own use. "
                + hint(asker.prefix), at: asker.address)
    }

    func tell(_ text: String, at address: Address) async {
        do {
            try host.chat.say(Reply(text, style: .markdown, isPrivate: true), at: address)
        } catch {
            host.logger.error("Cannot send a notification about a login: \(error)")
        }
    }
}

extension Person {
    /// The name for display, with the ID if it differs, because another user can take a name.
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
