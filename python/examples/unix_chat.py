#!/usr/bin/env python3
"""A backend for Petrel: a chat over a Unix-domain socket, which the backend creates.

    "backends": {
      "unix": {"kind": "process", "command": ["python3", "unix_chat.py"], "settings": {"socket": "chat.sock"}}
    }

A client connects and sends JSON objects, each on one line: `{"room": "ops", "nick": "ada", "text": "!help"}`. Without
`room` the message is a direct one. An `id` is optional; a message with the id of an earlier one is not run twice.

    printf '{"room": "ops", "nick": "ada", "text": "!help"}\\n' | socat -t 5 - UNIX-CONNECT:chat.sock

The backend sends `{"id": …, "room": …, "text": …}` to all clients, and `{"id": …, "person": …, "text": …}` to those
that sent a message as this person. `"edited": true` means that the text replaces that of an earlier message. Only the
user who runs Petrel can connect, and a nick is not verified. If the socket file vanishes, the backend creates a new
one.
"""
import contextlib, json, os, re, socket, stat, struct, sys, threading, time, uuid

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from petrel_plugin import Backend, NotSent, Refusal

MAXIMUM_CLIENTS = 50
MAXIMUM_LINE = 65_536  # bytes
NAME = re.compile(r"[a-z0-9_-]{1,64}")

chat = Backend(traits={"maximum_length": 10_000}, version="1.0",
               names={"room_prefixes": ["#"], "person_prefixes": ["@"]})
clients = {}  # the nicks that were used on each connection
lock = threading.Lock()  # for `clients`
writing = threading.Lock()
path = None


@chat.on_start
def start(settings):
    global path
    path = (settings or {}).get("socket")
    if not isinstance(path, str):
        raise Refusal("The setting 'socket' must be the path of the socket.")


@chat.on_ready
def serve():
    while True:
        try:
            listener, inode = listening()
        except OSError as error:
            chat.disconnected(f"cannot create the socket: {error.strerror}")
            time.sleep(1)
            continue
        with listener:
            chat.connected(detail=path)
            accept(listener, inode)
        chat.disconnected("the socket file has vanished")


def listening():
    """Creates the socket, in place of one that an earlier run has left, and returns it with the inode of its file."""
    if os.path.lexists(path) and stat.S_ISSOCK(os.lstat(path).st_mode):
        os.unlink(path)
    listener = socket.socket(socket.AF_UNIX)
    mask = os.umask(0o177)
    try:
        listener.bind(path)
        listener.listen()
        listener.settimeout(0.5)
        return listener, os.stat(path).st_ino
    except OSError:
        listener.close()
        raise
    finally:
        os.umask(mask)


def exists(inode):
    try:
        return os.stat(path).st_ino == inode
    except FileNotFoundError:
        return False


def accept(listener, inode):
    """Accepts clients until the socket file has vanished, or another one took its place."""
    while exists(inode):
        try:
            client, _ = listener.accept()
        except socket.timeout:
            continue
        # A client that does not read is disconnected after two seconds.
        client.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, struct.pack("ll", 2, 0))
        with lock:
            is_full = len(clients) >= MAXIMUM_CLIENTS
            if not is_full:
                clients[client] = set()
        if is_full:
            client.close()
        else:
            threading.Thread(target=receive, args=(client,), daemon=True).start()


def receive(client):
    """Delivers the messages of a client until it leaves, sends an overlong line, or the plug-in ends."""
    try:
        with client, client.makefile("rb") as lines:
            while (line := lines.readline(MAXIMUM_LINE)).endswith(b"\n"):
                deliver(client, line)
    except OSError as error:
        print(f"A client is disconnected: {error}", file=sys.stderr)
    finally:
        with lock:
            clients.pop(client, None)


def deliver(client, line):
    try:
        message = json.loads(line.decode("utf-8"))
        nick, text, room = message["nick"], message["text"], message.get("room")
        if not (NAME.fullmatch(nick) and (room is None or NAME.fullmatch(room)) and isinstance(text, str)):
            raise ValueError("a name has other characters than a-z, 0-9, _ and -, or the text is not a string")
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        return print(f"A line of a client is invalid: {error}", file=sys.stderr)
    with lock:
        clients[client].add(nick)
    chat.deliver(id=str(message.get("id") or uuid.uuid4()), text=text,
                 person={"id": nick, "name": f"@{nick}", "stable": False},
                 room=room and {"id": room, "name": f"#{room}"})


@chat.on_send
def send(to, reply):
    identifier = uuid.uuid4().hex
    publish(to, {"id": identifier, "text": reply.text})
    return identifier


@chat.on_edit
def edit(message, to, reply):
    publish(to, {"id": message, "text": reply.text, "edited": True})


def publish(to, message):
    """Sends a message to the clients at a place. An operator may have written its name with the prefix."""
    kind = "person" if to.person else "room"
    name = (to.person or to.room or "").lstrip("@" if to.person else "#")
    if not NAME.fullmatch(name):
        raise NotSent(f"The {kind} '{name}' does not exist.", remedy="never")
    line = json.dumps({**message, kind: name}).encode() + b"\n"
    with lock:
        present = [client for client, nicks in clients.items() if kind == "room" or name in nicks]
    with writing:
        count = sum(sent(client, line) for client in present)
    if not count:
        raise NotSent(f"No client receives messages for the {kind} '{name}'.", remedy="later", after=5)


def sent(client, line):
    """Sends a line. If this fails, the client is disconnected."""
    try:
        client.sendall(line)
        return True
    except OSError:
        with contextlib.suppress(OSError):
            client.shutdown(socket.SHUT_RDWR)
        return False


chat.run()
