import Foundation

/// A name for a new plug-in: 1 to 40 of `a-z`, `0-9`, `_` and `-`, beginning with a letter.
package struct PlugInName: Sendable {
    /// The maximum length, in bytes.
    package static let maximumLength = 40

    /// The name.
    package let text: String

    /// Creates a name. Returns nil if the text is not one.
    package init?(_ text: String) {
        let bytes = text.utf8
        guard let first = bytes.first, Self.isLetter(first), bytes.count <= Self.maximumLength,
            bytes.allSatisfy({ Self.isLetter($0) || (0x30...0x39).contains($0) || $0 == 0x5F || $0 == 0x2D })
        else { return nil }
        self.text = text
    }

    private static func isLetter(_ byte: UInt8) -> Bool { (0x61...0x7A).contains(byte) }

    /// The name as an identifier: with `_` in place of `-`.
    package var identifier: String { text.replacingOccurrences(of: "-", with: "_") }

    /// The name as the first part of the name of a Swift type, such as `TeaTime` for `tea-time`.
    package var type: String {
        let words = text.utf8.split { $0 == UInt8(ascii: "-") || $0 == UInt8(ascii: "_") }
        return words.map { word in
            let text = String(decoding: word, as: UTF8.self)
            return text.prefix(1).uppercased() + text.dropFirst()
        }.joined()
    }

    /// Returns the reason for which a plug-in in a language cannot have this name; nil if it can.
    package func obstacle(in language: PlugInLanguage) -> String? {
        switch language {
        case .python where Self.pythonModules.contains(text):
            "\(text).py would hide the module \(text) of Python's library"
        case .python where ["petrel_plugin", "client"].contains(text):
            "the folder contains another file \(text).py"
        case .swift where text.hasPrefix("swift-") || Self.swiftPackages.contains(text):
            "the package could not depend on Petrel, which needs a package named \(text)"
        case .swift where Self.swiftTypes.contains(type.lowercased()):
            "Petrel has types whose names begin with \(type)"
        case .python, .sh, .swift: nil
        }
    }

    /// The packages on which Petrel depends, besides those whose names begin with `swift-`.
    private static let swiftPackages: Set = ["hummingbird", "async-http-client", "petrel"]

    /// The beginnings of types and targets of Petrel that end like those of the templates, in lower case.
    private static let swiftTypes: Set = [
        "backend", "module", "bot", "builtins", "chat", "irc", "process", "recording", "slack", "stackstorm", "text",
        "xmpp",
    ]

    /// The modules of the library of Python 3.9 to 3.14 whose names are also names of plug-ins. A program beside a file
    /// of such a name would import the file.
    private static let pythonModules = Set(
        """
        abc aifc annotationlib antigravity argparse array ast asynchat asyncio asyncore atexit audioop base64 bdb
        binascii binhex bisect builtins bz2 calendar cgi cgitb chunk cmath cmd code codecs codeop collections colorsys
        compileall compression concurrent configparser contextlib contextvars copy copyreg crypt csv ctypes curses
        dataclasses datetime dbm decimal difflib dis distutils doctest email encodings ensurepip enum errno
        faulthandler fcntl filecmp fileinput fnmatch formatter fractions ftplib functools gc genericpath getopt
        getpass gettext glob graphlib grp gzip hashlib heapq hmac html http idlelib imaplib imghdr imp importlib
        inspect io ipaddress itertools json keyword lib2to3 linecache locale logging lzma macpath mailbox mailcap
        marshal math mimetypes mmap modulefinder msilib msvcrt multiprocessing netrc nis nntplib nt ntpath nturl2path
        numbers opcode operator optparse os ossaudiodev parser pathlib pdb pickle pickletools pipes pkgutil platform
        plistlib poplib posix posixpath pprint profile pstats pty pwd py_compile pyclbr pydoc pydoc_data pyexpat queue
        quopri random re readline reprlib resource rlcompleter runpy sched secrets select selectors shelve shlex
        shutil signal site smtpd smtplib sndhdr socket socketserver spwd sqlite3 sre_compile sre_constants sre_parse
        ssl stat statistics string stringprep struct subprocess sunau symbol symtable sys sysconfig syslog tabnanny
        tarfile telnetlib tempfile termios textwrap this threading time timeit tkinter token tokenize tomllib trace
        traceback tracemalloc tty turtle turtledemo types typing unicodedata unittest urllib uu uuid venv warnings
        wave weakref webbrowser winreg winsound wsgiref xdrlib xml xmlrpc zipapp zipfile zipimport zlib zoneinfo
        """.split(whereSeparator: \.isWhitespace).map(String.init))
}
