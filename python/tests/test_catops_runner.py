"""Tests of petrel_catops.py, which runs plug-ins for CatOps as a module."""
import contextlib, json, os, pathlib, signal, sys, tempfile, time, unittest
from fake_petrel import LIMIT, ROOT, TRAITS, FakePetrel
import test_catops
from catops_runner import pool

PYTHON = os.environ.get("PETREL_PYTHON", sys.executable)
SLACK = {**TRAITS, "mrkdwn": True, "attachments": True}
POST = """
import json, urllib.request
def post(params, **payload):
    urllib.request.urlopen(params["response_url"][0], json.dumps(payload).encode(), timeout=60).close()
"""


def command(body, name="run", head=""):
    """Returns the source of a plug-in with one function."""
    lines = "".join(f"    {line}\n" for line in body.splitlines())
    return f"{head}\ndef {name}(argv, params):\n{lines}"


class Folder(unittest.TestCase):
    def setUp(self):
        self.folder = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory())).resolve()
        self.plugins = self.folder / "plugins"
        self.plugins.mkdir()

    def write(self, **files):
        for name, text in files.items():
            path = self.plugins / (name.replace("__", "/") + ".py")
            path.parent.mkdir(exist_ok=True)
            temporary = path.with_suffix(".new")
            temporary.write_text(text)
            temporary.replace(path)

    def runner(self, greet=True, **settings):
        settings = {"plugins": str(self.plugins), **settings}
        return FakePetrel(PYTHON, ROOT / "python/petrel_catops.py", role="module", settings=settings, greet=greet)

    @contextlib.contextmanager
    def running(self, *sources, **settings):
        """Runs plug-ins, each with one function named `run`, `run1` and so on."""
        self.write(**{f"file{number}": source for number, source in enumerate(sources)})
        with self.runner(**settings) as petrel:
            self.await_load(petrel)
            yield petrel

    def await_load(self, petrel):
        """Waits until the plug-ins were loaded, and returns the warnings and the lines of the status."""
        warnings = []
        while (message := petrel.notified())["method"] != "status":
            if message["params"]["level"] == "warning":
                warnings.append(message["params"]["message"])
        return warnings, message["params"]["lines"]

    def await_end(self, process):
        """Waits until a process has ended. Its parent may not have noticed."""
        end = time.monotonic() + LIMIT
        while time.monotonic() < end:
            try:
                state = pathlib.Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
            except FileNotFoundError:
                return
            if state == "Z":
                return
            time.sleep(0.02)
        self.fail(f"The process {process} did not end.")


