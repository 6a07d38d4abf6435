/// The help texts of metrics, for Prometheus.
enum Help {
    static let metrics = [
        "petrel_messages_received_total": "Messages received from backends.",
        "petrel_messages_sent_total": "Messages sent through backends.",
        "petrel_messages_undelivered_total": "Messages that could not be delivered.",
        "petrel_commands_total": "Commands by outcome.",
        "petrel_time_to_ack_seconds": "Time from the receipt of a message to the end of its command, in seconds.",
        "petrel_commands_running": "Running commands.",
        "petrel_commands_waiting": "Commands waiting to run.",
        "petrel_replies_waiting": "Replies waiting to be sent.",
    ]
}
