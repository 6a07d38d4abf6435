"""Tests of modules with the SDK."""
import json, os, pathlib, sys, unittest
from fake_petrel import LIMIT, FakePetrel

HERE = pathlib.Path(__file__).parent
PYTHON = os.environ.get("PETREL_PYTHON", sys.executable)
ODD_TEXTS = {
    "CR LF": "one\r\ntwo\rthree\nfour",
    "line separators": "a\u2028b\u2029c\u0085d",
    "ZWJ": "\U0001F468\u200D\U0001F469\u200D\U0001F467 e\u0301",
    "NUL": "a\u0000b\u001f\u007f",
    "quotes": "\"'`\\ $HOME $(id) \\n %s",
    "200 kB": "x\u00e9\u20ac\n" * 33_000,
    "empty": "",
    "byte order mark": "\ufeffa",
}


def plug_in(**options):
    return FakePetrel(PYTHON, HERE / "module_under_test.py", role="module", **options)


class StartTests(unittest.TestCase):
    def test_hello_declares_the_commands(self):
        with plug_in() as petrel:
            greeting = petrel.greeting
        self.assertEqual((greeting["protocol"], greeting["version"]), (1, "0.3"))
        self.assertEqual(greeting["commands"][0], {
            "name": "echo", "summary": "Show the call.",
            "arguments": [{"name": "a"}, {"name": "b", "type": "integer"}]})

    def test_a_refusal_at_the_start_is_the_error_1(self):
        with plug_in(settings="refuse", greet=False) as petrel:
            error = petrel.error("hello", **petrel.hello())
        self.assertEqual(error, {"code": 1, "message": "The settings are wrong."})

    def test_a_wrong_role_is_refused(self):
        with plug_in(greet=False) as petrel:
            error = petrel.error("hello", **{**petrel.hello(), "role": "backend"})
        self.assertEqual(error["code"], 1)

    def test_requests_before_the_response_to_hello_fail(self):
        with plug_in(settings="early", greet=False) as petrel:
            error = petrel.error("hello", **petrel.hello())
            self.assertTrue(petrel.requests.empty())
        self.assertEqual(error["code"], -32603)

    def test_the_program_ends_if_on_ready_raises(self):
        with plug_in(settings="leave") as petrel:
            self.assertEqual(petrel.process.wait(LIMIT), 1)
            self.assertIn("ZeroDivisionError", petrel.stderr())


