import Logging
import PetrelKit
import PetrelSupport
import StackStormClient

extension AliasCommands {
    /// Throws ``Refusal`` if StackStorm would evaluate a template that the user wrote, unless the settings permit it.
    ///
    /// - Returns: True if the schema of the action was fetched, which may have revealed secret parameters.
    func refuseTemplates(
        in match: AliasMatcher.Match, _ caller: Caller, _ invocation: Invocation
    ) async throws -> Bool {
        guard TemplateGuard(settings, host).applies(to: invocation) else { return false }
        // Without the types of the parameters the check is conservative. Few lines fail it.
        guard let suspect = KnownActions().templated(invocation.arguments, match) else { return false }
        let ref = match.alias.actionRef
        let isKnown = try await learn(ref, caller, invocation)
        if settings.templates == .workflows, isKnown, catalog.actions.value.evaluates(ref) == false { return isKnown }
        guard let place = isKnown ? catalog.actions.value.templated(invocation.arguments, match) : suspect else {
            return isKnown
        }
        throw Refusal(
            "\(place) contains a template ({{ … }}, {% … %} or <% … %>), or text that may become one, and \(reason(ref)). "
                + "Nothing was started; please remove it.")
    }

    private func reason(_ ref: String) -> String {
        switch catalog.actions.value.evaluates(ref) {
        case _ where settings.templates == .always: "stackstorm.templates does not permit it"
        case true?: "\(ref) is a workflow, which evaluates its parameters"
        case nil, false?: "it is not known whether \(ref) is a workflow, which would evaluate its parameters"
        }
    }

    /// Fetches the current schema of an action: an update of its pack may have changed its runner or its types.
    ///
    /// - Returns: False if StackStorm does not provide it.
    private func learn(_ ref: String, _ caller: Caller, _ invocation: Invocation) async throws -> Bool {
        do {
            let schema = try await callers.call(.action(ref), as: caller, invocation)
            catalog.actions.withLock { $0.learn(schema) }
            return true
        } catch let error as CancellationError {
            throw error
        } catch {
            host.logger.notice("Cannot fetch the schema of the action \(ref): \(error)")
            return false
        }
    }
}
