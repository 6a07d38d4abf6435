"""The module of Petrel: declares the commands, passes calls to worker processes, and reloads changed files."""
import functools
import os
import signal
import sys
import threading
import time
import traceback

from petrel_plugin import Module, Refusal
from .calls import crash, failure, params_of, refusal, typed
from .folder import is_name, marks_of, marks_of_folder
from .guardian import Guardian
from .payloads import reduced, reply, text_of
from .pool import Pool
from .process import MARGIN, Ended, LoadFailure
from .response_url import ResponseURLs

VERSION = "1.0"
INTERVAL = 0.5  # seconds between two looks at the files; more if a look takes long
RETRY, MAXIMUM_RETRY = 60, 3_600  # seconds after which files with problems are loaded again
SHARED = ("What the function prints is in the log of Petrel, because programs still run that many earlier calls have "
          "started.\n")
PATIENCE = 5  # seconds of the 10 for the answer to `hello`
MAXIMUM_COMMANDS = 1_000
MAXIMUM_WATCHED = 1_000
MAXIMUM_LINES = 20  # of `!status`
WORKERS = 64  # calls at once; further ones wait
NOTHING = {"loaded": [], "helpers": [], "problems": []}


def main():
    Runner().run()


class Runner:
    """The folder of plug-ins as a module."""

    def __init__(self):
        self.pool = Pool(Guardian())  # before the first thread
        self.module, self.urls = Module(version=VERSION, workers=WORKERS), None
        self.settings, self.folder, self.limit, self.is_recorded = None, None, 60, False
        self.report, self.first, self.published = None, threading.Event(), None
        self.watched, self.marks = [], {}  # files beside the folder that plug-ins import, and the marks of all files
        self.module.on_start(self.start)
        self.module.on_ready(self.watch)

    def run(self):
        signal.signal(signal.SIGTERM, lambda *_: (self.pool.close(), os._exit(0)))
        try:
            self.module.run()
        finally:
            self.pool.close()

    # Start and reloading

    def start(self, settings):
        settings = settings if isinstance(settings, dict) else {}
        unknown = sorted(settings.keys() - {"plugins", "include_functions", "timeout", "load_timeout", "record"})
        names, folder = settings.get("include_functions"), settings.get("plugins", "plugins")
        self.limit, load_limit = settings.get("timeout", 60), settings.get("load_timeout", 30)
        if unknown:
            raise Refusal(f"The setting '{unknown[0]}' is unknown.")
        if not isinstance(folder, str) or not folder:
            raise Refusal("The setting 'plugins' must be the path of a folder.")
        if names is not None and not (isinstance(names, list) and all(isinstance(name, str) for name in names)):
            raise Refusal("The setting 'include_functions' must be a list of names.")
        for name, limit in (("timeout", self.limit), ("load_timeout", load_limit)):
            if type(limit) is not int or not 1 <= limit <= 3_500:
                raise Refusal(f"The setting '{name}' must be a whole number of seconds from 1 to 3,500.")
        self.folder = os.path.abspath(folder)
        self.is_recorded = settings.get("record") is True
        if self.is_recorded:  # Then Petrel limits the time of calls.
            self.limit = None
        self.settings = {"plugins": self.folder, "include_functions": names, "limit": self.limit,
                         "load_limit": load_limit, "record": self.is_recorded}
        try:
            self.urls = ResponseURLs(self.post)
        except OSError as error:
            print(f"There is no response_url for plug-ins: {error}", file=sys.stderr)
        threading.Thread(target=self.load, daemon=True).start()
        # Without an answer in time, the commands are published later.
        self.first.wait(PATIENCE)
        self.published = self.declare()
        self.module.loading = self.published is None

    def watch(self):
        """Publishes the commands, and loads the plug-ins again after a change, when no file changes any more."""
        self.first.wait()
        self.publish()
        before, duration, pause, loaded = self.marks, 0, RETRY, time.monotonic()
        while True:
            time.sleep(max(INTERVAL, 50 * duration))
            start = time.monotonic()
            now = {**marks_of(self.watched), **marks_of_folder(self.folder)}
            duration = time.monotonic() - start
            has_changed = now == before and now != self.marks
            # The reason of a problem may be elsewhere, such as a service that a file connects to.
            if has_changed or self.report["problems"] and start - loaded >= pause:
                self.load()
                self.publish(always=has_changed)
                loaded, pause = time.monotonic(), RETRY if has_changed else min(2 * pause, MAXIMUM_RETRY)
            before = now

    def load(self):
        """Loads the plug-ins. If that is not possible at all, the earlier ones remain."""
        # Of files that change meanwhile, the marks must be the earlier ones.
        marks, files = marks_of_folder(self.folder), marks_of(self.watched)
        try:
            report = self.pool.reload(self.settings)
            self.watched = report["files"][:MAXIMUM_WATCHED]
            if not os.path.isdir(self.folder):
                report["problems"].append((self.folder, "the folder does not exist"))
        except LoadFailure as failure:
            report = {**(self.report or NOTHING), "problems": [(failure.path, failure.reason)]}
        except Exception as error:
            traceback.print_exc()
            report = {**(self.report or NOTHING), "problems": [(self.folder, f"cannot be loaded: {error}")]}
        known = {path: files[path] for path in self.watched if path in files}
        self.marks = {**marks_of(self.watched), **known, **marks}
        self.report = report
        self.first.set()

    # Declarations

    def declare(self):
        """Declares the commands, and returns what Petrel, `!status` and the log show of them."""
        if not self.report:
            return None
        problems, commands = list(self.report["problems"]), {}
        for function in self.report["loaded"]:
            name, path = function["name"], function["path"]
            if not is_name(name):
                problems.append((path, f"the function {name} has a name with characters that a command cannot have"))
            elif len(commands) == MAXIMUM_COMMANDS:
                problems.append((path, f"the function {name} is left out: at most {MAXIMUM_COMMANDS} are possible"))
            else:
                commands[name] = function["summary"] or f"Run {name} of {os.path.basename(path)}."
        for name in self.module.commands.keys() - commands.keys():
            del self.module.commands[name]
        for name, summary in commands.items():
            # The own limit comes first, because its message is the better one.
            options = {"timeout": self.limit + 30} if self.limit else {}
            self.module.command(name, summary=summary, **options)(functools.partial(self.run_call, name))
        problems = [(os.path.relpath(path, os.path.dirname(self.folder)) if path else "", reason)
                    for path, reason in problems]
        return commands, problems, self.report["helpers"]

    def publish(self, always=True):
        """Sends the commands if they have changed, and reports what was loaded."""
        before, self.published = self.published, self.declare()
        commands, problems, helpers = self.published
        if before is None or commands != before[0]:
            self.module.publish()
        if self.published == before and not always:
            return
        files = len({function["path"] for function in self.report["loaded"]})
        summary = f"{count(len(commands), 'command')} from {count(files, 'file')}"
        self.module.log(f"Loaded {summary}.")
        for path, reason in problems:
            self.module.log(f"{path}: {reason}", level="warning")
        for path, name in helpers:
            self.module.log(f"{path}: the function {name} is not a command, because it does not accept (argv, params).",
                            level="debug")
        lines = [{"subject": "plug-ins", "healthy": not problems, "detail": summary}]
        lines += [{"subject": path or "folder", "healthy": False, "detail": reason} for path, reason in problems]
        self.module.status(*lines[:MAXIMUM_LINES])

    # Calls

    def run_call(self, name, call):
        """Runs a call in a process and returns the reply."""
        line = f"{name} {call.text}".rstrip()
        shown = f"{name} {call.values.get('shown', call.text)}".rstrip()  # without secrets
        params = params_of(call, name, self.urls and self.urls.address(call))
        try:
            process = self.pool.take()
        except LoadFailure as error:
            return failure(f"The command was not started: {error}", f"it was not started: {error}")
        ended = threading.Event()

        def watch():
            call.cancelled.wait()
            if not ended.is_set():
                process.stop()

        threading.Thread(target=watch, daemon=True).start()
        start = time.monotonic()
        try:
            if process.has_children:
                self.record(call, "error", SHARED)
            process.begin(None if process.has_children else functools.partial(self.record, call, "error"))
            process.send({"name": name, "argv": line.split(), "params": params})
            answer = process.receive(self.limit and self.limit + MARGIN)
            process.finish()
            ended.set()
            self.pool.give(process)
        except (Ended, TimeoutError):
            ended.set()
            status = self.pool.drop(process)
            process.finish()
            is_late = self.limit and time.monotonic() - start >= self.limit
            reason = f"ended after {self.limit} seconds" if is_late else f"its process ended ({status})"
            return failure(f"The command was ended after {self.limit} seconds: {shown}\nIt may have had an effect."
                           if is_late else
                           f"The process of the command ended ({status}): {shown}\nIt may have had an effect.", reason)
        finally:
            call.cancelled.set()  # The watching thread ends.
        if "invalid" in answer or "failed" in answer:
            result = refusal(shown, answer["invalid"]) if "invalid" in answer else crash(shown, answer["failed"])
            self.record(call, "output", result["text"] + "\n")
            return result
        if answer["payload"] is None:
            return None
        if text := text_of(answer["payload"]):
            self.record(call, "output", text + "\n")
        return reply(answer["payload"], call.traits, typed(params))

    def record(self, call, stream, text):
        """Adds text to the log of a call, if Petrel records calls."""
        if self.is_recorded:
            self.module.request("output", call=call.id, stream=stream, text=text)

    def post(self, call, payload):
        """Shows a message that a plug-in has posted to the `response_url` of a call."""
        source = typed(params_of(call, call.command, None))
        message = reply(reduced({"statusCode": "200", **payload}), call.traits, source)
        if message is None:
            return
        place = {name: value for name, value in call.place.items() if name in ("room", "person", "thread")}
        if message.pop("private", False):
            # Only the answer to a message can be shown to one person in a room.
            place = {"person": call.person.id}
        self.module.say(message, to={"backend": call.backend, **place})


def count(number, noun):
    return f"{number:,} {noun}" + ("" if number == 1 else "s")
