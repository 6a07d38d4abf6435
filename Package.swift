// swift-tools-version: 6.2
import PackageDescription

let settings: [SwiftSetting] = [
    .treatAllWarnings(as: .error),
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("MemberImportVisibility"),
    .enableUpcomingFeature("InternalImportsByDefault"),
    .enableUpcomingFeature("NonisolatedNonsendingByDefault"),
    .enableUpcomingFeature("InferIsolatedConformances"),
    .enableUpcomingFeature("ImmutableWeakCaptures"),
]

let log: Target.Dependency = .product(name: "Logging", package: "swift-log")
let metrics: Target.Dependency = .product(name: "CoreMetrics", package: "swift-metrics")
let lifecycle: Target.Dependency = .product(name: "ServiceLifecycle", package: "swift-service-lifecycle")
let hummingbird: Target.Dependency = .product(name: "Hummingbird", package: "hummingbird")
let nio: Target.Dependency = .product(name: "NIOCore", package: "swift-nio")
let argumentParser: Target.Dependency = .product(name: "ArgumentParser", package: "swift-argument-parser")
let httpTypes: Target.Dependency = .product(name: "HTTPTypes", package: "swift-http-types")

// Set by the Makefile and by Scripts/commit; empty in a plain `swift build`. Part of the environment, and not asked of
// git, because SwiftPM caches this manifest.
let commit = Context.environment["PETREL_COMMIT"] ?? ""

func target(_ name: String, _ path: String? = nil, _ dependencies: [Target.Dependency]) -> Target {
    .target(name: name, dependencies: dependencies, path: path.map { "Sources/\($0)" }, swiftSettings: settings)
}

func tests(
    _ name: String, _ dependencies: [Target.Dependency], exclude: [String] = [], resources: [Resource] = [],
    packageAccess: Bool = true
) -> Target {
    .testTarget(
        name: name, dependencies: dependencies, exclude: exclude, resources: resources, packageAccess: packageAccess,
        swiftSettings: settings)
}

