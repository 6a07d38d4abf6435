/// The XML namespaces of the supported protocols.
enum XMPPNames {
    /// Message Styling (XEP-0393).
    static let styling = "urn:xmpp:styling:0"
    static let client = "jabber:client"
    static let streams = "http://etherx.jabber.org/streams"
    static let tls = "urn:ietf:params:xml:ns:xmpp-tls"
    static let sasl = "urn:ietf:params:xml:ns:xmpp-sasl"
    static let bind = "urn:ietf:params:xml:ns:xmpp-bind"
    static let session = "urn:ietf:params:xml:ns:xmpp-session"
    static let streamErrors = "urn:ietf:params:xml:ns:xmpp-streams"
    static let stanzaErrors = "urn:ietf:params:xml:ns:xmpp-stanzas"
    /// XEP-0198
    static let management = "urn:xmpp:sm:3"
    /// XEP-0478
    static let limits = "urn:xmpp:stream-limits:0"
    /// XEP-0199
    static let ping = "urn:xmpp:ping"
    /// XEP-0030
    static let info = "http://jabber.org/protocol/disco#info"
    static let items = "http://jabber.org/protocol/disco#items"
    /// XEP-0092
    static let version = "jabber:iq:version"
    /// XEP-0045
    static let muc = "http://jabber.org/protocol/muc"
    static let mucUser = "http://jabber.org/protocol/muc#user"
    static let mucOwner = "http://jabber.org/protocol/muc#owner"
    /// XEP-0004
    static let data = "jabber:x:data"
    /// XEP-0203
    static let delay = "urn:xmpp:delay"
    /// XEP-0091, superseded by XEP-0203
    static let oldDelay = "jabber:x:delay"
    /// XEP-0308
    static let correction = "urn:xmpp:message-correct:0"
    /// XEP-0359
    static let ids = "urn:xmpp:sid:0"
    /// XEP-0184
    static let receipts = "urn:xmpp:receipts"
    /// XEP-0280
    static let carbons = "urn:xmpp:carbons:2"
    static let forward = "urn:xmpp:forward:0"
    /// XEP-0363
    static let upload = "urn:xmpp:http:upload:0"
    /// XEP-0066
    static let outOfBand = "jabber:x:oob"
    /// XEP-0071
    static let xhtmlIM = "http://jabber.org/protocol/xhtml-im"
    static let xhtml = "http://www.w3.org/1999/xhtml"
    /// XEP-0334
    static let hints = "urn:xmpp:hints"
}
