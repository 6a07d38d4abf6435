import Foundation
import NIOCore
import PetrelKit
import PetrelSupport
import XMLStream

/// Negotiates a stream on an encrypted connection: authenticates, then resumes the previous stream (XEP-0198) or binds
/// a resource.
struct Negotiation: Sendable {
    struct Outcome: Sendable {
        /// The full JID, with the resource that the server assigned.
        var jid: JID
        /// True if the previous stream was resumed.
        var isResumed: Bool
        /// The maximum size of a stanza, in bytes (XEP-0478). Nil if the server announces none.
        var mostBytes: Int?
    }

    typealias Write = @Sendable (String) async throws -> Void

    let jid: JID
    let password: Secret
    let allowsPlain: Bool
    let write: Write
    /// Processes stanzas that arrive before stream management is enabled, which XEP-0198 does not count.
    let early: @Sendable (XMLElement) async -> Void

    /// Runs the negotiation. Throws ``BackendFailure``, or ``StreamFailure`` if the server reports a stream error.
    /// - Parameter bound: the full JID of the previous stream; nil if there was none.
    func run(_ reader: inout StanzaReader, _ management: Locked<StreamManagement>, bound: JID?) async throws -> Outcome
    {
        var features = try await begin(&reader)
        try await authenticate(&reader, features)
        features = try await begin(&reader)
        let manages = features.has("sm", XMPPNames.management)
        let limit = features.child("limits", XMPPNames.limits)?.child("max-bytes").flatMap { Int($0.text) }
        if manages, let bound, try await resume(&reader, management) {
            return Outcome(jid: bound, isResumed: true, mostBytes: limit)
        }
        for lost in management.withLock({ $0.giveUp() }) { lost.acknowledgement.settle(false) }
        let jid = try await bind(&reader, features)
        if manages { try await enable(&reader, management) }
        return Outcome(jid: jid, isResumed: false, mostBytes: limit)
    }

    private func send(_ element: XMLElement) async throws { try await write(element.xml(in: XMPPNames.client)) }

    private func begin(_ reader: inout StanzaReader) async throws -> XMLElement {
        reader.restart()
        try await write(StreamHeader.text(to: jid.domain, from: jid))
        let features = try await reader.stanza()
        guard features.name == "features", features.namespace == XMPPNames.streams else {
            throw BackendFailure("expected stream features from the server, but received <\(features.name)>")
        }
        return features
    }

    // MARK: Authentication (RFC 6120, section 6)

    private enum Mechanism {
        case scram(SCRAM.Hash)
        case plain

        var name: String {
            switch self {
            case .scram(let hash): hash.rawValue
            case .plain: "PLAIN"
            }
        }
    }

    private func mechanism(_ features: XMLElement) throws -> Mechanism {
        let offered = (features.child("mechanisms", XMPPNames.sasl)?.children ?? []).map(\.text)
        for hash in SCRAM.Hash.allCases where offered.contains(hash.rawValue) { return .scram(hash) }
        if offered.contains("PLAIN"), allowsPlain { return .plain }
        let hint = offered.contains("PLAIN") ? "; allow_plain permits sending the password in plain text over TLS" : ""
        throw BackendFailure(
            "the server offers no supported SASL mechanism (\(offered.joined(separator: ", ")))\(hint)",
            isFinal: !offered.isEmpty)
    }

    private func authenticate(_ reader: inout StanzaReader, _ features: XMLElement) async throws {
        let user = jid.local ?? ""
        let mechanism = try mechanism(features)
        guard case .scram(let hash) = mechanism else {
            let text = "\0\(user)\0\(password.reveal())"
            try await send(auth(mechanism, text))
            _ = try await answer(&reader)
            return
        }
        var scram = SCRAM(hash, user: user, password: password.reveal(), nonce: SCRAM.nonce())
        try await send(auth(mechanism, scram.first))
        let challenge = try await answer(&reader)
        guard challenge.name == "challenge" else { throw BackendFailure("the server skipped the SCRAM challenge") }
        do {
            try await send(
                XMLElement(
                    "response", XMPPNames.sasl, text: Self.encoded(try scram.final(to: Self.text(of: challenge)))))
            let success = try await answer(&reader)
            if success.name == "challenge" {
                // The server sent its signature in a challenge before <success/>.
                try scram.verify(Self.text(of: success))
                try await send(XMLElement("response", XMPPNames.sasl))
                _ = try await answer(&reader)
            } else {
                try scram.verify(Self.text(of: success))
            }
        } catch let failure as SCRAM.Failure {
            throw BackendFailure("login failed: \(failure)")
        }
    }

