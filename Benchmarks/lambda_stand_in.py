"""A stand-in of AWS Lambda's runtime API and of Slack, and the processes that it serves."""
import base64
import hashlib
import hmac
import json
import os
import queue
import subprocess
import threading
import time
import urllib.parse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

SECRET = "8f742231b10e8888abcd99yyyzzz85a5"
PATIENCE = 240  # seconds
FORM = "application/x-www-form-urlencoded"


class StandIn:
    """The runtime API, Slack's Web API, and `response_url`s."""

    def __init__(self):
        self.events, self.results, self.hooks, self.calls = queue.Queue(), {}, {}, []
        self.changed = threading.Condition()
        self.number = 0
        self.asked, self.taken, self.turns = 0, 0, {}  # The requests for an invocation, and the invocations by id.
        self.ready = threading.Event()  # Until it is set, auth.test is not answered.
        self.ready.set()
        self.identity = {"user_id": "UBOT", "team_id": "T1", "url": "https://x.slack.com/", "user": "petrel"}
        self.limited = set()  # The channels whose messages are refused, to be sent again later.
        stand_in = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            wbufsize = 1 << 16  # One segment for each response; a second one would wait for a delayed acknowledgement.

            def do_GET(self):
                with stand_in.changed:
                    stand_in.asked += 1
                    stand_in.changed.notify_all()
                id, event, seconds = stand_in.events.get()
                with stand_in.changed:
                    stand_in.taken += 1
                    stand_in.turns[id] = stand_in.taken
                if id is None:
                    return self.reply(500, {})
                deadline = str(int((time.time() + seconds) * 1000))
                self.reply(200, event, {"Lambda-Runtime-Aws-Request-Id": id, "Lambda-Runtime-Deadline-Ms": deadline})

            def do_POST(self):
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                kind, *rest = self.path.strip("/").split("/")
                if kind == "2018-06-01":
                    id = rest[2] if rest[1] == "invocation" else "init"
                    stand_in.note(stand_in.results, id, (rest[-1], json.loads(body)))
                    return self.reply(202, {})
                if kind == "hook":
                    stand_in.note(stand_in.hooks, rest[0], json.loads(body))
                    return self.reply(200, {"ok": True})
                self.answer(rest[0], dict(urllib.parse.parse_qsl(body.decode())))

            def answer(self, method, fields):
                if method == "auth.test":
                    stand_in.ready.wait()
                answers = {
                    "auth.test": stand_in.identity,
                    "users.info": {
                        "user": {"id": "U1", "name": "ada", "team_id": "T1", "profile": {"display_name": "ada"}}},
                    "chat.postMessage": {"channel": fields.get("channel"), "ts": "1.5"},
                    "conversations.info": {"channel": {"id": "C1", "name": "ops"}}}
                with stand_in.changed:
                    stand_in.calls.append((method, fields))
                    stand_in.changed.notify_all()
                if fields.get("channel") in stand_in.limited and method == "chat.postMessage":
                    return self.reply(429, {"ok": False, "error": "ratelimited"}, {"Retry-After": "600"})
                self.reply(200, {"ok": True, **answers.get(method, {})})

            def reply(self, status, value, headers=()):
                body = json.dumps(value).encode()
                self.send_response(status)
                for name, text in {"Content-Type": "application/json", **dict(headers)}.items():
                    self.send_header(name, text)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.server.handle_error = lambda *_: None  # A function that was ended.
        self.address = f"127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def note(self, table, key, value):
        with self.changed:
            table[key] = value
            self.changed.notify_all()

    def wait(self, table, key, limit=PATIENCE):
        with self.changed:
            if not self.changed.wait_for(lambda: key in table, limit):
                raise TimeoutError(f"nothing arrived for {key}")
            return table.pop(key)

    def said(self, text):
        """Returns the arguments of the calls of chat.postMessage whose text contains this."""
        return [fields for method, fields in self.calls
                if method == "chat.postMessage" and text in fields.get("text", "")]

    def wait_until(self, title, condition, limit=PATIENCE):
        """Waits until a condition on what has arrived is true."""
        with self.changed:
            if not self.changed.wait_for(condition, limit):
                raise TimeoutError(f"missing: {title}")

    def wait_for_end(self, id):
        """Waits until an invocation has ended, because the next one was requested."""
        self.wait_until("the end of an invocation", lambda: id in self.turns and self.asked > self.turns[id])

    def send(self, event, id=None, seconds=240):
        """Sends an event, whose invocation ends after this time, and returns its id."""
        self.number += 1
        id = id or f"r{self.number}"
        self.events.put((id, event, seconds))
        return id

    def request(self, body, kind=FORM, version="2.0", encoded=False, secret=SECRET, age=0, path="/", more=()):
        """Returns the event of a signed request."""
        stamp = str(int(time.time()) - age)
        code = hmac.new(secret.encode(), f"v0:{stamp}:{body}".encode(), hashlib.sha256).hexdigest()
        headers = {"X-Slack-Request-Timestamp": stamp, "X-Slack-Signature": f"v0={code}", "Content-Type": kind,
                   **dict(more)}
        shown = base64.b64encode(body.encode()).decode() if encoded else body
        event = {"headers": headers, "body": shown, "isBase64Encoded": encoded}
        if version == "1.0":
            return event | {
                "version": "1.0", "resource": "/{proxy+}", "path": path, "httpMethod": "POST",
                "queryStringParameters": None,
                "requestContext": {"identity": {"sourceIp": "192.0.2.1"}, "stage": "dev"}}
        return event | {
            "version": "2.0", "routeKey": "$default", "rawPath": path, "rawQueryString": "",
            "headers": {name.lower(): value for name, value in headers.items()},
            "requestContext": {"http": {"method": "POST", "path": path, "sourceIp": "192.0.2.1"}}}

    def hook(self):
        """Returns the number of a new `response_url`, and the URL."""
        number = str(self.number + 1)
        return number, f"http://{self.address}/hook/{number}"

    def command(self, text="a b", name="/ping", trigger=None, seconds=240, **options):
        """Sends a slash command, and returns the number of its `response_url`, and the id of the invocation."""
        number, url = self.hook()
        body = urllib.parse.urlencode({
            "command": name, "text": text, "user_id": "U1", "user_name": "ada", "channel_id": "C1",
            "trigger_id": trigger or f"t{number}", "response_url": url})
        return number, self.send(self.request(body, **options), seconds=seconds)

    def message(self, text, channel="C1", seconds=240, **options):
        """Sends an event of a message in a channel, and returns the id of the invocation."""
        stamp = f"{time.time():.0f}.{self.number:06}"
        event = {"type": "message", "user": "U1", "text": text, "channel": channel, "channel_type": "channel",
                 "ts": stamp}
        body = json.dumps({"type": "event_callback", "team_id": "T1", "event_id": f"Ev{self.number}", "event": event})
        return self.send(self.request(body, "application/json", **options), seconds=seconds)

    def press(self, line, seconds=30, **options):
        """Sends the press of a button with this line, and returns the id of the invocation."""
        payload = {"type": "block_actions", "user": {"id": "U1"}, "channel": {"id": "C1"}, "message": {"ts": "1.5"},
                   "trigger_id": f"p{self.number}", "response_url": self.hook()[1],
                   "actions": [{"action_id": "petrel.0", "value": line}]}
        body = urllib.parse.urlencode({"payload": json.dumps(payload)})
        return self.send(self.request(body, **options), seconds=seconds)


