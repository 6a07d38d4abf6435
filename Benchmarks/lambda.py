#!/usr/bin/env python3
"""Runs `petrel lambda` against a stand-in of AWS Lambda's runtime API and of Slack, and prints figures.

usage: Benchmarks/lambda.py PETREL [--invocations N] [--cold N] [--check]

The same plug-in for CatOps is run by Petrel and by a loop in Python as Lambda's runtime for Python has one. Cold is
the time from the start of the process to its first answer at the `response_url`; warm is that from an event to its
answer.
With --check, only the answers to requests are checked, and the exit status is 1 if one is wrong.
"""
import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time

from lambda_stand_in import PLUGIN, SECRET, StandIn

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
PYTHON_LOOP = '''import json, os, sys, urllib.request
from urllib.parse import parse_qs
sys.path[:0] = [os.environ["CATOPS"]]
from catops import convert_dispatch, verify_request
base = "http://" + os.environ["AWS_LAMBDA_RUNTIME_API"] + "/2018-06-01/runtime/invocation/"


def post(url, value):
    body, headers = json.dumps(value).encode(), {"Content-Type": "application/json"}
    urllib.request.urlopen(urllib.request.Request(url, body, headers))


while True:
    with urllib.request.urlopen(base + "next") as response:
        id, event = response.headers["Lambda-Runtime-Aws-Request-Id"], json.load(response)
    valid, message = verify_request(event, os.environ["SECRET"])
    post(base + id + "/response", {"statusCode": "200" if valid else "401"})
    if valid:
        params = parse_qs(event["body"])
        post(params["response_url"][0], convert_dispatch({**params, "text": ["ping " + params["text"][0]]},
                                                         plugin_dir=os.environ["PLUGINS"]))
'''


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


def configuration(stand_in, folder):
    os.makedirs(os.path.join(folder, "plugins"), mode=0o755, exist_ok=True)
    os.makedirs(os.path.join(folder, "scripts"), mode=0o755, exist_ok=True)
    with open(os.path.join(folder, "plugins", "example.py"), "w") as file:
        file.write(PLUGIN)
    script = os.path.join(folder, "scripts", "hello.sh")
    with open(script, "w") as file:
        file.write("#!/bin/sh\necho \"Hello, $1!\"\n")
    os.chmod(script, 0o755)
    for name, line in {"slow": 'echo begins; sleep 300; echo "not reached"',
                       "menu": """echo '{"text": "menu", "suggestions": ["hello Bob"]}'"""}.items():
        script = os.path.join(folder, "scripts", name)
        with open(script, "w") as file:
            file.write(f"#!/bin/sh\n{line}\n")
        os.chmod(script, 0o755)
    path = os.path.join(folder, "config.json")
    with open(path, "w") as file:
        json.dump({
            "web": {}, "log": {"level": "warning"},
            "backends": {"slack": {
                "bot_token": "xoxb-1", "signing_secret": SECRET, "api_url": f"http://{stand_in.address}/api/",
                "slash_commands": ["/ping", "/hello", "/catops", "/slow", "/menu"]}},
            "jobs": {"catops": {"plugins": "plugins", "auth_strategy": "any"}, "scripts": {"directory": "scripts", "auth_strategy": "any"}},
        }, file)
    return path


def cold(command, stand_in, folder, count, text, name, **environment):
    times = []
    for _ in range(count):
        number, _id = stand_in.command(text, name)
        function = Function(command, stand_in, folder, **environment)
        answer = stand_in.wait(stand_in.hooks, number)
        times.append((time.monotonic() - function.start) * 1000)
        memory = function.memory()
        function.end()
    return statistics.median(times), memory, answer


def warm(command, stand_in, folder, count, text, name, **environment):
    function = Function(command, stand_in, folder, **environment)
    times, memory = [], []
    for _ in range(count):
        start = time.monotonic()
        number, id = stand_in.command(text, name)
        assert stand_in.wait(stand_in.results, id)[0] == "response"
        stand_in.wait(stand_in.hooks, number)
        times.append((time.monotonic() - start) * 1000)
        memory.append(function.memory() if len(times) in (100, count) else 0)
    function.end()
    return statistics.median(times), max(memory[:100]) or memory[-1], memory[-1]