    private func auth(_ mechanism: Mechanism, _ text: String) -> XMLElement {
        var auth = XMLElement("auth", XMPPNames.sasl, text: Self.encoded(text))
        auth.attributes["mechanism"] = mechanism.name
        return auth
    }

    /// Returns the next `<challenge/>` or `<success/>`. Throws ``BackendFailure`` if the server rejects the login.
    private func answer(_ reader: inout StanzaReader) async throws -> XMLElement {
        let answer = try await reader.stanza()
        if answer.namespace == XMPPNames.sasl, ["challenge", "success"].contains(answer.name) { return answer }
        let reasons = answer.children.filter { $0.namespace == XMPPNames.sasl }
        let condition = reasons.first { $0.name != "text" }?.name ?? answer.name
        let text = reasons.first { $0.name == "text" }.map { ": \($0.text)" } ?? ""
        throw BackendFailure(
            "the server rejected the login of \(jid.bare): \(condition)\(text)",
            isFinal: condition != "temporary-auth-failure")
    }

    private static func encoded(_ text: String) -> String { Data(text.utf8).base64EncodedString() }

    private static func text(of element: XMLElement) -> String {
        String(decoding: Data(base64Encoded: element.text) ?? Data(), as: UTF8.self)
    }

    // MARK: Resumption and binding

    /// Resumes the previous stream and resends unacknowledged stanzas. Returns false if the stream cannot be resumed.
    private func resume(_ reader: inout StanzaReader, _ management: Locked<StreamManagement>) async throws -> Bool {
        let (resumption, count) = management.withLock { ($0.resumption, $0.received) }
        guard let resumption else { return false }
        try await send(XMLElement("resume", XMPPNames.management, ["previd": resumption, "h": "\(count)"]))
        let answer = try await reader.stanza()
        let theirs = answer["h"].flatMap { UInt32($0) }
        guard answer.name == "resumed", answer.namespace == XMPPNames.management else {
            // A failed resumption may still report the number of handled stanzas (XEP-0198, section 5).
            if let theirs { management.withLock { $0.acknowledge(theirs) } }
            return false
        }
        let rest = management.withLock { management in
            if let theirs { management.acknowledge(theirs) }
            return management.resend()
        }
        for stanza in rest { try await send(stanza) }
        if !rest.isEmpty { try await send(XMLElement("r", XMPPNames.management)) }
        return true
    }

    private func bind(_ reader: inout StanzaReader, _ features: XMLElement) async throws -> JID {
        let resource = jid.resource.map { [XMLElement("resource", text: $0)] } ?? []
        let bound = try await ask(&reader, XMLElement("bind", XMPPNames.bind, [:], resource))
        guard let jid = bound.child("bind", XMPPNames.bind)?.child("jid").flatMap({ JID($0.text) }) else {
            throw BackendFailure("the server returned no JID for the bound resource")
        }
        if let session = features.child("session", XMPPNames.session), !session.has("optional") {
            _ = try await ask(&reader, XMLElement("session", XMPPNames.session))
        }
        return jid
    }

    private func ask(_ reader: inout StanzaReader, _ request: XMLElement) async throws -> XMLElement {
        try await send(XMLElement("iq", "", ["type": "set", "id": request.name], [request]))
        let answer = try await reader.stanza()
        guard answer.name == "iq", answer["type"] == "result", answer["id"] == request.name else {
            let problem = StanzaError(answer).map { "\($0)" } ?? "received <\(answer.name)>"
            throw BackendFailure("the server rejected <\(request.name)>: \(problem)")
        }
        return answer
    }

    private func enable(_ reader: inout StanzaReader, _ management: Locked<StreamManagement>) async throws {
        try await send(XMLElement("enable", XMPPNames.management, ["resume": "true"]))
        var answer = try await reader.stanza()
        // Messages may arrive as soon as the resource is bound.
        while answer.namespace != XMPPNames.management {
            await early(answer)
            answer = try await reader.stanza()
        }
        guard answer.name == "enabled" else { return }
        let canResume = ["true", "1"].contains(answer["resume"])
        management.withLock { $0.begin(resumption: canResume ? answer["id"] : nil) }
    }
}