class CallTests(unittest.TestCase):
    def setUp(self):
        self.petrel = self.enterContext(plug_in())

    def test_a_call_carries_its_members(self):
        text = self.petrel.invoke(
            "echo", "x 2", arguments={"a": "x", "b": 2}, values={"field": "v"}, unknown=[1],
            place={"room": "C1", "thread": "T1", "unknown": 1})["text"]
        self.assertEqual(json.loads(text), {
            "text": "x 2", "arguments": {"a": "x", "b": 2}, "values": {"field": "v"}, "person": "U1", "room": "C1",
            "thread": "T1", "forms": True, "bot": "petrel", "prefix": "!"})

    def test_texts_are_unchanged(self):
        for name, text in ODD_TEXTS.items():
            with self.subTest(name):
                self.assertEqual(self.petrel.invoke("repeat", text), {"text": text})

    def test_a_character_without_utf_8_form_becomes_a_question_mark(self):
        self.assertEqual(self.petrel.invoke("surrogate"), {"text": "a?b"})

    def test_a_command_without_answer_has_an_empty_result(self):
        self.assertIsNone(self.petrel.invoke("nothing"))

    def test_a_refusal_is_the_error_1(self):
        error = self.petrel.error("invoke", **self.petrel.call("refuse"))
        self.assertEqual(error, {"code": 1, "message": "Not today."})

    def test_an_exception_is_an_error_without_its_text(self):
        error = self.petrel.error("invoke", **self.petrel.call("crash", "private"))
        self.assertEqual(error, {"code": -32603, "message": "The plug-in failed with KeyError."})
        self.assertIn("KeyError: 'private'", self.petrel.stderr())

    def test_sys_exit_in_a_handler_does_not_end_the_plug_in(self):
        error = self.petrel.error("invoke", **self.petrel.call("leave"))
        self.assertEqual(error["code"], -32603)
        self.assertEqual(self.petrel.invoke("repeat", "x"), {"text": "x"})

    def test_what_handlers_and_their_children_print_goes_to_standard_error(self):
        self.assertEqual(self.petrel.invoke("print"), {"text": ""})
        for text in ("printed by the handler", "written by the handler", "written to the descriptor",
                     "printed by a child"):
            self.assertIn(text, self.petrel.stderr())

    def test_results_that_are_not_json_or_too_long_are_errors(self):
        for command in ("invalid", "infinite", "long"):
            with self.subTest(command):
                self.assertEqual(self.petrel.error("invoke", **self.petrel.call(command))["code"], -32603)

    def test_ping_is_answered_during_calls(self):
        calls = [self.petrel.call("wait") for _ in range(8)]
        answers = [self.petrel.start("invoke", **call) for call in calls]
        for _ in calls:
            self.assertEqual(self.petrel.requested("say")["reply"], {"text": "waiting"})
        self.petrel.result("ping")
        self.assertFalse(any(answer.done() for answer in answers))
        for call, answer in zip(calls, answers):
            self.petrel.send({"method": "cancel", "params": {"call": call["call"]}})
            self.assertEqual(self.petrel.result_of(answer, "invoke"), {"reply": {"text": "cancelled"}})

    def test_calls_beyond_the_queue_are_answered_with_the_error_3(self):
        running = [self.petrel.call("wait") for _ in range(8)]
        answers = [self.petrel.start("invoke", **call) for call in running]
        for _ in running:
            self.petrel.requested("say")
        queued = [self.petrel.call("repeat", str(number)) for number in range(100)]
        answers += [self.petrel.start("invoke", **call) for call in queued]
        self.assertEqual(self.petrel.error("invoke", **self.petrel.call("repeat"))["code"], 3)
        # A call that is cancelled before it begins does not run.
        for call in queued[:1] + running:
            self.petrel.send({"method": "cancel", "params": {"call": call["call"]}})
        results = [self.petrel.result_of(answer, "invoke") for answer in answers]
        self.assertEqual(results[8:], [{}] + [{"reply": {"text": str(number)}} for number in range(1, 100)])

    def test_messages_status_gauges_and_log(self):
        self.petrel.invoke("talk")
        self.assertEqual(self.petrel.requested("say"), {
            "call": "call-1", "reply": {"text": "one", "kind": "acknowledgement"}, "handle": "h1"})
        self.assertEqual(self.petrel.requested("replace"), {
            "handle": "h1", "reply": {"text": "two"}, "backend": "slack"})
        self.assertEqual(self.petrel.requested("say"), {"to": {"name": "#ops"}, "reply": {"text": "three"}})
        self.assertEqual(self.petrel.requested("say"), {
            "to": {"backend": "xmpp", "person": "ada@example.com"}, "reply": {"text": "four"}})
        self.assertEqual(self.petrel.requested("tell_admins"), {"text": "**five**"})
        self.assertEqual([self.petrel.notified()["params"] for _ in range(3)], [
            {"lines": [{"subject": "test", "healthy": True, "detail": "works"}]},
            {"gauges": [{"name": "depth", "value": 1.5, "labels": {"queue": "a"}}]},
            {"level": "warning", "message": "six"}])

    def test_records_are_stored_and_read(self):
        odd = ODD_TEXTS["CR LF"] + ODD_TEXTS["NUL"]
        self.assertEqual(json.loads(self.petrel.invoke("keep", odd)["text"]), [
            {"text": odd}, "none", {"b": [1, None, "x"]}, None])

    def test_an_error_of_petrel_is_an_exception(self):
        self.petrel.refused["records.set"] = {"code": -32602, "message": "too long", "data": {"most": 1}}
        self.assertEqual(self.petrel.invoke("fail to keep"), {"text": "-32602 too long {'most': 1}"})

    def test_an_error_of_petrel_that_is_not_caught_fails_the_call(self):
        self.petrel.refused["records.set"] = {"code": -32602, "message": "too long"}
        self.assertEqual(self.petrel.error("invoke", **self.petrel.call("keep"))["code"], -32602)
        self.assertIn("PetrelError: too long", self.petrel.stderr())

    def test_commands_can_be_published_again(self):
        self.petrel.invoke("publish")
        self.assertEqual(self.petrel.requested("commands")["commands"][0]["lines"], ["x"])


