// swift-tools-version: 6.1
import PackageDescription

// What every Swift target is built with. Release builds drop the dynamic exclusivity checks (they cost 40 % of the
// instructions of an event-loop tick); debug builds keep them.
let settings: [SwiftSetting] = [
    .swiftLanguageMode(.v6),
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("InternalImportsByDefault"),
    .unsafeFlags(["-warnings-as-errors"]),
    .unsafeFlags(["-enforce-exclusivity=unchecked"], .when(configuration: .release)),
]

// libraft 0.22.x, unpacked there by scripts/fetch-raft.sh: Debian 12's own is of another line.
let raftFolder = "\(Context.packageDirectory)/.deps/raft"
let raftHeaders: [CSetting] = [.unsafeFlags(["-I\(raftFolder)/include"])]

let collections: Target.Dependency = .product(name: "Collections", package: "swift-collections")
let log: Target.Dependency = .product(name: "Logging", package: "swift-log")

// The arrows point one way, downwards in this list; `make check-imports` compares them with the sources.
let package = Package(
    name: "sluice",
    products: [.executable(name: "sluice", targets: ["sluice"])],
    dependencies: [
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
        .package(url: "https://github.com/apple/swift-asn1", from: "1.7.4"),
        .package(url: "https://github.com/apple/swift-certificates", from: "1.21.1"),
        .package(url: "https://github.com/apple/swift-collections", from: "1.6.0"),
        .package(url: "https://github.com/apple/swift-crypto", from: "4.5.2"),
        .package(url: "https://github.com/apple/swift-log", from: "1.16.2"),
        .package(url: "https://github.com/apple/swift-nio", from: "2.101.2"),
        .package(url: "https://github.com/apple/swift-nio-ssl", from: "2.37.6"),
        .package(url: "https://github.com/attaswift/BigInt", from: "6.0.1"),
        .package(url: "https://github.com/swift-server/swift-service-lifecycle", from: "2.13.0"),
    ],
    targets: [
        // System libraries, each behind a thin C target.
        .systemLibrary(name: "CYAML", pkgConfig: "yaml-0.1", providers: [.apt(["libyaml-dev"])]),
        .systemLibrary(name: "CCurl", pkgConfig: "libcurl", providers: [.apt(["libcurl4-openssl-dev"])]),
        .systemLibrary(name: "CPCRE2", pkgConfig: "libpcre2-8", providers: [.apt(["libpcre2-dev"])]),
        .systemLibrary(name: "CZlib", pkgConfig: "zlib", providers: [.apt(["zlib1g-dev"])]),
        .systemLibrary(name: "CCrypto", pkgConfig: "libcrypto", providers: [.apt(["libssl-dev"])]),
        // bcrypt: libxcrypt's crypt_r.
        .systemLibrary(name: "CCrypt", providers: [.apt(["libcrypt-dev"])]),
        .systemLibrary(name: "CLinux"),
        .systemLibrary(name: "CBytes"),
        // Types alone: the library is looked for at run time.
        .systemLibrary(name: "CJQ"),

        // CRC32C by the processor's instruction where it has one.
        .target(name: "CCRC32C"),

        // The consensus engine behind a flat face of our own.
        .target(
            name: "CRaft", dependencies: ["CCRC32C"], cSettings: raftHeaders,
            linkerSettings: [
                .unsafeFlags(["-L\(raftFolder)/lib"]), .linkedLibrary("raft"), .linkedLibrary("uv"),
                .linkedLibrary("lz4"),
            ]),

        .target(name: "Buffers", swiftSettings: settings),
        .target(name: "Storage", dependencies: ["Buffers", "CCRC32C", "CLinux"], swiftSettings: settings),
        .target(name: "Topics", dependencies: ["Buffers"], swiftSettings: settings),
        .target(name: "Consensus", dependencies: ["CRaft", log], swiftSettings: settings),
        .target(
            name: "Cluster",
            dependencies: [
                "Consensus", "Topics", "Buffers", "CCRC32C", "CLinux", collections, log,
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOPosix", package: "swift-nio"),
                .product(name: "NIOSSL", package: "swift-nio-ssl"),
                .product(name: "NIOTLS", package: "swift-nio"),
                .product(name: "Crypto", package: "swift-crypto"),
                .product(name: "SwiftASN1", package: "swift-asn1"),
                .product(name: "X509", package: "swift-certificates"),
            ],
            swiftSettings: settings),
        .target(name: "MQTTCodec", dependencies: ["Topics", "Buffers"], swiftSettings: settings),
        .target(name: "ConfigSchema", dependencies: ["CYAML"], swiftSettings: settings),
        .target(
            name: "RuleEngine",
            dependencies: [
                "Topics", "Buffers", "CBytes", "CPCRE2", "CZlib", "CCrypto", "CJQ",
                .product(name: "BigInt", package: "BigInt"),
            ],
            swiftSettings: settings),
        .target(
            name: "Sinks",
            dependencies: ["RuleEngine", "ConfigSchema", "Buffers", "CCurl", "CLinux", collections, log],
            swiftSettings: settings),
        .target(
            name: "Access",
            dependencies: [
                "ConfigSchema", "Topics", "Buffers", "CCrypt", "CCurl", "CPCRE2", log,
                .product(name: "Crypto", package: "swift-crypto"),
                .product(name: "CryptoExtras", package: "swift-crypto"),
                .product(name: "SwiftASN1", package: "swift-asn1"),
            ],
            swiftSettings: settings),
        .target(
            name: "RuleFiles", dependencies: ["ConfigSchema", "RuleEngine", "Sinks", "Topics", "Buffers", "CZlib"],
            swiftSettings: settings),
        .target(
            name: "Broker",
            dependencies: [
                "Buffers", "Topics", "MQTTCodec", "ConfigSchema", "RuleEngine", "Sinks", "RuleFiles", "Access",
                "Storage", "Cluster", "CCrypto", "CLinux", collections,
                log,
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOPosix", package: "swift-nio"),
                .product(name: "NIOHTTP1", package: "swift-nio"),
                .product(name: "NIOTLS", package: "swift-nio"),
                .product(name: "NIOWebSocket", package: "swift-nio"),
                .product(name: "NIOSSL", package: "swift-nio-ssl"),
                .product(name: "SwiftASN1", package: "swift-asn1"),
            ],
            swiftSettings: settings),
        .target(
            name: "Management",
            dependencies: [
                "Broker", "Cluster", "Sinks", "Access", "ConfigSchema", log,
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOPosix", package: "swift-nio"),
            ],
            swiftSettings: settings),
        .executableTarget(
            name: "sluice",
            dependencies: [
                "Broker", "Cluster", "Management", "RuleFiles", "RuleEngine", "ConfigSchema", "Access", log,
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
                .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
                .product(name: "UnixSignals", package: "swift-service-lifecycle"),
            ],
            swiftSettings: settings),

        // What an evaluation costs; `make bench-rules`. No part of the product.
        .executableTarget(
            name: "RuleBench", dependencies: ["RuleEngine", "Topics", "Buffers"], path: "Benchmarks/RuleBench",
            exclude: ["Payloads"], swiftSettings: settings),

        .testTarget(name: "BuffersTests", dependencies: ["Buffers"], swiftSettings: settings),
        .testTarget(name: "StorageTests", dependencies: ["Storage", "Buffers", "CCRC32C"], swiftSettings: settings),
        .testTarget(
            name: "ConsensusTests", dependencies: ["Consensus", "CRaft", log],
            swiftSettings: settings),
        // Links between nodes on a clock and a network of the test's own; for tests alone.
        .target(
            name: "ClusterSimulation", dependencies: ["Cluster", "Buffers"], path: "Tests/ClusterSimulation",
            swiftSettings: settings),
        .testTarget(
            name: "ClusterTests",
            dependencies: [
                "Cluster", "ClusterSimulation", "Consensus", "Buffers", log,
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOPosix", package: "swift-nio"),
                .product(name: "NIOSSL", package: "swift-nio-ssl"),
            ],
            swiftSettings: settings),
        .testTarget(name: "TopicsTests", dependencies: ["Topics"], swiftSettings: settings),
        .testTarget(name: "MQTTCodecTests", dependencies: ["MQTTCodec"], swiftSettings: settings),
        .testTarget(name: "ConfigSchemaTests", dependencies: ["ConfigSchema"], swiftSettings: settings),
        .testTarget(name: "RuleEngineTests", dependencies: ["RuleEngine"], swiftSettings: settings),
        .testTarget(name: "SinksTests", dependencies: ["Sinks"], swiftSettings: settings),
        .testTarget(
            name: "AccessTests",
            dependencies: ["Access", "ConfigSchema", "Buffers", log],
            swiftSettings: settings),
        .testTarget(name: "RuleFilesTests", dependencies: ["RuleFiles"], swiftSettings: settings),
        .testTarget(
            name: "BrokerTests",
            dependencies: [
                "Broker", "Cluster", "Consensus", "ConfigSchema", "MQTTCodec", "RuleEngine", "Sinks", "Storage",
                "Buffers", log,
            ],
            swiftSettings: settings),
    ]
)
