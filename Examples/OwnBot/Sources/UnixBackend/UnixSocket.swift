import Foundation
import NIOCore
import NIOPosix
import PetrelKit

/// A socket file that only the bot's own user can open.
struct UnixSocket {
    typealias Connections = NIOAsyncChannel<NIOAsyncChannel<ByteBuffer, ByteBuffer>, Never>

    let path: String
    let loop: any EventLoop

    /// Creates the socket, in place of one that a bot has left behind.
    ///
    /// The socket is created in a folder that others cannot enter and then moved, so that it never has wider
    /// permissions under its own name.
    func listen() async throws -> Connections {
        try await refuseOccupied()
        let folder = "\(path).d"
        try FileManager.default.createDirectory(
            atPath: folder, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
        defer { rmdir(folder) }
        let temporary = "\(folder)/s"
        let server = try await ServerBootstrap(group: loop)
            .bind(unixDomainSocketPath: temporary, cleanupExistingSocketFile: true) { channel in
                channel.eventLoop.makeCompletedFuture {
                    try NIOAsyncChannel<ByteBuffer, ByteBuffer>(wrappingChannelSynchronously: channel)
                }
            }
        guard chmod(temporary, 0o600) == 0, rename(temporary, path) == 0 else {
            let reason = String(cString: strerror(errno))
            unlink(temporary)
            try await server.executeThenClose { _ in }
            throw BackendFailure("the socket \(path) could not be created: \(reason)")
        }
        return server
    }

    /// Throws if the path is a file of another kind, or a socket on which a process is listening.
    private func refuseOccupied() async throws {
        var information = stat()
        guard lstat(path, &information) == 0 else { return }
        guard information.st_mode & S_IFMT == S_IFSOCK else {
            throw BackendFailure("\(path) exists and is not a socket; choose another path", isFinal: true)
        }
        guard let other = try? await ClientBootstrap(group: loop).connect(unixDomainSocketPath: path).get() else {
            return
        }
        try await other.close()
        throw BackendFailure("another process is listening at \(path)")
    }
}
