import NIOCore
import PetrelSupport

@testable import AWSClient
@testable import InfraModule

/// Checks that instances do not depend on how the bytes of an answer are split.
func fuzzAnswers(_ bytes: [UInt8]) {
    guard let first = bytes.first else { return }
    let text = Array(bytes.dropFirst())
    let size = Int(first % 9) + 1
    let whole = instances([text[...]])
    let pieces = instances(stride(from: 0, to: text.count, by: size).map { text[$0..<min($0 + size, text.count)] })
    // Data after the end of the answer is detected or not, depending on the split.
    if whole?.isComplete == true || pieces?.isComplete == true { return }
    require((whole == nil) == (pieces == nil), "pieces of \(size) end differently")
    require(whole?.instances == pieces?.instances, "pieces of \(size) have other instances")
}

/// Returns the instances of the pieces; nil if they are malformed.
private func instances(_ pieces: [ArraySlice<UInt8>]) -> (instances: [Instance], isComplete: Bool)? {
    var answer = QueryAnswer(status: 200, level: 2)
    let instances = Locked<[Instance]>([])
    let reading = EC2.reading(EC2.Receiver { instance in instances.withLock { $0.append(instance) } })
    var next = reading.initial
    do {
        for piece in pieces where !answer.isComplete {
            for element in try answer.feed(ByteBuffer(bytes: piece)) { try reading.take(&next, element) }
        }
    } catch {
        return nil
    }
    return (instances.value, answer.isComplete)
}

/// Checks that the normal form of a query is the same query, and that a pattern matches itself if it is none.
func fuzzQueries(_ bytes: [UInt8]) {
    let text = String(decoding: bytes, as: UTF8.self)
    if !text.utf8.contains(where: { "*?\\".utf8.contains($0) }) {
        require(Wildcard.matches(text, text), "\(text) does not match itself")
    }
    guard let query = try? InfraQuery(text) else { return }
    let again = try? InfraQuery(query.typed)
    require(again == query, "“\(text)” is \(query.typed), which is read as \(again?.typed ?? "nothing")")
    require((1...6).contains(query.searches.count), "\(query.searches.count) searches")
}
