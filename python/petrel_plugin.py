"""Plug-ins for Petrel in Python 3.9 or later. One file without dependencies; copy it beside the plug-in.

    from petrel_plugin import Module

    weather = Module(version="0.3")

    @weather.command("weather", summary="Show the weather.", arguments=[{"name": "city", "required": True}])
    def show(call):
        return f"It is sunny in {call.arguments['city']}."

    weather.run()

docs/PluginProtocol.md describes the messages and their members. A reply is a text, or a dict with the members of a
reply. Handlers run on worker threads. An exception in a handler becomes an error response and a traceback on standard
error. `print` writes to standard error, which Petrel logs.
"""
import functools, itertools, json, os, queue, sys, threading, traceback
from concurrent.futures import Future

MAXIMUM_LINE = 1_048_576  # bytes, with the line feed
MAXIMUM_PENDING = 100  # requests, in each direction
GRACE = 0.5  # seconds that running calls have to end after `shutdown`


class PetrelError(Exception):
    """An error response of Petrel, or one to Petrel."""

    def __init__(self, code, message, data=None):
        super().__init__(message)
        self.code, self.message, self.data = code, message, data


class Refusal(PetrelError):
    """Refuses a command with a sentence for the user. Raised by `on_start`, it stops the plug-in for good."""

    def __init__(self, message):
        super().__init__(1, message)


class NotSent(PetrelError):
    """A message was not sent. The remedy is `later` or `never`; `after` is in seconds."""

    def __init__(self, message, remedy="later", after=None):
        super().__init__(2, message, present(remedy=remedy, after=after))


class Members(dict):
    """A JSON object whose members are also attributes. The value of a missing member is None."""

    __getattr__ = dict.get


def present(**members):
    """Returns the members that are not None."""
    return {name: value for name, value in members.items() if value is not None}


def as_object(value, name):
    """Returns a JSON object as it is, and any other value as the member of this name."""
    return value if isinstance(value, dict) else {name: str(value)}


def required(params, name, kind=str):
    """Returns a parameter of a request of Petrel."""
    if not isinstance(params.get(name), kind):
        raise PetrelError(-32602, f"The parameter '{name}' is missing or has the wrong type.")
    return Members(params[name]) if kind is dict else params[name]


