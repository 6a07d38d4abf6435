public import PetrelSupport

/// Inquiries: executions of `core.ask` that wait for a response. All calls throw ``StackStormError``.
///
/// When the task is cancelled, they throw `CancellationError`. ``answer(inquiry:with:as:)`` throws ``StackStormError`` with
/// the code `noAnswer` instead if its request may have been sent.
extension StackStormClient {
    /// Returns the inquiries that wait for a response (`GET /inquiries`).
    ///
    /// - Parameter credential: The credential of the account that asks, or nil for the client's own.
    /// - Throws: ``StackStormError``.
    public func inquiries(as credential: Credential? = nil) async throws -> [Inquiry] {
        try await call(.inquiries(), as: credential)
    }

    /// Returns an inquiry (`GET /inquiries/{id}`).
    ///
    /// - Parameters:
    ///   - id: The ID of the inquiry, which is also the ID of its execution.
    ///   - credential: The credential of the account that asks, or nil for the client's own.
    /// - Throws: ``StackStormError`` with the code `notFound` if there is no such execution, and `refused` if it is
    ///   not an inquiry or already has a response.
    public func inquiry(_ id: String, as credential: Credential? = nil) async throws -> Inquiry {
        try await call(.inquiry(id), as: credential)
    }

    /// Responds to an inquiry, after which its workflow goes on (`PUT /inquiries/{id}`).
    ///
    /// - Parameters:
    ///   - id: The ID of the inquiry.
    ///   - response: The response, which has to fit ``Inquiry/schema``.
    ///   - credential: The credential of the account that responds, or nil for the client's own.
    /// - Throws: ``StackStormError`` with the code `refused` if the response does not fit the schema, or if there is
    ///   one already; `forbidden` if the account may not respond.
    public func answer(
        inquiry id: String, with response: [String: JSONValue], as credential: Credential? = nil
    ) async throws {
        try await call(.answer(id, response), as: credential)
    }
}
