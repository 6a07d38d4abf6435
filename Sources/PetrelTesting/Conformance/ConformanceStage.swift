public import PetrelKit

/// A chat service as its people see it, with a backend that is connected to nothing yet. Every case gets a new one.
///
/// A stage implements what its ``abilities`` name; a case uses nothing else. Rooms and people are named by the
/// identifiers that the backend uses in ``ChatMessage`` and ``Address``. Name at least two of each if the service has
/// them, because cases about several places or people need them.
public protocol ConformanceStage: Sendable {
    /// The backend.
    var backend: any ChatBackend { get }
    /// The abilities of the service and of the stage. Those that the backend declares itself count only if it does.
    var abilities: Set<ConformanceAbility> { get }
    /// The identifiers of the rooms that the bot is in; the first one is used most.
    var rooms: [String] { get }
    /// The identifiers of the people; all of them are in every room.
    var people: [String] { get }

    /// The traits of the backend while it is connected. The default returns its present ones; a stage states them if the
    /// backend learns them from the service.
    var traits: BackendTraits { get }
    /// Places that do not exist, for ``ConformanceAbility/unknownPlaces``. The default is empty.
    var unknownPlaces: [Address.Place] { get }

    /// Waits until the bot is connected and in its rooms. Cases call it after each start of the backend, also after one
    /// that follows a stop, and after each connection that was restored.
    func untilConnected() async throws
    /// Sends a message as a person. Returns its identifier, which ``redeliver(_:)`` takes, and which is also the
    /// identifier of the thread that the message begins. A stage without these abilities may return any text.
    ///
    /// The texts have line breaks and control characters. If people cannot type them, send the text that
    /// ``carried(_:)`` returns for it, as one message. Do not wait until the bot has read the message: some cases send
    /// hundreds while the bot reads none.
    /// - Parameters:
    ///   - room: the room; nil for the direct chat of the person with the bot.
    ///   - thread: the thread; nil for none.
    func say(_ text: String, as person: String, in room: String?, thread: String?) async throws -> String
    /// Returns the next message of the bot that people see, or the next replacement of one, in the order in which they
    /// see them; nil if none appears within the time limit. A message that everybody in a room sees is returned once,
    /// and messages of people are not returned. A reply may appear as several messages, such as one for each line.
    func next(within limit: Duration) async throws -> ConformanceShown?

    /// Returns the text with which a typed text arrives at the bot. The default returns it unchanged.
    func carried(_ text: String) -> String
    /// Returns the text that people see of a reply with the style ``Reply/Style/plain``. If a reply appears as several
    /// messages, cases join them with line breaks before they compare them. The default returns the text unchanged.
    func displayed(_ text: String) -> String

    /// Changes the connection between the bot and the service. Needs ``ConformanceAbility/cutting``, or
    /// ``ConformanceAbility/stalling`` for ``ConformanceConnection/stalled``.
    func set(_ connection: ConformanceConnection) async throws
    /// Makes the service reject the next message. Needs ``ConformanceAbility/refusingForGood`` or
    /// ``ConformanceAbility/refusingForNow``.
    func refuseNext(_ remedy: SendFailure.Remedy) async throws
    /// Delivers a message again. Needs ``ConformanceAbility/redelivery``.
    func redeliver(_ message: String) async throws
}

extension ConformanceStage {
    /// The present traits of the backend.
    public var traits: BackendTraits { backend.traits }

    /// No places.
    public var unknownPlaces: [Address.Place] { [] }

    /// Returns the text unchanged.
    public func carried(_ text: String) -> String { text }

    /// Returns the text unchanged.
    public func displayed(_ text: String) -> String { text }

    /// Throws, because the stage has no such ability.
    public func set(_ connection: ConformanceConnection) async throws { throw Self.unable("cutting or stalling") }

    /// Throws, because the stage has no such ability.
    public func refuseNext(_ remedy: SendFailure.Remedy) async throws { throw Self.unable("refusing") }

    /// Throws, because the stage has no such ability.
    public func redeliver(_ message: String) async throws { throw Self.unable("redelivery") }

    private static func unable(_ ability: String) -> ConformanceFailure {
        ConformanceFailure(expected: "a stage with the ability \(ability)", got: "a case that does not declare it")
    }
}

/// The state of the connection between the bot and its service.
public enum ConformanceConnection: Sendable, Hashable {
    /// The service accepts connections.
    case open
    /// Existing connections are cut, and new ones are rejected.
    case cut
    /// New connections are accepted, but the service does not answer.
    case stalled
}

/// A message of the bot, or its new content, as people see it.
public struct ConformanceShown: Sendable, Hashable {
    /// The text as it is displayed; the content of a file.
    public var text: String
    /// The room, or the direct chat with a person.
    public var place: Address.Place
    /// The thread.
    public var thread: String?
    /// The person who alone sees a message in a room; nil if everybody there does.
    public var reader: String?
    /// True if this is the new content of an earlier message.
    public var isReplacement: Bool
    /// The name of the file that was shown in place of a text.
    public var file: String?

    /// Creates a message.
    public init(
        _ text: String, at place: Address.Place, thread: String? = nil, reader: String? = nil,
        isReplacement: Bool = false, file: String? = nil
    ) {
        self.text = text
        self.place = place
        self.thread = thread
        self.reader = reader
        self.isReplacement = isReplacement
        self.file = file
    }
}
