import Dispatch
import Foundation
import PetrelSupport

/// Notices SIGINT, SIGTERM and SIGHUP, which do not end the process from now on.
final class Interruption {
    /// Opens with the first of the signals.
    let signal = Signal()
    private let first = Locked<Int32?>(nil)
    private let sources: [any DispatchSourceSignal]
    private let registrations: [Signal]

    /// The number of the signal that came first; nil if none came.
    var number: Int32? { first.value }

    init() {
        let numbers = [SIGINT, SIGTERM, SIGHUP]
        sources = numbers.map { number in
            // Programs that are started have the default action.
            Foundation.signal(number, SIG_IGN)
            return DispatchSource.makeSignalSource(signal: number, queue: .global())
        }
        registrations = numbers.map { _ in Signal() }
        for ((number, source), registration) in zip(zip(numbers, sources), registrations) {
            source.setRegistrationHandler { registration.open() }
            source.setEventHandler { [first, signal] in
                first.withLock { $0 = $0 ?? number }
                signal.open()
            }
            source.activate()
        }
    }

    /// Waits until the signals are noticed. One that comes before that is ignored.
    func prepare() async { for registration in registrations { await registration.wait() } }

    deinit { for source in sources { source.cancel() } }
}
