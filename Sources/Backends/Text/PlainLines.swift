import Foundation
import PetrelKit
import PetrelSupport

/// A screen for pipes: reads one command per line and writes replies as plain text.
final class PlainLines: TextScreen {
    private let place: Locked<TextPlace>

    init(place: TextPlace) {
        self.place = Locked(place)
    }

    func messages() -> AsyncStream<ChatMessage> {
        LineReader.messages { [place] line in
            place.withLock { place in
                switch place.take(line) {
                case .quit: return .end
                case .note(let note):
                    StandardStream.output.write(note + "\n")
                    return .nothing
                case .message: return .message(place.message(line))
                }
            }
        }
    }

    func show(_ reply: Reply, at address: Address) async -> CInt {
        let place = Printable.line(address.place.id + (address.thread.map { "/\($0)" } ?? ""))
        let text = Printable.text(reply.text)
        return await StandardStream.output.send(reply.kind == .result ? "\(place) » \(text)\n" : text + "\n")
    }
}
