import Foundation
package import PetrelKit

/// The routes of the static login page, for hosts without another web server.
package struct LoginPage: WebRoutes {
    private static let files = [
        ("index.html", "text/html; charset=utf-8"), ("login.css", "text/css; charset=utf-8"),
        ("login.js", "text/javascript; charset=utf-8"),
    ]

    private let contents: [(name: String, type: String, body: [UInt8])]

    /// Reads the files of the page. Throws ``LoginPageFailure`` if one is missing.
    package init(folder: String) throws {
        contents = try Self.files.map { name, type in
            let path = folder + "/" + name
            guard let data = FileManager.default.contents(atPath: path) else {
                throw LoginPageFailure(message: "web.html: the file \(path) of the login page is missing")
            }
            return (name, type, Array(data))
        }
    }

    /// Returns true if a folder contains the page.
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

/// The error of an incomplete login page.
package struct LoginPageFailure: Error, CustomStringConvertible {
    package var message: String
    package var description: String { message }
}
