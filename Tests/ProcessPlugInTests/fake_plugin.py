#!/usr/bin/env python3
"""A plug-in for tests that does what its arguments say: fake_plugin.py module|backend [FAULT …]

It is written without the SDK, so that it can violate the protocol.
"""

import json
import os
import signal
import sys
import time

ROLE, FAULTS = sys.argv[1], sys.argv[2:]
out = os.fdopen(1, "wb", buffering=0)
requests = 0
transcript = open(os.environ["TRANSCRIPT"], "a") if "TRANSCRIPT" in os.environ else None


def note(sender, line):
    if transcript:
        print(sender, line.strip(), file=transcript, flush=True)


def write(message):
    note("plugin", json.dumps(dict(message, jsonrpc="2.0")))
    data = json.dumps(dict(message, jsonrpc="2.0")).encode() + b"\n"
    while data:
        data = data[out.write(data):]


def request(method, params):
    """Sends a request; its response is ignored."""
    global requests
    requests += 1
    write({"id": f"f{requests}", "method": method, "params": params})


def hello(message):
    if "hang-at-start" in FAULTS:
        print("hanging at the start", file=sys.stderr, flush=True)
        time.sleep(3600)
    gate = os.environ.get("GATE")
    while gate and "wait-for-gate" in FAULTS and not os.path.exists(gate):
        time.sleep(0.01)
    if gate and "die-behind-gate" in FAULTS and os.path.exists(gate):
        os._exit(7)
    if "refuse" in FAULTS:
        return {"error": {"code": 1, "message": "The settings lack a city."}}
    if "die-at-start" in FAULTS:
        os._exit(7)
    if "old" in FAULTS:
        return {"result": {"protocol": 0}}
    if ROLE == "backend":
        result = {"traits": {"edits": True, "files": True, "threads": True, "maximum_length": 2000},
                  "names": {"room_prefixes": ["!"], "person_prefixes": ["~", "@"]}, "completion": True}
    else:
        commands = [
            {"name": "echo", "summary": "Repeat.", "arguments": [
                {"name": "text", "required": True}, {"name": "count", "type": "integer"},
                {"name": "pin", "secret": True}], "lines": ["one", "two"]},
            {"name": "raw", "summary": "Repeat the text as it is."},
            {"name": "hex", "summary": "Show the bytes of the text."},
            {"name": "do", "summary": "Misbehave."},
        ]
        if "many" in FAULTS:
            commands += [{"name": f"c{n}", "summary": "x"} for n in range(100_000)]
        result = {"loading": True} if "later" in FAULTS else {"commands": commands}
    return {"result": dict(result, protocol=1, version="1.2")}


