import PetrelKit
import PetrelSupport
import StackStormClient

/// Rejects templates in the input of users, because StackStorm would evaluate them.
struct TemplateGuard: Sendable {
    private let settings: StackStormModuleSettings
    private let host: ModuleHost

    init(_ settings: StackStormModuleSettings, _ host: ModuleHost) {
        self.settings = settings
        self.host = host
    }

    /// Returns true if the settings do not permit the user to write templates.
    func applies(to invocation: Invocation) -> Bool {
        settings.templates != .never
            && !host.rules.isListed(
                invocation.message.sender, on: invocation.address.backend, in: settings.allowTemplates)
    }

    /// Throws ``Refusal`` if the answer to an inquiry contains a template: a workflow evaluates it when it passes it
    /// on.
    func refuse(in response: [String: JSONValue], _ invocation: Invocation) throws {
        guard applies(to: invocation) else { return }
        for (name, value) in response.sorted(by: { $0.key < $1.key }) where Templates.isFound(in: value) {
            throw Refusal(
                "\(name) contains a template ({{ … }}, {% … %} or <% … %>), which a workflow would evaluate. "
                    + "No answer was sent; please remove it.")
        }
    }
}