class DeclarationTests(Folder):
    def test_the_functions_are_commands_with_their_docstrings(self):
        self.write(a='def role(argv, params):\n    """Show a role.\n\n    More."""\ndef x(argv, params): pass\n'
                     "def helper(a): pass\nfrom os.path import join\n", _b="def y(argv, params): pass\n")
        with self.runner() as petrel:
            self.assertEqual(petrel.greeting["commands"], [
                {"name": "role", "summary": "Show a role.", "timeout": 90},
                {"name": "x", "summary": "Run x of a.py.", "timeout": 90}])
            self.assertEqual(self.await_load(petrel), ([], [
                {"subject": "plug-ins", "healthy": True, "detail": "2 commands from 1 file"}]))

    def test_include_functions_limits_the_commands(self):
        self.write(a="def a(argv, params): pass\ndef b(argv, params): pass\n")
        with self.runner(include_functions=["b", "c"]) as petrel:
            self.assertEqual([each["name"] for each in petrel.greeting["commands"]], ["b"])
            warnings, _ = self.await_load(petrel)
        self.assertIn("no file defines a function c(argv, params)", warnings[0])

    def test_plug_ins_that_load_slowly_are_announced(self):
        gate = self.folder / "gate"
        self.write(a=command("return 'a'", "a", f"import os, time\nwhile not os.path.exists({str(gate)!r}): time.sleep(0.01)"))
        with self.runner() as petrel:
            self.assertEqual((petrel.greeting["commands"], petrel.greeting.get("loading")), ([], True))
            gate.touch()
            self.assertEqual([each["name"] for each in petrel.requested("commands")["commands"]], ["a"])
        with self.runner() as petrel:
            self.assertNotIn("loading", petrel.greeting)

    def test_settings_that_are_wrong_are_refused(self):
        for settings in ({"plugins": 5}, {"plugins": ""}, {"include_functions": "a"}, {"include_functions": [1]},
                         {"timeout": 0}, {"timeout": True}, {"load_timeout": "1"}, {"python": "x"}):
            with self.subTest(settings), self.runner(greet=False, **settings) as petrel:
                self.assertEqual(petrel.error("hello", **petrel.hello())["code"], 1)

    def test_what_cannot_be_loaded_is_reported_and_the_rest_works(self):
        self.write(
            good=command("return 'good'", "good"), syntax="def a(:\n", module="import no_such_module\n",
            leaves="import sys\nsys.exit(3)\n", stops="raise KeyboardInterrupt\n", ends="import os\nos._exit(7)\n", hangs="while True: pass\n",
            same1="def same(argv, params): pass\n",
            sub__same2="def Same_(argv, params): pass\n", later="async def later(argv, params): pass\n",
            writable="def writable(argv, params): pass\n", other__x="def x(argv, params): pass\n",
            character="def a\u00e9\u0660(argv, params): pass\ndef caf\u00e9(argv, params): return '\u00e9'\n")
        (self.plugins / "writable.py").chmod(0o666)
        (self.plugins / "other").chmod(0o777)
        (self.plugins / os.fsdecode(b"\xff.py")).write_text("def byte(argv, params): return __file__\n")
        (self.plugins / "no file.py").mkdir()
        with self.runner(load_timeout=2) as petrel:
            names = {each["name"] for each in petrel.greeting["commands"]}
            if not names:  # The machine was slow.
                names = {each["name"] for each in petrel.requested("commands")["commands"]}
            warnings, lines = self.await_load(petrel)
            self.assertEqual(petrel.invoke("good"), {"text": "good", "style": "mrkdwn"})
            self.assertEqual(petrel.invoke("caf\u00e9"), {"text": "\u00e9", "style": "mrkdwn"})
            self.assertIn("hangs.py", petrel.stderr())  # The place where it hangs
        self.assertEqual(names, {"good", "caf\u00e9", "byte"})
        found = {line.partition(": ")[0].removeprefix("plugins/"): line.partition(": ")[2] for line in warnings}
        for path, reason in {
                "syntax.py": "line 1: ", "module.py": "ModuleNotFoundError: No module named 'no_such_module'",
                "leaves.py": "SystemExit: 3", "stops.py": "KeyboardInterrupt", "ends.py": "loading it ended the process (status 7)",
                "hangs.py": "loading it took more than 2 seconds",
                "same1.py": "the function same is left out, because of Same_ in same2.py",
                "sub/same2.py": "the function Same_ is left out, because of same in same1.py",
                "writable.py": "all users of the machine can write to it", "other/x.py": "all users of the machine",
                "character.py": "the function a\u00e9\u0660 has a name with characters"}.items():
            self.assertTrue(found.pop(path, "").startswith(reason), (path, warnings))
        self.assertEqual(found, {})
        self.assertEqual([line["healthy"] for line in lines], [False] * 12)

    def test_code_that_others_can_write_is_not_imported_either(self):
        self.write(a="import _a\n", b="import beside\n", c="import sub.c\n", d="import cached\n", _a="", sub__c="")
        (self.plugins / "_a.py").chmod(0o666)
        (self.plugins / "sub").chmod(0o777)
        (self.folder / "beside.py").touch()
        (self.folder / "beside.py").chmod(0o602)
        with self.runner() as petrel:
            warnings, _ = self.await_load(petrel)
        for number, path in enumerate(("plugins/_a.py", "beside.py", "plugins/sub")):
            self.assertIn(f"ImportError: {self.folder}/{path}: all users of the machine can write", warnings[number])

    @unittest.skipIf(os.geteuid(), "requires root")
    def test_what_others_can_replace_is_not_loaded(self):
        self.write(good=command("return 'good'", "good"), own="def own(argv, params): pass\n",
                   group="def group(argv, params): pass\n")
        (self.plugins / "group.py").chmod(0o664)
        os.chown(self.plugins / "group.py", -1, 12345)
        os.chown(self.plugins / "own.py", 12345, -1)
        shared = self.folder / "shared"
        shared.mkdir()
        shared.chmod(0o777)
        (shared / "evil.py").write_text("def evil(argv, params): pass\n")
        (self.plugins / "evil.py").symlink_to(shared / "evil.py")
        safe = self.folder / "safe.py"
        safe.write_text("def chain(argv, params): pass\n")
        (shared / "link.py").symlink_to(safe)
        (self.plugins / "chain.py").symlink_to(shared / "link.py")
        (self.plugins / "fine.py").symlink_to(safe)
        with self.runner() as petrel:
            warnings, _ = self.await_load(petrel)
            self.assertEqual(petrel.invoke("good")["text"], "good")
            self.assertIsNone(petrel.invoke("chain"))
        text = "\n".join(warnings)
        for name, reason in {
                "own.py": "it belongs to the user 12345", "group.py": "the members of its group can write to it",
                "evil.py": "in the folder ", "chain.py": "the link "}.items():
            self.assertIn(f"plugins/{name}: {reason}", text)

    def test_a_folder_that_others_can_replace_is_not_loaded(self):
        self.write(a="def a(argv, params): pass\n")
        self.folder.chmod(0o777)
        with self.runner() as petrel:
            warnings, _ = self.await_load(petrel)
        self.assertIn("in the folder ", "\n".join(warnings))

    def test_a_folder_that_does_not_exist_is_reported_and_loaded_when_it_comes(self):
        self.plugins.rmdir()
        with self.runner() as petrel:
            self.assertEqual(petrel.greeting["commands"], [])
            self.assertEqual(self.await_load(petrel)[0], ["plugins: the folder does not exist"])
            self.plugins.mkdir()
            self.write(a=command("return 'a'"))
            self.assertEqual(petrel.requested("commands")["commands"][0]["name"], "run")
            self.assertEqual(petrel.invoke("run")["text"], "a")

    def test_commands_beyond_the_limit_are_reported(self):
        self.write(many="".join(f"def f{number:04}(argv, params): pass\n" for number in range(1001)))
        with self.runner() as petrel:
            self.assertEqual(len(petrel.greeting["commands"]), 1000)
            self.assertIn("f1000 is left out", self.await_load(petrel)[0][0])


