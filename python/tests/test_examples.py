"""Tests of the example plug-ins."""
import json, os, pathlib, shutil, socket, stat, sys, tempfile, threading, unittest
from fake_petrel import LIMIT, ROOT, TRAITS, FakePetrel
from test_module import ODD_TEXTS

PYTHON = os.environ.get("PETREL_PYTHON", sys.executable)
SHELLS = [shell for shell in ("dash", "bash", "busybox") if shutil.which(shell)]


class Folder(unittest.TestCase):
    def setUp(self):
        self.folder = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))


class OnCallTests(unittest.TestCase):
    def module(self, **options):
        return FakePetrel(PYTHON, ROOT / "python/examples/oncall.py", role="module", **options)

    def test_a_shift_is_set_shown_and_cleared(self):
        with self.module(settings={"pin": "1234"}) as petrel:
            self.assertEqual(petrel.invoke("oncall", arguments={}), {"text": "Nobody is on call."})
            given = {"person": "Ada", "phone": "555", "pin": "1234"}
            shown = {"text": "Ada (555) is on call for all alerts."}
            self.assertEqual(petrel.invoke("oncall set", arguments=given), shown)
            self.assertEqual(petrel.invoke("oncall", arguments={}), shown)
            self.assertEqual(petrel.records[("shifts", True)], {
                "current": {"person": "Ada", "phone": "555", "set_by": "U1"}})
            petrel.invoke("oncall clear", arguments={"pin": "1234"})
            self.assertEqual(petrel.invoke("oncall", arguments={}), {"text": "Nobody is on call."})

    def test_a_wrong_pin_is_refused_and_not_shown(self):
        with self.module(settings={"pin": "1234"}) as petrel:
            for command in ("oncall set", "oncall clear"):
                for pin in ({"pin": "9999"}, {"pin": "\u00e9"}, {}):
                    error = petrel.error("invoke", **petrel.call(command, arguments={"person": "Ada", **pin}))
                    self.assertEqual(error, {"code": 1, "message": "The PIN is wrong."})
            self.assertNotIn("9999", petrel.stderr())
            secret = [argument for command in petrel.greeting["commands"] for argument in command.get("arguments", [])
                      if argument["name"] == "pin"]
            self.assertTrue(secret and all(argument["secret"] for argument in secret))

    def test_a_form_is_offered_and_its_values_are_stored(self):
        with self.module() as petrel:
            form = petrel.invoke("oncall set", arguments={})["form"]
            self.assertEqual(form["line"], "oncall set")
            self.assertEqual([field["name"] for field in form["fields"]], ["person", "phone", "urgency", "notes", "pin"])
            values = {"person": "Ada", "phone": "", "urgency": "critical alerts", "notes": "back\r\nat 5"}
            self.assertEqual(petrel.invoke("oncall set", arguments=values, values=values), {
                "text": "Ada is on call for critical alerts.\nback\r\nat 5"})
            self.assertEqual(petrel.error("invoke", **petrel.call("oncall set", arguments={"phone": "5"}, values={"phone": "5"}))["code"], 1)

    def test_the_text_tells_what_to_type_without_forms(self):
        with self.module() as petrel:
            reply = petrel.invoke("oncall set", arguments={}, traits={**TRAITS, "forms": False})
            self.assertEqual(reply, {"text": "Please type: !oncall set PERSON [PHONE] pin=PIN"})

    def test_status_gauge_and_completion_follow_the_shift(self):
        with self.module() as petrel:
            status, gauges = petrel.notified()["params"], petrel.notified()["params"]
            self.assertEqual(status["lines"], [
                {"subject": "on call", "healthy": False, "detail": "nobody is on call"}])
            self.assertEqual(gauges["gauges"], [{"name": "people_on_call", "value": 0}])
            petrel.invoke("oncall set", arguments={"person": "Ada"})
            self.assertEqual(petrel.notified()["params"]["lines"][0]["detail"], "Ada is on call")
            self.assertEqual(petrel.notified()["params"]["gauges"][0]["value"], 1)
            published = [message["params"]["commands"] for message in list(petrel.requests.queue)
                         if message["method"] == "commands"]
            self.assertEqual(published[-1][1]["lines"], ["Ada"])

    def test_wrong_settings_are_refused(self):
        with self.module(settings={"pin": 1234}, greet=False) as petrel:
            self.assertEqual(petrel.error("hello", **petrel.hello())["code"], 1)