def check(command, stand_in, folder):
    """Checks signed and forged requests, and returns the number of wrong answers."""
    function, wrong = Function(command, stand_in, folder), 0

    def expect(title, condition, shown):
        nonlocal wrong
        wrong += not condition
        print(f"{'ok' if condition else 'WRONG'}: {title}" + ("" if condition else f": {shown}"))

    for version in ("1.0", "2.0"):
        for encoded in (False, True):
            for path in ("/", "/slack/commands", "/dev/ping"):
                number, id = stand_in.command("Ada", "/hello", version, encoded, path=path)
                result = stand_in.wait(stand_in.results, id)
                expect(f"{version} base64={encoded} {path} is acknowledged", result[1].get("statusCode") == 200, result)
                answer = stand_in.wait(stand_in.hooks, number)
                expect(f"{version} base64={encoded} {path} is answered", "Hello, Ada!" in json.dumps(answer), answer)
    for title, options in {"a wrong signature": {"secret": "x" * 32}, "an old request": {"age": 600},
                           "a request of the future": {"age": -600}}.items():
        _, id = stand_in.command("Ada", "/hello", **options)
        result = stand_in.wait(stand_in.results, id)
        expect(f"{title} is refused", result[0] == "response" and result[1].get("statusCode") == 401, result)
    number, id = stand_in.command("once", "/hello", trigger="same")
    stand_in.wait(stand_in.results, id)
    stand_in.wait(stand_in.hooks, number)
    number, id = stand_in.command("once", "/hello", trigger="same")
    result = stand_in.wait(stand_in.results, id)
    again, id = stand_in.command("next", "/hello")
    stand_in.wait(stand_in.hooks, again)
    is_right = result[1].get("statusCode") == 200 and number not in stand_in.hooks
    expect("a replay is acknowledged and not run", is_right, result)
    for title, event in {"no HTTP request": {"source": "aws.events"}, "a list": [1],
                         "invalid base64": {"httpMethod": "POST", "body": "*", "isBase64Encoded": True}}.items():
        result = stand_in.wait(stand_in.results, stand_in.send(event))
        expect(f"{title} is an error", result[0] == "error" and "errorMessage" in result[1], result)
    event = {"httpMethod": "POST", "path": "/slack/commands", "headers": {}, "body": None}
    result = stand_in.wait(stand_in.results, stand_in.send(event))
    expect("a request without a signature is refused", result[1].get("statusCode") == 401, result)
    event = {"httpMethod": "GET", "path": "/", "headers": {}, "body": None}
    result = stand_in.wait(stand_in.results, stand_in.send(event))
    expect("another page does not exist", result[1].get("statusCode") == 404, result)
    for text, name in (("x", "/ping"), ("ping x", "/catops")):
        number, _ = stand_in.command(text, name)
        answer = stand_in.wait(stand_in.hooks, number)
        expect(f"{name} {text} is answered by a plug-in for CatOps", "Meow! x" in json.dumps(answer), answer)
    id = stand_in.request(json.dumps({"type": "url_verification", "challenge": "c1"}), content="application/json")
    result = stand_in.wait(stand_in.results, id)
    expect("the verification of the URL is answered", result[1].get("body") == "c1", result)
    for path in ("/", "/slack/events"):
        id = stand_in.event(f"hello Eve{len(path)}", f"Ev{len(path)}", path)
        result = stand_in.wait(stand_in.results, id)
        message = stand_in.wait(stand_in.messages, f"Hello, Eve{len(path)}!")
        expect(f"an event at {path} is answered", result[1].get("statusCode") == 200, (result, message))
    # The first request may be handled by another process, which knows nothing of this one.
    id = stand_in.event("hello again", "Ev9", **{"X-Slack-Retry-Num": "1", "X-Slack-Retry-Reason": "http_timeout"})
    result = stand_in.wait(stand_in.results, id)
    again, _ = stand_in.command("next", "/hello")
    stand_in.wait(stand_in.hooks, again)
    is_right = result[1].get("statusCode") == 200 and "Hello, again!" not in stand_in.messages
    expect("an event that is sent again because of the time is not run", is_right, result)
    number, _ = stand_in.command("", "/menu")
    answer = stand_in.wait(stand_in.hooks, number)
    buttons = [element for block in answer.get("blocks", ()) for element in block.get("elements", ())
               if element.get("type") == "button"]
    expect("a reply has a button", len(buttons) == 1, answer)
    for button in buttons:
        result = stand_in.wait(stand_in.results, stand_in.press(button))
        answer = stand_in.wait(stand_in.messages, "Hello, Bob!")
        expect("a pressed button is answered", result[1].get("statusCode") == 200, (result, answer))
    start = time.monotonic()
    number, _ = stand_in.command("", "/slow", limit=6)
    answer = json.dumps(stand_in.wait(stand_in.hooks, number))
    expect("a command that takes too long is ended and says so before the time-out",
           "time-out of the function" in answer and time.monotonic() - start < 6, answer)
    number, _ = stand_in.command("Ada", "/hello")
    answer = stand_in.wait(stand_in.hooks, number)
    expect("the next invocation is answered", "Hello, Ada!" in json.dumps(answer), answer)
    function.end()
    return wrong


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("petrel")
    parser.add_argument("--invocations", type=int, default=1_000)
    parser.add_argument("--cold", type=int, default=20)
    parser.add_argument("--check", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        stand_in = StandIn()
        petrel = [os.path.abspath(options.petrel), "lambda", "--config", configuration(stand_in, folder)]
        try:
            if options.check:
                sys.exit(1 if check(petrel, stand_in, folder) else 0)
            loop = os.path.join(folder, "loop.py")
            with open(loop, "w") as file:
                file.write(PYTHON_LOOP)
            python = {"CATOPS": os.path.join(ROOT, "python"), "SECRET": SECRET,
                      "PLUGINS": os.path.join(folder, "plugins/")}
            runs = [("petrel, script in sh", petrel, "Ada", "/hello", {}),
                    ("petrel, plug-in for CatOps", petrel, "a b", "/ping", {}),
                    ("Python's loop, plug-in for CatOps", [sys.executable, loop], "a b", "/ping", python)]
            print(f"{'':36} cold p50   RSS cold   warm p50   RSS at 100   RSS at {options.invocations}")
            for title, command, text, name, environment in runs:
                first = cold(command, stand_in, folder, options.cold, text, name, **environment)
                later = warm(command, stand_in, folder, options.invocations, text, name, **environment)
                print(f"{title:36} {first[0]:5.0f} ms   {first[1]:5.1f} MB   {later[0]:5.1f} ms   {later[1]:7.1f} MB   "
                      f"{later[2]:7.1f} MB")
        except (TimeoutError, AssertionError):
            with open(os.path.join(folder, "log"), errors="replace") as log:
                sys.stderr.write(log.read()[-4_000:])
            raise


if __name__ == "__main__":
    main()
