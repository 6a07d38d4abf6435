import PetrelKit

extension BackendConformance {
    /// Cases about what a backend declares.
    static let declarations: [ConformanceCase] = [
        ConformanceCase("declare.name", "the name is not empty and constant") { scene in
            let name = scene.backend.name
            try scene.expect(!name.isEmpty, "a name", got: "an empty text")
            try await scene.direct { _ in try scene.expect(scene.backend.name, is: name, "the name while it runs") }
        },
        ConformanceCase("declare.constant", "the traits are constant, except for files, which may be discovered") {
            scene in
            let wanted = scene.stage.traits.lasting
            for number in 1...(scene.stage.abilities.contains(.restarting) ? 2 : 1) {
                try await scene.direct { run in
                    try scene.expect(scene.traits.lasting, is: wanted, "the traits when run \(number) is connected")
                    try await scene.say("!echo a")
                    _ = try await run.next()
                    try scene.expect(scene.traits.lasting, is: wanted, "the traits after a message of run \(number)")
                }
                try scene.expect(scene.traits.lasting, is: wanted, "the traits after run \(number)")
            }
        },
        ConformanceCase("declare.length", "a message can hold at least 200 scalars") { scene in
            let most = scene.stage.traits.maximumLength
            try scene.expect(most >= 200, "at least 200", got: "\(most)")
            let lines = scene.stage.traits.maximumLines ?? 1
            try scene.expect(lines >= 1, "at least 1 line", got: "\(lines)")
        },
        ConformanceCase("declare.protocols", "the traits name only abilities whose protocols are implemented") {
            scene in
            let (backend, traits) = (scene.backend, scene.stage.traits)
            try scene.expect(!traits.edits || backend is any Editing, "Editing", got: "edits without it")
            try scene.expect(!traits.files || backend is any FileSending, "FileSending", got: "files without it")
        },
        ConformanceCase("declare.shaped", "shaping a reply twice changes nothing more") { scene in
            let once = scene.backend.shaped(Reply("*a* `b`", style: .markdown))
            try scene.expect(scene.backend.shaped(once), is: once, "the reply that was shaped twice")
        },
        ConformanceCase(
            "names.room", "a room is claimed as the room that messages come from", needs: [.naming, .rooms]
        ) { scene in
            try await scene.direct { _ in
                for room in scene.stage.rooms { try scene.claims(room, as: .room(room)) }
            }
        },
        ConformanceCase("names.person", "a person is claimed as a direct chat", needs: [.naming, .direct]) { scene in
            try await scene.direct { _ in
                for person in scene.stage.people { try scene.claims(person, as: .direct(person)) }
            }
        },
        ConformanceCase("names.send", "a claimed place receives what is sent to it", needs: [.naming]) { scene in
            try await scene.direct { _ in
                for place in scene.places {
                    let claim = try scene.claimed(place.id)
                    _ = try await scene.backend.send(Reply("for \(place.id)"), to: scene.address(claim))
                    try scene.expect(try await scene.shown().place, is: place, "the place where it is shown")
                }
            }
        },
        ConformanceCase("names.odd", "odd names are claimed or not, without a crash", needs: [.naming]) { scene in
            guard let naming = scene.backend as? any PlaceNaming else { return }
            let names = [
                "", "@", "#", " ", "/", "a/b", "@@", "\u{0}", "e\u{301}", String(repeating: "x", count: 20_000),
            ]
            for name in names + OddText.all.map(\.text) {
                try scene.expect(naming.claim(name), is: naming.claim(name), "the claim of \(name.debugDescription)")
            }
        },
    ]
}

extension BackendTraits {
    /// The traits without `files`, which may be discovered.
    fileprivate var lasting: BackendTraits {
        var traits = self
        traits.files = false
        return traits
    }
}

extension ConformanceScene {
    /// The present traits of the backend.
    fileprivate var traits: BackendTraits { backend.traits }

    /// Returns the place that the backend claims for a name.
    fileprivate func claimed(_ name: String) throws -> Address.Place {
        switch (backend as? any PlaceNaming)?.claim(name) {
        case .own(let place)?, .possible(let place)?: place
        case .foreign?, nil: throw ConformanceFailure(expected: "a claim of \(name)", got: "none")
        }
    }

    fileprivate func claims(_ name: String, as place: Address.Place) throws {
        try expect(try claimed(name), is: place, "the claim of \(name)")
    }
}
