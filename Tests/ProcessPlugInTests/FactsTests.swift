import Foundation
import PetrelCore
import PetrelKit
import PetrelSupport
import ProcessBackend
import Testing

/// The review of access rules for a backend that is a program.
@Suite struct FactsTests {
    @Test(arguments: ["U1", "px/U1", "bob", "@bob:example.org", "!room:example.org", "cdef-0123"])
    func `Any text can be the ID of a person`(admin: String) {
        let context = SettingsContext(folder: URL(fileURLWithPath: "/"), environment: [:])
        let root = SettingsSection(["admins": [.string(admin)]], at: "", in: context)
        let review = AccessReview(
            settings: CoreSettings(root).access, commands: [], backends: ["px"], prefix: "!",
            names: ["px": ProcessBackendPlugIn.facts.names])
        #expect(review.warnings() == [])
    }
}
