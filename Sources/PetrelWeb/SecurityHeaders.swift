import HTTPTypes
import NIOCore
import NIOHTTPTypes

/// The security headers of all responses (OWASP ASVS 5.0, V3.4 and V14.2).
enum SecurityHeaders {
    static let all = [
        "cache-control": "no-store",
        "content-security-policy":
            "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; base-uri 'none'; "
            + "form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'",
        "cross-origin-opener-policy": "same-origin",
        "cross-origin-resource-policy": "same-origin",
        "permissions-policy":
            "camera=(), display-capture=(), geolocation=(), microphone=(), payment=(), usb=()",
        "referrer-policy": "no-referrer",
        "x-content-type-options": "nosniff",
        "x-frame-options": "DENY",
    ]

    /// One year, with all subdomains. The header must be sent over TLS only (RFC 6797, section 7.2).
    private static let strictTransport = "max-age=31536000; includeSubDomains"

    static func fields(overTLS: Bool) -> HTTPFields {
        var fields = HTTPFields()
        for (name, value) in all {
            if let name = HTTPField.Name(name) { fields[name] = value }
        }
        if overTLS { fields[.strictTransportSecurity] = strictTransport }
        return fields
    }
}

/// A handler that adds missing headers to every response, including those of the HTTP server itself.
final class AnswerHeaders: ChannelOutboundHandler, RemovableChannelHandler {
    typealias OutboundIn = HTTPResponsePart
    typealias OutboundOut = HTTPResponsePart

    private let fields: HTTPFields

    init(_ fields: HTTPFields) {
        self.fields = fields
    }

    func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
        guard case .head(var head) = unwrapOutboundIn(data) else { return context.write(data, promise: promise) }
        for field in fields where head.headerFields[field.name] == nil { head.headerFields[field.name] = field.value }
        context.write(wrapOutboundOut(.head(head)), promise: promise)
    }
}
