"""Tests of the JSON Schema of the plug-in protocol, and of the page that it formalizes."""
import json, re, unittest
import jsonschema
from fake_petrel import ROOT, SCHEMA, TRAITS, is_valid, validate

PAGE = (ROOT / "docs/PluginProtocol.md").read_text()
REPLY = {"text": "x"}
ROOM = {"room": "C1"}
PERSON = {"id": "U1", "name": "@ada", "stable": True, "admin": False}
CALL = {"call": "c1", "command": "echo", "text": "", "person": PERSON, "backend": "slack", "place": ROOM,
        "message": "m1", "prefix": "!", "traits": TRAITS}


def section(title):
    return re.search(rf"^## {title}$(.*?)(?=^## |\Z)", PAGE, re.MULTILINE | re.DOTALL)[1]


def methods(text):
    """The methods that a part of the page lists in tables."""
    tables = re.findall(r"^\| Method .*\n\|-.*\n((?:\|.*\n)+)", text, re.MULTILINE)
    return {name for table in tables for name in re.findall(r"^\| `([a-z_.]+)`", table, re.MULTILINE)}


def defined(direction):
    references = [entry["$ref"] for entry in SCHEMA["$defs"][direction]["oneOf"]]
    return {re.sub(r".*/(request|notification)\.", "", reference) for reference in references} - {"#/$defs/response"}


