package import Foundation

/// A message that is to be sent.
package struct OutboxEntry: Sendable {
    /// The position of the message in the order of all messages.
    package var number: Int64
    /// The content of the message.
    package var reply: Reply
    /// The destination. It may be undecided until the message is sent.
    package var address: Address
    /// What delivery does beyond sending the content.
    package var marks: DeliveryMarks
    /// The time at which the message was queued, or, for a report of an earlier event, should have been.
    package var said: Date
    /// The number of pieces of a long text that were sent.
    package var pieces: Int

    /// Creates an entry.
    package init(
        number: Int64, reply: Reply, address: Address, marks: DeliveryMarks = DeliveryMarks(), said: Date,
        pieces: Int = 0
    ) {
        self.number = number
        self.reply = reply
        self.address = address
        self.marks = marks
        self.said = said
        self.pieces = pieces
    }

    /// The queue that the message belongs to.
    package var queue: DeliveryQueue { DeliveryQueue(backend: address.backend, place: address.place) }
}

/// The identity of a queue: messages to one place on one backend are sent in their order.
package struct DeliveryQueue: Hashable, Sendable {
    /// The name of the backend.
    package var backend: String
    /// The room or the person.
    package var place: Address.Place

    /// Creates an identity.
    package init(backend: String, place: Address.Place) {
        self.backend = backend
        self.place = place
    }
}

/// A message that can never be sent, unless an operator retries it.
package struct DeadLetter: Sendable {
    /// The message.
    package var entry: OutboxEntry
    /// The reason why it cannot be sent, as part of a sentence.
    package var reason: String

    /// Creates a dead letter.
    package init(_ entry: OutboxEntry, reason: String) {
        self.entry = entry
        self.reason = reason
    }
}
