"""Addresses to which plug-ins post messages after their answer, as Slack's `response_url`."""
import json
import secrets
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

USES, LIFETIME = 5, 1800  # as in Slack; the latter in seconds
MAXIMUM_ADDRESSES = 1_000
MAXIMUM_BODY = 1 << 20  # bytes


class ResponseURLs:
    """A web server on the loopback interface. `post(call, payload)` shows a payload at the place of a call."""

    def __init__(self, post):
        self._post, self._lock, self._addresses = post, threading.Lock(), {}
        urls = self

        class Handler(BaseHTTPRequestHandler):
            timeout = 10

            def do_POST(self):
                status = urls.receive(self.path, self.headers.get("Content-Length") or "", self.rfile)
                body = b"ok" if status == 200 else b"refused"
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass  # The path is a secret.

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def address(self, call):
        """Returns a new address for a call."""
        token = secrets.token_urlsafe(24)
        with self._lock:
            now = time.monotonic()
            for old in [old for old, (_, _, end) in self._addresses.items() if end < now]:
                del self._addresses[old]
            while len(self._addresses) >= MAXIMUM_ADDRESSES:
                del self._addresses[next(iter(self._addresses))]
            self._addresses[token] = (call, USES, now + LIFETIME)
        return f"http://127.0.0.1:{self._server.server_port}/{token}"

    def receive(self, path, length, body):
        """Handles a request and returns the status of the response."""
        with self._lock:
            call, uses, end = self._addresses.get(path[1:], (None, 0, 0))
            if call is None or end < time.monotonic():
                return 404
            if uses <= 0:
                return 429
            self._addresses[path[1:]] = (call, uses - 1, end)
        if not (length.isascii() and length.isdigit()):
            return 411
        if int(length) > MAXIMUM_BODY:
            return 413
        try:
            payload = json.loads(body.read(int(length)))
        except (ValueError, RecursionError):
            return 400
        if not isinstance(payload, dict):
            return 400
        try:
            self._post(call, payload)
        except Exception:
            return 500
        return 200
