import PetrelKit
import Testing

@testable import PetrelWeb

@Suite struct LoginBookTests {
    private static let start = ContinuousClock.now

    private static func request(_ key: String = "alice", word: String = "tulip") -> LoginRequest {
        LoginRequest(
            key: key, person: "@\(key) on test", word: Secret(word), check: { _ in .accepted("ok") }, withdrawn: {})
    }

    private static func prepare(_ book: inout LoginBook, _ key: String = "alice") throws -> String {
        let link = book.prepare(request(key), at: start)
        return try #require(link).reveal()
    }

    /// A book with one page open.
    private static func opened(tries: Int = 3) throws -> (LoginBook, LoginBook.Opened, String) {
        var book = LoginBook(limits: .init(tries: tries))
        let link = try prepare(&book)
        let page = try book.open(link, at: start)
        return (book, page, link)
    }

    private static func begin(
        _ book: inout LoginBook, _ page: LoginBook.Opened, word: String = "tulip", after: Duration = .zero
    ) throws(LoginBook.Fault) -> LoginBook.Try {
        try book.begin(
            page: page.page, cookie: page.cookie.reveal(), token: page.token.reveal(), word: word, at: start + after)
    }

    @Test func `a link opens once, and opening it again harms nothing`() throws {
        var (book, page, link) = try Self.opened()
        #expect(throws: LoginBook.Fault.alreadyOpened) { try book.open(link, at: Self.start) }
        guard case .check = try Self.begin(&book, page) else { throw LoginBook.Fault.unknown }
        let left2 = book.finish(page: page.page, .accepted("ok"))
        #expect(left2 == 2)
        #expect(throws: LoginBook.Fault.used) { try book.open(link, at: Self.start) }
        #expect(throws: LoginBook.Fault.used) { try Self.begin(&book, page) }
        #expect(throws: LoginBook.Fault.unknown) {
            try book.open("00000000-0000-4000-8000-000000000000", at: Self.start)
        }
    }

    @Test func `three wrong words end it, and so do three refusals`() throws {
        var (book, page, _) = try Self.opened()
        for left in [2, 1, 0] {
            guard case .wrongWord(_, left) = try Self.begin(&book, page, word: "rose") else {
                Issue.record("\(left) tries should be left")
                return
            }
        }
        #expect(throws: LoginBook.Fault.tooManyTries) { try Self.begin(&book, page) }
        (book, page, _) = try Self.opened()
        for left in [2, 1, 0] {
            _ = try Self.begin(&book, page)
            let found = book.finish(page: page.page, .refused("no"))
            #expect(found == left)
        }
        #expect(throws: LoginBook.Fault.tooManyTries) { try Self.begin(&book, page) }
    }

    @Test func `what could not be found out costs no try`() throws {
        var (book, page, _) = try Self.opened(tries: 1)
        for _ in 0..<10 {
            _ = try Self.begin(&book, page)
            #expect(throws: LoginBook.Fault.busy) { try Self.begin(&book, page) }
            let left1 = book.finish(page: page.page, .undecided("down"))
            #expect(left1 == 1)
        }
    }

    @Test func `only the page that opened the link can use it, and others use up no try`() throws {
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

    @Test func `a link is good for ten minutes, opened or not`() throws {
        var (book, page, _) = try Self.opened()
        guard case .check = try Self.begin(&book, page, after: .seconds(599)) else { throw LoginBook.Fault.unknown }
        _ = book.finish(page: page.page, .undecided(""))
        #expect(throws: LoginBook.Fault.expired) { try Self.begin(&book, page, after: .seconds(601)) }
        let link = try Self.prepare(&book, "bob")
        #expect(throws: LoginBook.Fault.expired) { try book.open(link, at: Self.start + .seconds(600)) }
        #expect(throws: LoginBook.Fault.expired) { try book.open(link, at: Self.start + .seconds(1_000)) }
    }

    @Test func `a newer link takes the place of the older, and others stay`() throws {
        var book = LoginBook()
        let bob = try Self.prepare(&book, "bob")
        let first = try Self.prepare(&book)
        let page = try book.open(first, at: Self.start)
        let second = try Self.prepare(&book)
        #expect(throws: LoginBook.Fault.unknown) { try Self.begin(&book, page) }
        #expect(throws: LoginBook.Fault.unknown) { try book.open(first, at: Self.start) }
        _ = try book.open(second, at: Self.start)
        _ = try book.open(bob, at: Self.start)
        let wasThere = [book.withdraw("alice"), book.withdraw("alice")]
        #expect(wasThere == [true, false])
        #expect(throws: LoginBook.Fault.unknown) { try book.open(second, at: Self.start) }
    }

    @Test func `one person cannot fill the book, and many cannot grow it`() throws {
        var book = LoginBook(limits: .init(capacity: 10))
        for _ in 0..<1_000 { _ = try Self.prepare(&book) }
        for number in 0..<9 { _ = try Self.prepare(&book, "p\(number)") }
        let full = book.prepare(Self.request("late"), at: Self.start)
        #expect(full == nil)
        let later = book.prepare(Self.request("late"), at: Self.start + .seconds(1_201))
        #expect(later != nil)
    }
}
