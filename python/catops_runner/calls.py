"""Converts calls between Petrel and worker processes."""
MAXIMUM_LINES = 5  # of a failed function's error


def params_of(call, name, address):
    """Returns the parameters that Slack would send for a slash command: lists of texts, as parsed forms have them."""
    person, place = call.person, call.place
    user = (person.name or person.id).removeprefix("@")
    room = place.room
    params = {
        "command": "/catops", "text": f"{name} {call.text}".rstrip(), "user_id": person.id, "user_name": user,
        "username": user, "channel_id": room or place.person or person.id,
        "channel_name": (place.name or room).removeprefix("#") if room else "directmessage",
        "team_id": call.backend, "team_domain": call.backend, "thread_ts": place.thread, "response_url": address}
    return {name: [str(value)] for name, value in params.items() if value}


def typed(params):
    """Returns the texts that other people have chosen."""
    return " ".join(params[name][0] for name in ("text", "user_name", "channel_name") if name in params)


def refusal(line, message):
    return failure(f"Invalid command: {line}\n{message}", last_line(message))


def crash(line, message):
    lines = message.splitlines()[-MAXIMUM_LINES:]
    return failure("\n".join([f"The command failed: {line}", *lines]), last_line(message))


def failure(text, reason):
    """Returns a reply about an error, which only the user sees, with the reason for the record of the job."""
    return {"text": text, "kind": "error", "private": True, "failure": reason}


def last_line(text):
    lines = [line for line in text.splitlines() if line.strip()]
    return lines[-1].strip() if lines else "no reason was given"
