"""Checks what `petrel lambda` does with requests, time-outs and large outputs, against the stand-in."""
import json
import os
import sys
import time

from lambda_stand_in import PATIENCE, PLUGIN, Function, configuration


class Check:
    """A function in a folder, and the number of wrong answers."""

    def __init__(self, petrel, stand_in, folder):
        self.petrel, self.stand_in, self.folder, self.wrong = petrel, stand_in, folder, 0
        self.function = None

    def expect(self, title, condition, shown):
        self.wrong += not condition
        print(f"{'ok' if condition else 'WRONG'}: {title}" + ("" if condition else f": {shown}"), flush=True)

    def start(self, environment=(), **settings):
        path = configuration(self.stand_in, self.folder, **settings)
        self.function = Function([self.petrel, "lambda", "--config", path], self.stand_in, self.folder,
                                 **dict(environment))

    def log(self):
        with open(os.path.join(self.folder, "log"), errors="replace") as log:
            return log.read()

    def end(self):
        self.function.end()

    def result(self, id):
        return self.stand_in.wait(self.stand_in.results, id)

    def answer(self, sent):
        """Returns the answer to a slash command at its `response_url`."""
        return json.dumps(self.stand_in.wait(self.stand_in.hooks, sent[0]), ensure_ascii=False)

    def status(self, title, status, id):
        result = self.result(id)
        self.expect(title, result[0] == "response" and result[1].get("statusCode") == status, result)
        return result[1]


def commands(check):
    stand_in = check.stand_in
    for version in ("1.0", "2.0"):
        for encoded in (False, True):
            for path in ("/", "/slack/commands", "/dev/ping"):
                title = f"{version} base64={encoded} {path}"
                sent = stand_in.command("Ada", "/hello", version=version, encoded=encoded, path=path)
                check.status(f"{title} is acknowledged", 200, sent[1])
                answer = check.answer(sent)
                check.expect(f"{title} is answered", "Hello, Ada!" in answer, answer)
    sent = stand_in.command("Ada", "/hello", kind="Application/X-WWW-Form-Urlencoded; charset=utf-8")
    answer = check.answer(sent)
    check.expect("the case of a content type does not matter", "Hello, Ada!" in answer, answer)
    for text, name in (("x", "/ping"), ("ping x", "/bot")):
        answer = check.answer(stand_in.command(text, name))
        check.expect(f"{name} {text} is answered by a plug-in for CatOps", "Meow! x" in answer, answer)
    hints = {"helo": "Did you mean `/bot hello`", "nosuch": "“nosuch”", "": "needs a command"}
    for text, expected in hints.items():
        answer = check.answer(stand_in.command(text, "/bot"))
        check.expect(f"/bot {text} names its command", expected in answer and "`/bot help`" in answer, answer)
    # Lambda runs the function as a user who does not own the files, so everybody must be able to read them.
    check.expect("nothing warns of readers of the configuration", "can read this file" not in check.log(), check.log())


def refusals(check):
    stand_in = check.stand_in
    for title, options in {"a wrong signature": {"secret": "x" * 32}, "an old request": {"age": 600},
                           "a request of the future": {"age": -600}}.items():
        check.status(f"{title} is refused", 401, stand_in.command("Ada", "/hello", **options)[1])
    check.status("an event with a wrong signature is refused", 401, stand_in.message("!hello Eve", secret="x" * 32))
    check.status("a button with a wrong signature is refused", 401, stand_in.press("hello Eve", secret="x" * 32))
    answered = stand_in.command("once", "/hello", trigger="same")
    check.answer(answered)
    again = stand_in.command("once", "/hello", trigger="same")
    result = check.result(again[1])
    check.answer(stand_in.command("next", "/hello"))
    is_right = result[1].get("statusCode") == 200 and again[0] not in stand_in.hooks
    check.expect("a replay is acknowledged and not run", is_right, result)
    for source in ("aws.events", "aws.scheduler"):
        result = check.result(stand_in.send({"source": source}))
        check.expect(f"a schedule ({source}) is no error", result == ("response", {}), result)
    for title, event in {"no HTTP request": {"source": "aws.s3"}, "a list": [1],
                         "invalid base64": {"httpMethod": "POST", "body": "*", "isBase64Encoded": True}}.items():
        result = check.result(stand_in.send(event))
        check.expect(f"{title} is an error", result[0] == "error" and "errorMessage" in result[1], result)
    for path in ("/slack/commands", "/"):
        for headers in ({}, None):
            event = {"httpMethod": "POST", "path": path, "headers": headers, "body": None}
            check.status(f"{path} with the headers {headers} is refused", 401, stand_in.send(event))
    event = {"httpMethod": "GET", "path": "/", "headers": {}, "body": None}
    check.status("another page does not exist", 404, stand_in.send(event))


