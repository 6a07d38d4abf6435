import StackStormClient
import Testing

@testable import StackStormModule

@Suite struct ReplayCursorTests {
    private static func time(_ seconds: Int) -> StackStormTime {
        StackStormTime(microseconds: Int64(seconds) * 1_000_000)
    }

    @Test func `the cursor advances to the newest announcement, but not past an unfinished one`() {
        var cursor = ReplayCursor(time: Self.time(100))
        cursor.advance(newest: Self.time(200), open: Self.time(150), number: 1)
        #expect(cursor.time.map { $0 < Self.time(150) && $0 > Self.time(149) } == true)
        cursor.advance(newest: Self.time(2_000), open: Self.time(150), number: 2)
        #expect(cursor.time == Self.time(2_000))
        cursor.advance(newest: Self.time(1_000), open: nil, number: 3)
        #expect(cursor.time == Self.time(2_000))
    }

    @Test func `the cursor reads the overlap again, but not before its floor`() {
        var cursor = ReplayCursor(time: Self.time(1_000), floor: Self.time(100))
        #expect(cursor.start == Self.time(970))
        cursor.time = Self.time(110)
        #expect(cursor.start == Self.time(100))
        #expect(ReplayCursor().start == nil)
    }

    @Test func `announcements outside of the replay window are skipped for good`() {
        var cursor = ReplayCursor(time: Self.time(1_000), floor: Self.time(100))
        cursor.skip(to: Self.time(5_000))
        #expect(cursor.time == Self.time(5_000) && cursor.start == Self.time(5_000))
        cursor.skip(to: Self.time(4_000))
        #expect(cursor.time == Self.time(5_000))
    }

    @Test func `ledger entries are removed only if they are no longer needed`() {
        var cursor = ReplayCursor(time: Self.time(0), floor: Self.time(0))
        for step in 1...10 { cursor.advance(newest: Self.time(step * 20), open: nil, number: Int64(step)) }
        // 60 seconds before 200: the mark before 140.
        #expect(cursor.forgettable() == (6, nil))
        #expect(cursor.floor == Self.time(0))
        cursor.advance(newest: Self.time(750), open: nil, number: 11)
        // 600 seconds before 750.
        #expect(cursor.forgettable() == (10, 7))
        #expect(cursor.floor == Self.time(140))
        #expect(cursor.forgettable() == (10, nil))
        // The size of the ledger is limited if there are many entries.
        cursor.advance(newest: Self.time(800), open: nil, number: 20_011)
        cursor.advance(newest: Self.time(900), open: nil, number: 20_012)
        #expect(cursor.forgettable() == (20_011, 11))
    }

    @Test func `the cursor follows StackStorm's clock back as far as the ledger reaches`() {
        var cursor = ReplayCursor(time: Self.time(1_000), floor: Self.time(100))
        #expect(cursor.follow(Self.time(1_500), ours: Self.time(9_000)) == .steady)
        #expect(cursor.floor == Self.time(940))
        cursor.floor = Self.time(100)
        // A slow clock.
        #expect(cursor.follow(Self.time(1_520), ours: Self.time(9_025)) == .steady)
        // Without recent announcements the cursor is far behind, and does not advance past the new time.
        #expect(cursor.follow(Self.time(1_420), ours: Self.time(9_030)) == .steady)
        #expect(cursor.time == Self.time(1_000))
        cursor.advance(newest: Self.time(1_515), open: nil, number: 1)
        #expect(cursor.time == Self.time(1_420))
        #expect(cursor.follow(Self.time(830), ours: Self.time(9_040)) == .setBack)
        #expect(cursor.time == Self.time(820))
        cursor.advance(newest: Self.time(1_515), open: nil, number: 2)
        #expect(cursor.time == Self.time(830))
        #expect(cursor.follow(Self.time(850), ours: Self.time(9_060)) == .steady)
        #expect(
            cursor.follow(Self.time(60), ours: Self.time(9_070)) == .setBackTooFar(.seconds(800), until: Self.time(860))
        )
        #expect(cursor.time == Self.time(830))
        // The clock has reached the old time again.
        #expect(cursor.follow(Self.time(1_600), ours: Self.time(9_700)) == .steady)
        cursor.advance(newest: Self.time(1_590), open: nil, number: 3)
        #expect(cursor.time == Self.time(1_590))
    }
}

@Suite struct StackStormTimeTests {
    @Test(
        arguments: [
            ("2026-11-21T02:10:16.498577Z", "2026-11-21T02:10:16.498577Z"),
            ("2026-11-21T02:10:16Z", "2026-11-21T02:10:16.000000Z"),
            ("2026-11-21T02:10:16.5Z", "2026-11-21T02:10:16.500000Z"), ("yesterday", nil), ("", nil), ("Z", nil),
            ("2026-11-21T02:10:16.x5Z", nil), ("2026-13-41T02:10:16Z", nil),
        ] as [(String, String?)]) func `timestamps of StackStorm are parsed`(text: String, expected: String?)
    {
        #expect(StackStormTime(text)?.description == expected)
    }

    @Test(
        arguments: [
            ("Sat, 21 Nov 2026 03:27:09 GMT", "2026-11-21T03:27:09.000000Z"),
            ("Sun, 01 Jan 2023 00:00:00 GMT", "2023-01-01T00:00:00.000000Z"), ("Sat, 21 Foo 2026 03:27:09 GMT", nil),
            ("now", nil),
        ] as [(String, String?)]) func `dates of the Date header are parsed`(text: String, expected: String?)
    {
        #expect(StackStormTime(header: text)?.description == expected)
    }
}
