import PetrelKit
import PetrelSupport
import Testing

@testable import StackStormModule

@Suite struct LoginBookTests {
    private static let start = ContinuousClock.now

    private static let login = ProvenLogin(account: "alice", begin: { _ in "ok" }, decline: { _ in })

    private static func request(_ key: String = "alice", word: String = "tulip") -> LoginRequest {
        LoginRequest(
            key: key, person: "@\(key) on test", word: Secret(word), check: { _ in .proven(login) },
            happened: { _, _ in })
    }

    private static func prepare(_ book: inout LoginBook, _ key: String = "alice") throws -> String {
        try book.prepare(request(key), at: start).reveal()
    }

    private static func open(
        _ book: inout LoginBook, _ link: String, after: Duration = .zero
    ) throws -> LoginBook.Opened {
        guard case .first(let page, _) = try book.open(link, at: start + after) else {
            throw LoginBook.Fault.alreadyOpened
        }
        return page
    }

    /// Returns a book with one open page.
    private static func opened(tries: Int = 3) throws -> (LoginBook, LoginBook.Opened, String) {
        var book = LoginBook(limits: .init(tries: tries))
        let link = try prepare(&book)
        let page = try open(&book, link)
        return (book, page, link)
    }

    private static func begin(
        _ book: inout LoginBook, _ page: LoginBook.Opened, word: String = "tulip", after: Duration = .zero
    ) throws(LoginBook.Fault) -> LoginBook.Try {
        try book.begin(
            page: page.page, cookie: page.cookie.reveal(), token: page.token.reveal(), word: word, at: start + after)
    }