def encoded(message):
    """Returns the line of a message. A character that UTF-8 cannot represent becomes a question mark."""
    text = json.dumps({"jsonrpc": "2.0", **message}, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    line = text.encode("utf-8", "replace") + b"\n"
    if len(line) > MAXIMUM_LINE:
        raise ValueError(f"a message has {len(line)} bytes, and the maximum is {MAXIMUM_LINE}")
    return line


def outcome(job):
    """Runs a job and returns the members of its response."""
    try:
        return {"result": job()}
    except PetrelError as error:
        if error.code not in (1, 2):
            traceback.print_exc()
        return {"error": present(code=error.code, message=error.message, data=error.data)}
    except BaseException as error:  # also SystemExit, which would end only the thread
        traceback.print_exc()
        return {"error": {"code": -32603, "message": f"The plug-in failed with {type(error).__name__}."}}


def hook(event, description):
    """Returns a decorator that stores a function as the handler of an event."""
    def register(self, function):
        self._hooks[event] = function
        return function
    register.__doc__ = description
    return register


class Plugin:
    """The common part of modules and backends: messages, threads, start and end."""

    on_start = hook("start", "Calls f(settings) before `hello` is answered. Requests to Petrel are not possible yet.")
    on_ready = hook("ready", "Calls f() on a thread of its own after the start. If it raises, the program ends.")

    def __init__(self, version=None, workers=8):
        self.name = self.bot = self.prefix = self.settings = None
        self._version, self._worker_count = version, workers
        self._hooks = {"start": lambda settings: None, "ready": lambda: None}
        self._methods = {
            "hello": self._hello, "ping": lambda identifier, params: self._respond(identifier, {"result": {}}),
            "shutdown": lambda identifier, params: threading.Thread(target=self._stop, args=(identifier,)).start()}
        self._jobs, self._calls = queue.Queue(MAXIMUM_PENDING), {}
        self._pending, self._ids, self._slots = {}, itertools.count(1), threading.BoundedSemaphore(MAXIMUM_PENDING)
        self._output, self._lock, self._is_open = None, threading.Lock(), False

    def run(self):
        """Runs the plug-in until Petrel closes its standard input."""
        # Programs that a handler starts must not share the protocol's input and output.
        source, self._output = os.fdopen(os.dup(0), "rb"), os.dup(1)
        with open(os.devnull, "rb") as nothing:
            os.dup2(nothing.fileno(), 0)
        os.dup2(2, 1)
        sys.stdout = sys.stderr
        for _ in range(self._worker_count):
            threading.Thread(target=self._work, daemon=True).start()
        while (line := source.readline(MAXIMUM_LINE + 1)).endswith(b"\n"):
            self._receive(line)
        if len(line) > MAXIMUM_LINE:
            print(f"The program ends: it received a line of more than {MAXIMUM_LINE} bytes.", file=sys.stderr)
        with self._lock:
            self._is_open, pending = False, list(self._pending.values())
        for future in pending:
            future.set_exception(ConnectionError("Petrel has closed the connection."))

    def request(self, method, **params):
        """Sends a request and returns its result. Blocks while 100 requests are pending."""
        with self._slots:
            identifier, future = next(self._ids), Future()
            self._write({"id": identifier, "method": method, "params": params}, future)
            return future.result()

    def notify(self, method, **params):
        """Sends a notification."""
        self._write({"method": method, "params": params})

    def _write(self, message, future=None):
        rest = memoryview(encoded(message))
        with self._lock:
            if "method" in message and not self._is_open:
                raise ConnectionError("Petrel accepts messages only after the response to `hello`, until the end.")
            if future:
                self._pending[message["id"]] = future
            while rest:
                rest = rest[os.write(self._output, rest):]

    def _respond(self, identifier, result):
        if identifier is None and "result" in result:
            return  # A notification is not answered.
        try:
            self._write({"id": identifier, **result})
        except OSError:
            pass  # Petrel has ended, and the input ends too.
        except (TypeError, ValueError, RecursionError) as error:
            traceback.print_exc()
            self._fail(identifier, -32603, f"The plug-in's result is invalid: {error}.")

    def _fail(self, identifier, code, message):
        self._respond(identifier, {"error": {"code": code, "message": message}})

    def _receive(self, line):
        try:
            message = json.loads(line.decode("utf-8"))
        except (ValueError, RecursionError):
            return self._fail(None, -32700, "The line is not JSON in UTF-8.")
        message = message if isinstance(message, dict) else {}
        method, identifier = message.get("method"), message.get("id")
        is_valid = "id" not in message or type(identifier) in (int, str)
        if is_valid and isinstance(method, str):
            self._dispatch(identifier, method, message.get("params", {}))
        elif method is None and ("result" in message or "error" in message):
            self._resolve(identifier, message)
        else:
            self._fail(identifier if is_valid else None, -32600, "The line is not a message of the protocol.")

    def _resolve(self, identifier, message):
        future = self._pending.pop(identifier, None) if type(identifier) is int else None
        if not future:
            print(f"Received a response to an unknown request: {identifier!r}", file=sys.stderr)
        elif isinstance(error := message.get("error"), dict):
            future.set_exception(PetrelError(error.get("code"), error.get("message"), error.get("data")))
        else:
            future.set_result(message.get("result"))

    def _dispatch(self, identifier, method, params):
        """Handles a request, or a notification, whose identifier is None. Jobs that may take time go to the workers."""
        try:
            if method not in self._methods:
                raise PetrelError(-32601, f"The method '{method}' is unknown.")
            if not isinstance(params, dict):
                raise PetrelError(-32602, "The parameters must be an object.")
            if job := self._methods[method](identifier, params):
                self._jobs.put_nowait((identifier, job))
        except (PetrelError, queue.Full) as error:
            if isinstance(error, queue.Full):
                self._calls.pop(params.get("call"), None)
                error = PetrelError(3, "Too many requests are pending.")
            if identifier is not None:
                self._fail(identifier, error.code, error.message)
        except Exception as error:  # such as `traits` that is a list; it must not end the loop that reads messages
            traceback.print_exc()
            if identifier is not None:
                self._fail(identifier, -32603, f"The plug-in failed with {type(error).__name__}.")

    def _work(self):
        while True:
            identifier, job = self._jobs.get()
            result = outcome(job)
            if identifier is not None:
                self._respond(identifier, result)
            self._jobs.task_done()

    def _hello(self, identifier, params):
        def start():
            if required(params, "role") != self.role:
                raise Refusal(f"This program is a {self.role}, but the configuration has it as a {params['role']}.")
            self.name, self.bot, self.prefix = params.get("name"), params.get("bot"), params.get("prefix")
            self.settings = params.get("settings")
            self._hooks["start"](self.settings)
            return {"protocol": 1, **present(version=self._version), **self._description(), **self._progress()}

        result = outcome(start)
        self._respond(identifier, result)
        if "result" in result:
            self._is_open = True
            threading.Thread(target=self._ready, daemon=True).start()

    def _progress(self):
        return {}

    def _ready(self):
        if "error" in outcome(self._hooks["ready"]) and self._is_open:
            os._exit(1)  # Petrel restarts the plug-in.

    def _stop(self, identifier):
        for call in list(self._calls.values()):
            call.cancelled.set()
        with self._jobs.all_tasks_done:
            self._jobs.all_tasks_done.wait_for(lambda: not self._jobs.unfinished_tasks, GRACE)
        self._respond(identifier, {"result": {}})


class Call:
    """A call of a command. `cancelled` is an event that is set when the answer is no longer awaited."""

    def __init__(self, module, params):
        self._module, self.cancelled = module, threading.Event()
        self.id, self.command, self.text = (required(params, name) for name in ("call", "command", "text"))
        self.backend, self.message, self.prefix = (params.get(name) for name in ("backend", "message", "prefix"))
        self.person, self.place = required(params, "person", dict), required(params, "place", dict)
        self.arguments, self.values = params.get("arguments") or {}, params.get("values") or {}
        self.traits = Members(params.get("traits") or {})

    def say(self, reply, handle=None):
        """Sends a message to the place of the call, before its answer."""
        self._module.request("say", call=self.id, reply=as_object(reply, "text"), **present(handle=handle))


class Module(Plugin):
    """A plug-in with commands. `commands` contains their declarations by name; see `publish`.

    A start handler that cannot declare all commands in time sets `loading`, and `publish` is called later.
    """

    role = "module"

    def __init__(self, version=None, workers=8):
        super().__init__(version, workers)
        self.commands, self._handlers, self.records = {}, {}, Records(self.request)
        self.loading = False
        self._methods.update(invoke=self._invoke, cancel=self._cancel)

    def command(self, name, **declaration):
        """Declares a command, which calls the decorated function with a `Call`. Its result is the answer, if any."""
        def register(function):
            self.commands[name], self._handlers[name] = {"name": name, **declaration}, function
            return function
        return register

    def publish(self):
        """Sends the declarations again, after a change of `commands`."""
        self.request("commands", **self._description())

    def say(self, reply, to, handle=None):
        """Sends a message to a place: `{"name": "#ops"}`, or `{"backend": …, "room": …}`."""
        self.request("say", to=to, reply=as_object(reply, "text"), **present(handle=handle))

    def replace(self, handle, reply, backend):
        """Replaces the message that was sent with this handle."""
        self.request("replace", handle=handle, reply=as_object(reply, "text"), backend=backend)

    def tell_admins(self, text):
        """Sends a text in Markdown to the administrators."""
        self.request("tell_admins", text=text)

    def status(self, *lines):
        """Replaces the status lines. A line is `{"subject": …, "healthy": …, "detail": …}`."""
        self.notify("status", lines=lines)

    def gauges(self, *gauges):
        """Replaces the gauges. A gauge is `{"name": …, "value": …}` with optional `labels`."""
        self.notify("gauges", gauges=gauges)

    def log(self, message, level="info"):
        """Writes to Petrel's log."""
        self.notify("log", level=level, message=message)

    def _description(self):
        return {"commands": list(self.commands.values())}

    def _progress(self):
        return {"loading": True} if self.loading else {}

    def _invoke(self, identifier, params):
        call = Call(self, params)
        if call.command not in self._handlers:
            raise PetrelError(-32602, f"The command '{call.command}' is unknown.")
        self._calls[call.id] = call

        def answer():
            try:
                reply = None if call.cancelled.is_set() else self._handlers[call.command](call)
                return {} if reply is None else {"reply": as_object(reply, "text")}
            finally:
                self._calls.pop(call.id, None)
        return answer

    def _cancel(self, identifier, params):
        if call := self._calls.get(required(params, "call")):
            call.cancelled.set()


class Records:
    """Collections of JSON values by key, which Petrel stores. With `sealed`, they are encrypted on disk."""

    def __init__(self, request):
        self._request = request

    def get(self, collection, key, default=None, sealed=False):
        value = self._request("records.get", collection=collection, key=key, sealed=sealed)["value"]
        return default if value is None else value

    def set(self, collection, key, value, sealed=False):
        self._request("records.set", collection=collection, key=key, value=value, sealed=sealed)

    def remove(self, collection, key, sealed=False):
        self._request("records.remove", collection=collection, key=key, sealed=sealed)

    def all(self, collection, sealed=False):
        found, page = {}, {"next": None}
        while "next" in page:
            after = {"after": page["next"]} if page["next"] is not None else {}
            page = self._request("records.all", collection=collection, sealed=sealed, **after)
            found.update(page["records"])
        return found


class Backend(Plugin):
    """A connection to a chat service. `traits` and `names` are members of the response to `hello`."""

    role = "backend"
    on_send = hook("send", "Calls f(to, reply) to send a message. f returns its id, or None if it cannot be edited.")
    on_edit = hook("edit", "Calls f(message, to, reply) to replace a message.")
    on_file = hook("send_file", "Calls f(name, to, reply) to send `reply.text` as a file; f returns as for a message.")
    on_completed = hook("completed", "Calls f(message) when the command of a message has ended.")

    def __init__(self, traits=None, names=None, version=None, workers=8):
        super().__init__(version, workers)
        self.traits, self.names = traits or {}, names
        for method, names in {"send": ("to", "reply"), "edit": ("message", "to", "reply"),
                              "send_file": ("name", "to", "reply"), "completed": ("message",)}.items():
            self._methods[method] = functools.partial(self._event, method, names)

    def deliver(self, id, person, text, room=None, **optional):
        """Delivers a message, and blocks until Petrel has queued it. The person and the room are dicts, or ids."""
        optional.update({"from": as_object(person, "id"), "room": room and as_object(room, "id")})
        self.request("deliver", id=id, text=text, **present(**optional))

    def connected(self, detail=None):
        """Reports that messages can be sent."""
        self.notify("connected", **present(detail=detail))

    def disconnected(self, reason, final=False):
        """Reports that messages have to wait. If it is final, Petrel does not restart the plug-in."""
        self.notify("disconnected", reason=reason, final=final)

    def _description(self):
        traits = {"edits": "edit" in self._hooks, "files": "send_file" in self._hooks, **self.traits}
        return {"traits": traits, "completion": "completed" in self._hooks, **present(names=self.names)}

    def _event(self, method, names, identifier, params):
        if method not in self._hooks:
            raise PetrelError(-32601, f"The method '{method}' has no handler.")
        arguments = [required(params, name, dict if name in ("to", "reply") else str) for name in names]

        def job():
            result = self._hooks[method](*arguments)
            return {} if result is None or method == "edit" else {"message": str(result)}
        return job
