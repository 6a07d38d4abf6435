"""A backend that uses each part of the SDK."""
import pathlib, sys, threading

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from petrel_plugin import Backend, NotSent

backend = Backend(traits={"markdown": True, "maximum_length": 4000}, version="1.2",
                  names={"room_prefixes": ["#"], "person_prefixes": ["@"]})


@backend.on_ready
def ready():
    backend.connected(detail="here")
    for number in range(backend.settings or 0):
        threading.Thread(target=deliver, args=(number,), daemon=True).start()


def deliver(number):
    backend.deliver(id=f"m{number}", person={"id": "U1", "name": "@ada", "stable": False}, text="!help",
                    room="C1" if number % 2 else None, thread="T", addressed=True, slash_command="/st2",
                    values={"a": "b"})


@backend.on_send
def send(to, reply):
    if reply.text == "later":
        raise NotSent("The service is busy.", remedy="later", after=30)
    if reply.text == "never":
        raise NotSent("The room does not exist.", remedy="never")
    if reply.text == "crash":
        raise OSError("unexpected")
    if reply.text == "reconnect":
        backend.disconnected("lost", final=True)
    if to.person:
        return None
    return f"{to.room}/{to.thread}/{to.in_reply_to}/{reply.style}"


@backend.on_edit
def edit(message, to, reply):
    backend.connected(detail=f"edited {message} to {reply.text} in {to.room}")


@backend.on_file
def file(name, to, reply):
    return f"{name}={reply.text}"


@backend.on_completed
def completed(message):
    backend.connected(detail=f"completed {message}")


backend.run()
