import FaultSuite
import Foundation
import PetrelSupport
import PetrelTesting
import Testing

/// The bot with plug-ins that are programs.
@Suite(.timeLimit(.minutes(30))) struct ProcessProgramTests {
    private static func bot(_ module: JSONValue, in folder: URL) throws -> Program {
        let configuration: JSONValue = ["backends": ["text": ["user": "@you"]], "modules": ["m": module]]
        try Data(try JSONValue.encode(configuration)).write(to: folder.appendingPathComponent("config.json"))
        return try Program(["run"], in: folder)
    }

    @Test func `a program that does not read its input does not end the bot`() async throws {
        try await withFolder { folder in
            // Petrel writes to a pipe that is closed.
            let bot = try Self.bot(["command": ["sh", "-c", "exec <&-; exec sleep 0.1"]], in: folder)
            for _ in 1...2 { #expect(await bot.error(with: "The module m failed") != nil) }
            bot.type("!version")
            #expect(await bot.line(with: "Petrel ") != nil)
            bot.closeInput()
            #expect(await bot.end().status == 0)
        }
    }
}