let package = Package(
    name: "petrel",
    platforms: [.macOS(.v15)],
    products: [
        .executable(name: "petrel", targets: ["petrel"]),
        .library(name: "PetrelSupport", targets: ["PetrelSupport"]),
        .library(name: "PetrelKit", targets: ["PetrelKit"]),
        .library(name: "PetrelApp", targets: ["PetrelApp"]),
        .library(name: "PetrelPlugIns", targets: ["PetrelPlugIns"]),
        .library(name: "PetrelTesting", targets: ["PetrelTesting"]),
        .library(name: "StackStormClient", targets: ["StackStormClient"]),
    ],
    dependencies: [
        .package(url: "https://github.com/hummingbird-project/hummingbird", exact: "2.28.1", traits: []),
        .package(url: "https://github.com/swift-server/async-http-client", exact: "1.37.0"),
        .package(url: "https://github.com/swift-server/swift-service-lifecycle", exact: "2.13.0"),
        .package(url: "https://github.com/apple/swift-nio", exact: "2.101.2"),
        .package(url: "https://github.com/apple/swift-nio-ssl", exact: "2.37.6"),
        .package(url: "https://github.com/apple/swift-http-types", exact: "1.8.0"),
        .package(url: "https://github.com/apple/swift-nio-extras", exact: "1.35.2"),
        .package(url: "https://github.com/apple/swift-argument-parser", exact: "1.8.2"),
        .package(url: "https://github.com/apple/swift-log", exact: "1.16.2"),
        .package(url: "https://github.com/apple/swift-metrics", exact: "2.13.0"),
        .package(url: "https://github.com/apple/swift-collections", exact: "1.6.0"),
        .package(url: "https://github.com/apple/swift-crypto", exact: "4.5.2"),
        .package(url: "https://github.com/groue/GRDB.swift", exact: "7.10.0"),
        .package(url: "https://github.com/swiftlang/swift-subprocess", exact: "1.0.2"),
        .package(url: "https://github.com/apple/swift-system", exact: "1.8.1"),
        .package(url: "https://github.com/stencilproject/Stencil", exact: "0.15.1"),
    ],
    targets: [
        target(
            "PetrelSupport", nil,
            [
                nio, .product(name: "NIOPosix", package: "swift-nio"),
                .product(name: "AsyncHTTPClient", package: "async-http-client"),
            ]),
        target(
            "PetrelKit", nil,
            [
                "PetrelSupport", log, metrics, nio, .product(name: "NIOPosix", package: "swift-nio"),
                .product(name: "NIOSSL", package: "swift-nio-ssl"), .product(name: "NIOTLS", package: "swift-nio"),
            ]),
        target(
            "PetrelCore", nil,
            [
                "PetrelKit", "PetrelSupport", log, metrics, lifecycle,
                .product(name: "DequeModule", package: "swift-collections"),
            ]),
        target(
            "PetrelStore", nil,
            [
                "PetrelKit", "PetrelSupport", log, .product(name: "GRDB", package: "GRDB.swift"),
                .product(name: "GRDBSQLite", package: "GRDB.swift"),
                .product(name: "Crypto", package: "swift-crypto"),
            ]),
        target(
            "PetrelWeb", nil,
            [
                "PetrelKit", "PetrelSupport", log, lifecycle, hummingbird, nio, httpTypes,
                .product(name: "HummingbirdCore", package: "hummingbird"),
                .product(name: "HummingbirdTLS", package: "hummingbird"),
                .product(name: "NIOHTTPTypes", package: "swift-nio-extras"),
                .product(name: "NIOSSL", package: "swift-nio-ssl"),
            ]),
        target(
            "StackStormClient", nil,
            [
                "PetrelSupport", log, nio,
                .product(name: "AsyncHTTPClient", package: "async-http-client"),
                .product(name: "NIOHTTP1", package: "swift-nio"),
                .product(name: "NIOPosix", package: "swift-nio"),
                .product(name: "NIOFoundationCompat", package: "swift-nio"),
                .product(name: "NIOTLS", package: "swift-nio"),
                .product(name: "DequeModule", package: "swift-collections"),
                .product(name: "NIOSSL", package: "swift-nio-ssl"),
            ]),
        target(
            "StackStormSimulator", nil,
            [
                "PetrelKit", "PetrelSupport", "StackStormClient", log, lifecycle, hummingbird, nio, httpTypes,
                argumentParser,
                .product(name: "NIOHTTPTypes", package: "swift-nio-extras"),
                .product(name: "UnixSignals", package: "swift-service-lifecycle"),
            ]),
        .systemLibrary(name: "CEditline", pkgConfig: "libedit", providers: [.apt(["libedit-dev"])]),
        .systemLibrary(name: "CMalloc"),
        .target(name: "CBuildInfo", cSettings: [.define("PETREL_COMMIT", to: "\"\(commit)\"")]),
        target("TextBackend", "Backends/Text", ["PetrelKit", "PetrelSupport", "CEditline", log]),
        target(
            "SlackBackend", "Backends/Slack",
            [
                "PetrelKit", "PetrelSupport", log, nio,
                .product(name: "AsyncHTTPClient", package: "async-http-client"),
                .product(name: "Crypto", package: "swift-crypto"),
                .product(name: "NIOExtras", package: "swift-nio-extras"),
                .product(name: "NIOHTTP1", package: "swift-nio"),
                .product(name: "NIOPosix", package: "swift-nio"),
                .product(name: "NIOSSL", package: "swift-nio-ssl"),
                .product(name: "NIOWebSocket", package: "swift-nio"),
            ]),
        .systemLibrary(name: "CExpat", pkgConfig: "expat", providers: [.apt(["libexpat1-dev"])]),
        .systemLibrary(name: "CResolver"),
        target("XMLStream", nil, ["CExpat"]),
        target(
            "XMPPBackend", "Backends/XMPP",
            [
                "PetrelKit", "PetrelSupport", "XMLStream", "CResolver", log, nio,
                .product(name: "AsyncHTTPClient", package: "async-http-client"),
                .product(name: "Crypto", package: "swift-crypto"),
                .product(name: "CryptoExtras", package: "swift-crypto"),
                .product(name: "DequeModule", package: "swift-collections"),
                .product(name: "NIOHTTP1", package: "swift-nio"),
                .product(name: "NIOPosix", package: "swift-nio"),
                .product(name: "NIOSSL", package: "swift-nio-ssl"),
                .product(name: "NIOTLS", package: "swift-nio"),
            ]),
        target(
            "AWSClient", nil,
            [
                "JobEngine", "PetrelSupport", "XMLStream", nio,
                .product(name: "AsyncHTTPClient", package: "async-http-client"),
                .product(name: "Crypto", package: "swift-crypto"),
                .product(name: "NIOHTTP1", package: "swift-nio"),
                .product(name: "NIOPosix", package: "swift-nio"),
                .product(name: "NIOSSL", package: "swift-nio-ssl"),
            ]),
        target(
            "IRCBackend", "Backends/IRC",
            [
                "PetrelKit", "PetrelSupport", log, nio, .product(name: "NIOSSL", package: "swift-nio-ssl"),
            ]),
        target(
            "StackStormModule", "Modules/StackStorm",
            [
                "PetrelKit", "PetrelSupport", "StackStormClient", log, metrics,
                .product(name: "Crypto", package: "swift-crypto"),
                .product(name: "DequeModule", package: "swift-collections"),
            ]),
        target("ProcessControl", nil, ["PetrelSupport"]),
        target(
            "JobEngine", nil,
            [
                "PetrelSupport", "ProcessControl", log,
                .product(name: "DequeModule", package: "swift-collections"),
                .product(name: "Subprocess", package: "swift-subprocess"),
                .product(name: "SystemPackage", package: "swift-system"),
            ]),
        target(
            "JobsModule", "Modules/Jobs",
            [
                "JobEngine", "PetrelKit", "PetrelSupport", "PlugInProtocol", "ProcessModule", log, metrics, "Stencil",
                .product(name: "Crypto", package: "swift-crypto"),
            ]),
        target(
            "PlugInProtocol", nil,
            [
                "PetrelKit", "PetrelSupport", "ProcessControl", log,
                .product(name: "DequeModule", package: "swift-collections"),
                .product(name: "Subprocess", package: "swift-subprocess"),
                .product(name: "SystemPackage", package: "swift-system"),
            ]),
        target("ProcessBackend", "Backends/Process", ["PlugInProtocol", "PetrelKit", "PetrelSupport", log]),
        target("ProcessModule", "Modules/Process", ["PlugInProtocol", "PetrelKit", "PetrelSupport", log]),
        target("BuiltinsModule", "Modules/Builtins", ["PetrelKit", "PetrelSupport", log]),
        target(
            "InfraModule", "Modules/Infra", ["AWSClient", "PetrelKit", "PetrelSupport", log, metrics]),
        .target(name: "PlugInTemplates", resources: [.embedInCode("Files")], swiftSettings: settings),
        target(
            "LambdaRuntime", nil,
            [
                "PetrelKit", "PetrelSupport", log, nio,
                .product(name: "AsyncHTTPClient", package: "async-http-client"),
                .product(name: "NIOHTTP1", package: "swift-nio"),
            ]),
        target("PetrelTesting", nil, ["PetrelKit", "PetrelSupport", "PetrelCore", "PetrelStore", log, metrics]),
        target(
            "PetrelApp", nil,
            [
                "PetrelKit", "PetrelSupport", "PetrelCore", "PetrelStore", "PetrelWeb", "LambdaRuntime",
                "PlugInTemplates",
                log, metrics,
                lifecycle, "CBuildInfo", .target(name: "CMalloc", condition: .when(platforms: [.linux])),
                .product(name: "UnixSignals", package: "swift-service-lifecycle"), argumentParser,
            ]),
        target(
            "PetrelPlugIns", nil,
            [
                "PetrelApp", "PetrelCore", "PetrelKit", "PetrelSupport", argumentParser, "IRCBackend", "SlackBackend",
                "TextBackend", "XMPPBackend", "ProcessBackend",
                "BuiltinsModule", "InfraModule", "JobsModule", "ProcessModule", "PlugInConformance", "StackStormModule",
                "StackStormSimulator",
            ]),
        .executableTarget(name: "petrel", dependencies: ["PetrelApp", "PetrelPlugIns"], swiftSettings: settings),
        target(
            "PlugInConformance", nil,
            [
                "PetrelTesting", "PlugInProtocol", "ProcessBackend", "ProcessModule", "PetrelKit", "PetrelSupport", log,
                argumentParser,
            ]),
        tests(
            "StackStormClientTests",
            [
                "StackStormClient", "StackStormSimulator", "PetrelKit", "PetrelSupport", log, nio,
                .product(name: "NIOHTTP1", package: "swift-nio"),
                .product(name: "NIOPosix", package: "swift-nio"),
            ],
            resources: [.copy("Recordings")]),
        tests(
            "PetrelWebTests",
            [
                "PetrelWeb", "PetrelKit", "PetrelSupport", "PetrelTesting", "FaultSuite", log, lifecycle, nio,
                httpTypes,
                .product(name: "AsyncHTTPClient", package: "async-http-client"),
                .product(name: "NIOEmbedded", package: "swift-nio"),
                .product(name: "NIOHTTP1", package: "swift-nio"),
                .product(name: "NIOHTTPTypes", package: "swift-nio-extras"),
                .product(name: "NIOPosix", package: "swift-nio"),
                .product(name: "NIOSSL", package: "swift-nio-ssl"),
            ]),
        tests("TextBackendTests", ["TextBackend", "FaultSuite", "PetrelKit", "PetrelSupport", "PetrelTesting", log]),
        tests(
            "XMPPBackendTests",
            [
                "XMPPBackend", "XMLStream", "AWSClient", "InfraModule", "PetrelKit", "PetrelSupport", "PetrelCore",
                "PetrelTesting", "FaultSuite",
                "StackStormModule",
                "StackStormClient", "StackStormSimulator", log, nio,
                .product(name: "AsyncHTTPClient", package: "async-http-client"),
                .product(name: "NIOPosix", package: "swift-nio"),
                .product(name: "NIOSSL", package: "swift-nio-ssl"),
            ], exclude: ["crowd.py", "mod_refuse_for_tests.lua", "person.py"]),
        tests(
            "IRCBackendTests",
            [
                "IRCBackend", "PetrelKit", "PetrelSupport", "PetrelCore", "PetrelTesting", "FaultSuite",
                "StackStormModule", "StackStormClient", "StackStormSimulator", log, nio,
                .product(name: "NIOPosix", package: "swift-nio"),
                .product(name: "NIOSSL", package: "swift-nio-ssl"),
            ]),
        tests(
            "SlackBackendTests",
            [
                "SlackBackend", "AWSClient", "InfraModule", "PetrelKit", "PetrelSupport", "PetrelCore", "PetrelTesting",
                "FaultSuite",
                "StackStormModule", "StackStormClient", "StackStormSimulator", log, nio,
                .product(name: "AsyncHTTPClient", package: "async-http-client"),
                .product(name: "Crypto", package: "swift-crypto"),
                .product(name: "NIOFoundationCompat", package: "swift-nio"),
                .product(name: "NIOHTTP1", package: "swift-nio"),
                .product(name: "NIOPosix", package: "swift-nio"),
            ], exclude: ["prove_stand_in.py", "slack_stand_in.py"]),
        tests(
            "PetrelStoreTests",
            [
                "PetrelStore", "PetrelCore", "PetrelKit", "PetrelSupport", "PetrelTesting", "FaultSuite", log, metrics,
                .product(name: "GRDB", package: "GRDB.swift"),
            ]),
        tests(
            "StackStormModuleTests",
            [
                "StackStormModule", "StackStormClient", "StackStormSimulator", "PetrelKit", "PetrelSupport",
                "PetrelTesting",
                "PetrelCore", "PetrelStore", "BuiltinsModule", "PetrelWeb", "FaultSuite", log, lifecycle, nio,
                .product(name: "AsyncHTTPClient", package: "async-http-client"),
                .product(name: "NIOPosix", package: "swift-nio"),
                .product(name: "NIOSSL", package: "swift-nio-ssl"),
            ]),
        tests("AWSClientTests", ["AWSClient", "FaultSuite", "PetrelSupport", "XMLStream", nio]),
        tests(
            "InfraModuleTests",
            [
                "AWSClient", "InfraModule", "FaultSuite", "PetrelKit", "PetrelSupport", "PetrelTesting", "PetrelCore",
                log, metrics, nio,
                .product(name: "AsyncHTTPClient", package: "async-http-client"),
                .product(name: "NIOHTTP1", package: "swift-nio"),
            ], exclude: ["aws_stand_in.py", "moto_world.py"]),
        // Here and not in a package of its own: only a target of this package sees what is `package`.
        .executableTarget(
            name: "petrel-bench",
            dependencies: [
                "JobsModule", "PetrelCore", "PetrelKit", "PetrelStore", "PetrelSupport", "PetrelTesting",
                "PlugInProtocol",
                "ProcessModule", "StackStormClient", "StackStormModule", log,
            ],
            path: "Benchmarks/Sources", swiftSettings: settings),
        target(
            "FaultSuite", "../Faults/Suite",
            [
                "JobsModule", "PetrelKit", "PetrelSupport", "PetrelCore", "PetrelTesting", "StackStormClient",
                "StackStormModule",
                "StackStormSimulator", log, lifecycle, nio, .product(name: "NIOPosix", package: "swift-nio"),
                .product(name: "GRDB", package: "GRDB.swift"),
            ]),
        .executableTarget(
            name: "petrel-faults",
            dependencies: ["FaultSuite", argumentParser],
            path: "Faults/Command", swiftSettings: settings),
        // Replays corpora; Scripts/fuzz builds it with libFuzzer instead.
        .executableTarget(
            name: "petrel-fuzz",
            dependencies: [
                "PetrelKit", "PetrelSupport", "PetrelCore", "PetrelApp", "StackStormClient", "StackStormModule",
                "AWSClient", "BuiltinsModule", "InfraModule", "IRCBackend", "JobEngine", "JobsModule", "SlackBackend",
                "TextBackend", "XMLStream", "XMPPBackend", log, metrics, nio,
            ],
            path: "Fuzz/Sources", swiftSettings: settings),
        tests(
            "IntegrationTests",
            [
                "petrel", "PetrelApp", "PlugInTemplates", "FaultSuite", "PetrelKit", "PetrelSupport", "PetrelCore",
                "PetrelStore",
                "PetrelWeb",
                "PetrelTesting",
                "StackStormClient", "StackStormModule", "StackStormSimulator", nio, log, metrics, lifecycle,
                argumentParser,
                .product(name: "AsyncHTTPClient", package: "async-http-client"),
                .product(name: "NIOHTTP1", package: "swift-nio"),
                .product(name: "NIOSSL", package: "swift-nio-ssl"),
            ]),
        tests(
            "TutorialTests",
            [
                "PetrelKit", "PetrelSupport", "PetrelTesting", log, nio,
                .product(name: "NIOPosix", package: "swift-nio"),
            ], packageAccess: false),
        tests("PetrelCoreTests", ["PetrelCore", "PetrelKit", "PetrelSupport", "PetrelTesting", metrics]),
        tests(
            "ProcessPlugInTests",
            [
                "PlugInConformance", "PlugInProtocol", "ProcessBackend", "ProcessModule", "PetrelKit", "PetrelSupport",
                "PetrelCore",
                "PetrelStore", "PetrelTesting", "FaultSuite", log,
            ], exclude: ["fake_plugin.py", "memory_chat.py", "check_transcript.py"]),
        tests("JobEngineTests", ["JobEngine", "PetrelSupport"]),
        tests(
            "JobsModuleTests",
            [
                "JobsModule", "JobEngine", "BuiltinsModule", "PetrelKit", "PetrelSupport", "PetrelCore", "PetrelStore",
                "PetrelTesting", "FaultSuite", log, metrics, .product(name: "GRDB", package: "GRDB.swift"),
            ]),
        tests("PlugInTemplatesTests", ["PlugInTemplates"]),
        tests("PetrelSupportTests", ["PetrelSupport"]),
        tests(
            "PetrelKitTests",
            [
                "PetrelKit", "PetrelSupport", "PetrelTesting", "FaultSuite", nio,
                .product(name: "NIOPosix", package: "swift-nio"),
                .product(name: "NIOSSL", package: "swift-nio-ssl"),
            ]),
    ]
)