class CallTests(Folder):
    def test_a_call_gets_its_own_answer_also_after_a_plug_in_has_forked(self):
        fork = command("if not os.fork():\n    time.sleep(0.2)\n    return 'secret'\nreturn 'begun'", "fork",
                       "import os, time")
        forge = ("import os\ndef forge(text):\n    for number in range(3, 20):\n"
                 "        try: os.write(number, text)\n        except OSError: pass")
        write = command("forge(b'{\"payload\": {\"private\": false, \"text\": \"forged\", \"attachments\": []}}\\n')\n"
                        "forge(b'[1]\\nx\\n')\nreturn 'written'", "write", forge)
        later = command("if not os.fork():\n    time.sleep(0.2)\n    forge(b'{}\\n')\n    os._exit(0)\nreturn 'written'",
                        "later", f"import time\n{forge}")
        child = command("process = os.fork()\nif process:\n    return os.waitpid(process, 0)[1]\nraise ValueError",
                        "child", "import os")
        echo = command("time.sleep(0.02)\nreturn ' '.join(argv[1:])", "echo", "import time")
        with self.running(fork, write, later, child, echo) as petrel:
            for name, answer in {"fork": "begun", "child": "0", "write": "written", "later": "written"}.items():
                self.assertEqual(petrel.invoke(name)["text"], answer)
                for number in range(20):  # The forked process ends meanwhile.
                    self.assertEqual(petrel.invoke("echo", str(number))["text"], str(number))

    def test_a_worker_that_keeps_the_lock_of_python_ends_with_the_runner(self):
        # The process that it starts is in its group.
        hang = command("child = subprocess.Popen(['sleep', '600'])\n"
                       "open(argv[1] + '.new', 'w').write(f'{os.getpid()} {child.pid}')\n"
                       "os.rename(argv[1] + '.new', argv[1])\nre.match(r'(a+)+$', 'a' * 60 + 'b')",
                       head="import os, re, subprocess")
        mark = self.folder / "mark"
        with self.running(hang) as petrel:
            petrel.start("invoke", **petrel.call("run", str(mark)))
            end = time.monotonic() + LIMIT
            while not mark.exists() and time.monotonic() < end:
                time.sleep(0.02)
            petrel.process.kill()
            for process in mark.read_text().split():
                self.await_end(int(process))

    def test_the_documented_examples_run_unchanged(self):
        self.write(example=test_catops.DocumentedExampleTests.PING, other=test_catops.DocumentedExampleTests.NESTED)
        with self.runner() as petrel:
            self.assertEqual(petrel.greeting["commands"][2]["summary"], "Check is working.")
            self.assertEqual(petrel.invoke("ping"), {"text": "@ada Meow!", "style": "mrkdwn", "private": True})
            self.assertEqual(petrel.invoke("nested", "test"), {
                "text": "args were: ['nested', 'test']", "style": "mrkdwn"})
            self.assertIn("usage: catops nested test", petrel.invoke("nested", "")["text"])
            self.assertEqual(petrel.invoke("cat"), {"style": "mrkdwn", "text":
                "@ada /catops cat\nMeow!\nHere is a cat.\nhttps://cats.example.com/1.jpg"})
            self.assertEqual(petrel.invoke("cat", traits=SLACK), {"style": "mrkdwn", "text": "", "extra": {"slack": {
                "attachments": [{
                    "fallback": "Meow meow.", "color": "#764FA5", "author_name": "@ada /catops cat", "title": "Meow!",
                    "text": "Here is a cat.", "image_url": "https://cats.example.com/1.jpg"}]}}})

    def test_the_arguments_and_parameters_of_a_call(self):
        with self.running(command("return [argv, params]")) as petrel:
            argv, params = json.loads(petrel.invoke("run", 'a  "b c" \u00e9\n--d', place={
                "room": "C1", "name": "#ops", "thread": "T1"})["text"])
            self.assertEqual(argv, ["run", "a", '"b', 'c"', "\u00e9", "--d"])
            self.assertRegex(params.pop("response_url")[0], r"^http://127\.0\.0\.1:\d+/[A-Za-z0-9_-]{32}$")
            self.assertEqual(params, {name: [value] for name, value in {
                "command": "/catops", "text": 'run a  "b c" \u00e9\n--d', "user_id": "U1", "user_name": "ada",
                "username": "ada", "channel_id": "C1", "channel_name": "ops", "team_id": "slack",
                "team_domain": "slack", "thread_ts": "T1"}.items()})
            direct = json.loads(petrel.invoke("run", place={"person": "U1", "name": "@ada"})["text"])[1]
            self.assertEqual((direct["channel_id"], direct["channel_name"], direct["text"]), (
                ["U1"], ["directmessage"], ["run"]))

    def test_results_of_every_kind(self):
        cases = {
            "None": None, "''": None, "{'statusCode': 200}": None, "{'statusCode': 200, 'text': None}": None,
            "True": "True", "False": "False", "0": "0", "('a',)": "('a',)", "b'x'": "b'x'",
            "[1, 'é']": '[1, "é"]', "{'a': {1: None}}": '{"a": {"1": null}}', "'a\\ud800b'": "a?b",
            "'\\r\\n\\0\\u2028'": "\r\n\0\u2028", "{'statusCode': 200, 'response_type': 'in_channel', 'text': 5}": "5",
            "{'statusCode': 1, 'response_type': 'in_channel', 'text': ('a', ['b'])}": "a\nb",
            "type('S', (str,), {})('sub')": "sub", "float('nan')": "nan", "(x for x in ())": "<generator object",
        }
        self.write(cases="".join(
            f"def case{number}(argv, params):\n    return {value}\n" for number, value in enumerate(cases)))
        with self.runner() as petrel:
            for number, (value, text) in enumerate(cases.items()):
                with self.subTest(value):
                    reply = petrel.invoke(f"case{number}")
                    if text is None:
                        self.assertIsNone(reply)
                    else:
                        self.assertEqual((reply["text"][:len(text)], reply.get("private")), (text, None))

    def test_results_that_cannot_be_shown_are_errors(self):
        for number, (body, text) in enumerate({
                "a = []; a.append(a); return a": "ValueError: Circular reference detected",
                "return type('X', (), {'__str__': lambda self: 1 / 0})()": "ZeroDivisionError: division by zero",
        }.items()):
            self.write(**{f"a{number}": command(body, f"run{number}")})
        with self.runner() as petrel:
            for number, text in enumerate(("ValueError: Circular", "ZeroDivisionError")):
                reply = petrel.invoke(f"run{number}")
                self.assertEqual(reply["kind"], "error")
                self.assertIn(f"The command failed: run{number}\n{text}", reply["text"])

    def test_members_of_the_wrong_type_are_ignored(self):
        for number, value in enumerate(({"attachments": 5}, {"attachments": "bad"}, {"attachments": [{"fields": 5}]})):
            self.write(**{f"a{number}": command(f"return {{'statusCode': 200, 'text': 'x', **{value}}}", f"run{number}")})
        with self.runner() as petrel:
            for number in range(3):
                self.assertEqual(petrel.invoke(f"run{number}")["text"], "x")

    def test_long_results_are_shortened(self):
        with self.running(command("return 'é' * 50_000_000"), command("return ['x' * 50_000_000]", "run1"), command(
                "return {'statusCode': 200, 'text': 'a' * 10 ** 6, 'attachments': [{'text': 'b' * 10 ** 5, 'fields': "
                "[{'title': 'c' * 10 ** 5, 'value': 'd'}] * 100}] * 100}", "run2")) as petrel:
            self.assertEqual(petrel.invoke("run")["text"], "é" * 100_000 + (
                "\n… (the first 100,000 of 50,000,000 characters)"))
            self.assertTrue(petrel.invoke("run1")["text"].endswith("\n… (the first 100,000 of 50,000,004 characters)"))
            for traits in (TRAITS, SLACK):
                reply = petrel.invoke("run2", traits=traits)
                self.assertLess(len(reply["text"]), 110_000)
                self.assertNotIn("extra", reply)

    def test_attachments(self):
        body = """return create_slack_payload("in_channel", "above", [
    create_slack_attachment(fallback="f", color="ff0000", pretext="p", title="t", title_link="https://a.example.com",
        fields=[{"title": "a", "value": 1, "short": True}, {"value": "only"}], footer="foot", ts=0.5),
    create_slack_attachment(fallback="g"), "no attachment"])"""
        with self.running(command(body, head="from catops import *")) as petrel:
            self.assertEqual(petrel.invoke("run")["text"], (
                "above\n\np\n<https://a.example.com|t>\na: 1\nonly\nfoot\n1970-01-01 00:00:00 UTC\n\ng"))
            reply = petrel.invoke("run", traits=SLACK)
            self.assertEqual((reply["text"], reply["extra"]["slack"]["attachments"]), ("above", [
                {"fallback": "f", "color": "#ff0000", "pretext": "p", "title": "t",
                 "title_link": "https://a.example.com", "footer": "foot", "ts": "0.5",
                 "fields": [{"title": "a", "value": "1", "short": True},
                            {"title": "", "value": "only", "short": False}]},
                {"fallback": "g"}]))

    def test_a_mention_that_was_typed_does_not_mention_anybody(self):
        body = "return {'statusCode': 200, 'text': argv[-1], 'attachments': [{'text': '<!here>' + argv[-1]}]}"
        with self.running(command(body)) as petrel:
            reply = petrel.invoke("run", "<!channel>", traits=SLACK)
            self.assertEqual((reply["text"], reply["extra"]["slack"]["attachments"][0]["text"]), (
                "&lt;!channel>", "&lt;!here>&lt;!channel>"))
            self.assertEqual(petrel.invoke("run", "x", traits=SLACK)["extra"]["slack"]["attachments"][0]["text"], (
                "<!here>x"))

    def test_invalid_arguments_are_answered_with_the_usage(self):
        head = "from catops import CatParser"
        body = "parser = CatParser()\nparser.add_argument('who')\nreturn parser.parse_args(argv[1:]).who"
        with self.running(command(body, head=head)) as petrel:
            self.assertEqual(petrel.invoke("run", "ada")["text"], "ada")
            self.assertEqual(petrel.invoke("run", ""), {
                "text": "Invalid command: run\nthe following arguments are required: who", "kind": "error",
                "private": True, "failure": "the following arguments are required: who"})
            self.assertIn("usage: catops [-h] who", petrel.invoke("run", "-h")["text"])

    def test_what_plug_ins_print_goes_to_standard_error(self):
        body = "print('one')\nsys.stdout.write('two\\n')\nos.write(1, b'three\\n')\nos.system('echo four')\n" \
               "print('x' * 10 ** 6)\nreturn input()"
        with self.running(command(body, head="import os, sys")) as petrel:
            self.assertIn("EOFError", petrel.invoke("run")["text"])
            self.assertTrue({"one", "two", "three", "four"} <= set(petrel.stderr().splitlines()))