class UnixChatTests(Folder):
    def setUp(self):
        super().setUp()
        self.path = self.folder / "chat.sock"
        self.petrel = self.enterContext(FakePetrel(
            PYTHON, ROOT / "python/examples/unix_chat.py", role="backend", settings={"socket": str(self.path)}))
        self.assertEqual(self.petrel.notified()["method"], "connected")

    def client(self, *messages):
        """Connects, sends messages, and returns the received lines once Petrel has the messages."""
        connection = self.enterContext(socket.socket(socket.AF_UNIX))
        connection.settimeout(LIMIT)
        connection.connect(str(self.path))
        for message in messages:
            connection.sendall((message if isinstance(message, str) else json.dumps(message)).encode() + b"\n")
        return connection, self.enterContext(connection.makefile("rb"))

    def test_messages_are_delivered(self):
        self.client({"room": "ops", "nick": "ada", "text": "!help"}, "{", "3", '{"nick": "Ada", "text": "x"}',
                    {"nick": "ada", "text": "direct", "id": "m2"})
        first, second = self.petrel.requested("deliver"), self.petrel.requested("deliver")
        self.assertTrue(first.pop("id"))
        sender = {"id": "ada", "name": "@ada", "stable": False}
        self.assertEqual(first, {"from": sender, "room": {"id": "ops", "name": "#ops"}, "text": "!help"})
        self.assertEqual(second, {"id": "m2", "from": sender, "text": "direct"})

    def test_replies_and_edits_reach_the_clients(self):
        _, ada = self.client({"room": "ops", "nick": "ada", "text": "x"})
        _, bob = self.client({"room": "ops", "nick": "bob", "text": "x"})
        self.petrel.requested("deliver"), self.petrel.requested("deliver")
        for name, text in ODD_TEXTS.items():
            with self.subTest(name):
                # A client has to read while a long text is sent.
                answer = self.petrel.start("send", to={"room": "#ops"}, reply={"text": text})
                lines = [json.loads(client.readline()) for client in (ada, bob)]
                identifier = self.petrel.result_of(answer, "send")["message"]
                self.assertEqual(lines, [{"id": identifier, "text": text, "room": "ops"}] * 2)
        self.petrel.result("edit", message=identifier, to={"room": "ops"}, reply={"text": "y"})
        self.assertEqual(json.loads(ada.readline()), {"id": identifier, "text": "y", "edited": True, "room": "ops"})
        self.petrel.result("send", to={"person": "@bob"}, reply={"text": "z"})
        bob.readline()
        self.assertEqual(json.loads(bob.readline())["text"], "z")

    def test_remedies(self):
        error = self.petrel.error("send", to={"room": "ops"}, reply={"text": "x"})
        self.assertEqual(error["data"], {"remedy": "later", "after": 5})
        error = self.petrel.error("send", to={"room": "no such room"}, reply={"text": "x"})
        self.assertEqual(error["data"], {"remedy": "never"})

    def test_the_socket_is_created_again_and_private(self):
        self.assertEqual(stat.S_IMODE(self.path.stat().st_mode), 0o600)
        self.path.unlink()
        self.assertEqual(self.petrel.notified()["params"]["reason"], "the socket file has vanished")
        self.assertEqual(self.petrel.notified()["method"], "connected")
        self.client({"nick": "ada", "text": "x"})
        self.petrel.requested("deliver")

    def test_shutdown_is_answered(self):
        self.petrel.result("shutdown")


