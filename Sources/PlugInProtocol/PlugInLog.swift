package import Logging
package import PetrelSupport

/// Writes the notifications `log` of plug-ins.
package enum PlugInLog {
    /// Writes a notification, and ignores those of another method, as the protocol requires.
    package static func write(_ method: String, _ params: JSONValue, _ launch: PlugInLaunch, _ logger: Logger) {
        guard method == "log", let message = params["message"]?.string else {
            return logger.debug("The plug-in \(launch.name) sent a notification of an unknown method.")
        }
        let level = params["level"]?.string.flatMap { Logger.Level(rawValue: $0) } ?? .info
        let text = Printable.line(launch.masked(String(String.UnicodeScalarView(message.unicodeScalars.prefix(8_192)))))
        logger.log(level: min(level, .error), "\(launch.name): \(text)")
    }
}

extension RPCPeer.Failure {
    /// The failure, as part of a sentence whose subject is the plug-in.
    package var clause: String {
        switch self {
        case .closed(let reason), .unavailable(let reason): reason
        case .late(let limit): "did not answer within \(limit.inWords)"
        case .blocked: "does not read its input"
        }
    }
}