    @Test func `a link opens once, and opening it again has no effect`() throws {
        var (book, page, link) = try Self.opened()
        #expect(throws: LoginBook.Fault.alreadyOpened) { try Self.open(&book, link) }
        guard case .check = try Self.begin(&book, page) else { throw LoginBook.Fault.unknown }
        let left2 = book.finish(page: page.page, .proven(Self.login), at: Self.start)
        #expect(left2 == 2)
        #expect(throws: LoginBook.Fault.alreadyOpened) { try Self.open(&book, link) }
        #expect(throws: LoginBook.Fault.unconfirmed) { try Self.begin(&book, page) }
        _ = try Self.confirm(&book, page)
        #expect(throws: LoginBook.Fault.used) { try Self.open(&book, link) }
        #expect(throws: LoginBook.Fault.used) { try Self.begin(&book, page) }
        #expect(throws: LoginBook.Fault.unknown) {
            try Self.open(&book, "00000000-0000-4000-8000-000000000000")
        }
    }

    @Test func `three wrong words or three invalid credentials end a link`() throws {
        var (book, page, _) = try Self.opened()
        for left in [2, 1, 0] {
            guard case .wrongWord(_, left) = try Self.begin(&book, page, word: "rose") else {
                Issue.record("\(left) attempts should be left")
                return
            }
        }
        #expect(throws: LoginBook.Fault.tooManyTries) { try Self.begin(&book, page) }
        (book, page, _) = try Self.opened()
        for left in [2, 1, 0] {
            _ = try Self.begin(&book, page)
            let found = book.finish(page: page.page, .refused("no"), at: Self.start)
            #expect(found == left)
        }
        #expect(throws: LoginBook.Fault.tooManyTries) { try Self.begin(&book, page) }
    }

    @Test func `an undecided attempt does not count`() throws {
        var (book, page, _) = try Self.opened(tries: 1)
        for _ in 0..<10 {
            _ = try Self.begin(&book, page)
            #expect(throws: LoginBook.Fault.busy) { try Self.begin(&book, page) }
            let left1 = book.finish(page: page.page, .undecided("down"), at: Self.start)
            #expect(left1 == 1)
        }
    }

    @Test func `only the page that opened the link can use it, and attempts of others do not count`() throws {
        var (book, page, _) = try Self.opened()
        for (cookie, token) in [("", ""), (page.cookie.reveal(), "x"), ("x", page.token.reveal())] {
            #expect(throws: LoginBook.Fault.notThisPage) {
                try book.begin(page: page.page, cookie: cookie, token: token, word: "tulip", at: Self.start)
            }
        }
        guard case .check = try Self.begin(&book, page) else { throw LoginBook.Fault.unknown }
        var issued = LoginBook()
        let link = try Self.prepare(&issued)
        #expect(throws: LoginBook.Fault.unknown) {
            try issued.begin(page: link, cookie: "", token: "", word: "tulip", at: Self.start)
        }
    }

    @Test func `a link expires after ten minutes, opened or not`() throws {
        var (book, page, _) = try Self.opened()
        guard case .check = try Self.begin(&book, page, after: .seconds(599)) else { throw LoginBook.Fault.unknown }
        _ = book.finish(page: page.page, .undecided(""), at: Self.start)
        #expect(throws: LoginBook.Fault.expired) { try Self.begin(&book, page, after: .seconds(601)) }
        let link = try Self.prepare(&book, "bob")
        #expect(throws: LoginBook.Fault.expired) { try Self.open(&book, link, after: .seconds(600)) }
        #expect(throws: LoginBook.Fault.expired) { try Self.open(&book, link, after: .seconds(1_000)) }
    }

    @Test func `a newer link replaces the older one of the same user`() throws {
        var book = LoginBook()
        let bob = try Self.prepare(&book, "bob")
        let first = try Self.prepare(&book)
        let page = try Self.open(&book, first)
        let second = try Self.prepare(&book)
        #expect(throws: LoginBook.Fault.unknown) { try Self.begin(&book, page) }
        #expect(throws: LoginBook.Fault.unknown) { try Self.open(&book, first) }
        _ = try Self.open(&book, second)
        _ = try Self.open(&book, bob)
        let wasThere = [book.withdraw("alice"), book.withdraw("alice")]
        #expect(wasThere == [true, false])
        #expect(throws: LoginBook.Fault.unknown) { try Self.open(&book, second) }
    }

    @Test func `the number of open logins is limited, per user and in total`() throws {
        var book = LoginBook(limits: .init(capacity: 10))
        for _ in 0..<1_000 { _ = try Self.prepare(&book) }
        for number in 0..<9 { _ = try Self.prepare(&book, "p\(number)") }
        #expect(throws: LoginBook.Refusal.full) { try book.prepare(Self.request("late"), at: Self.start) }
        _ = try book.prepare(Self.request("late"), at: Self.start + .seconds(1_201))
    }

    @Test func `a login that is withdrawn or replaced during its check does not begin`() throws {
        for isReplaced in [true, false] {
            var (book, page, _) = try Self.opened()
            _ = try Self.begin(&book, page)
            if isReplaced { _ = try Self.prepare(&book) } else { book.withdraw("alice") }
            let left = book.finish(page: page.page, .proven(Self.login), at: Self.start)
            #expect(left == nil)
        }
    }

    @Test func `failed attempts count over all links of a user and expire after an hour`() throws {
        var book = LoginBook()
        for _ in 0..<3 {
            let page = try Self.open(&book, try Self.prepare(&book))
            for _ in 0..<3 { _ = try Self.begin(&book, page, word: "rose") }
        }
        #expect(throws: LoginBook.Refusal.wait(.seconds(3_600))) { try book.prepare(Self.request(), at: Self.start) }
        _ = try Self.prepare(&book, "bob")
        _ = try book.prepare(Self.request(), at: Self.start + .seconds(3_600))
    }

    @Test(arguments: [
        ("don’t", "don't"), ("caf\u{E9}", "cafe\u{301}"), ("two  words ", "two\u{A0}words"), ("“x”", "\"x\""),
    ]) func `words are normalized before they are compared`(chosen: String, typed: String) throws {
        var book = LoginBook()
        let request = LoginRequest(
            key: "a", person: "", word: Secret(chosen), check: { _ in .refused("") }, happened: { _, _ in })
        let link = try book.prepare(request, at: Self.start).reveal()
        let page = try Self.open(&book, link)
        guard case .check = try Self.begin(&book, page, word: typed) else { throw LoginBook.Fault.unknown }
    }

    private static func confirm(
        _ book: inout LoginBook, _ page: LoginBook.Opened, account: String? = "alice", after: Duration = .zero
    ) throws(LoginBook.Fault) -> ProvenLogin {
        try book.confirm(
            page: page.page, cookie: page.cookie.reveal(), token: page.token.reveal(), account: account,
            at: start + after)
    }

    /// Returns a book with one page whose account is verified.
    private static func proven() throws -> (LoginBook, LoginBook.Opened) {
        var (book, page, _) = try opened()
        _ = try begin(&book, page)
        _ = book.finish(page: page.page, .proven(login), at: start)
        return (book, page)
    }

    @Test func `a verified login can be confirmed once`() throws {
        var (book, page, _) = try Self.opened()
        #expect(throws: LoginBook.Fault.unproven) { try Self.confirm(&book, page) }
        (book, page) = try Self.proven()
        #expect(throws: LoginBook.Fault.unconfirmed) { try Self.begin(&book, page) }
        #expect(throws: LoginBook.Fault.notThisPage) { try Self.confirm(&book, page, account: "bob") }
        #expect(throws: LoginBook.Fault.notThisPage) {
            try book.confirm(page: page.page, cookie: page.cookie.reveal(), token: "x", account: nil, at: Self.start)
        }
        let login = try Self.confirm(&book, page)
        #expect(login.account == "alice")
        #expect(throws: LoginBook.Fault.used) { try Self.confirm(&book, page) }
    }

    @Test func `a login that was declined, withdrawn or has expired cannot be confirmed`() throws {
        var (book, page) = try Self.proven()
        _ = try Self.confirm(&book, page, account: nil)
        #expect(throws: LoginBook.Fault.declined) { try Self.confirm(&book, page) }
        (book, page) = try Self.proven()
        book.withdraw("alice")
        #expect(throws: LoginBook.Fault.unknown) { try Self.confirm(&book, page) }
        (book, page) = try Self.proven()
        #expect(throws: LoginBook.Fault.expired) { try Self.confirm(&book, page, after: .seconds(601)) }
    }

    @Test func `a link has 192 random bits and is valid in a URL`() throws {
        var book = LoginBook()
        let links = try (0..<100).map { try Self.prepare(&book, "p\($0)") }
        #expect(Set(links).count == 100)
        #expect(links.allSatisfy { $0.utf8.count == 48 && $0.wholeMatch(of: /[0-9a-f]+/) != nil })
    }
}
