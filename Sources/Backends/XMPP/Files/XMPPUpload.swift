import AsyncHTTPClient
import Foundation
import NIOCore
import NIOHTTP1
import PetrelKit
import PetrelSupport
import XMLStream

/// Uploads files with HTTP (XEP-0363) if the server offers an upload service.
final class XMPPUpload: Sendable {
    /// An upload service.
    struct Service: Sendable, Equatable {
        var jid: JID
        /// The maximum size of a file, in bytes. Nil if the service announces none.
        var mostBytes: Int?
    }

    /// The URLs for uploading and for downloading one file.
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
    /// The maximum number of a server's services to query.
    private static let mostServices = 30

    private let link: XMPPLink
    private let client: HTTPClient
    private let known = Locked<Service?>(nil)

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

    /// The upload service, or nil if none was discovered.
    var service: Service? { known.value }

    /// Queries the server and its services (XEP-0030) for an upload service. Throws an error if the server's services
    /// cannot be listed.
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

    /// Queries one service. Returns nil if it does not accept uploads or does not respond. Throws only
    /// `CancellationError`.
    private func service(at jid: JID) async throws -> Service? {
        do {
            return Self.service(jid, try await link.ask(jid, "get", XMLElement("query", XMPPNames.info)))
        } catch is CancellationError {
            throw CancellationError()
        } catch {
            return nil
        }
    }

    /// Parses a disco#info response. Returns nil if the service does not accept uploads.
    static func service(_ jid: JID, _ info: XMLElement) -> Service? {
        let children = info.child("query", XMPPNames.info)?.children ?? []
        guard children.contains(where: { $0.name == "feature" && $0["var"] == XMPPNames.upload }) else { return nil }
        let fields = children.filter { $0.name == "x" && $0.namespace == XMPPNames.data }.flatMap(\.children)
        let limit = fields.first { $0["var"] == "max-file-size" }?.child("value").flatMap { Int($0.text) }
        return Service(jid: jid, mostBytes: limit)
    }

    /// Uploads a file and returns its download URL. Throws ``SendFailure``.
    func send(_ bytes: [UInt8], named name: String) async throws -> URL {
        guard let service else { throw SendFailure("the server does not support file upload", .never) }
        if let most = service.mostBytes, bytes.count > most {
            throw SendFailure("the server accepts files of at most \(most) bytes", .never)
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
            // Omits the error: it may contain the URL, which is a credential.
            throw SendFailure("cannot reach the upload server", .never)
        }
        guard status == .created || status == .ok else {
            throw SendFailure("the upload server returned status \(status.code)", .never)
        }
        return slot.get
    }

    private func slot(for name: String, _ size: Int, at service: Service) async throws -> Slot {
        let request = XMLElement(
            "request", XMPPNames.upload, ["filename": name, "size": "\(size)", "content-type": "text/plain"])
        do {
            let answer = try await link.ask(service.jid, "get", request)
            guard let slot = Self.slot(answer) else {
                throw SendFailure("the upload service returned no usable slot", .never)
            }
            return slot
        } catch let error as StanzaError {
            throw SendFailure("the upload service rejected the file: \(error)", .never)
        } catch is XMPPLink.Unanswered {
            throw SendFailure("the upload service did not respond", .never)
        }
    }

    /// Parses a slot. Returns nil if a URL is missing or uses HTTP without TLS, except on loopback.
    static func slot(_ answer: XMLElement) -> Slot? {
        guard let slot = answer.child("slot", XMPPNames.upload), let put = slot.child("put"),
            let target = put["url"].flatMap({ url($0) }), let source = slot.child("get")?["url"].flatMap({ url($0) })
        else { return nil }
        // Permits only these headers, and removes line breaks that would add others (XEP-0363, section 5).
        let headers = put.children.filter { $0.name == "header" }.compactMap { header in
            header["name"].map { (name: $0.filter { !$0.isNewline }, value: header.text.filter { !$0.isNewline }) }
        }.filter { ["authorization", "cookie", "expires"].contains($0.name.lowercased()) }
        return Slot(put: target, headers: headers, get: source)
    }

    private static func url(_ text: String) -> URL? {
        guard let url = URL(string: text), let host = url.host(), url.hasValidPort else { return nil }
        let isHere = ["127.0.0.1", "localhost", "::1"].contains(host)
        return url.scheme == "https" || url.scheme == "http" && isHere ? url : nil
    }
}
