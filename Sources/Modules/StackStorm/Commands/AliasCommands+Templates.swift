import Logging
import PetrelKit
import PetrelSupport
import StackStormClient

extension AliasCommands {
    /// Throws ``Refusal`` where StackStorm would evaluate something that a person wrote, unless the settings let them.
    func refuseTemplates(in match: AliasMatcher.Match, _ caller: Caller, _ invocation: Invocation) async throws {
        guard TemplateGuard(settings, host).applies(to: invocation) else { return }
        // Whatever the types are. Few lines get further.
        guard let suspect = KnownActions().templated(invocation.arguments, match) else { return }
        let ref = match.alias.actionRef
        let isKnown = await learn(ref, caller, invocation)
        if settings.templates == .workflows, isKnown, catalog.actions.value.evaluates(ref) == false { return }
        guard let place = isKnown ? catalog.actions.value.templated(invocation.arguments, match) : suspect else {
            return
        }
        throw Refusal(
            "\(place) holds a template ({{ … }}, {% … %} or <% … %>), or something that may become one, and \(reason(ref)). "
                + "Nothing was started; please write it without.")
    }

    private func reason(_ ref: String) -> String {
        switch catalog.actions.value.evaluates(ref) {
        case _ where settings.templates == .always: "stackstorm.templates refuses them"
        case true?: "\(ref) is a workflow, which evaluates what it is given"
        case nil, false?: "it is not known whether \(ref) is a workflow, which would evaluate it"
        }
    }

    /// Asks what an action is now: an update of its pack may have made it a workflow, or changed its types.
    /// - Returns: false where StackStorm does not say.
    private func learn(_ ref: String, _ caller: Caller, _ invocation: Invocation) async -> Bool {
        do {
            let schema = try await callers.call(.action(ref), as: caller, invocation)
            catalog.actions.withLock { $0.learn(schema) }
            return true
        } catch {
            host.logger.notice("StackStorm does not say what runs \(ref): \(error)")
            return false
        }
    }
}
