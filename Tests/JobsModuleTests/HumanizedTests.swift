import Foundation
import Testing

@testable import JobsModule

struct HumanizedTests {
    @Test(
        arguments: [
            (0, "now"), (0.9, "now"), (1, "1 second ago"), (59.9, "59 seconds ago"), (60, "1 minute ago"),
            (3_600, "1 hour ago"), (86_400, "1 day ago"), (7 * 86_400, "1 week ago"), (30 * 86_400, "1 month ago"),
            (360 * 86_400, "1 year ago"), (540 * 86_400, "2 years ago"), (-120, "2 minutes from now"),
            (1e300, "a long while ago"), (-.infinity, "a long while ago"), (.nan, "a long while ago"),
        ] as [(Double, String)]) func `A time is said as its distance`(seconds: Double, text: String)
    {
        let now = Date(timeIntervalSinceReferenceDate: 0)
        #expect(Humanized.time(now.addingTimeInterval(-seconds), now: now) == text)
    }

    @Test(
        arguments: [
            (0, "0 B"), (999, "999 B"), (1_000, "1.0 kB"), (8_249, "8.2 kB"), (9_960, "10 kB"), (-1_500, "-1.5 kB"),
            (100e6, "100 MB"), (1e18, "1.0 EB"), (5e20, "500 EB"), (1e300, "1e+300 B"), (.infinity, "inf B"),
            (-.infinity, "-inf B"), (.nan, "nan B"),
        ] as [(Double, String)]) func `A size is said with its unit`(bytes: Double, text: String)
    {
        #expect(Humanized.size(bytes) == text)
    }

    @Test(
        arguments: [
            (0, "0"), (1.5, "1.5"), (1.25, "1.25"), (-0.5, "-0.5"), (3.14159, "3.14"), (1e300, "1e+300"), (.nan, "nan"),
            (-.infinity, "-inf"),
        ] as [(Double, String)]) func `A number is said with at most two decimal places`(number: Double, text: String)
    {
        #expect(Humanized.number(number) == text)
    }
}
