import Foundation
import PlugInTemplates
import Testing

/// The files of `petrel new`, without a file system.
@Suite(.timeLimit(.minutes(10))) struct TemplateTests {
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
            #expect(!file.path.contains("{{") && !file.path.isEmpty)
            for placeholder in ["{{name}}", "{{identifier}}"] { #expect(!file.content.contains(placeholder)) }
            #expect(file.content.utf8.last == UInt8(ascii: "\n"), "\(file.path)")
            let lines = file.content.split(separator: "\n").map(\.unicodeScalars.count)
            #expect(lines.allSatisfy { $0 <= 120 } || file.path == "README.md", "\(file.path)")
        }
    }

    @Test(arguments: all) func `a plug-in has a program, tests, a configuration and a README, under unique paths`(
        kind: PlugInKind, language: PlugInLanguage
    ) throws {
        let template = PlugInTemplate(kind, in: language, named: try #require(PlugInName("tea-time_2")))
        let files = template.files
        let paths = files.map(\.path)
        #expect(Set(paths.map { $0.lowercased() }).count == paths.count)
        for path in ["config.json", "README.md", ".gitignore"] { #expect(paths.contains(path)) }
        let test = try #require(files.first { $0.path == template.testCommand.last })
        #expect(test.isExecutable && files[0].isExecutable && files[0].path.hasPrefix("tea-time_2."))
        let configuration = try #require(files.first { $0.path == "config.json" })
        #expect(configuration.permissions == 0o640)
        #expect(configuration.content.contains("tea-time_2"))
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
}
