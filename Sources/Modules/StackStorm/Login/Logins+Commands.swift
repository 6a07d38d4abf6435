import Foundation
import PetrelKit
import PetrelSupport

extension Logins {
    /// The login commands. If users do not log in, each of them replies so.
    var commands: [Command] {
        let isOn = settings.loginPage != nil
        func command(
            _ name: String, _ usage: String, _ summary: String, isAdminOnly: Bool = false, isDirectOnly: Bool = false,
            needsStable: Bool = false, masking: (@Sendable (String) -> String)? = nil,
            _ handler: @escaping Command.Handler
        ) -> Command {
            // `st2session_start` and `st2 session_start` are easily confused.
            let other = [settings.prefix.isEmpty ? name : "\(settings.prefix) \(name)"]
            return Command(
                settings.commandName(name), usage: usage, summary: summary, isAdminOnly: isAdminOnly,
                isDirectOnly: isDirectOnly && isOn, needsStableIdentity: needsStable, takesNoArguments: usage.isEmpty,
                isListed: isOn, masking: masking,
                otherNames: other
            ) { [settings] invocation in
                guard isOn else {
                    let account = settings.impersonation == nil ? "the bot's" : "their own"
                    throw Refusal("All users here use \(account) StackStorm account: no login is necessary.")
                }
                return try await handler(invocation)
            }
        }
        return [
            command(
                "session_start", "WORD", "Log in to StackStorm as yourself.", isDirectOnly: true, needsStable: true,
                masking: { $0.isEmpty ? "" : "•••" }
            ) { [self] in try startLogin($0) },
            command("session_end", "", "Log out of StackStorm.") { [self] in
                try await endLogin($0)
            },
            command("session_list", "", "List the logins to StackStorm.", isAdminOnly: true) { [self] _ in
                await listLogins()
            },
            command("session_cancel", "ID", "End a user's login to StackStorm.", isAdminOnly: true) {
                [self] in
                try await cancelLogin($0)
            },
        ]
    }

    private func startLogin(_ invocation: Invocation) throws -> Reply {
        guard let page = settings.loginPage, let desk else { throw Refusal("There is no login page.") }
        let word = try word(invocation)
        let asker = LoginAsker(
            owner: Identity(invocation), person: invocation.message.sender, prefix: invocation.prefix)
        let link = try desk.prepare(
            LoginRequest(
                key: loginKey(asker.owner), person: asker.described, word: word,
                check: { [self] proof in await check(proof, of: asker) },
                happened: { [self] event, origin in await note(event, from: origin, asker) }))
        let minutes = desk.lifetime.inWords
        return Reply(
            "Open this page within \(minutes) and enter the word that you chose. The link opens only once and is for you "
                + "alone: do not pass it on.\n\(page.absoluteString)#\(link.reveal())", isPrivate: true,
            isConfidential: true)
    }

    /// Returns the word that the user chose. Throws ``Refusal`` if it is missing or unsuitable.
    private func word(_ invocation: Invocation) throws -> Secret {
        let word = invocation.arguments
        let least = LoginRequest.shortestWord
        guard !word.isEmpty else {
            throw Refusal(
                "Write `\(invocation.prefix)\(invocation.command) WORD` with a word of at least \(least) characters of "
                    + "your choice: the login page will ask you for it.")
        }
        guard word.utf8.count <= 256 else { throw Refusal("That word is too long; the maximum is 256 bytes.") }
        guard !word.unicodeScalars.contains(where: CharacterSet.newlines.contains) else {
            throw Refusal("The word must be on one line.")
        }
        guard LoginRequest.plain(word).reveal().unicodeScalars.count >= least else {
            throw Refusal("That word is too short: it needs at least \(least) characters. Choose another one.")
        }
        return Secret(word)
    }

    private func loginKey(_ owner: Identity) -> String { "\(settings.name)/\(owner.key)" }

    private func endLogin(_ invocation: Invocation) async throws -> Reply {
        let owner = Identity(invocation)
        let wasWaiting = desk?.withdraw(loginKey(owner)) ?? false
        if try await accounts.endAll(of: owner) {
            return Reply("You are logged out of StackStorm.\(afterLogin)", isPrivate: true)
        }
        let text = wasWaiting ? "The login link that you requested was withdrawn." : "You are not logged in."
        return Reply(text, isPrivate: true)
    }

    /// A sentence about the account with which commands run after a login, or an empty string if they do not.
    private var afterLogin: String {
        settings.impersonation == nil
            ? "" : " Your commands now run as the StackStorm user that is assigned to your chat account."
    }

    private func listLogins() async -> Reply {
        let lines = await accounts.all().map { session in
            "\(session.id.uuidString.lowercased())  \(session.name) (\(session.owner.id)) on \(session.owner.backend) as "
                + "\(session.account) by \(session.method), \(session.since.formatted(.iso8601)) to "
                + session.until.formatted(.iso8601)
        }
        return Reply(lines.isEmpty ? "No user is logged in." : lines.joined(separator: "\n"), isPrivate: true)
    }

    private func cancelLogin(_ invocation: Invocation) async throws -> Reply {
        let wanted = invocation.arguments.lowercased()
        let list = "`\(invocation.prefix)\(settings.commandName("session_list"))` lists them."
        guard !wanted.isEmpty else { throw Refusal("A login ID is missing. \(list)") }
        let found = await accounts.all().filter { session in
            session.id.uuidString.lowercased() == wanted || session.name.lowercased() == wanted
                || (wanted.count >= 6 && session.id.uuidString.lowercased().hasPrefix(wanted))
        }
        guard let session = found.first, found.count == 1 else {
            let problem = found.isEmpty ? "There is no login" : "More than one login matches"
            throw Refusal("\(problem) “\(wanted.prefix(40))”. \(list)")
        }
        desk?.withdraw(loginKey(session.owner))
        try await accounts.endAll(of: session.owner)
        await tell(
            "An administrator ended your login to StackStorm.\(afterLogin) \(hint(invocation.prefix))",
            at: Address(backend: session.owner.backend, place: .direct(session.owner.id)))
        return Reply("The login of \(session.name) as \(session.account) was ended.", isPrivate: true)
    }
}
