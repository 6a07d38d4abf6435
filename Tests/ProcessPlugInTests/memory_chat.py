#!/usr/bin/env python3
"""A backend whose service is a list in memory, for the conformance suite. It is written without the SDK."""

import json
import sys

ROOMS, PEOPLE = ["!ops", "!dev", "!sec"], ["~alice", "~bob"]
ABILITIES = ["rooms", "direct", "people", "threads", "privateReplies", "edits", "files", "naming", "stableIdentities",
             "unknownPlaces", "redelivery", "cutting", "refusingForGood", "refusingForNow", "restarting"]
said, sent, waiting, held = {}, {}, [], []
pending = 0
is_open = True
refusal = None


def write(**message):
    sys.stdout.write(json.dumps(dict(message, jsonrpc="2.0")) + "\n")
    sys.stdout.flush()


def not_sent(message, remedy):
    return {"error": {"code": 2, "message": message, "data": {"remedy": remedy}}}


def deliver(message):
    """Delivers a message, at most 100 at once, and only while connected."""
    (waiting if is_open else held).append(message)
    pump()


def pump():
    global pending
    while waiting and pending < 100:
        message = waiting.pop(0)
        pending += 1
        write(id=f"d{pending}-{message['id']}", method="deliver", params=message)


def show(to, text, **more):
    place = {key: to[key] for key in ("room", "person", "thread") if key in to}
    write(method="test.shown", params=dict(place, text=text, **more))


def send(params, **more):
    global refusal
    to, reply = params["to"], params["reply"]
    if not is_open:
        return not_sent("the service is not connected", "later")
    if refusal:
        remedy, refusal = refusal, None
        return not_sent("the service refuses the message", remedy)
    if to.get("room", ROOMS[0]) not in ROOMS or to.get("person", PEOPLE[0]) not in PEOPLE:
        return not_sent("there is no such place", "never")
    if (reply.get("private") or reply.get("confidential")) and "room" in to:
        more["reader"] = said.get(to.get("in_reply_to"), {}).get("from", {}).get("id", "unknown")
    message = f"m{len(sent)}"
    sent[message] = to
    show(to, reply["text"], **more)
    return {"result": {"message": message}}


def edit(params):
    if not is_open:
        return not_sent("the service is not connected", "later")
    if params["message"] not in sent:
        return not_sent("there is no such message", "never")
    show(params["to"], params["reply"]["text"], replacement=True)
    return {"result": {}}


def say(params):
    message = {"id": str(len(said)), "from": {"id": params["person"], "name": "@" + params["person"][1:]},
               "text": params["text"]}
    if "room" in params:
        message["room"] = {"id": params["room"], "name": "#" + params["room"][1:]}
    if "thread" in params:
        message["thread"] = params["thread"]
    said[message["id"]] = message
    deliver(message)
    return {"result": {"message": message["id"]}}


def connect(params):
    global is_open
    is_open = params["state"] == "open"
    if is_open:
        write(method="connected", params={})
        waiting.extend(held)
        held.clear()
        pump()
    else:
        write(method="disconnected", params={"reason": "the service is down"})
    return {"result": {}}


def answer(method, params):
    global refusal
    if method == "hello":
        return {"result": {
            "protocol": 1, "version": "1", "names": {"room_prefixes": ["!"], "person_prefixes": ["~"]},
            "traits": {"threads": True, "private_replies": True, "edits": True, "files": True, "maximum_length": 2000},
            "test": {"abilities": ABILITIES, "rooms": ROOMS, "people": PEOPLE, "unknown_rooms": ["!none"],
                     "unknown_people": ["~none"]}}}
    if method in ("ping", "shutdown"):
        return {"result": {}}
    if method == "send":
        return send(params)
    if method == "send_file":
        return send(params, file=params["name"])
    if method == "edit":
        return edit(params)
    if method == "test.say":
        return say(params)
    if method == "test.connection":
        return connect(params)
    if method == "test.redeliver":
        deliver(said[params["message"]])
    elif method == "test.refuse":
        refusal = params["remedy"]
    else:
        return {"error": {"code": -32601, "message": "the method is unknown"}}
    return {"result": {}}


for line in sys.stdin:
    message = json.loads(line)
    if "method" not in message:
        pending -= 1
        pump()
    elif "id" in message:
        try:
            response = answer(message["method"], message["params"])
        except KeyError as error:
            response = {"error": {"code": -32602, "message": f"the parameter {error} is missing"}}
        write(id=message["id"], **response)
        if message["method"] == "shutdown":
            break
