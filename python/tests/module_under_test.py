"""A module whose commands use each part of the SDK."""
import json, os, pathlib, subprocess, sys, threading

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from petrel_plugin import Module, PetrelError, Refusal

module = Module(version="0.3")
asking, failed = [], threading.Event()


@module.on_start
def start(settings):
    if settings == "refuse":
        raise Refusal("The settings are wrong.")
    if settings == "early":
        module.tell_admins("too early")
    if settings == "leave":
        module.on_ready(lambda: 1 / 0)


@module.command("echo", summary="Show the call.", arguments=[{"name": "a"}, {"name": "b", "type": "integer"}])
def echo(call):
    return json.dumps({"text": call.text, "arguments": call.arguments, "values": call.values,
                       "person": call.person.id, "room": call.place.room, "thread": call.place.thread,
                       "forms": call.traits.forms, "bot": module.bot, "prefix": module.prefix})


@module.command("repeat")
def repeat(call):
    return call.text


@module.command("nothing")
def nothing(call):
    return None


@module.command("wait")
def wait(call):
    call.say("waiting")
    call.cancelled.wait()
    return "cancelled"


@module.command("ask")
def ask(call):
    asking.append(call)
    try:
        call.say("asking")
    except ConnectionError:
        failed.set()
        raise


@module.command("hang")
def hang(call):
    call.say("hanging")
    threading.Event().wait()


@module.command("refuse")
def refuse(call):
    raise Refusal("Not today.")


@module.command("crash")
def crash(call):
    raise KeyError(call.text)


@module.command("leave")
def leave(call):
    sys.exit(3)


@module.command("print")
def write(call):
    print("printed by the handler")
    sys.stdout.write("written by the handler\n")
    os.write(1, b"written to the descriptor\n")
    subprocess.run(["echo", "printed by a child"], check=True)
    return subprocess.run(["cat"], check=True, stdout=subprocess.PIPE).stdout.decode()


@module.command("invalid")
def invalid(call):
    return {"text": "", "extra": {"test": object()}}


@module.command("infinite")
def infinite(call):
    return {"text": "", "extra": {"test": float("inf")}}


@module.command("long")
def long(call):
    return "x" * 1_100_000


@module.command("surrogate")
def surrogate(call):
    return "a\ud800b"


@module.command("talk")
def talk(call):
    call.say({"text": "one", "kind": "acknowledgement"}, handle="h1")
    module.replace("h1", "two", call.backend)
    module.say("three", to={"name": "#ops"})
    module.say("four", to={"backend": "xmpp", "person": "ada@example.com"})
    module.tell_admins("**five**")
    module.status({"subject": "test", "healthy": True, "detail": "works"})
    module.gauges({"name": "depth", "value": 1.5, "labels": {"queue": "a"}})
    module.log("six", level="warning")


@module.command("keep")
def keep(call):
    records = module.records
    records.set("notes", "a", {"text": call.text}, sealed=True)
    records.set("notes", "b", [1, None, "x"])
    found = [records.get("notes", "a", sealed=True), records.get("notes", "a", default="none"), records.all("notes")]
    records.remove("notes", "b")
    return json.dumps(found + [records.get("notes", "b")])


@module.command("fail to keep")
def fail_to_keep(call):
    try:
        module.records.set("notes", "a", 1)
    except PetrelError as error:
        return f"{error.code} {error.message} {error.data}"


@module.command("publish")
def publish(call):
    module.commands["echo"]["lines"] = ["x"]
    module.publish()


module.run()
print("run() has returned")
if asking and failed.wait(60):
    print("The request failed.")