class DiskTests(Folder):
    def test_disk_is_answered_and_protocol_errors_too(self):
        for shell in SHELLS:
            with self.subTest(shell), self.module(shell) as petrel:
                self.assertEqual(petrel.greeting["commands"][0]["name"], "disk")
                petrel.result("ping")
                text = petrel.invoke("disk", arguments={})["text"]
                self.assertTrue(text.startswith("```\nFilesystem") and text.endswith("\n```"), text)
                self.assertEqual(petrel.error("dance", is_valid=False)["code"], -32601)
                wrong = petrel.call("disk", arguments={"path": []})
                self.assertEqual(petrel.error("invoke", is_valid=False, **wrong)["code"], -32602)
                petrel.send({"method": "cancel", "params": {"call": "c"}})
                petrel.write(b"{\n3\n{}\n")
                self.assertEqual(petrel.strays.get(timeout=LIMIT)["error"]["code"], -32700)
                petrel.result("shutdown")
                petrel.write(b'{"jsonrpc": "2.0", "id": 9, "method": "ping"')

    def test_odd_paths_are_not_interpreted(self):
        names = ["a b", "$(touch stray)", "'\"\\n*", "-h", "line\nfeed\n", "\u00e9", "\r"]
        for shell in SHELLS:
            with self.module(shell) as petrel:
                for name in names:
                    with self.subTest(name, shell=shell):
                        (self.folder / name).mkdir(exist_ok=True)
                        path = str(self.folder / name)
                        self.assertIn("Filesystem", petrel.invoke("disk", path, arguments={"path": path})["text"])
                        error = petrel.error("invoke", **petrel.call("disk", arguments={"path": f"/no/{name}"}))
                        self.assertEqual(error["code"], 1)
                error = petrel.error("invoke", **petrel.call("disk", arguments={"path": ODD_TEXTS["200 kB"]}))
                self.assertEqual(error["code"], 1)

    def module(self, shell):
        command = ["busybox", "sh"] if shell == "busybox" else [shell]
        return FakePetrel(*command, ROOT / "sh/examples/disk.sh", role="module", is_strict=False)


class FIFOChatTests(Folder):
    def backend(self, shell, **options):
        command = ["busybox", "sh"] if shell == "busybox" else [shell]
        return FakePetrel(*command, ROOT / "sh/examples/fifo_chat.sh", role="backend", is_strict=False, **options)

    def test_messages_are_sent_and_delivered(self):
        texts = [text for text in ODD_TEXTS.values() if "\0" not in text]
        lines = [text.replace("\n", "\u2424") for text in texts if text]
        for shell in SHELLS:
            chat = self.folder / shell
            with self.subTest(shell), self.backend(shell, settings={"folder": str(chat)}) as petrel:
                for text in texts:
                    self.assertEqual(petrel.result("send", to={"room": "#ops"}, reply={"text": text}), {})
                self.assertEqual((chat / "out").read_bytes().decode(), "".join(text + "\n" for text in texts))
                writer = threading.Thread(target=(chat / "in").write_bytes, args=("\n".join(lines + [""]).encode(),))
                writer.start()
                received = [petrel.requested("deliver") for _ in lines]
                writer.join(LIMIT)
                self.assertEqual([message["text"] for message in received], lines)
                self.assertEqual(len({message["id"] for message in received}), len(lines))
                petrel.result("ping")
                petrel.result("shutdown")

    def test_the_next_message_waits_for_the_response(self):
        for shell in SHELLS:
            chat = self.folder / shell
            with self.subTest(shell), self.backend(shell, settings={"folder": str(chat)}) as petrel:
                petrel.held.add("deliver")
                (chat / "in").write_text("one\ntwo\n")
                first = petrel.requests.get(timeout=LIMIT)
                petrel.result("ping")
                self.assertTrue(petrel.requests.empty())
                petrel.held.clear()
                petrel.respond(first)
                self.assertEqual(petrel.requested("deliver")["text"], "two")

    def test_errors(self):
        for shell in SHELLS:
            with self.subTest(shell), self.backend(shell, greet=False) as petrel:
                self.assertEqual(petrel.error("hello", **petrel.hello())["code"], 1)
            chat = self.folder / shell
            with self.subTest(shell), self.backend(shell, settings={"folder": str(chat)}) as petrel:
                (chat / "out").mkdir()
                error = petrel.error("send", to={"room": "#ops"}, reply={"text": "x"})
                self.assertEqual(error["data"], {"remedy": "later", "after": 10})
                self.assertEqual(petrel.error("edit", is_valid=False)["code"], -32601)
                self.assertEqual(petrel.error("send", is_valid=False)["code"], -32602)
                petrel.write(b"{\n")
                self.assertEqual(petrel.strays.get(timeout=LIMIT)["error"]["code"], -32700)
