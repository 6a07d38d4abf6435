"""A logging handler that posts records to a relay, which shows them in Slack."""
import json
import logging
import queue
import sys
import threading
import time
import urllib.error
import urllib.request

JSON = "application/json; charset=utf-8"
MAXIMUM_MESSAGE = 8_000  # characters that the relay shows; it marks a longer message as cut


class NotSent(Exception):
    """A record was not sent."""


class SlackHandler(logging.Handler):
    """Posts each record to a URL as `{"channels", "time", "level", "message"}`.

    A thread sends the records, so that logging does not wait for the network. At most `capacity` records wait; further
    ones are dropped and counted. Empty messages are not sent, and long ones are cut. A record that cannot be sent is told
    on standard error in one line with the reason, without its message. A formatter that returns a JSON object replaces these members; any other text is
    posted as it is. With `token`, requests carry `Authorization: Bearer TOKEN`, as the log relay of Petrel requires.
    """

    def __init__(self, lambda_url, level=logging.NOTSET, channels=("#bot_tests",), token=None, timeout=5,
                 capacity=1000):
        super().__init__(level=level)
        self.lambda_url, self.channels, self.timeout, self.dropped = lambda_url, list(channels), timeout, 0
        self._headers = {"Content-Type": JSON, **({"Authorization": f"Bearer {token}"} if token else {})}
        self._queue, self._thread = queue.Queue(capacity), None

    def body(self, record):
        """Returns the body for a record, or None if there is nothing to show."""
        if self.formatter is None:
            text = logging.Formatter().format(record)
            entry = {"time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(record.created)),
                     "level": record.levelname, "message": text}
        else:
            text = self.format(record)
            try:
                entry = json.loads(text)
            except ValueError:
                entry = None
            if not isinstance(entry, dict):
                return text.encode("utf-8", "replace")
        members = {name: entry.get(name) for name in ("channels", "time", "level", "message")}
        members["channels"] = members["channels"] or self.channels
        if isinstance(members["message"], str):
            if not members["message"].strip():
                return None
            members["message"] = members["message"][:MAXIMUM_MESSAGE + 1]
        return json.dumps(members, default=str, ensure_ascii=False).encode("utf-8", "replace")

    def emit(self, record):
        try:
            body = self.body(record)
            if body is None:
                return
            if self._thread is None:
                self._thread = threading.Thread(target=self._send_all, daemon=True)
                self._thread.start()
            self._queue.put_nowait((body, record))
        except queue.Full:
            self.dropped += 1
        except Exception:
            self.handleError(record)

    def handleError(self, record):
        error = sys.exc_info()[1]
        if not isinstance(error, NotSent):
            super().handleError(record)
        elif logging.raiseExceptions and sys.stderr:
            print(f"A record of the logger {record.name} was not sent: {error}", file=sys.stderr)

    def flush(self):
        """Waits until the records are sent, at most as long as one request may take."""
        with self._queue.all_tasks_done:
            self._queue.all_tasks_done.wait_for(lambda: not self._queue.unfinished_tasks, self.timeout)

    def close(self):
        self.flush()
        super().close()

    def _send_all(self):
        while True:
            body, record = self._queue.get()
            try:
                self._send(body)
            except Exception:
                self.handleError(record)
            finally:
                self._queue.task_done()

    def _send(self, body):
        """Sends a body, and once more after an error of the server or the connection."""
        request = urllib.request.Request(self.lambda_url, body, self._headers)
        for is_last in (False, True):
            try:
                with urllib.request.urlopen(request, timeout=self.timeout) as response:
                    response.read(65_536)
                return
            except urllib.error.HTTPError as error:
                with error:
                    lines = error.read(1_000).decode("utf-8", "replace").splitlines()
                if is_last or error.code < 500:
                    raise NotSent(": ".join([f"{error.code} {error.reason}", *lines[:1]])) from None
            except OSError as error:
                if is_last:
                    raise NotSent(str(error)) from None