class PageTests(unittest.TestCase):
    def test_the_schema_is_valid(self):
        jsonschema.Draft202012Validator.check_schema(SCHEMA)

    def test_every_reference_of_the_schema_exists(self):
        references = re.findall(r'"#/\$defs/([^"]+)"', json.dumps(SCHEMA))
        self.assertEqual(set(references) - set(SCHEMA["$defs"]), set())

    def test_the_messages_of_the_page_are_valid(self):
        blocks = [json.loads(block) for block in re.findall(r"^```json\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)]
        messages = [block for block in blocks if "jsonrpc" in block]
        self.assertGreaterEqual(len(messages), 3)
        for message in messages:
            validate(message)
        for role, title in (("backend", "Backends"), ("module", "Modules")):
            block = re.search(r"^```json\n(.*?)^```", section(title), re.MULTILINE | re.DOTALL)[1]
            validate(json.loads(block)["result"], f"result.hello.{role}")

    def test_the_remedies_of_the_page_are_valid(self):
        remedies = re.findall(r'`(\{"remedy".*?\})`', PAGE)
        self.assertGreaterEqual(len(remedies), 2)
        for remedy in remedies:
            validate({"code": 2, "message": "x", "data": json.loads(remedy)}, "error")

    def test_the_results_in_the_tables_are_valid(self):
        rows = re.findall(r"^\| `([a-z_.]+)`[^|]*\|[^|]*\| `(\{[^`…]*\})`", PAGE, re.MULTILINE)
        self.assertGreaterEqual(len(rows), 8)
        for method, result in rows:
            with self.subTest(method):
                validate(json.loads(result), f"result.{method}")

    def test_the_page_and_the_schema_have_the_same_methods(self):
        from_plugin, from_petrel = defined("pluginToPetrel"), defined("petrelToPlugin")
        self.assertEqual(methods(PAGE), (from_plugin | from_petrel) - {"hello", "ping", "shutdown"})
        for method in from_plugin | from_petrel:
            self.assertIn(f"params.{method}", SCHEMA["$defs"])


def request(method, params, number=1):
    return {"jsonrpc": "2.0", "id": number, "method": method, "params": params}


def notification(method, params):
    return {"jsonrpc": "2.0", "method": method, "params": params}


VALID = {
    "petrelToPlugin": [
        request("ping", {}), request("shutdown", {}), request("ping", {"unknown": 1}),
        request("send", {"to": {"person": "@ada", "thread": "1", "in_reply_to": "2"}, "reply": {
            "text": "x", "style": "markdown", "kind": "result", "private": True, "extra": {"slack": {}},
            "buttons": [{"label": "Yes", "line": "do it", "style": "danger", "question": "Sure?"}],
            "form": {"title": "T", "submit": "S", "line": "set", "fields": [
                {"name": "a", "type": "choice", "choices": ["x"], "initial": "x", "required": True}]}}}),
        request("edit", {"message": "1", "to": ROOM, "reply": REPLY}),
        request("send_file", {"name": "a.txt", "to": ROOM, "reply": REPLY}),
        request("invoke", CALL), request("invoke", {**CALL, "arguments": {"a": "x", "b": 2, "c": True}, "values": {}}),
        notification("cancel", {"call": "c1"}), notification("completed", {"message": "m1"}),
        {"jsonrpc": "2.0", "id": "x", "result": None},
        {"jsonrpc": "2.0", "id": 1, "error": {"code": 3, "message": "wait", "data": 1}},
    ],
    "pluginToPetrel": [
        request("deliver", {"id": "1", "from": {"id": "U1"}, "text": "!help"}, "a"),
        request("say", {"call": "c1", "reply": REPLY, "handle": "h"}),
        request("say", {"to": {"name": "#ops"}, "reply": REPLY}),
        request("say", {"to": {"backend": "slack", "room": "C1", "thread": "1"}, "reply": REPLY}),
        request("records.set", {"collection": "a-z_0", "key": "k", "value": None, "sealed": True}),
        request("commands", {"commands": [{"name": "a b", "timeout": 3600}]}),
        notification("connected", {}), notification("disconnected", {"reason": "x", "final": True}),
        notification("log", {"level": "info", "message": "x"}),
        {"jsonrpc": "2.0", "id": None, "error": {"code": -32700, "message": "x"}},
        {"jsonrpc": "2.0", "id": 1, "error": {"code": 2, "message": "x", "data": {"remedy": "later"}}},
    ],
}
INVALID = {
    "petrelToPlugin": [
        {"id": 1, "method": "ping", "params": {}}, {"jsonrpc": "2.0", "id": 1, "method": "ping"},
        request("ping", []), request("ping", {}, "a"), request("dance", {}), notification("dance", {}),
        notification("ping", {}), request("cancel", {"call": "c1"}), request("deliver", {}),
        request("send", {"to": {}, "reply": REPLY}), request("send", {"to": {**ROOM, "person": "x"}, "reply": REPLY}),
        request("send", {"to": ROOM, "reply": {}}),
        request("send", {"to": ROOM, "reply": {"text": "", "style": "html"}}),
        request("send", {"to": ROOM, "reply": {"text": "", "form": {
            "title": "T", "submit": "S", "line": "l", "fields": [{"name": "a", "type": "choice"}]}}}),
        request("edit", {"to": ROOM, "reply": REPLY}),
        *[request("invoke", {name: value for name, value in CALL.items() if name != left_out}) for left_out in CALL],
        request("invoke", {**CALL, "values": {"a": 1}}), request("invoke", {**CALL, "person": {"id": "U1"}}),
        {"jsonrpc": "2.0", "id": 1, "result": {}, "error": {"code": 1, "message": ""}},
        {"jsonrpc": "2.0", "id": 1, "error": {"code": 1}}, {"jsonrpc": "2.0", "result": {}},
        {"jsonrpc": "2.0", "id": 1, "error": {"code": 2, "message": "x"}},
        {"jsonrpc": "2.0", "id": 1, "error": {"code": 2, "message": "x", "data": {"remedy": "soon"}}},
    ],
    "pluginToPetrel": [
        request("hello", {}), request("deliver", {"from": {"id": "U1"}, "text": "x"}),
        request("deliver", {"id": 1, "from": {"id": "U1"}, "text": "x"}), request("say", {"reply": REPLY}),
        request("say", {"call": "c1", "to": {"name": "#ops"}, "reply": REPLY}),
        request("say", {"to": {"backend": "slack"}, "reply": REPLY}),
        request("say", {"to": {"room": "C1"}, "reply": REPLY}),
        request("records.get", {"collection": "A", "key": "k"}),
        request("records.set", {"collection": "a", "key": "k"}),
        request("records.get", {"collection": "a" * 65, "key": "k"}),
        request("commands", {"commands": [{"name": "a", "timeout": 3601}]}),
        request("commands", {"commands": [{"name": ""}]}), request("commands", {"commands": [{"name": "a"}] * 1001}),
        request("commands", {"commands": [{"name": "a", "arguments": [{"name": "b", "type": "date"}]}]}),
        notification("disconnected", {}), notification("log", {"level": "fatal", "message": "x"}),
        notification("status", {"lines": [{"subject": "x", "healthy": "yes", "detail": ""}]}),
        notification("gauges", {"gauges": [{"name": "x", "value": "1"}]}),
        request("log", {"level": "info", "message": "x"}),
        {"jsonrpc": "2.0", "id": [], "result": {}},
    ],
}


class MessageTests(unittest.TestCase):
    def test_valid_messages(self):
        for direction, messages in VALID.items():
            for message in messages:
                with self.subTest(message):
                    validate(message, direction)
                    validate(message)

    def test_invalid_messages(self):
        for direction, messages in INVALID.items():
            for message in messages:
                with self.subTest(message):
                    self.assertFalse(is_valid(message, direction))

    def test_results(self):
        for name, result, expected in (
            ("result.hello.backend", {}, False), ("result.hello.backend", {"protocol": 2}, False),
            ("result.hello.backend", {"protocol": 1, "traits": {"maximum_length": "4000"}}, False),
            ("result.hello.module", {"protocol": 1}, True), ("result.send", {"message": 1}, False),
            ("result.send", {}, True), ("result.invoke", {"reply": "x"}, False),
            ("result.invoke", {"reply": REPLY}, True),
            ("result.records.get", {}, False), ("result.records.get", {"value": None}, True),
            ("result.ping", None, True),
        ):
            with self.subTest(name, result=result):
                self.assertEqual(is_valid(result, name), expected)
