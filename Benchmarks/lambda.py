#!/usr/bin/env python3
"""Runs `petrel lambda` against a stand-in of AWS Lambda's runtime API and of Slack, and prints figures.

usage: Benchmarks/lambda.py PETREL [--invocations N] [--cold N] [--check]

The same plug-in for CatOps is run by Petrel and by a loop in Python as Lambda's runtime for Python has one. Cold is
the time from the start of the process to its first answer at the `response_url`; warm is that from an event to its
answer.
With --check, only the answers to requests are checked, and the exit status is 1 if one is wrong.
"""
import argparse
import os
import statistics
import sys
import tempfile
import time

import lambda_check
from lambda_stand_in import SECRET, Function, StandIn, configuration

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


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("petrel")
    parser.add_argument("--invocations", type=int, default=1_000)
    parser.add_argument("--cold", type=int, default=20)
    parser.add_argument("--check", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        stand_in = StandIn()
        petrel = os.path.abspath(options.petrel)

        def function(name, **settings):
            return [petrel, "lambda", "--config", configuration(stand_in, os.path.join(folder, name), **settings)]

        try:
            if options.check:
                sys.exit(1 if lambda_check.run(petrel, stand_in, folder) else 0)
            loop = os.path.join(folder, "loop.py")
            with open(loop, "w") as file:
                file.write(PYTHON_LOOP)
            catops = function("catops")
            scripts = {"jobs": {"scripts": {"directory": "scripts", "auth_strategy": "any"}}}
            python = {"CATOPS": os.path.join(ROOT, "python"), "SECRET": SECRET,
                      "PLUGINS": os.path.join(folder, "catops", "plugins/")}
            runs = [("petrel, script in sh", function("scripts", **scripts), "Ada", "/hello", {}),
                    ("petrel, script in sh, no bot token",
                     function("slash", slack={"bot_token": None}, **scripts), "Ada", "/hello", {}),
                    ("petrel, plug-in for CatOps", catops, "a b", "/ping", {}),
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
