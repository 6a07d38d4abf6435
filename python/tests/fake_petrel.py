"""A stand-in for Petrel that runs a plug-in and validates every line in both directions."""
import contextlib, json, pathlib, queue, subprocess, sys, tempfile, threading
from concurrent.futures import Future
import jsonschema

ROOT = pathlib.Path(__file__).resolve().parents[2]
SCHEMA = json.loads((ROOT / "docs/plugin-protocol.schema.json").read_text())
LIMIT = 60  # seconds; only ends a hang
VALIDATORS = {}
TRAITS = {"markdown": True, "threads": False, "private_replies": False, "edits": False, "attachments": False,
          "forms": True, "files": False, "maximum_length": 4000}


def validator(name):
    """The validator for a definition of the schema, or for the whole schema."""
    if name not in VALIDATORS:
        schema = {**SCHEMA, "anyOf": [{"$ref": f"#/$defs/{name}"}]} if name else SCHEMA
        VALIDATORS[name] = jsonschema.Draft202012Validator(schema)
    return VALIDATORS[name]


def validate(message, name=None):
    validator(name).validate(message)


def is_valid(message, name=None):
    return validator(name).is_valid(message)


class FakePetrel:
    """Runs a plug-in. Use it as a context manager, which also checks that no line was invalid."""

    def __init__(self, *command, role, settings=None, greet=True, is_strict=True):
        self.role, self.settings, self.greet, self.is_strict = role, settings, greet, is_strict
        self.command = [str(part) for part in command]
        self.problems, self.strays, self.records = [], queue.Queue(), {}
        self.requests, self.notifications = queue.Queue(), queue.Queue()
        self.pending, self.lock, self.number = {}, threading.Lock(), 0
        self.refused = {}  # errors for requests of the plug-in, by method
        self.held = set()  # methods whose requests are not answered
        self.calls = 0

    def __enter__(self):
        self.errors = tempfile.TemporaryFile("a+b")  # appending, because reading moves the common offset
        self.process = subprocess.Popen(
            self.command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.errors, start_new_session=True)
        self.reader = threading.Thread(target=self.read, daemon=True)
        self.reader.start()
        if self.greet:
            try:
                self.greeting = self.result("hello", **self.hello())
            except BaseException as error:
                self.__exit__(type(error))
                raise
        return self

    def __exit__(self, kind, *_):
        if self.errors.closed:
            return
        with self.lock, contextlib.suppress(BrokenPipeError):
            self.process.stdin.close()
        try:
            self.status = self.process.wait(LIMIT)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            self.problems.append("The plug-in did not end with its standard input.")
        self.reader.join(LIMIT)
        self.process.stdout.close()
        text = self.stderr()
        self.errors.close()
        if kind:
            print(text, file=sys.stderr)
        elif self.problems:
            raise AssertionError(f"{self.problems[0]}\n{text}")

    def stderr(self):
        self.errors.seek(0)
        return self.errors.read().decode(errors="replace")

    def hello(self):
        return {"protocol": 1, "petrel": "0.1.0", "role": self.role, "name": "test", "bot": "petrel", "prefix": "!",
                "settings": self.settings}

    def read(self):
        for line in self.process.stdout:
            try:
                self.receive(line)
            except Exception as error:
                self.problems.append(f"{type(error).__name__}: {error} in {line[:2000]!r}")
        with self.lock:
            pending, self.pending = self.pending, {}
        for future in pending.values():
            future.set_exception(EOFError("The plug-in has closed its output."))

    def receive(self, line):
        assert line.endswith(b"\n") and len(line) <= 1_048_576
        message = json.loads(line)
        validate(message, "pluginToPetrel")
        if "method" not in message:
            with self.lock:
                future = self.pending.pop(message["id"], None)
            if future:
                return future.set_result(message)
            assert message["id"] is None and not self.is_strict
            return self.strays.put(message)
        if "id" not in message:
            return self.notifications.put(message)
        self.requests.put(message)
        if message["method"] not in self.held:
            self.respond(message)

    def respond(self, message):
        method = message["method"]
        if method in self.refused:
            return self.send({"id": message["id"], "error": self.refused[method]})
        result = self.answer(method, message["params"])
        validate(result, f"result.{method}")
        self.send({"id": message["id"], "result": result})

    def answer(self, method, params):
        kind, _, operation = method.partition(".")
        if kind != "records":
            return {}
        records = self.records.setdefault((params["collection"], params.get("sealed", False)), {})
        if operation == "all":
            return {"records": records}
        if operation == "get":
            return {"value": records.get(params["key"])}
        if operation == "set":
            records[params["key"]] = params["value"]
        else:
            records.pop(params["key"], None)
        return {}

    def write(self, data):
        self.process.stdin.write(data)
        self.process.stdin.flush()

    def send(self, message, is_valid=True):
        message = {"jsonrpc": "2.0", **message}
        if is_valid:
            validate(message, "petrelToPlugin")
        with self.lock:
            # The plug-in may have sent a request just before its end.
            if "method" in message or not self.process.stdin.closed:
                self.write(json.dumps(message).encode() + b"\n")

    def start(self, method, is_valid=True, **params):
        """Sends a request and returns the future of its response."""
        future = Future()
        with self.lock:
            self.number += 1
            number = self.number
            self.pending[number] = future
        self.send({"id": number, "method": method, "params": params}, is_valid)
        return future

    def result(self, method, **params):
        return self.result_of(self.start(method, **params), method)

    def result_of(self, future, method):
        message = future.result(LIMIT)
        if "result" not in message:
            raise AssertionError(message)
        validate(message["result"], f"result.{method}" + (f".{self.role}" if method == "hello" else ""))
        return message["result"]

    def error(self, method, is_valid=True, **params):
        return self.start(method, is_valid, **params).result(LIMIT)["error"]

    def call(self, command, text="", **optional):
        """The parameters of `invoke`."""
        self.calls += 1
        return {"call": f"call-{self.calls}", "command": command, "text": text, "backend": "slack", "message": "m1",
                "person": {"id": "U1", "name": "@ada", "stable": True, "admin": False}, "prefix": "!",
                "place": {"room": "C1", "name": "#ops"}, "traits": TRAITS, **optional}

    def invoke(self, command, text="", **optional):
        return self.result("invoke", **self.call(command, text, **optional)).get("reply")

    def notified(self):
        return self.notifications.get(timeout=LIMIT)

    def requested(self, method):
        """The parameters of the next request, which must have this method."""
        message = self.requests.get(timeout=LIMIT)
        assert message["method"] == method, message
        return message["params"]
