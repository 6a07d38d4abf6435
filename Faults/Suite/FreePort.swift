import Foundation
import PetrelKit
import PetrelSupport

/// The ports that were tried last. The first one depends on the process, so that parallel test runs differ.
private let ports = Locked(Int(ProcessInfo.processInfo.processIdentifier) % 10_000)

/// Returns a TCP port on loopback that was free when it was looked up, and that neither this function returns again soon
/// nor the system chooses for a connection, because it is outside the range from which Linux and macOS choose.
package func freePort() throws -> Int {
    for _ in 0..<10_000 {
        let port = ports.withLock { number in
            number = (number + 1) % 10_000
            return 20_000 + number
        }
        if isFree(port) { return port }
    }
    throw Refusal("no free port was found")
}

private func isFree(_ port: Int) -> Bool {
    #if os(Linux)
        let type = Int32(SOCK_STREAM.rawValue)
    #else
        let type = SOCK_STREAM
    #endif
    let socket = Foundation.socket(AF_INET, type, 0)
    defer { close(socket) }
    // A port whose former connections are closing can be used.
    var isOn: Int32 = 1
    setsockopt(socket, SOL_SOCKET, SO_REUSEADDR, &isOn, socklen_t(MemoryLayout<Int32>.size))
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_port = in_port_t(UInt16(port).bigEndian)
    address.sin_addr.s_addr = inet_addr("127.0.0.1")
    return withUnsafePointer(to: &address) { pointer in
        pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
            bind(socket, $0, socklen_t(MemoryLayout<sockaddr_in>.size)) == 0
        }
    }
}
