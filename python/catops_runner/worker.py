"""The process that loads the plug-ins and runs calls, one at a time.

It reads JSON objects from standard input, one a line: first the settings, then calls. It writes to the standard output
that it was started with; plug-ins that print write to standard error instead. Each message repeats the identifier of
the settings or of the call that it answers. If the answer to a call states that programs of plug-ins still run, another
message follows when they have ended.
"""
import contextlib
import faulthandler
import functools
import json
import os
import queue
import signal
import sys
import threading
import time
import traceback

import catops.plugin
from catops import ArgumentParserError
from . import output as printed
from .folder import key_of
from .payloads import reduced
from .safety import objection

GRACE = 2  # seconds that an idle process has to end
INTERVAL = 0.2  # seconds between two looks for programs that still run
MAXIMUM_ERROR = 2_000  # characters


def main(log):
    """Runs calls until the end of the input. `log` is the descriptor for what belongs to no call."""
    sys.dont_write_bytecode = True
    faulthandler.enable()
    source, answers = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    with open(os.devnull, "rb") as nothing:
        os.dup2(nothing.fileno(), 0)
    os.dup2(2, 1)
    output = printed.install(log)
    sys.argv = ["catops"]
    owner = os.getpid()

    def send(**message):
        answers.write(json.dumps(message).encode() + b"\n")
        answers.flush()

    settings = json.loads(source.readline())
    calls, busy = queue.SimpleQueue(), threading.Event()
    busy.set()
    threading.Thread(target=receive, args=(source, calls, busy), daemon=True).start()
    functions, report = load(settings, send)
    busy.clear()
    send(**report)
    last, has_children = None, False
    while True:
        try:
            call = calls.get(timeout=INTERVAL if has_children else None)
        except queue.Empty:
            has_children = children_run()
            if not has_children:
                send(id=last, idle=True)
            continue
        if call is None:
            return
        last = call["id"]
        output.begin(last)
        with limited(settings["limit"]):
            result = run(functions, call)
            leave_unless(owner)
        output.end()
        has_children = children_run()
        busy.clear()
        send(id=last, children=has_children, **result)


def children_run():
    """Returns whether a program runs that a plug-in has started. Programs that have detached themselves do not count."""
    try:
        os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return False
    children = set()
    with contextlib.suppress(OSError):  # There is a thread less, or a system without this file.
        for thread in os.listdir("/proc/self/task"):
            with open(f"/proc/self/task/{thread}/children") as file:
                children.update(file.read().split())
    return any(map(is_running, children))


def is_running(process):
    try:
        with open(f"/proc/{process}/stat", "rb") as file:
            return file.read().rpartition(b")")[2].split()[:1] not in ([b"Z"], [b"X"])
    except OSError:
        return False


def leave_unless(owner):
    """Ends a process that a plug-in has forked, and that has returned from the plug-in: the other one answers.

    It has no thread that measures the time, so `faulthandler` would wait for that forever.
    """
    if os.getpid() == owner:
        return
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(Exception):
            stream.flush()
    os._exit(0)


def receive(source, calls, busy):
    """Passes calls on. At the end of the input, an idle process has some time to end, and a busy one has none."""
    for line in source:
        busy.set()
        calls.put(json.loads(line))
    calls.put(None)
    if not busy.is_set():
        time.sleep(GRACE)
    os.killpg(0, signal.SIGKILL)


@contextlib.contextmanager
def limited(seconds):
    """Ends the process when a block takes longer, and writes where it was. It works beside code that never pauses.

    Without a limit, Petrel ends the process by SIGTERM.
    """
    if seconds:
        faulthandler.dump_traceback_later(seconds, exit=True, file=2)
    else:
        faulthandler.register(signal.SIGTERM, file=2, chain=True)
    try:
        yield
    finally:
        if seconds:
            faulthandler.cancel_dump_traceback_later()
        else:
            faulthandler.unregister(signal.SIGTERM)


def load(settings, send):
    """Loads the plug-ins, and returns their functions by name, and a report."""
    owner = os.getpid()

    def report(path):
        leave_unless(owner)
        faulthandler.dump_traceback_later(settings["load_limit"], exit=True, file=2)
        send(id=settings["id"], loading=path)

    skipped, parent = settings["skip"], os.path.join(os.path.dirname(settings["plugins"]), "")
    installed = tuple(os.path.join(prefix, "") for prefix in (sys.prefix, sys.base_prefix))

    def is_own(path):
        return isinstance(path, str) and path.startswith(parent) and not path.startswith(installed)

    sys.addaudithook(functools.partial(guard, is_own, functools.lru_cache(maxsize=10_000)(objection)))
    plugins = catops.plugin.load(
        settings["plugins"], settings["include_functions"], key_of, lambda path: skipped.get(path) or objection(path),
        report)
    leave_unless(owner)
    faulthandler.cancel_dump_traceback_later()
    files = [getattr(module, "__file__", None) for module in list(sys.modules.values())]
    return plugins.functions, {
        "id": settings["id"],
        "loaded": [{"name": name, "path": plugins.paths[name], "summary": summary(function)}
                   for name, function in sorted(plugins.functions.items())],
        "problems": plugins.problems, "helpers": plugins.helpers,
        "files": [file for file in files if is_own(file)]}


def guard(is_own, objection, event, arguments):
    """Refuses to run the code of a file that others can write to, also if a plug-in imports it."""
    path = getattr(arguments[0], "co_filename", None) if event == "exec" else None
    if is_own(path):
        folder = os.path.dirname(path)
        cache = os.path.join(folder, "__pycache__")
        for place in (folder, path, *([cache] if os.path.isdir(cache) else [])):
            if reason := objection(place):
                raise ImportError(f"{place}: {reason}")


def summary(function):
    """Returns the first line of a docstring."""
    lines = (function.__doc__ or "").strip().splitlines()
    return lines[0].strip()[:200] if lines else ""


def run(functions, call):
    """Runs a call and returns its result: the members of one message."""
    function = functions.get(call["name"])
    if function is None:
        return {"failed": "No file defines it any more."}
    try:
        value = function(call["argv"], call["params"])
        return {"payload": reduced(value)}
    except ArgumentParserError as error:
        return {"invalid": str(error)[:MAXIMUM_ERROR]}
    except SystemExit as error:
        if error.code in (None, 0):
            return {"payload": None}
        return {"failed": f"It ended with {str(error.code)[:MAXIMUM_ERROR]}."}
    except BaseException as error:
        traceback.print_exception(type(error), error, error.__traceback__.tb_next)  # without this function
        return {"failed": "".join(traceback.format_exception_only(type(error), error)).strip()[-MAXIMUM_ERROR:]}
