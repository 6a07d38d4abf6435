import Logging
import PetrelKit
import PetrelSupport

extension JobCenter {
    /// Shows the end of a job in its confirmation, without the button.
    func complete(_ confirmation: Reply, of job: JobRecord) {
        var reply = confirmation
        let duration = Humanized.number((job.duration() * 10).rounded() / 10)
        reply.addLine("Job \(job.id): \(job.status.rawValue) after \(duration) s")
        let (request, backend) = (LiveReply.request(job.id), job.address.backend)
        guard let chat = host.chat as? any MessageRecalling else {
            confirmations.remove(job.key)
            return host.chat.replace(request, with: reply, on: backend)
        }
        chat.replace(request, with: reply, on: backend) { [confirmations] in confirmations.remove(job.key) }
    }

    /// Shows the ends of jobs in the confirmations that an earlier run has left behind.
    func completeOldConfirmations() async {
        do {
            for (id, confirmation) in try await confirmations.all() where book.isOfEarlierRun(id) {
                guard let job = try await book.job(id), job.status.isFinal else {
                    confirmations.remove(JobRecord.key(id))
                    continue
                }
                if let message = confirmation.message {
                    (host.chat as? any MessageRecalling)?.recall(message, as: LiveReply.request(id))
                }
                complete(confirmation.reply, of: job)
                // Either the outbox still contains the message, or nothing is known about it.
                if confirmation.message == nil { confirmations.remove(job.key) }
            }
        } catch {
            host.logger.error("The confirmations of earlier jobs cannot be completed: \(error)")
        }
    }
}
