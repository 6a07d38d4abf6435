"""Tests of backends with the SDK."""
import os, pathlib, sys, unittest
from fake_petrel import FakePetrel

HERE = pathlib.Path(__file__).parent
PYTHON = os.environ.get("PETREL_PYTHON", sys.executable)


def plug_in(**options):
    return FakePetrel(PYTHON, HERE / "backend_under_test.py", role="backend", **options)


class BackendTests(unittest.TestCase):
    def test_hello_describes_the_backend(self):
        with plug_in() as petrel:
            self.assertEqual(petrel.greeting, {
                "protocol": 1, "version": "1.2", "completion": True,
                "traits": {"edits": True, "files": True, "markdown": True, "maximum_length": 4000},
                "names": {"room_prefixes": ["#"], "person_prefixes": ["@"]}})
            self.assertEqual(petrel.notified(), {"jsonrpc": "2.0", "method": "connected", "params": {"detail": "here"}})

    def test_a_message_is_sent(self):
        with plug_in() as petrel:
            to = {"room": "C1", "thread": "T", "in_reply_to": "m1"}
            self.assertEqual(petrel.result("send", to=to, reply={"text": "x", "style": "markdown"}), {
                "message": "C1/T/m1/markdown"})
            self.assertEqual(petrel.result("send", to={"person": "@ada"}, reply={"text": "x"}), {})

    def test_a_message_that_is_not_sent_has_a_remedy(self):
        with plug_in() as petrel:
            errors = [petrel.error("send", to={"room": "C1"}, reply={"text": text}) for text in ("later", "never")]
            self.assertEqual(errors, [
                {"code": 2, "message": "The service is busy.", "data": {"remedy": "later", "after": 30}},
                {"code": 2, "message": "The room does not exist.", "data": {"remedy": "never"}}])
            self.assertEqual(petrel.error("send", to={"room": "C1"}, reply={"text": "crash"}), {
                "code": -32603, "message": "The plug-in failed with OSError."})

    def test_edits_files_and_completion(self):
        with plug_in() as petrel:
            petrel.notified()
            self.assertEqual(petrel.result("edit", message="m1", to={"room": "C1"}, reply={"text": "y"}), {})
            self.assertEqual(petrel.notified()["params"], {"detail": "edited m1 to y in C1"})
            self.assertEqual(petrel.result("send_file", name="a.txt", to={"room": "C1"}, reply={"text": "z"}), {
                "message": "a.txt=z"})
            petrel.send({"method": "completed", "params": {"message": "m1"}})
            self.assertEqual(petrel.notified()["params"], {"detail": "completed m1"})

    def test_a_backend_reports_that_it_is_disconnected(self):
        with plug_in() as petrel:
            petrel.notified()
            petrel.result("send", to={"room": "C1"}, reply={"text": "reconnect"})
            self.assertEqual(petrel.notified()["params"], {"reason": "lost", "final": True})

    def test_invalid_parameters(self):
        with plug_in() as petrel:
            for method, params in (("send", {"to": {"room": "C1"}}), ("send", {"to": "C1", "reply": {"text": ""}}),
                                   ("edit", {"message": 1, "to": {"room": "C1"}, "reply": {"text": ""}})):
                self.assertEqual(petrel.error(method, is_valid=False, **params)["code"], -32602)
            self.assertEqual(petrel.error("invoke", is_valid=False)["code"], -32601)

    def test_a_hundred_messages_are_pending_at_most(self):
        with plug_in(greet=False, settings=150) as petrel:
            petrel.held.add("deliver")
            petrel.result("hello", **petrel.hello())
            held = [petrel.requests.get(timeout=60) for _ in range(100)]
            petrel.result("ping")
            self.assertTrue(petrel.requests.empty())
            petrel.respond(held[0])
            held.append(petrel.requests.get(timeout=60))
            petrel.result("ping")
            self.assertTrue(petrel.requests.empty())
            petrel.held.clear()
            for message in held[1:]:
                petrel.respond(message)
            rest = [petrel.requests.get(timeout=60) for _ in range(49)]
            messages = {message["params"]["id"]: message["params"] for message in held + rest}
            self.assertEqual(messages["m1"], {
                "id": "m1", "from": {"id": "U1", "name": "@ada", "stable": False}, "text": "!help",
                "room": {"id": "C1"}, "thread": "T", "addressed": True, "slash_command": "/st2", "values": {"a": "b"}})
            self.assertNotIn("room", messages["m0"])
            self.assertEqual(len(messages), 150)
