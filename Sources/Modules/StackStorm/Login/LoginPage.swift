import Foundation
package import PetrelKit

/// The static page, for whoever has no web server of their own.
package struct LoginPage: WebRoutes {
    private static let files = [
        ("index.html", "text/html; charset=utf-8"), ("login.css", "text/css; charset=utf-8"),
        ("login.js", "text/javascript; charset=utf-8"),
    ]

    private let contents: [(name: String, type: String, body: [UInt8])]

    /// Reads the page once. Throws where a file of it is missing.
    package init(folder: String) throws {
        contents = try Self.files.map { name, type in
            let path = folder + "/" + name
            guard let data = FileManager.default.contents(atPath: path) else {
                throw LoginPageFailure(message: "web.html: the login page lacks \(path)")
            }
            return (name, type, Array(data))
        }
    }

    /// Returns whether a folder has the page.
    package static func exists(in folder: String) -> Bool {
        FileManager.default.fileExists(atPath: "\(folder)/\(files[0].0)")
    }

    package var routes: [WebRoute] {
        contents.flatMap { name, type, body in
            let route = { (path: String) in
                WebRoute(.get, path, bodyLimit: 0) { _ in
                    WebResponse(status: 200, headers: ["content-type": type], body: body)
                }
            }
            return name == "index.html" ? [route("/"), route("/index.html")] : [route("/" + name)]
        }
    }
}

/// The login page that the configuration names is not whole.
package struct LoginPageFailure: Error, CustomStringConvertible {
    package var message: String
    package var description: String { message }
}
