public import PetrelSupport

extension ServerSentEvent {
    /// The data as JSON; nil if it is not JSON. An event of an object, such as `st2.execution__update`, has that object.
    /// Values that are not valid JSON, such as `NaN`, are null.
    public var json: JSONValue? { JSONReader.value(data) ?? LenientJSON.read(data)?.value }

    /// The announcement in an event `st2.announcement__…`; nil for all other events, and if it has no message.
    public var announcement: Announcement? {
        guard name.utf8.starts(with: "st2.announcement__".utf8), let payload = json?["payload"] else { return nil }
        return Announcement(json: payload)
    }
}
