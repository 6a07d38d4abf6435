#!/usr/bin/env python3
"""Checks each line of a transcript against the JSON Schema: check_transcript.py SCHEMA TRANSCRIPT

Each line begins with `petrel` or `plugin`, the sender. The result of a response is checked against its request. Prints
the methods that occur, and exits with 1 at the first invalid line.
"""

import json
import sys

import jsonschema

schema = json.load(open(sys.argv[1]))
asked = {"petrel": {}, "plugin": {}}
methods = set()
role = None


def check(value, name):
    jsonschema.Draft202012Validator({"$ref": f"#/$defs/{name}", "$defs": schema["$defs"]}).validate(value)


for number, line in enumerate(open(sys.argv[2]), 1):
    sender, _, text = line.partition(" ")
    message = json.loads(text)
    try:
        check(message, "petrelToPlugin" if sender == "petrel" else "pluginToPetrel")
        if "method" in message:
            methods.add(message["method"])
            if "id" in message:
                asked[sender][message["id"]] = message["method"]
            if message["method"] == "hello":
                role = message["params"]["role"]
        elif "result" in message:
            method = asked["plugin" if sender == "petrel" else "petrel"][message["id"]]
            check(message["result"], f"result.hello.{role}" if method == "hello" else f"result.{method}")
    except Exception as error:
        print(f"line {number}: {getattr(error, 'message', error)}: {line}")
        sys.exit(1)
print(" ".join(sorted(methods)))