def events(check):
    """Events of the Events API, and buttons."""
    stand_in = check.stand_in
    number = 0
    for version in ("1.0", "2.0"):
        for path in ("/", "/slack/events", "/dev/x"):
            number += 1
            title = f"{version} {path}"
            body = json.dumps({"type": "url_verification", "token": "t", "challenge": f"c{number}"})
            request = stand_in.request(body, "application/json", version=version, path=path)
            result = check.status(f"{title}: url_verification is acknowledged", 200, stand_in.send(request))
            check.expect(f"{title}: the challenge is repeated", result.get("body") == f"c{number}", result)
            id = stand_in.message(f"!hello Event{number}", version=version, path=path)
            check.status(f"{title}: a message is acknowledged", 200, id)
            stand_in.wait_until("the answer to a message", lambda: stand_in.said(f"Hello, Event{number}!"))
    for version, path in (("1.0", "/"), ("2.0", "/slack/interactivity")):
        answer = stand_in.wait(stand_in.hooks, stand_in.command("", "/ask")[0])
        buttons = [element for block in answer.get("blocks", []) for element in block.get("elements", [])
                   if element.get("type") == "button"]
        check.expect("a suggestion is a button", [b.get("value") for b in buttons] == ["hello Bob"], answer)
        count = len(stand_in.said("Hello, Bob!"))
        check.status(f"{version} {path}: a button is acknowledged", 200,
                     stand_in.press("hello Bob", version=version, path=path))
        stand_in.wait_until("the answer to a button", lambda: len(stand_in.said("Hello, Bob!")) > count)
    body = json.dumps({"type": "app_rate_limited", "minute_rate_limited": 1518467820})
    check.status("app_rate_limited is acknowledged", 200, stand_in.send(stand_in.request(body, "application/json")))
    check.expect("it is in the log", "Slack withholds events" in check.log(), "")
    repeated = {"X-Slack-Retry-Num": "1", "X-Slack-Retry-Reason": "http_timeout"}
    result = check.status("an event that Slack sends again is acknowledged", 200,
                          stand_in.message("!hello Again", more=repeated))
    check.expect("Slack sends it no further time", result.get("headers", {}).get("x-slack-no-retry") == "1", result)
    # The first request failed, so that nothing has run.
    stand_in.message("!hello Failed", more=repeated | {"X-Slack-Retry-Reason": "http_error"})
    stand_in.wait_until("the answer after an error", lambda: stand_in.said("Hello, Failed!"))
    check.expect("it is not run", not stand_in.said("Hello, Again!"), stand_in.calls[-5:])


def is_running(path):
    try:
        with open(path) as file:
            os.kill(int(file.read()), 0)
        return True
    except (FileNotFoundError, ProcessLookupError):
        return False


def deadlines(check):
    stand_in = check.stand_in
    mark = os.path.join(check.folder, "pid")
    # On a busy machine the program may not have started at the first deadline.
    for seconds in (12, 60, 200):
        sent = stand_in.command(mark, "/hang", seconds=seconds)
        stand_in.wait_for_end(sent[1])
        answer = check.answer(sent)
        if os.path.exists(mark):
            break
    is_said = "the time-out of the function was reached" in answer
    check.expect("what is still running at the deadline is said", is_said, answer)
    check.expect("its program was ended", os.path.exists(mark) and not is_running(mark), mark)
    # Any other command, such as one that waits for a service.
    sent = stand_in.command("stuck", "/bot", seconds=10)
    stand_in.wait_for_end(sent[1])
    answer = check.answer(sent)
    is_said = "ended, because the time-out of the function was reached" in answer
    check.expect("a command that hangs is ended at the deadline, and that is said", is_said, answer)
    # A reply that cannot be sent is given up at the deadline. The next invocation does not wait for it: it ends long
    # before its own deadline.
    stand_in.limited.add("C9")
    stand_in.wait_for_end(stand_in.message("!hello Nobody", channel="C9", seconds=5))
    sent = stand_in.command("Bob", "/hello", seconds=100 * PATIENCE)
    stand_in.wait_for_end(sent[1])
    answer = check.answer(sent)
    check.expect("the next invocation is answered, and ends", "Hello, Bob!" in answer, answer)


def memory(check):
    """Outputs of 20 MB, none of which is kept."""
    stand_in, sizes = check.stand_in, []
    for _ in range(12):
        sent = stand_in.command("", "/large")
        stand_in.wait_for_end(sent[1])
        answer = check.answer(sent)
        if '"ok"' not in answer:
            check.expect("a large output on standard error is no part of the answer", False, answer)
        sizes.append(check.function.memory())
    check.expect("large outputs are not kept", sizes[-1] - sizes[1] < 60, sizes)
    answer = check.answer(stand_in.command("jobs", "/bot"))
    check.expect("no record is kept", "large" not in answer, answer)


