import Foundation
import PetrelKit
import PetrelSupport

/// A screen for pipes: reads one command per line and writes replies as plain text.
final class PlainLines: TextScreen {
    private let reader: LineReader
    private let output: StandardStream

    init(place: TextPlace, from input: FileHandle, to output: StandardStream) {
        self.output = output
        let place = Locked(place)
        reader = LineReader(input) { line in
            place.withLock { place in
                switch place.take(line) {
                case .quit: return .end
                case .note(let note):
                    output.write(note + "\n")
                    return .nothing
                case .message: return .message(place.message(line))
                }
            }
        }
    }

    func messages() -> AsyncStream<ChatMessage> {
        AsyncStream { [reader] in await reader.next() }
    }

    func show(_ reply: Reply, at address: Address) async -> CInt {
        let place = Printable.line(address.place.id + (address.thread.map { "/\($0)" } ?? ""))
        let text = Printable.text(reply.text)
        return await output.send(reply.kind == .result ? "\(place) » \(text)\n" : text + "\n")
    }
}
