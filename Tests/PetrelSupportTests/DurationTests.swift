import PetrelSupport
import Testing

@Suite struct DurationTests {
    @Test(arguments: [
        (Duration.zero, "0.0 s"), (.milliseconds(49), "0.0 s"), (.milliseconds(50), "0.1 s"),
        (.milliseconds(449), "0.4 s"), (.milliseconds(9_960), "10.0 s"), (.seconds(10), "10.0 s"),
        (.seconds(-3), "0.0 s"), (.seconds(123_456), "123456.0 s"),
    ]) func `a duration in seconds has one decimal place`(duration: Duration, text: String) {
        #expect(duration.inSeconds == text)
    }

    @Test func `the longest duration has a text`() {
        #expect(Duration.seconds(Int64.max).inSeconds == "9223372036.9 s")
    }
}
