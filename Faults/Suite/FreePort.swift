import Foundation
import PetrelKit

/// Returns a TCP port on loopback that was free when it was looked up.
package func freePort() throws -> Int {
    let socket = Foundation.socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
    defer { close(socket) }
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_addr.s_addr = inet_addr("127.0.0.1")
    var length = socklen_t(MemoryLayout<sockaddr_in>.size)
    let port = withUnsafeMutablePointer(to: &address) { pointer in
        pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { pointer -> UInt16? in
            guard bind(socket, pointer, length) == 0, getsockname(socket, pointer, &length) == 0 else { return nil }
            return UInt16(
                bigEndian: pointer.withMemoryRebound(to: sockaddr_in.self, capacity: 1) { $0.pointee.sin_port })
        }
    }
    guard let port else { throw Refusal("no free port was found") }
    return Int(port)
}
