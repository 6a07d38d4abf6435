"""The side of a worker process that faces Petrel."""
import json
import os
import secrets
import select
import signal
import subprocess
import sys
import threading
import time

from .printed import Printed

PROGRAM = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "petrel_catops.py")
MAXIMUM_LINE = 4 << 20  # bytes
MARGIN = 10  # seconds after a limit in which a process ends by itself
END_LIMIT = 3  # seconds in which an idle process ends
STOP_LIMIT = 2  # seconds between SIGTERM and SIGKILL for a process whose call is cancelled


class Ended(Exception):
    """The process has ended, or was ended, before it answered."""


class LoadFailure(Exception):
    """The process has ended, or has hung, while it loaded a file."""

    def __init__(self, path, reason):
        super().__init__(f"{path}: {reason}")
        self.path, self.reason = path, reason


class Process:
    """A worker process. It is the leader of a process group, which ends with it."""

    def __init__(self, settings, guardian):
        self._guardian = guardian
        self.settings, self.loaded = settings, None
        self.is_clean = True  # False after anything but an answer was written to its output
        self.has_children = False  # True while programs run that its plug-ins have started
        self._id = self._previous = None
        self._lock, self._rest, self._is_reaped, self._has_ended = threading.Lock(), b"", False, threading.Event()
        parent = os.path.dirname(settings["plugins"])
        log = os.dup(2)
        self._process = subprocess.Popen(
            [sys.executable, PROGRAM, "--worker", str(log)], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE if settings.get("record") else None, bufsize=0,
            start_new_session=True, env=environment(), cwd=parent if os.path.isdir(parent) else None, pass_fds=(log,))
        os.close(log)
        guardian.begin(self._process.pid)
        self._printed = Printed(self._process.stderr) if settings.get("record") else None
        self.send(settings)

    def send(self, message):
        """Sends the settings, or a call. `receive` returns only messages that repeat the new identifier."""
        self._previous, self._id = self._id, secrets.token_hex(16)
        try:
            self._process.stdin.write(json.dumps({**message, "id": self._id}).encode() + b"\n")
        except OSError:
            pass  # The process has ended, which `receive` reports.

    def begin(self, sink):
        """Passes what the process prints to `sink`, until `finish`. Without records, it goes to standard error."""
        if self._printed:
            self._printed.begin(sink)

    def finish(self):
        """Ends a call, and returns when everything that it has printed was passed on."""
        if self._printed:
            self._printed.finish()

    def load(self):
        """Waits until the process has loaded the plug-ins. Raises LoadFailure."""
        path, limit = "", self.settings["load_limit"]
        try:
            while self.loaded is None:
                start = time.monotonic()
                message = self.receive(limit + MARGIN)
                path = message.get("loading", path)
                self.loaded = message if "loaded" in message else None
        except (Ended, TimeoutError):
            status = self.kill()
            # The process measures the limit itself, from a moment before its message arrived here.
            is_late = time.monotonic() - start >= limit - 0.5
            raise LoadFailure(path, f"loading it took more than {limit} seconds" if is_late else
                              f"loading it ended the process ({status})") from None
        return self

    def receive(self, limit):
        """Returns the next message. Raises Ended, or TimeoutError if there is a limit.

        What a plug-in, or a process that it has forked, writes to the output of the process is ignored.
        """
        end = limit and time.monotonic() + limit
        while True:
            message = parsed(self._line(end))
            if message.get("id") == self._id and "idle" not in message:
                self.has_children = message.get("children") is True
                return message
            self._note(message)

    def _note(self, message):
        """Takes a message that is no answer."""
        if "idle" in message and message.get("id") in (self._id, self._previous):
            self.has_children = False
        else:
            self.is_clean = False

    def _line(self, end):
        output = self._process.stdout.fileno()
        while b"\n" not in self._rest:
            if not select.select([output], [], [], end and max(0, end - time.monotonic()))[0]:
                raise TimeoutError
            read = os.read(output, 1 << 16)
            self._rest += read
            if not read or len(self._rest) > MAXIMUM_LINE:
                raise Ended
        line, _, self._rest = self._rest.partition(b"\n")
        return line

    def is_idle(self):
        """Returns whether the process can take a call: it lives, and has written nothing since its last answer."""
        output = self._process.stdout.fileno()
        try:
            while self._rest or select.select([output], [], [], 0)[0]:
                self._note(parsed(self._line(time.monotonic())))
        except (Ended, TimeoutError):
            return False
        return self.is_clean and self.is_alive()

    def is_alive(self):
        with self._lock:
            return not self._is_reaped and os.waitid(
                os.P_PID, self._process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None

    def stop(self):
        """Ends the process and those that it has started: by SIGTERM, and by SIGKILL after a while."""
        with self._lock:
            if self._is_reaped:
                return
            try:
                os.killpg(self._process.pid, signal.SIGTERM)
            except ProcessLookupError:
                pass
        if not self._has_ended.wait(STOP_LIMIT):
            self.kill()

    def kill(self):
        """Ends the process and those that it has started, and returns how it ended."""
        with self._lock:
            if not self._is_reaped:
                try:
                    os.killpg(self._process.pid, signal.SIGKILL)
                except ProcessLookupError:
                    pass
                self._guardian.end(self._process.pid)
                self._process.wait()
                self._is_reaped = True
                self._has_ended.set()
                self._process.stdin.close()
        return how(self._process.returncode)

    def close(self):
        """Ends an idle process, which has some time for it."""
        self._process.stdin.close()
        try:
            while True:
                self.receive(END_LIMIT)
        except (Ended, TimeoutError):
            self.kill()
        self._process.stdout.close()


def parsed(line):
    """Returns the members of a JSON object; none for another line."""
    try:
        message = json.loads(line)
    except (ValueError, RecursionError):
        return {}
    return message if isinstance(message, dict) else {}


def how(status):
    """Returns how a process has ended: `status 1` or `SIGSEGV`."""
    try:
        return signal.Signals(-status).name if status < 0 else f"status {status}"
    except ValueError:
        return f"signal {-status}"


def environment():
    """Returns the environment of a worker process. Requests to `response_url` must not go through a proxy."""
    variables = dict(os.environ)
    for name in ("no_proxy", "NO_PROXY"):
        variables[name] = ",".join(filter(None, [variables.get(name), "127.0.0.1"]))
    return variables