class FaultTests(Folder):
    def test_functions_that_fail_are_answered_with_their_error(self):
        bodies = {
            "1 / 0": "ZeroDivisionError: division by zero", "sys.exit(3)": "It ended with 3.",
            "sys.exit('text')": "It ended with text.", "raise KeyboardInterrupt": "KeyboardInterrupt",
            "raise ValueError('\\n'.join(map(str, range(9))))": "4\n5\n6\n7\n8",
            "return run0(argv, params)": "RecursionError: maximum recursion depth exceeded"}
        self.write(a="import sys\n" + "".join(
            command(body.replace("run0", f"run{number}"), f"run{number}") for number, body in enumerate(bodies)))
        with self.runner() as petrel:
            for number, text in enumerate(bodies.values()):
                reply = petrel.invoke(f"run{number}", "x")
                self.assertEqual((reply["kind"], reply["private"]), ("error", True))
                self.assertTrue(reply["text"].startswith(f"The command failed: run{number} x\n{text}"), reply)
            self.assertIn("Traceback", petrel.stderr())

    def test_sys_exit_without_an_error_is_silence(self):
        with self.running(command("import sys; sys.exit()"), command("import sys; sys.exit(0)", "run1")) as petrel:
            self.assertIsNone(petrel.invoke("run"))
            self.assertIsNone(petrel.invoke("run1"))

    def test_a_process_that_ends_affects_its_call_only(self):
        with self.running(
                command("import os; os._exit(3)"), command("import os; os.kill(os.getpid(), 11)", "run1"),
                command("return 'fine'", "fine")) as petrel:
            for name, how in (("run", "status 3"), ("run1", "SIGSEGV")):
                self.assertEqual(petrel.invoke(name), {
                    "text": f"The process of the command ended ({how}): {name}\nIt may have had an effect.",
                    "kind": "error", "private": True, "failure": f"its process ended ({how})"})
            self.assertEqual(petrel.invoke("fine")["text"], "fine")
            self.assertIn("Segmentation fault", petrel.stderr())

    def test_functions_that_hang_are_ended_with_their_children(self):
        started = "post(params, text=str(os.getpid()) + ' ' + str(subprocess.Popen(['sleep', '1000']).pid))\n"
        head = POST + "import os, re, subprocess, threading"
        with self.running(
                command(started + "threading.Event().wait()", head=head),
                command(started + "re.match('(a+)+$', 'a' * 60 + 'b')", "run1", head),  # It holds the interpreter.
                command("return 'fine'", "fine"), timeout=5) as petrel:
            answers = [petrel.start("invoke", **petrel.call(name)) for name in ("run", "run1")]
            processes = [petrel.requested("say")["reply"]["text"].split() for _ in answers]
            self.assertEqual(petrel.invoke("fine")["text"], "fine")
            for name, answer in zip(("run", "run1"), answers):
                self.assertEqual(petrel.result_of(answer, "invoke")["reply"]["text"], (
                    f"The command was ended after 5 seconds: {name}\nIt may have had an effect."))
            for process in sum(processes, []):
                self.await_end(process)
            self.assertIn("in run1", petrel.stderr())  # The place where it hangs

    def test_a_call_that_is_cancelled_is_ended(self):
        body = "post(params, text=str(os.getpid()))\nwhile True: time.sleep(1000)"
        with self.running(command(body, head=POST + "import os, time"), command("return 'fine'", "fine")) as petrel:
            call = petrel.call("run")
            answer = petrel.start("invoke", **call)
            process = petrel.requested("say")["reply"]["text"]
            petrel.send({"method": "cancel", "params": {"call": call["call"]}})
            petrel.result_of(answer, "invoke")
            self.await_end(process)
            self.assertEqual(petrel.invoke("fine")["text"], "fine")

    def test_calls_run_at_the_same_time_in_processes_that_are_kept(self):
        head = POST + "import os, time\ncount = 0"
        body = "global count\ncount += 1\npost(params, text='started')\nwhile not os.path.exists(argv[1]):\n" \
               "    time.sleep(0.01)\nreturn f'{os.getpid()} {count}'"
        with self.running(command(body, head=head)) as petrel:
            go = self.folder / "go"
            answers = [petrel.start("invoke", **petrel.call("run", str(go))) for _ in range(8)]
            for _ in answers:
                petrel.requested("say")
            go.touch()
            texts = {petrel.result_of(answer, "invoke")["reply"]["text"] for answer in answers}
            self.assertEqual(len(texts), 8)
            self.assertTrue(all(text.endswith(" 1") for text in texts))
            process, count = petrel.invoke("run", str(go))["text"].split()
            self.assertEqual((f"{process} 1" in texts, count), (True, "2"))

    def test_processes_end_with_the_runner(self):
        head = POST + "import os, threading"
        for end in (lambda petrel: petrel.process.kill(), lambda petrel: petrel.process.terminate(),
                    lambda petrel: petrel.result("shutdown"), lambda petrel: petrel.process.stdin.close()):
            with self.running(command("post(params, text=str(os.getpid()))\nthreading.Event().wait()", head=head),
                              command("return __import__('os').getpid()", "idle")) as petrel:
                idle = petrel.invoke("idle")["text"]
                petrel.start("invoke", **petrel.call("run"))
                processes = [idle, petrel.requested("say")["reply"]["text"]]
                petrel.result("ping")  # The stand-in has answered `say`.
                end(petrel)
                for process in processes:
                    self.await_end(process)


