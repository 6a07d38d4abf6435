"""A stand-in of AWS Lambda's runtime API, of Slack's Web API, and of `response_url`s."""
import base64
import hashlib
import hmac
import json
import queue
import threading
import time
import urllib.parse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

SECRET = "8f742231b10e8888abcd99yyyzzz85a5"
PATIENCE = 60  # seconds
PLUGIN = '''from catops import create_slack_payload


def ping(argv, params):
    """Check that the bot is working."""
    return create_slack_payload(text="Meow! " + " ".join(argv[1:]), response_type="in_channel")
'''


class StandIn:
    """The runtime API, Slack's Web API, and `response_url`s."""

    def __init__(self):
        self.events, self.results, self.hooks, self.messages = queue.Queue(), {}, {}, {}
        self.changed = threading.Condition()
        self.number = 0
        stand_in = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            wbufsize = 1 << 16  # One segment for each response; a second one would wait for a delayed acknowledgement.

            def do_GET(self):
                id, event, limit = stand_in.events.get()
                if id is None:
                    return self.reply(500, {})
                deadline = str(int((time.time() + limit) * 1000))
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
                if rest[0] == "chat.postMessage":
                    message = dict(urllib.parse.parse_qsl(body.decode()))
                    stand_in.note(stand_in.messages, message.get("text", ""), message)
                answers = {
                    "auth.test": {"user_id": "UBOT", "team_id": "T1", "url": "https://x.slack.com/", "user": "petrel"},
                    "users.info": {
                        "user": {"id": "U1", "name": "ada", "team_id": "T1", "profile": {"display_name": "ada"}}},
                    "conversations.info": {"channel": {"id": "C1", "name": "ops"}}}
                self.reply(200, {"ok": True, **answers.get(rest[0], {})})

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

    def send(self, event, limit=30):
        """Sends an event that has to be handled within some seconds, and returns the id of the invocation."""
        self.number += 1
        id = f"r{self.number}"
        self.events.put((id, event, limit))
        return id

    def next_hook(self):
        """Returns the number of the `response_url` of the next request, and the address."""
        number = str(self.number + 1)
        return number, f"http://{self.address}/hook/{number}"

    def command(self, text="a b", name="/ping", version="2.0", encoded=False, secret=SECRET, age=0, trigger=None,
                path="/", limit=30):
        """Sends a slash command, and returns the number of its `response_url`, and the id of the invocation."""
        number, hook = self.next_hook()
        body = urllib.parse.urlencode({
            "command": name, "text": text, "user_id": "U1", "user_name": "ada", "channel_id": "C1",
            "trigger_id": trigger or f"t{number}", "response_url": hook})
        return number, self.request(body, version=version, encoded=encoded, secret=secret, age=age, path=path,
                                    limit=limit)

    def press(self, action):
        """Sends a pressed button, and returns the id of the invocation."""
        number, hook = self.next_hook()
        payload = {"type": "block_actions", "user": {"id": "U1", "username": "ada", "team_id": "T1"},
                   "trigger_id": f"t{number}", "response_url": hook, "channel": {"id": "C1", "name": "ops"},
                   "actions": [action], "container": {"type": "message", "channel_id": "C1"}}
        return self.request(urllib.parse.urlencode({"payload": json.dumps(payload)}))

    def event(self, text, id, path="/", **headers):
        """Sends an event of the Events API, and returns the id of the invocation."""
        self.stamp = getattr(self, "stamp", time.time()) + 1
        return self.request(json.dumps({
            "type": "event_callback", "team_id": "T1", "event_id": id, "authorizations": [{"user_id": "UBOT"}],
            "event": {"type": "app_mention", "user": "U1", "text": f"<@UBOT> {text}", "ts": f"{self.stamp:.6f}",
                      "channel": "C1", "team": "T1"}}), content="application/json", path=path, headers=headers)

    def request(self, body, content="application/x-www-form-urlencoded", version="2.0", encoded=False, secret=SECRET,
                age=0, path="/", headers=(), limit=30):
        """Sends a signed request, and returns the id of the invocation."""
        stamp = str(int(time.time()) - age)
        code = hmac.new(secret.encode(), f"v0:{stamp}:{body}".encode(), hashlib.sha256).hexdigest()
        headers = {"X-Slack-Request-Timestamp": stamp, "X-Slack-Signature": f"v0={code}", "Content-Type": content,
                   **dict(headers)}
        shown = base64.b64encode(body.encode()).decode() if encoded else body
        event = {"headers": headers, "body": shown, "isBase64Encoded": encoded}
        if version == "1.0":
            event |= {"version": "1.0", "resource": "/{proxy+}", "path": path, "httpMethod": "POST",
                      "queryStringParameters": None,
                      "requestContext": {"identity": {"sourceIp": "192.0.2.1"}, "stage": "dev"}}
        else:
            event |= {"version": "2.0", "routeKey": "$default", "rawPath": path, "rawQueryString": "",
                      "headers": {name.lower(): value for name, value in headers.items()},
                      "requestContext": {"http": {"method": "POST", "path": path, "sourceIp": "192.0.2.1"}}}
        return self.send(event, limit)
