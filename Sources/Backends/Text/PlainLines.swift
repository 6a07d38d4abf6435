import Foundation
import PetrelKit

/// One command a line, one reply after the other: for pipes.
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
                    StandardOutput.write(note + "\n")
                    return .nothing
                case .message: return .message(place.message(line))
                }
            }
        }
    }

    func show(_ reply: Reply, at address: Address) {
        let here = place.value
        var text = reply.text
        if reply.kind == .result { text = "\(here.room == nil ? "" : "\(address.place.id) ")» \(text)" }
        StandardOutput.write(text + "\n")
    }
}

/// Standard output, whole messages at a time.
enum StandardOutput {
    private static let turn = Locked(())

    static func write(_ text: String) {
        turn.withLock { _ in FileHandle.standardOutput.write(Data(text.utf8)) }
    }
}
