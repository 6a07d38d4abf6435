import AsyncHTTPClient
import FaultSuite
import Foundation
import NIOCore
import NIOHTTP1
import NIOSSL
import PetrelKit
import PetrelSupport
import PetrelTesting
import Testing

/// Chromium, controlled over WebDriver (W3C), and over the DevTools protocol for functions that WebDriver lacks.
struct Browser: Sendable {
    private static let elementKey = "element-6066-11e4-a52e-4f735466cecf"

    private let client: HTTPClient
    private let base: String

    /// Runs the body with a browser of its own.
    static func run(in folder: URL, _ body: @Sendable (Browser) async throws -> Void) async throws {
        let (driver, port) = try await startDriver()
        let client = HTTPClient(
            eventLoopGroupProvider: .singleton, configuration: .init(timeout: .init(connect: .minutes(4))))
        let result: Result<Void, any Error>
        do {
            let address = "http://127.0.0.1:\(port)"
            let options: JSONValue = [
                "args": [
                    "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-proxy-server",
                    "--hide-scrollbars", .string("--user-data-dir=\(folder.path)/profile"),
                ], "binary": "/usr/bin/chromium",
            ]
            let capabilities: JSONValue = [
                "capabilities": [
                    "alwaysMatch": [
                        "acceptInsecureCerts": true, "goog:chromeOptions": options,
                        // The limit for scripts, which wait for elements, is half a minute otherwise.
                        "timeouts": ["script": 290_000, "pageLoad": 290_000],
                    ]
                ]
            ]
            let session = try await begin(client, address, capabilities)
            let id = try #require(session["sessionId"]?.string)
            let browser = Browser(client: client, base: "\(address)/session/\(id)")
            do {
                try await body(browser)
                result = .success(())
            } catch {
                result = .failure(error)
            }
            _ = try? await send(client, .DELETE, browser.base, nil)
        } catch {
            result = .failure(error)
        }
        // The child inherits the signal mask, in which TERM is blocked.
        driver.signal(SIGKILL)
        _ = await driver.end()
        try await client.shutdown()
        try result.get()
    }

    /// Starts ChromeDriver and returns its port. It chooses a port for IPv4, and ends if that port is in use for IPv6.
    private static func startDriver() async throws -> (Program, port: Substring) {
        var said = ""
        for _ in 0..<5 {
            let driver = try Program(["--port=0"], of: "/usr/bin/chromedriver")
            said = ""
            while let line = await driver.line() {
                if let match = line.firstMatch(of: /was started successfully on port (\d+)/) {
                    return (driver, match.1)
                }
                said += line + "\n"
            }
            said += "exit status \(await driver.exit())"
        }
        throw Refusal("ChromeDriver does not start: \(said)")
    }

    /// Opens a window. On a busy machine Chromium may not start in the time that ChromeDriver gives it.
    private static func begin(_ client: HTTPClient, _ address: String, _ capabilities: JSONValue) async throws
        -> JSONValue
    {
        for _ in 0..<3 {
            if let session = try? await send(client, .POST, "\(address)/session", capabilities) { return session }
        }
        // The last attempt tells the reason.
        return try await send(client, .POST, "\(address)/session", capabilities)
    }

    private static func send(
        _ client: HTTPClient, _ method: HTTPMethod, _ address: String, _ body: JSONValue?
    ) async throws -> JSONValue {
        var request = HTTPClientRequest(url: address)
        request.method = method
        if let body {
            request.headers.add(name: "content-type", value: "application/json")
            request.body = .bytes(ByteBuffer(bytes: try JSONValue.encode(body)))
        }
        let response = try await client.execute(request, timeout: .minutes(5))
        let bytes = try await response.body.collect(upTo: 32 << 20)
        let value = try JSONValue.parse(bytes.readableBytesView)["value"] ?? .null
        guard response.status == .ok else { throw Refusal("the browser refused: \(value["message"]?.string ?? "")") }
        return value
    }

    private func post(_ path: String, _ body: JSONValue = .object([:])) async throws -> JSONValue {
        try await Self.send(client, .POST, base + path, body)
    }

