import Foundation
import PlugInTemplates
import Testing

/// The files of `petrel new`, without a file system.
@Suite(.timeLimit(.minutes(30))) struct TemplateTests {
    private static let all = PlugInKind.allCases.flatMap { kind in
        PlugInLanguage.allCases.map { (kind, $0) }
    }

    private static func files(_ kind: PlugInKind, _ language: PlugInLanguage, _ name: String) throws -> [PlugInFile] {
        PlugInTemplate(kind, in: language, named: try #require(PlugInName(name))).files
    }

    @Test(arguments: all) func `no placeholder remains, and every file ends with a line feed`(
        kind: PlugInKind, language: PlugInLanguage
    ) throws {
        for file in try Self.files(kind, language, "tea-time_2") where file.path != "petrel_plugin.py" {
            #expect(!file.path.contains("{{"))
            #expect(file.content.range(of: "\\{\\{[a-z]+\\}\\}", options: .regularExpression) == nil, "\(file.path)")
            #expect(file.content.utf8.last == UInt8(ascii: "\n"), "\(file.path)")
        }
    }

    @Test(arguments: all) func `a plug-in has tests, a configuration and a README, under unique paths`(
        kind: PlugInKind, language: PlugInLanguage
    ) throws {
        let files = try Self.files(kind, language, "tea-time_2")
        let paths = files.map(\.path)
        #expect(Set(paths.map { $0.lowercased() }).count == paths.count)
        for path in ["config.json", "README.md", ".gitignore"] { #expect(paths.contains(path)) }
        #expect(paths.contains { $0.lowercased().contains("test") })
        let configuration = try #require(files.first { $0.path == "config.json" })
        #expect(configuration.permissions == 0o640 && configuration.content.contains("tea-time_2"))
        #expect(files[0].isExecutable == (language != .swift))
    }

    @Test func `types and targets in Swift are named in camel case, and the dependency is quoted`() throws {
        let name = try #require(PlugInName("tea-time_2"))
        for (package, dependency) in [
            (PetrelPackage.path("/a \"b\"\\\n{{name}}/bird"), #".package(path: "/a \"b\"\\\u{a}{{name}}/bird")"#),
            (
                .url("https://example.com/x/bird.git"),
                #".package(url: "https://example.com/x/bird.git", branch: "main")"#
            ),
        ] {
            let files = PlugInTemplate(.module, in: .swift, named: name, petrel: package).files
            #expect(files.contains { $0.path == "Sources/TeaTime2Module/TeaTime2Module.swift" })
            let manifest = try #require(files.first { $0.path == "Package.swift" }).content
            #expect(manifest.contains("[\(dependency)]"), "\(manifest)")
            #expect(manifest.contains(#"package: "bird""#))
        }
    }

    @Test func `the SDK is the file of the repository`() throws {
        let original = URL(fileURLWithPath: #filePath).appendingPathComponent("../../../python/petrel_plugin.py")
        let sdk = try #require(Self.files(.module, .python, "tea").first { $0.path == "petrel_plugin.py" })
        #expect(Data(sdk.content.utf8) == (try Data(contentsOf: original.standardized)))
    }

    @Test(arguments: [
        "", "../x", "a b", "Ä", "ä", "a\u{308}", "-x", "_x", "1x", "A", "aB", "a.b", "a/b", "a\n", "a\0",
        String(repeating: "a", count: 41), String(repeating: "a", count: 200),
    ]) func `other texts are not names`(text: String) {
        #expect(PlugInName(text) == nil)
    }

    @Test(arguments: ["a", "class", "tea-time_2", String(repeating: "a", count: 40)])
    func `lower-case ASCII letters, digits, _ and - form names`(text: String) {
        #expect(PlugInName(text)?.text == text)
    }

    @Test func `a name that would hide a module of Python's library is refused for Python only`() throws {
        for text in ["queue", "json", "petrel_plugin", "client"] {
            let name = try #require(PlugInName(text))
            #expect(name.obstacle(in: .python) != nil, "\(text)")
            #expect(name.obstacle(in: .sh) == nil)
        }
        #expect(PlugInName("class")?.obstacle(in: .python) == nil)
    }

    @Test func `a name that would collide with Petrel's packages and types is refused for Swift only`() throws {
        for text in ["swift-nio", "hummingbird", "chat", "bot", "module", "stack-storm", "x"] {
            let name = try #require(PlugInName(text))
            #expect((name.obstacle(in: .swift) == nil) == (text == "x"), "\(text)")
            #expect(name.obstacle(in: .sh) == nil)
        }
    }
}