def misbehave(what):
    if what == "die":
        os._exit(3)
    if what == "hang":
        time.sleep(3600)
    if what == "stop":
        os.kill(os.getpid(), signal.SIGSTOP)
    if what == "flood":
        junk = b"x" * 65_536
        for _ in range(16_384):
            out.write(junk)
    if what == "chatter":
        line = json.dumps({"jsonrpc": "2.0", "method": "log", "params": {"message": "x" * 1000}}).encode() + b"\n"
        for _ in range(1_000_000):
            out.write(line * 60)
    if what == "half":
        out.write(b'{"jsonrpc": "2.0", "id": 1, "res')
        os._exit(0)
    if what == "ids":
        for number in (0, -1, 999_999_999, 1, "one"):
            write({"id": number, "result": {"reply": {"text": "a lie"}}})
    if what == "junk":
        for _ in range(1_000):
            out.write(b"this is not JSON\n")
    if what == "utf8":
        out.write(b'{"jsonrpc": "2.0", "method": "log", "params": {"message": "\xff\xfe"}}\n')
    if what == "many":
        request("commands", {"commands": [{"name": f"c{n}", "summary": "x"} for n in range(10_000)]})
    if what == "requests":
        for _ in range(5_000):
            request("records.get", {"collection": "a", "key": "b"})
    if what == "everything":
        reply = {"text": "a form", "style": "markdown", "buttons": [{"label": "Go", "line": "raw go"}], "form": {
            "title": "T", "line": "echo", "fields": [{"name": "text", "type": "choice", "choices": ["a", "b"]}]}}
        request("say", {"to": {"name": "#ops"}, "reply": reply, "handle": "h"})
        request("replace", {"backend": "test", "handle": "h", "reply": {"text": "replaced"}})
        request("records.set", {"collection": "a", "key": "k", "value": [1, None, "x"]})
        request("records.set", {"collection": "a", "key": "s", "value": {"pin": 1}, "sealed": True})
        request("records.get", {"collection": "a", "key": "k"})
        request("records.get", {"collection": "a", "key": "none"})
        request("records.all", {"collection": "a", "sealed": True})
        request("records.remove", {"collection": "a", "key": "k"})
        request("tell_admins", {"text": "*hello*"})
        request("commands", {"commands": [{"name": "do", "summary": "Misbehave."}]})
        write({"method": "status", "params": {"lines": [{"subject": "s", "healthy": False, "detail": "d"}]}})
        write({"method": "gauges", "params": {"gauges": [{"name": "g", "value": 1.5, "labels": {"a": "b"}}]}})
        write({"method": "log", "params": {"level": "warning", "message": "hello"}})
    if what == "error":
        sys.stderr.write("the token is sesame\r\n\x1b[31mred\x1b[0m\n")
        sys.stderr.flush()
    if what == "child":
        # A process that keeps the pipes open when this one has ended.
        if os.fork() == 0:
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            time.sleep(3600)
        os._exit(4)
    if what == "deaf":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        while True:
            time.sleep(3600)


def invoke(params):
    if params["command"] == "do":
        misbehave(params["text"])
        return {"result": {"reply": {"text": "done"}}}
    if params["command"] == "hex":
        return {"result": {"reply": {"text": params["text"].encode().hex()[:1000]}}}
    if params["command"] == "raw":
        return {"result": {"reply": {"text": params["text"]}}}
    arguments = params["arguments"]
    if arguments["text"] == "refuse":
        return {"error": {"code": 1, "message": "No."}}
    if arguments["text"] == "environment":
        return {"result": {"reply": {"text": " ".join(sorted(os.environ))}}}
    return {"result": {"reply": {"text": json.dumps(arguments, sort_keys=True)}}}


def send(params):
    text = params["reply"]["text"]
    if text == "gone":
        return {"error": {"code": 2, "message": "there is no such room", "data": {"remedy": "never"}}}
    if text == "later":
        return {"error": {"code": 2, "message": "too many", "data": {"remedy": "later", "after": 7}}}
    if text.startswith("do "):
        misbehave(text[3:])
    return {"result": {"message": "m1"}}


for line in sys.stdin.buffer:
    note("petrel", line.decode())
    message = json.loads(line)
    method = message.get("method")
    if method == "hello":
        answer = hello(message)
    elif method == "invoke":
        answer = invoke(message["params"])
    elif method in ("send", "edit", "send_file"):
        answer = send(message["params"])
        if ROLE == "backend":
            request("deliver", {"id": json.dumps(message["params"], sort_keys=True), "text": method,
                                "from": {"id": "~bob", "name": "@bob"}, "room": {"id": "!ops", "name": "#ops", "private": True}})
    elif method == "shutdown":
        if "deaf" in FAULTS:
            misbehave("deaf")
        write({"id": message["id"], "result": {}})
        break
    elif method == "ping" and "no-ping" in FAULTS:
        continue
    else:
        answer = {"result": {}}
    if "id" in message and method:
        write(dict(answer, id=message["id"]))
    if method == "hello" and "later" in FAULTS:
        time.sleep(1)
        request("commands", {"commands": [{"name": "raw", "summary": "Repeat the text as it is."}]})
    if method == "hello" and ROLE == "module" and "quiet" not in FAULTS:
        request("say", {"to": {"backend": "test", "room": "#ops"}, "reply": {"text": "ready"}})
    if method == "hello" and ROLE == "backend":
        request("deliver", {"id": f"ready {time.time()}", "text": "ready", "from": {"id": "~bob", "name": "@bob"}})
