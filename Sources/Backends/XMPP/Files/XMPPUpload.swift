import AsyncHTTPClient
import Foundation
import NIOCore
import NIOHTTP1
import PetrelKit
import PetrelSupport

/// Files by HTTP (XEP-0363), where the server has a service for them.
final class XMPPUpload: Sendable {
    struct Service: Sendable, Equatable {
        var jid: JID
        /// Bytes; nil where the service names no limit.
        var mostBytes: Int?
    }

    /// Where a file is written to, and where it is read.
    struct Slot: Sendable, Equatable {
        var put: URL
        var headers: [(name: String, value: String)]
        var get: URL

        static func == (one: Slot, other: Slot) -> Bool {
            one.put == other.put && one.get == other.get && one.headers.map(\.name) == other.headers.map(\.name)
                && one.headers.map(\.value) == other.headers.map(\.value)
        }
    }

    private static let patience = TimeAmount.seconds(60)
    /// Services of a server that are asked what they are.
    private static let mostServices = 30

    private let link: XMPPLink
    private let client: HTTPClient
    private let known = Locked<Service?>(nil)

    /// - Parameter authority: the path of a PEM file with the authorities that are trusted in place of the system's.
    init(_ settings: XMPPSettings, _ link: XMPPLink, on loop: EventLoopExecutor) {
        self.link = link
        var configuration = HTTPClient.Configuration(tlsConfiguration: settings.tls)
        configuration.redirectConfiguration = .disallow
        configuration.timeout.connect = .seconds(10)
        configuration.httpVersion = .http1Only
        client = HTTPClient(
            eventLoopGroupProvider: .shared(loop.eventLoop), configuration: configuration)
    }

    deinit { client.shutdown { _ in } }

    /// Nil where there is none, as far as it is known.
    var service: Service? { known.value }

    /// Asks the server which of its services takes files.
    func discover(at domain: String) async throws {
        known.withLock { $0 = nil }
        let server = JID(domain: domain)
        let items = try await link.ask(server, "get", XMLElement("query", XMPPNames.items))
        let jids = (items.child("query", XMPPNames.items)?.children ?? []).compactMap { $0["jid"].flatMap { JID($0) } }
        for jid in [server] + jids.prefix(Self.mostServices) {
            guard let service = try await service(at: jid) else { continue }
            return known.withLock { $0 = service }
        }
    }

    /// Returns what a service takes, or nil where it takes no files or does not answer. Throws `CancellationError` and
    /// nothing else.
    private func service(at jid: JID) async throws -> Service? {
        do {
            return Self.service(jid, try await link.ask(jid, "get", XMLElement("query", XMPPNames.info)))
        } catch is CancellationError {
            throw CancellationError()
        } catch {
            return nil
        }
    }

    static func service(_ jid: JID, _ info: XMLElement) -> Service? {
        let children = info.child("query", XMPPNames.info)?.children ?? []
        guard children.contains(where: { $0.name == "feature" && $0["var"] == XMPPNames.upload }) else { return nil }
        let fields = children.filter { $0.name == "x" && $0.namespace == XMPPNames.data }.flatMap(\.children)
        let limit = fields.first { $0["var"] == "max-file-size" }?.child("value").flatMap { Int($0.text) }
        return Service(jid: jid, mostBytes: limit)
    }

    /// Writes a file and returns where it can be read. Throws ``SendFailure``.
    func send(_ bytes: [UInt8], named name: String) async throws -> URL {
        guard let service else { throw SendFailure("the server takes no files", .never) }
        if let most = service.mostBytes, bytes.count > most {
            throw SendFailure("the server takes files of at most \(most) bytes", .never)
        }
        let slot = try await slot(for: name, bytes.count, at: service)
        var request = HTTPClientRequest(url: slot.put.absoluteString)
        request.method = .PUT
        request.headers = ["Content-Type": "text/plain; charset=utf-8"]
        for header in slot.headers { request.headers.replaceOrAdd(name: header.name, value: header.value) }
        request.body = .bytes(ByteBuffer(bytes: bytes))
        let status: HTTPResponseStatus
        do {
            status = try await client.execute(request, timeout: Self.patience).status
        } catch {
            try Task.checkCancellation()
            // Not the error itself: it may name the address, which is its own credential.
            throw SendFailure("the server for files cannot be reached", .never)
        }
        guard status == .created || status == .ok else {
            throw SendFailure("the server for files answers with status \(status.code)", .never)
        }
        return slot.get
    }

    private func slot(for name: String, _ size: Int, at service: Service) async throws -> Slot {
        let request = XMLElement(
            "request", XMPPNames.upload, ["filename": name, "size": "\(size)", "content-type": "text/plain"])
        do {
            let answer = try await link.ask(service.jid, "get", request)
            guard let slot = Self.slot(answer) else {
                throw SendFailure("the server gives no address for a file that could be used", .never)
            }
            return slot
        } catch let error as StanzaError {
            throw SendFailure("the server takes no file now: \(error)", .never)
        } catch is XMPPLink.Unanswered {
            throw SendFailure("the server gives no address for a file", .never)
        }
    }

    /// Nil where an address is not encrypted, unless it is on this machine.
    static func slot(_ answer: XMLElement) -> Slot? {
        guard let slot = answer.child("slot", XMPPNames.upload), let put = slot.child("put"),
            let target = put["url"].flatMap({ url($0) }), let source = slot.child("get")?["url"].flatMap({ url($0) })
        else { return nil }
        // Only these, and no others through a line break in one (XEP-0363, section 5).
        let headers = put.children.filter { $0.name == "header" }.compactMap { header in
            header["name"].map { (name: $0.filter { !$0.isNewline }, value: header.text.filter { !$0.isNewline }) }
        }.filter { ["authorization", "cookie", "expires"].contains($0.name.lowercased()) }
        return Slot(put: target, headers: headers, get: source)
    }

    private static func url(_ text: String) -> URL? {
        guard let url = URL(string: text), let host = url.host() else { return nil }
        let isHere = ["127.0.0.1", "localhost", "::1"].contains(host)
        return url.scheme == "https" || url.scheme == "http" && isHere ? url : nil
    }
}
