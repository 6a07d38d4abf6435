public import PetrelKit
import PetrelSupport

public struct GreetingModule: BotModule {
    public let name = "greeting"
    private let greeting: String
    private let host: ModuleHost

    public init(_ greeting: String, _ host: ModuleHost) {
        self.greeting = greeting
        self.host = host
    }

    public var commands: [Command] {
        [
            Command("greet", usage: "[NAME]", summary: "Greet a person.") { invocation in
                let name = invocation.arguments.isEmpty ? invocation.message.sender.name : invocation.arguments
                await host.storage.records("greeted").keep([], for: name)
                return Reply("\(greeting), \(name)!")
            }
        ]
    }
}

public struct GreetingPlugIn: ModulePlugIn {
    public static let section: String? = "greeting"
    private var greeting = "Hello"

    public init(_ sections: [SettingsSection]) {
        for section in sections {
            greeting = section.string("text", default: "Hello")
            section.finish()
        }
    }

    public let outlines = [ModuleOutline("greeting", commands: ["greet"])]

    public func makeModules(_ context: ModuleContext) throws -> [any BotModule] {
        [GreetingModule(greeting, context.host(for: "greeting"))]
    }
}
