/// Aliases and their executions. All calls throw ``StackStormError``.
///
/// When the task is cancelled, they throw `CancellationError`. A call that runs an alias throws ``StackStormError`` with
/// the code `noAnswer` instead if its request may have been sent.
extension StackStormClient {
    /// Returns one alias (`GET /actionalias/{ref or id}`).
    ///
    /// - Parameters:
    ///   - ref: The reference, such as `chatops.echo`, or the ID.
    ///   - credential: The credential of the account that asks, or nil for the client's own.
    /// - Throws: ``StackStormError`` with the code `notFound` if there is no such alias; ``MalformedAlias`` if it
    ///   cannot be read.
    public func alias(_ ref: String, as credential: Credential? = nil) async throws -> Alias {
        try await call(.alias(ref), as: credential)
    }

    /// Finds the alias and the format for a command (`POST /actionalias/match`).
    ///
    /// - Parameters:
    ///   - command: The text without any prefix, such as `echo hello`.
    ///   - credential: The credential of the account that asks, or nil for the client's own.
    /// - Throws: ``StackStormError`` with the code `refused` if no alias matches, or if several do.
    public func match(_ command: String, as credential: Credential? = nil) async throws -> ServerMatch {
        try await call(.match(command), as: credential)
    }

    /// Returns the help texts of the enabled aliases (`GET /actionalias/help`).
    ///
    /// - Parameters:
    ///   - pack: Limits the list to a pack.
    ///   - filter: Limits the list to texts that match this regular expression. StackStorm answers an invalid one with
    ///     status 500.
    ///   - limit: The maximum number of texts; nil for all.
    ///   - offset: The number of texts to skip.
    /// - Throws: ``StackStormError``.
    public func help(
        pack: String? = nil, filter: String? = nil, limit: Int? = nil, offset: Int? = nil
    ) async throws -> HelpPage {
        try await call(.help(pack: pack, filter: filter, limit: limit, offset: offset))
    }

    /// Returns an action with its parameters (`GET /actions/{ref}`).
    ///
    /// - Throws: ``StackStormError`` with the code `notFound` if there is no such action.
    public func action(_ ref: String) async throws -> ActionSchema { try await call(.action(ref)) }

    /// Runs an alias (`POST /aliasexecution`). Returns when the execution was requested, not when it has finished.
    ///
    /// The result is announced on ``EventStream``, on the route of the run, and is kept in the execution, see
    /// ``execution(_:as:)``. StackStorm renders the user and the channel as templates; ``AliasRun`` disarms them.
    ///
    /// - Parameters:
    ///   - run: The alias, the format and the command.
    ///   - credential: The credential of the account that runs it, or nil for the client's own.
    /// - Throws: ``StackStormError``. The alias may be running if ``StackStormError/leavesOutcomeOpen`` is true:
    ///   repeating the call may run it twice.
    public func run(_ run: AliasRun, as credential: Credential? = nil) async throws -> AliasExecution {
        try await call(.run(run), as: credential)
    }

    /// Lets StackStorm match a command and run all aliases that match (`POST /aliasexecution/match_and_execute`). This
    /// is the only way to run an alias with `match_multiple`.
    ///
    /// - Parameters:
    ///   - command: The text without any prefix, such as `echo hello`.
    ///   - user: The name of the user in chat, for the announcement.
    ///   - channel: The channel in which the result is announced.
    ///   - route: The route of the announcement, such as `errbot`; nil for StackStorm's default, `chatops`.
    ///   - credential: The credential of the account that runs them, or nil for the client's own.
    /// - Throws: ``StackStormError``, with the code `refused` if no alias matches. See ``run(_:as:)`` for repeating the
    ///   call.
    public func matchAndExecute(
        _ command: String, user: String, channel: String, route: String? = nil, as credential: Credential? = nil
    ) async throws -> [AliasExecution] {
        try await call(
            .matchAndExecute(command: command, user: user, channel: channel, route: route), as: credential)
    }
}
