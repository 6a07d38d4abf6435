import Foundation
import NIOCore
import PetrelKit
import PetrelSupport

/// From an encrypted connection to a stream on which one can talk: authentication, then the old stream taken up again
/// (XEP-0198) or a resource bound.
struct Negotiation: Sendable {
    struct Outcome: Sendable {
        /// With the resource that the server gave.
        var jid: JID
        /// The stream from before goes on.
        var isResumed: Bool
        /// The largest stanza that the server takes (XEP-0478); nil where it does not say.
        var mostBytes: Int?
    }

    typealias Write = @Sendable (String) async throws -> Void

    let jid: JID
    let password: Secret
    let allowsPlain: Bool
    let write: Write
    /// Takes what others said before there was an answer; it is not counted.
    let early: @Sendable (XMLElement) async -> Void

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
        for lost in management.withLock({ $0.giveUp() }) { lost.fate.settle(false) }
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
            throw BackendFailure("The server does not say what it can do, but <\(features.name)>.")
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
        let hint = offered.contains("PLAIN") ? " With allow_plain the password would be sent as it is, within TLS." : ""
        throw BackendFailure(
            "The server offers no way to log in that is known here (\(offered.joined(separator: ", "))).\(hint)",
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
        guard challenge.name == "challenge" else { throw BackendFailure("The server lets in without a password.") }
        do {
            try await send(
                XMLElement(
                    "response", XMPPNames.sasl, text: Self.encoded(try scram.final(to: Self.text(of: challenge)))))
            let success = try await answer(&reader)
            if success.name == "challenge" {
                // The server's proof comes before its word.
                try scram.verify(Self.text(of: success))
                try await send(XMLElement("response", XMPPNames.sasl))
                _ = try await answer(&reader)
            } else {
                try scram.verify(Self.text(of: success))
            }
        } catch let failure as SCRAM.Failure {
            throw BackendFailure("The login failed: \(failure).")
        }
    }

    private func auth(_ mechanism: Mechanism, _ text: String) -> XMLElement {
        var auth = XMLElement("auth", XMPPNames.sasl, text: Self.encoded(text))
        auth.attributes["mechanism"] = mechanism.name
        return auth
    }

    /// A challenge, or that it worked.
    private func answer(_ reader: inout StanzaReader) async throws -> XMLElement {
        let answer = try await reader.stanza()
        if answer.namespace == XMPPNames.sasl, ["challenge", "success"].contains(answer.name) { return answer }
        let reasons = answer.children.filter { $0.namespace == XMPPNames.sasl }
        let condition = reasons.first { $0.name != "text" }?.name ?? answer.name
        let text = reasons.first { $0.name == "text" }.map { ": \($0.text)" } ?? ""
        throw BackendFailure(
            "The server refuses the login of \(jid.bare): \(condition)\(text).",
            isFinal: condition != "temporary-auth-failure")
    }

    private static func encoded(_ text: String) -> String { Data(text.utf8).base64EncodedString() }

    private static func text(of element: XMLElement) -> String {
        String(decoding: Data(base64Encoded: element.text) ?? Data(), as: UTF8.self)
    }

    // MARK: The stream

    /// False where it cannot be taken up again.
    private func resume(_ reader: inout StanzaReader, _ management: Locked<StreamManagement>) async throws -> Bool {
        let (resumption, count) = management.withLock { ($0.resumption, $0.received) }
        guard let resumption else { return false }
        try await send(XMLElement("resume", XMPPNames.management, ["previd": resumption, "h": "\(count)"]))
        let answer = try await reader.stanza()
        let theirs = answer["h"].flatMap { UInt32($0) }
        guard answer.name == "resumed", answer.namespace == XMPPNames.management else {
            // A server may still know what it had of ours.
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
            throw BackendFailure("The server gives no address.")
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
            let problem = StanzaError(answer).map { "\($0)" } ?? "it sends <\(answer.name)>"
            throw BackendFailure("The server refuses <\(request.name)>: \(problem).")
        }
        return answer
    }

    private func enable(_ reader: inout StanzaReader, _ management: Locked<StreamManagement>) async throws {
        try await send(XMLElement("enable", XMPPNames.management, ["resume": "true"]))
        var answer = try await reader.stanza()
        // Others may write to the bot as soon as it has its address.
        while answer.namespace != XMPPNames.management {
            await early(answer)
            answer = try await reader.stanza()
        }
        guard answer.name == "enabled" else { return }
        let canResume = ["true", "1"].contains(answer["resume"])
        management.withLock { $0.begin(resumption: canResume ? answer["id"] : nil) }
    }
}