class MessageTests(unittest.TestCase):
    def setUp(self):
        self.petrel = self.enterContext(plug_in(is_strict=False))

    def test_unknown_methods(self):
        for method in ("dance", "send", "records.get"):
            self.assertEqual(self.petrel.error(method, is_valid=False)["code"], -32601)
        for method in ("dance", "ping", "invoke"):
            self.petrel.send({"method": method, "params": {}}, is_valid=False)
        self.petrel.result("ping")
        self.assertTrue(self.petrel.strays.empty())

    def test_invalid_parameters(self):
        call = self.petrel.call("echo")
        for change in ({"call": 1}, {"command": None}, {"command": "unknown"}, {"text": []}, {"person": "ada"},
                       {"place": []}):
            with self.subTest(change):
                self.assertEqual(
                    self.petrel.error("invoke", is_valid=False, **{**call, **change})["code"], -32602)
        # The loop that reads messages survives what no check has foreseen.
        self.assertEqual(self.petrel.error("invoke", is_valid=False, **{**call, "traits": [1]})["code"], -32603)
        self.petrel.send({"method": "cancel", "params": {"call": []}}, is_valid=False)
        self.petrel.send({"method": "cancel", "params": 1}, is_valid=False)
        self.petrel.send({"method": "cancel", "params": {"call": "unknown"}})
        self.petrel.result("ping")
        self.assertTrue(self.petrel.strays.empty())

    def test_lines_that_are_not_messages(self):
        for line, code in ((b"{", -32700), (b"", -32700), (b"\xff", -32700), (b"[" * 100_000, -32700), (b"3", -32600),
                           (b"[]", -32600), (b"{}", -32600), (b'{"id": [], "method": "ping"}', -32600),
                           (b'{"id": null, "method": "ping"}', -32600), (b'{"method": 1}', -32600)):
            with self.subTest(line[:40]):
                self.petrel.write(line + b"\n")
                self.assertEqual(self.petrel.strays.get(timeout=LIMIT)["error"]["code"], code)

    def test_responses_to_unknown_requests_are_logged(self):
        for line in (b'{"id": 9, "result": {}}', b'{"id": null, "error": {}}', b'{"id": "x", "error": 1}'):
            self.petrel.write(line + b"\n")
        self.petrel.result("ping")
        self.assertEqual(self.petrel.stderr().count("unknown request"), 3)

    def test_half_a_line_at_the_end_is_not_a_message(self):
        self.petrel.write(b'{"jsonrpc": "2.0", "id": 99, "method": "ping", "params": {}}')
        self.petrel.__exit__(None)  # closes the standard input
        self.assertEqual(self.petrel.status, 0)
        self.assertTrue(self.petrel.strays.empty())

    def test_an_overlong_line_ends_the_program(self):
        self.petrel.write(b" " * 1_048_577)
        self.assertEqual(self.petrel.process.wait(LIMIT), 0)
        self.assertIn("more than 1048576 bytes", self.petrel.stderr())


class EndTests(unittest.TestCase):
    def test_shutdown_cancels_calls_and_is_answered(self):
        with plug_in() as petrel:
            answer = petrel.start("invoke", **petrel.call("wait"))
            petrel.requested("say")
            petrel.result("shutdown")
            self.assertEqual(petrel.result_of(answer, "invoke"), {"reply": {"text": "cancelled"}})

    def test_a_call_that_hangs_does_not_prevent_the_end(self):
        with plug_in() as petrel:
            petrel.start("invoke", **petrel.call("hang"))
            petrel.requested("say")
            petrel.result("shutdown")
        self.assertEqual(petrel.status, 0)

    def test_the_end_of_the_input_ends_the_program_and_wakes_pending_requests(self):
        with plug_in() as petrel:
            petrel.held.add("say")
            petrel.start("invoke", **petrel.call("ask"))
            petrel.requested("say")
            petrel.process.stdin.close()
            self.assertEqual(petrel.process.wait(LIMIT), 0)
            self.assertIn("The request failed.", petrel.stderr())