class RecordTests(Folder):
    """Calls that are jobs: what they print is sent to Petrel."""

    def printed(self, petrel, call):
        """Returns what a call has printed on each stream."""
        streams = {"output": "", "error": ""}
        while not petrel.requests.empty():
            message = petrel.requests.get()
            if message["method"] == "output" and message["params"]["call"] == call["call"]:
                streams[message["params"]["stream"]] += message["params"]["text"]
        return streams

    def test_what_a_call_prints_and_answers_is_sent(self):
        body = "print('one')\nos.write(2, b'two\\n')\nos.system('echo three')\nprint('\u00e9' * 10 ** 5)\n" \
               "print('no end', end='')\nreturn {'statusCode': 200, 'text': 'done', 'attachments': [{'title': 'A'}]}"
        with self.running(command(body, head="import os"), record=True) as petrel:
            for _ in range(2):
                call = petrel.call("run")
                self.assertEqual(petrel.result("invoke", **call)["reply"]["text"], "done\n\nA")
                self.assertEqual(self.printed(petrel, call), {
                    "error": f"one\ntwo\nthree\n{chr(233) * 10 ** 5}\nno end", "output": "done\n\nA\n"})
            self.assertNotIn("three", petrel.stderr())

    def test_what_runs_beside_a_call_does_not_belong_to_it(self):
        head = "import os, subprocess, threading"
        body = "subprocess.Popen(['sh', '-c', f'while ! test -e {argv[1]}; do :; done; echo later'])\nreturn 'x'"
        with self.running(command(body, head=head), record=True) as petrel:
            call, go = petrel.call("run", str(self.folder / "go")), self.folder / "go"
            petrel.result("invoke", **call)
            go.touch()
            end = time.monotonic() + LIMIT
            while "later" not in petrel.stderr() and time.monotonic() < end:
                time.sleep(0.02)
            self.assertIn("later", petrel.stderr())
            self.assertEqual(self.printed(petrel, call), {"error": "", "output": "x\n"})

    def test_what_an_earlier_call_still_prints_belongs_to_no_later_call(self):
        wait = "while not os.path.exists(argv[1]): time.sleep(0.01)\n"
        thread = command(
            "def late():\n    while not os.path.exists(argv[1]): time.sleep(0.01)\n"
            "    print('late one')\n    logging.warning('late two')\n    sys.stdout.buffer.write(b'late three\\n')\n"
            "    open(argv[2], 'w').close()\n"
            "threading.Thread(target=late).start()\nprint('early')\nreturn os.getpid()", "thread",
            "import logging, os, sys, threading, time")
        child = command(
            "subprocess.Popen(['sh', '-c', 'until test -e $0; do sleep 0.01; done; echo late; : > $1', *argv[1:]])\n"
            "print('early')\nreturn os.getpid()", "child", "import os, subprocess")
        other = command(
            f"os.system('echo program')\nopen(argv[1], 'w').close()\n{wait.replace('[1]', '[2]')}"
            "def beside(): print('thread')\nthread = threading.Thread(target=beside)\nthread.start()\nthread.join()\n"
            "print('own')\nreturn os.getpid()", "other", "import os, threading, time")
        for name, is_same in (("thread", True), ("child", False)):
            with self.subTest(name), self.running(thread, child, other, record=True) as petrel:
                go, done = str(self.folder / f"{name}-go"), str(self.folder / f"{name}-done")
                first, second = petrel.call(name, f"{go} {done}"), petrel.call("other", f"{go} {done}")
                process = petrel.result("invoke", **first)["reply"]["text"]
                self.assertEqual(self.printed(petrel, first), {"error": "early\n", "output": f"{process}\n"})
                answer = petrel.result("invoke", **second)["reply"]["text"]
                self.assertEqual(
                    self.printed(petrel, second), {"error": "program\nthread\nown\n", "output": f"{answer}\n"})
                self.assertEqual(answer == process, is_same)
                self.assertIn("late", petrel.stderr())

    def test_processes_are_used_again_once_their_programs_have_ended(self):
        child = command("subprocess.Popen(['sh', '-c', 'until test -e $0; do sleep 0.01; done', argv[1]])\n"
                        "return os.getpid()", "child", "import os, subprocess")
        with self.running(child, command("return os.getpid()", "alone", "import os"), record=True) as petrel:
            go = self.folder / "go"
            before = {petrel.invoke("child", str(go))["text"] for _ in range(2)}
            self.assertEqual(len(before), 2)
            self.assertNotIn(petrel.invoke("alone")["text"], before)
            go.touch()
            end = time.monotonic() + LIMIT
            while (found := petrel.invoke("alone")["text"]) not in before and time.monotonic() < end:
                time.sleep(0.02)
            self.assertIn(found, before)

    def test_many_programs_that_still_run_do_not_need_a_process_each(self):
        child = command("print('printed')\nsubprocess.Popen(['sleep', '1000'])\nreturn os.getpid()", "child",
                        "import os, subprocess")
        with self.running(child, record=True) as petrel:
            processes = [petrel.invoke("child")["text"] for _ in range(pool.MAXIMUM_WITH_CHILDREN)]
            self.assertEqual(len(set(processes)), len(processes))
            call = petrel.call("child")
            self.assertIn(petrel.result("invoke", **call)["reply"]["text"], processes)
            printed = self.printed(petrel, call)
            self.assertIn("What the function prints is in the log of Petrel", printed["error"])
            self.assertNotIn("printed", printed["error"])

    def test_errors_are_sent_with_their_reason(self):
        with self.running(command("raise ValueError('wrong')"), record=True) as petrel:
            call = petrel.call("run")
            self.assertEqual(petrel.result("invoke", **call)["reply"]["failure"], "ValueError: wrong")
            printed = self.printed(petrel, call)
            self.assertIn("Traceback", printed["error"])
            self.assertEqual(printed["output"], "The command failed: run\nValueError: wrong\n")

    def test_a_call_that_is_cancelled_shows_where_it_was(self):
        for body in ("threading.Event().wait()", "re.match('(a+)+$', 'a' * 60 + 'b')", """
signal.signal(signal.SIGTERM, signal.SIG_IGN)
threading.Event().wait()"""):
            source = command(f"post(params, text=str(os.getpid())){body if body[0] == chr(10) else chr(10) + body}",
                             head=POST + "import os, re, signal, threading")
            with self.subTest(body), self.running(source, command("return 'fine'", "fine"), record=True) as petrel:
                call = petrel.call("run")
                answer = petrel.start("invoke", **call)
                while (message := petrel.requests.get(timeout=LIMIT))["method"] != "say":
                    pass
                petrel.send({"method": "cancel", "params": {"call": call["call"]}})
                self.assertIn("its process ended (SIG", petrel.result_of(answer, "invoke")["reply"]["failure"])
                self.await_end(message["params"]["reply"]["text"])
                if "SIG_IGN" not in body:
                    self.assertIn("in run", self.printed(petrel, call)["error"])
                self.assertEqual(petrel.invoke("fine")["text"], "fine")


