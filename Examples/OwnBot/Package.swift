// swift-tools-version: 6.2
import PackageDescription

func petrel(_ product: String) -> Target.Dependency { .product(name: product, package: "petrel") }
func nio(_ product: String) -> Target.Dependency { .product(name: product, package: "swift-nio") }
let log: Target.Dependency = .product(name: "Logging", package: "swift-log")

// The API of Petrel has closures that run where they are called: without this setting, types do not conform to it.
let settings: [SwiftSetting] = [.enableUpcomingFeature("NonisolatedNonsendingByDefault")]

let package = Package(
    name: "own-bot",
    platforms: [.macOS(.v15)],
    dependencies: [
        .package(name: "petrel", path: "../.."),
        .package(url: "https://github.com/apple/swift-nio", from: "2.101.0"),
        .package(url: "https://github.com/apple/swift-log", from: "1.16.0"),
    ],
    targets: [
        .target(
            name: "UnixBackend",
            dependencies: [petrel("PetrelKit"), petrel("PetrelSupport"), nio("NIOCore"), nio("NIOPosix"), log],
            swiftSettings: settings),
        .target(
            name: "LockModule", dependencies: [petrel("PetrelKit"), petrel("PetrelSupport")], swiftSettings: settings),
        .executableTarget(
            name: "OwnBot", dependencies: [petrel("PetrelApp"), petrel("PetrelPlugIns"), "UnixBackend", "LockModule"],
            swiftSettings: settings),
        .testTarget(
            name: "OwnBotTests",
            dependencies: [
                "UnixBackend", "LockModule", petrel("PetrelKit"), petrel("PetrelSupport"), petrel("PetrelTesting"),
                nio("NIOCore"), nio("NIOPosix"), log,
            ],
            swiftSettings: settings),
    ]
)
