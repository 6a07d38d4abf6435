import PetrelKit

extension BackendConformance {
    /// Cases about messages that cannot be sent.
    static let errors: [ConformanceCase] = [
        ConformanceCase(
            "error.unknown", "sending to a place that does not exist fails for good", needs: [.unknownPlaces]
        ) { scene in
            try await scene.direct { _ in
                for place in scene.stage.unknownPlaces {
                    let failure = try await scene.failure(of: "lost", at: place)
                    try scene.expect(failure.remedy, is: .never, "the remedy of the error for \(place.words)")
                    try scene.expect(!failure.message.isEmpty, "a reason", got: "an empty text")
                }
            }
        },
        ConformanceCase(
            "error.unknown-hosted", "a message to a place that does not exist holds up no other",
            needs: [.unknownPlaces]
        ) { scene in
            try await scene.hosted { host in
                for place in scene.stage.unknownPlaces { try host.chat.say(Reply("lost"), at: scene.address(place)) }
                try host.chat.say(Reply("found"), at: scene.address())
                try scene.expect(try await scene.shown().text, is: "found", "the text that is shown")
            }
        },
        ConformanceCase("error.never", "a message that is rejected for good fails so", needs: [.refusingForGood]) {
            scene in
            try await scene.direct { _ in
                try await scene.stage.refuseNext(.never)
                try scene.expect(try await scene.failure(of: "lost").remedy, is: .never, "the remedy of the error")
                _ = try await scene.backend.send(Reply("found"), to: scene.address())
                try scene.expect(try await scene.shown().text, is: "found", "the text that is shown")
            }
        },
        ConformanceCase("error.later", "a message that is rejected for a while fails so", needs: [.refusingForNow]) {
            scene in
            try await scene.direct { _ in
                try await scene.stage.refuseNext(.later(after: nil))
                let remedy = try await scene.failure(of: "lost").remedy
                try scene.expect(remedy != .never, "the remedy `later`", got: ConformanceWords.of(remedy))
            }
        },
        ConformanceCase(
            "error.retry", "a message that is rejected for a while is shown once, in order", needs: [.refusingForNow]
        ) { scene in
            try await scene.hosted { host in
                try await scene.stage.refuseNext(.later(after: nil))
                for number in 1...5 { try host.chat.say(Reply("n\(number)"), at: scene.address()) }
                try scene.expect(try await scene.rest().lines, is: (1...5).map { "n\($0)" }, "the lines that are shown")
            }
        },
        ConformanceCase(
            "error.given-up", "a message that is rejected for good holds up no other", needs: [.refusingForGood]
        ) { scene in
            try await scene.hosted { host in
                try await scene.stage.refuseNext(.never)
                for number in 1...3 { try host.chat.say(Reply("n\(number)"), at: scene.address()) }
                try scene.expect(try await scene.rest().lines, is: ["n2", "n3"], "the lines that are shown")
            }
        },
        ConformanceCase("error.early", "sending before the backend runs fails or succeeds, but does not hang") {
            scene in
            let isSent = try await scene.isSent("early")
            try await scene.direct { _ in
                if isSent { try scene.expect(try await scene.shown().text, is: "early", "the text that is shown") }
                _ = try await scene.backend.send(Reply("after"), to: scene.address())
                try scene.expect(try await scene.shown().text, is: "after", "the text that is shown")
            }
        },
        ConformanceCase(
            "error.disconnected", "a message during a cut is shown if sending it succeeded", needs: [.cutting]
        ) { scene in
            try await scene.direct { _ in
                try await scene.stage.set(.cut)
                async let isSent = scene.isSent("during")
                try await scene.stage.set(.open)
                try await scene.untilConnected()
                let wasSent = try await isSent
                try await scene.untilSent("after")
                let lines = try await scene.shown(through: "after").lines
                if wasSent { try scene.expect(lines, is: ["during", "after"], "the lines that are shown") }
            }
        },
    ]
}

extension ConformanceScene {
    /// Sends a text, and returns the error.
    fileprivate func failure(of text: String, at place: Address.Place? = nil) async throws -> SendFailure {
        let (backend, address) = (backend, address(place))
        return try await withDeadline(DirectRun.patience, "an error of `send`") {
            do {
                _ = try await backend.send(Reply(text), to: address)
            } catch let failure as SendFailure {
                return failure
            }
            throw ConformanceFailure(expected: "an error of `send` to \(address.place.words)", got: "success")
        }
    }

    /// Sends a text. Returns false if that fails.
    func isSent(_ text: String) async throws -> Bool {
        let (backend, address) = (backend, address())
        return try await withDeadline(DirectRun.patience, "the end of `send`") {
            do {
                _ = try await backend.send(Reply(text), to: address)
                return true
            } catch let failure as SendFailure where failure.remedy == .never {
                throw ConformanceFailure(expected: "an error that permits a retry", got: "\(failure)")
            } catch {
                return false
            }
        }
    }

    /// Sends a text until that succeeds.
    func untilSent(_ text: String) async throws {
        try await withDeadline(DirectRun.patience, "a successful `send`") {
            while try await !isSent(text) { try await Task.sleep(for: .milliseconds(20)) }
        }
    }
}
