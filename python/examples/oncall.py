#!/usr/bin/env python3
"""A module for Petrel that keeps who is on call.

    "modules": {"oncall": {"command": ["python3", "oncall.py"], "settings": {"pin": {"env": "ONCALL_PIN"}}}}

`oncall` shows who is on call, `oncall set PERSON [PHONE] pin=PIN` changes it, and `oncall clear PIN` removes the entry.
`oncall set` without arguments offers a form. Without the setting `pin`, no PIN is required.
"""
import hmac, os, sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from petrel_plugin import Module, Refusal

oncall = Module(version="1.0")
pin = None
FORM = {"title": "On call", "submit": "Save", "line": "oncall set", "fields": [
    {"name": "person", "label": "Person", "type": "text", "required": True},
    {"name": "phone", "label": "Phone", "type": "text", "hint": "The number for calls at night."},
    {"name": "urgency", "label": "Calls for", "type": "choice", "choices": ["all alerts", "critical alerts"],
     "initial": "all alerts"},
    {"name": "notes", "label": "Notes", "type": "lines"},
    {"name": "pin", "label": "PIN", "type": "text"},
]}


@oncall.on_start
def start(settings):
    global pin
    pin = (settings or {}).get("pin")
    if pin is not None and not isinstance(pin, str):
        raise Refusal("The setting 'pin' must be a text.")


@oncall.on_ready
def ready():
    report(current())
    offer()


@oncall.command("oncall", summary="Show who is on call.", arguments=[])
def show(call):
    shift = current()
    return described(shift) if shift else "Nobody is on call."


@oncall.command("oncall set", summary="Set who is on call.", arguments=[
    {"name": "person"}, {"name": "phone"}, {"name": "pin", "secret": True},
    {"name": "urgency", "type": "choice", "choices": ["all alerts", "critical alerts"]}, {"name": "notes"}])
def change(call):
    given = call.arguments
    if not given:
        if not call.traits.forms:
            return f"Please type: {call.prefix}oncall set PERSON [PHONE] pin=PIN"
        return {"text": "Please fill in the form.", "form": FORM}
    check(given.get("pin"))
    if not given.get("person"):
        raise Refusal("Please name the person who is on call.")
    shift = {name: given[name] for name in ("person", "phone", "urgency", "notes") if given.get(name)}
    call.say({"text": "Saving…", "kind": "acknowledgement"})
    oncall.records.set("shifts", "current", {**shift, "set_by": call.person.id}, sealed=True)
    oncall.records.set("people", shift["person"].encode()[:256].decode(errors="ignore"), True)
    report(shift)
    offer()
    oncall.log(f"The shift was changed by {call.person.id}.", level="notice")
    return described(shift)


@oncall.command("oncall clear", summary="Remove who is on call.", arguments=[{"name": "pin", "secret": True}])
def clear(call):
    check(call.arguments.get("pin"))
    oncall.records.remove("shifts", "current", sealed=True)
    report(None)
    oncall.tell_admins("Nobody is on call any more.")
    return "Nobody is on call."


def current():
    """Returns the present shift, or None."""
    return oncall.records.get("shifts", "current", sealed=True)


def check(given):
    """Refuses a PIN that is not the configured one."""
    if pin is not None and not hmac.compare_digest(pin.encode(), (given or "").encode()):
        raise Refusal("The PIN is wrong.")


def described(shift):
    phone = f" ({shift['phone']})" if shift.get("phone") else ""
    notes = f"\n{shift['notes']}" if shift.get("notes") else ""
    return f"{shift['person']}{phone} is on call for {shift.get('urgency', 'all alerts')}.{notes}"


def report(shift):
    """Sends the status line and the gauge."""
    detail = f"{shift['person']} is on call" if shift else "nobody is on call"
    oncall.status({"subject": "on call", "healthy": bool(shift), "detail": detail})
    oncall.gauges({"name": "people_on_call", "value": 1 if shift else 0})


def offer():
    """Offers the known people for completion."""
    oncall.commands["oncall set"]["lines"] = sorted(oncall.records.all("people"))
    oncall.publish()


oncall.run()