    func go(to address: String) async throws {
        // Only the part after # may differ, which alone would not load the page again.
        _ = try await post("/url", ["url": "about:blank"])
        _ = try await post("/url", ["url": .string(address)])
    }

    private func element(_ selector: String) async throws -> String {
        let found = try await post("/element", ["using": "css selector", "value": .string(selector)])
        return try #require(found[Self.elementKey]?.string)
    }

    func type(_ text: String, into selector: String) async throws {
        let element = try await element(selector)
        _ = try await post("/element/\(element)/clear")
        _ = try await post("/element/\(element)/value", ["text": .string(text)])
    }

    func click(_ selector: String) async throws {
        _ = try await post("/element/\(try await element(selector))/click")
    }

    func run(_ script: String) async throws -> JSONValue {
        try await post("/execute/sync", ["script": .string(script), "args": []])
    }

    /// Waits until one of the selectors is visible on the page, and returns its text.
    func see(_ selectors: String...) async throws -> String {
        let script = """
            const [selectors, done] = arguments;
            const look = () => {
              for (const selector of selectors) {
                const found = document.querySelector(selector);
                if (found && found.checkVisibility() && found.textContent.trim() !== "") {
                  observer.disconnect();
                  done(found.innerText);
                  return;
                }
              }
            };
            const observer = new MutationObserver(look);
            observer.observe(document, {subtree: true, childList: true, attributes: true, characterData: true});
            look();
            """
        let list = JSONValue.array(selectors.map { .string($0) })
        return try await post("/execute/async", ["script": .string(script), "args": [list]]).string ?? ""
    }

    func newTab() async throws -> String {
        let tab = try await post("/window/new", ["type": "tab"])
        let handle = try #require(tab["handle"]?.string)
        try await show(handle)
        return handle
    }

    func tab() async throws -> String {
        try #require(try await Self.send(client, .GET, base + "/window", nil).string)
    }

    func show(_ tab: String) async throws { _ = try await post("/window", ["handle": .string(tab)]) }

    private func tools(_ command: String, _ parameters: JSONValue) async throws -> JSONValue {
        try await post("/goog/cdp/execute", ["cmd": .string(command), "params": parameters])
    }

    /// Takes screenshots of the whole page at desktop and phone width, in light and dark mode.
    func capture(_ name: String, into folder: URL) async throws {
        for (device, width, height, scale) in [("desktop", 1_280, 860, 1), ("phone", 390, 844, 2)] {
            for scheme in ["light", "dark"] {
                _ = try await tools(
                    "Emulation.setDeviceMetricsOverride",
                    [
                        "width": .integer(width), "height": .integer(height), "deviceScaleFactor": .integer(scale),
                        "mobile": .bool(device == "phone"),
                    ])
                _ = try await tools(
                    "Emulation.setEmulatedMedia",
                    ["features": [["name": "prefers-color-scheme", "value": .string(scheme)]]])
                let shot = try await tools("Page.captureScreenshot", ["format": "png", "captureBeyondViewport": true])
                let data = try #require(shot["data"]?.string.flatMap { Data(base64Encoded: $0) })
                try data.write(to: folder.appendingPathComponent("\(name)-\(device)-\(scheme).png"))
            }
        }
    }

    /// The cookie, which the page's script cannot read, and the page's anti-forgery token.
    func pageSecrets(under page: String) async throws -> [String] {
        let place: JSONValue = ["urls": [.string(page + "login/open")]]
        let cookies = try await tools("Network.getCookies", place)["cookies"]?.array ?? []
        let token = try await run("return page === null ? '' : page.token").string ?? ""
        return cookies.compactMap { $0["value"]?.string } + [token]
    }

    func forgetCookies() async throws { _ = try await tools("Network.clearBrowserCookies", .object([:])) }

    /// Returns the fields and buttons that have no name in the accessibility tree.
    func namelessControls() async throws -> [String] {
        let tree = try await tools("Accessibility.getFullAXTree", .object([:]))
        return (tree["nodes"]?.array ?? []).compactMap { node in
            let role = node["role"]?["value"]?.string ?? ""
            guard ["textbox", "button", "radio"].contains(role), node["ignored"]?.bool != true else { return nil }
            return node["name"]?["value"]?.string?.isEmpty == false ? nil : role
        }
    }
}
