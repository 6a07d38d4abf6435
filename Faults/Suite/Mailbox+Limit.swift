package import PetrelSupport

extension Mailbox {
    /// Waits for the next element. Returns nil at the end of the queue, if the time limit has passed, or if the task is
    /// cancelled.
    package func next(within limit: Duration) async -> Element? {
        await withTaskGroup(of: Element?.self) { group in
            group.addTask { await self.next() }
            group.addTask {
                // The group cancels the sleep as soon as the element is there.
                try? await Task.sleep(for: limit)
                return nil
            }
            defer { group.cancelAll() }
            return await group.next() ?? nil
        }
    }
}