class ReloadTests(Folder):
    def test_changed_files_are_loaded_again(self):
        self.write(a=command("return helper.value", "a", "import helper"), helper="value = 1\n")
        with self.runner() as petrel:
            self.await_load(petrel)
            self.assertEqual(petrel.invoke("a")["text"], "1")
            self.write(helper="value = 2\n")
            self.await_load(petrel)
            self.assertEqual(petrel.invoke("a")["text"], "2")
            self.write(b=command("return 'b'", "b"))
            self.assertEqual([each["name"] for each in petrel.requested("commands")["commands"]], ["a", "b"])
            self.await_load(petrel)
            self.assertEqual(petrel.invoke("b")["text"], "b")
            (self.plugins / "a.py").unlink()
            self.assertEqual([each["name"] for each in petrel.requested("commands")["commands"]], ["b"])
            self.await_load(petrel)
            self.write(b="def b(:\n")
            self.assertEqual(petrel.requested("commands")["commands"], [])
            self.assertIn("plugins/b.py: line 1: ", self.await_load(petrel)[0][0])

    def test_a_call_that_is_running_ends_with_the_files_it_began_with(self):
        body = "post(params, text=str(os.getpid()))\nwhile not os.path.exists(argv[1]):\n    time.sleep(0.01)\n" \
               "return '{}'"
        head = POST + "import os, threading, time\nthreading.Thread(target=threading.Event().wait).start()"
        go = self.folder / "go"
        with self.running(command(body.format("old"), head=head)) as petrel:
            answer = petrel.start("invoke", **petrel.call("run", str(go)))
            process = petrel.requested("say")["reply"]["text"]
            self.write(file0=command(body.format("new"), head=head))
            self.await_load(petrel)
            go.touch()
            self.assertEqual(petrel.result_of(answer, "invoke")["reply"]["text"], "old")
            self.assertEqual(petrel.invoke("run", str(go))["text"], "new")
            self.await_end(process)

    def test_a_file_beside_the_folder_is_watched_if_a_plug_in_imports_it(self):
        (self.folder / "beside.py").write_text("value = 1\n")
        with self.running(command("return beside.value", head="import beside")) as petrel:
            self.assertEqual(petrel.invoke("run")["text"], "1")
            (self.folder / "beside.py").write_text("value = 23\n")
            self.await_load(petrel)
            self.assertEqual(petrel.invoke("run")["text"], "23")

    def test_a_linked_folder_is_watched(self):
        linked = self.folder / "linked"
        linked.mkdir()
        (self.plugins / "sub").symlink_to(linked)
        with self.running(command("return 'first'")) as petrel:
            (linked / "later.py").write_text("def later(argv, params): return 'later'\n")
            names = {each["name"] for each in petrel.requested("commands")["commands"]}
            self.assertEqual(names, {"run", "later"})
            self.assertEqual(petrel.invoke("later")["text"], "later")

    def test_plug_ins_run_in_the_folder_that_contains_their_folder(self):
        (self.folder / "tokens.json").write_text("[1]")
        with self.running(command("return open('tokens.json').read()")) as petrel:
            self.assertEqual(petrel.invoke("run")["text"], "[1]")