class Function:
    """A running function: Petrel, or the loop in Python."""

    def __init__(self, command, stand_in, folder, **environment):
        self.stand_in, self.start = stand_in, time.monotonic()
        variables = {**os.environ, "AWS_LAMBDA_RUNTIME_API": stand_in.address, **environment}
        self.log = open(os.path.join(folder, "log"), "ab")
        self.process = subprocess.Popen(command, env=variables, cwd=folder, stdin=subprocess.DEVNULL, stderr=self.log,
                                        stdout=self.log, start_new_session=True)

    def memory(self):
        """Returns the resident memory of the process and of its children, in megabytes."""
        pids, total = [self.process.pid], 0
        while pids:
            pid = pids.pop()
            try:
                with open(f"/proc/{pid}/status") as status:
                    total += next((int(line.split()[1]) for line in status if line.startswith("VmRSS")), 0)
                for task in os.listdir(f"/proc/{pid}/task"):
                    with open(f"/proc/{pid}/task/{task}/children") as children:
                        pids += children.read().split()
            except (FileNotFoundError, ProcessLookupError):
                pass
        return total / 1024

    def end(self):
        self.process.kill()
        self.process.wait()
        # The request for the next invocation may still be waiting.
        self.stand_in.events.put((None, {}, 0))
        time.sleep(0.05)
        while not self.stand_in.events.empty():
            self.stand_in.events.get()


PLUGIN = '''from catops import create_slack_payload


def ping(argv, params):
    """Check that the bot is working."""
    return create_slack_payload(text="Meow! " + " ".join(argv[1:]), response_type="in_channel")
'''
SCRIPTS = {
    "hello": 'echo "Hello, $1!"',
    # Ends only with SIGKILL.
    "hang": "trap '' TERM\necho $$ >\"$1\"\nwhile :; do sleep 1; done",
    "large": "head -c 20000000 /dev/zero >&2; echo ok",
    "ask": "echo '{\"text\": \"Sure?\", \"suggestions\": [\"hello Bob\"]}'",
}


def write(path, text, mode=0o644):
    os.makedirs(os.path.dirname(path), mode=0o755, exist_ok=True)
    with open(path, "w") as file:
        file.write(text)
    os.chmod(path, mode)


# A module whose command never ends, and does not react to a cancellation.
STUCK = '''import sys, time
sys.path.insert(0, sys.argv[1])
from petrel_plugin import Module

module = Module()


@module.command("stuck", summary="Hang.")
def stuck(call):
    time.sleep(1_000)


module.run()
'''


def configuration(stand_in, folder, slack=(), plugin=PLUGIN, **sections):
    """Writes a plug-in, scripts and the configuration, and returns its path."""
    write(os.path.join(folder, "plugins", "example.py"), plugin)
    write(os.path.join(folder, "stuck.py"), STUCK)
    for name, lines in SCRIPTS.items():
        write(os.path.join(folder, "scripts", f"{name}.sh"), f"#!/bin/sh\n{lines}\n", 0o755)
    settings = {
        "signing_secret": SECRET, "bot_token": "xoxb-1", "api_url": f"http://{stand_in.address}/api/",
        "slash_commands": ["/bot", "/ping", "/hello", "/hang", "/large", "/ask"], **dict(slack)}
    path = os.path.join(folder, "config.json")
    write(path, json.dumps({
        "web": {}, "log": {"level": "warning"}, "bot": {"limits": {"lines_per_minute": 1_000_000}},
        "backends": {"slack": {key: value for key, value in settings.items() if value is not None}},
        "jobs": {"catops": {"plugins": "plugins", "auth_strategy": "any"},
                 "scripts": {"directory": "scripts", "auth_strategy": "any", "timeout": 300}}, **sections}))
    return path