def starts(check):
    """Configurations with which no request could be answered."""
    for title, settings in {
        "without signing_secret": {"slack": {"signing_secret": None, "app_token": "xapp-1"}},
        "without Slack": {"backends": {"text": {}}},
    }.items():
        check.start(**settings)
        result = check.result("init")
        message = result[1].get("errorMessage", "")
        check.expect(f"{title}, the start fails", result[0] == "error" and "signing_secret" in message, result)
        check.function.process.wait(PATIENCE)
        check.end()


def without_bot_token(check):
    stand_in = check.stand_in
    check.start(slack={"bot_token": None})
    count = len(stand_in.calls)
    for text in ("hello Ada", "ping x"):
        answer = check.answer(stand_in.command(text, "/bot"))
        check.expect(f"without a bot token, {text} is answered", "Hello, Ada!" in answer or "Meow! x" in answer, answer)
    calls = stand_in.calls[count:]
    check.expect("without a bot token, Slack's Web API is not called", not calls, calls)
    check.end()


def early(check):
    """Requests that come before the bot is ready: they are acknowledged at once, and handled as soon as it is."""
    stand_in = check.stand_in
    begun, mark = (os.path.join(check.folder, name) for name in ("begun", "loaded"))
    # Loading the plug-in takes until the file exists, which is after the acknowledgement.
    plugin = f"""import os, time
open({begun!r}, "w").close()
while not os.path.exists({mark!r}):
    time.sleep(0.01)
{PLUGIN}"""
    check.start(plugin=plugin)
    check.status("a wrong signature is refused while plug-ins are loaded", 401,
                 stand_in.command("ping x", "/bot", secret="x" * 32)[1])
    sent = stand_in.command("ping x", "/bot")
    check.status("a command is acknowledged while plug-ins are loaded", 200, sent[1])
    # Backends of a server do not wait longer than five seconds.
    time.sleep(6)
    with open(mark, "w"):
        pass
    answer = check.answer(sent)
    check.expect("it is answered when they are", "Meow! x" in answer, answer)
    check.end()
    for path in (begun, mark):
        os.remove(path)
    asked = stand_in.asked
    check.start(environment={"AWS_LAMBDA_INITIALIZATION_TYPE": "provisioned-concurrency"}, plugin=plugin)
    while not os.path.exists(begun):
        time.sleep(0.01)
    check.expect("a process that is started in advance loads plug-ins first", stand_in.asked == asked, stand_in.asked)
    with open(mark, "w"):
        pass
    answer = check.answer(stand_in.command("ping x", "/bot"))
    check.expect("it is answered then", "Meow! x" in answer, answer)
    check.end()
    for title, send in {"a command": lambda: stand_in.command("Early", "/hello")[1],
                        "an event": lambda: stand_in.message("!hello Early"),
                        "a button": lambda: stand_in.press("hello Early")}.items():
        stand_in.ready.clear()
        check.start()
        id = send()
        check.status(f"{title} is acknowledged before Slack has said who the bot is", 200, id)
        stand_in.ready.set()
        number = id[1:]
        stand_in.wait_until(f"the answer to {title}", lambda: "Hello, Early!" in json.dumps(
            stand_in.hooks.get(number, stand_in.said("Hello, Early!"))))
        stand_in.calls.clear()
        check.end()


def never_ready(check):
    """Requests to a bot that is not ready in time, or cannot start."""
    stand_in = check.stand_in
    stand_in.ready.clear()
    check.start()
    for title, send in {"a command": lambda: stand_in.command("Never", "/hello", seconds=2)[1],
                        "a button": lambda: stand_in.press("hello Never", seconds=2)}.items():
        id = send()
        check.status(f"{title} is acknowledged by a bot that is not ready", 200, id)
        answer = check.answer((id[1:], id))
        check.expect(f"{title}: the reason is said before the time-out", "not ready before the time-out" in answer,
                     answer)
    # The token is rejected.
    sent = stand_in.command("Never", "/hello")
    check.status("a command is acknowledged by a bot that cannot start", 200, sent[1])
    identity, stand_in.identity = stand_in.identity, {"ok": False, "error": "invalid_auth"}
    stand_in.ready.set()
    answer = check.answer(sent)
    check.expect("the person learns that it cannot start", "cannot start" in answer, answer)
    check.expect("the function ends", check.function.process.wait(PATIENCE) != 0, check.function.process.returncode)
    check.end()
    stand_in.identity = identity


def run(petrel, stand_in, folder):
    """Runs all checks, and returns the number of wrong answers."""
    check = Check(petrel, stand_in, folder)
    python = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "python")
    stuck = [sys.executable, os.path.join(folder, "stuck.py"), python]
    check.start(modules={"stuck": {"command": stuck}})
    for part in (commands, refusals, events, deadlines, memory):
        start = time.monotonic()
        part(check)
        print(f"{part.__name__}: {time.monotonic() - start:.1f} s", flush=True)
    check.end()
    for part in (starts, without_bot_token, early, never_ready):
        part(check)
    return check.wrong