class ResponseURLTests(Folder):
    def test_messages_that_are_posted_later_are_shown_at_the_place_of_the_call(self):
        body = "post(params, text='a', response_type='in_channel')\npost(params, text=('b',))\npost(params)\n" \
               "return params['response_url'][0]"
        with self.running(command(body, head=POST)) as petrel:
            url = petrel.invoke("run", place={"room": "C1", "name": "#ops", "thread": "T1"})["text"]
            self.assertEqual(petrel.requested("say"), {
                "to": {"backend": "slack", "room": "C1", "thread": "T1"}, "reply": {"text": "a", "style": "mrkdwn"}})
            self.assertEqual(petrel.requested("say"), {
                "to": {"backend": "slack", "person": "U1"}, "reply": {"text": "b", "style": "mrkdwn"}})
            self.assertTrue(petrel.requests.empty())
            statuses = [self.post(url + suffix, body) for suffix, body in (
                ("x", b"{}"), ("", b"{"), ("", b"[]"), ("", b"{}"))]
            self.assertEqual(statuses, [404, 400, 400, 429])

    def post(self, url, body):
        import http.client
        connection = http.client.HTTPConnection("127.0.0.1", int(url.split(":")[2].split("/")[0]), timeout=LIMIT)
        self.addCleanup(connection.close)
        connection.request("POST", "/" + url.rpartition("/")[2], body)
        return connection.getresponse().status
