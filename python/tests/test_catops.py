"""Tests of the package `catops`, which plug-ins and handlers import."""
import base64, hashlib, hmac, http.server, importlib.util, io, json, logging, os, pathlib, subprocess, sys, tempfile
import threading, time, types, unittest
from unittest import mock
from urllib.parse import parse_qs, urlencode

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
import catops
import catops.auth

LIMIT = 60  # seconds; only ends a hang
HELP = """usage: 
                <command> [<args>]

                commands:
                    help
                    cat
                    dog
            

positional arguments:
  command  Subcommand to run
"""
# Slack's documented example: https://docs.slack.dev/authentication/verifying-requests-from-slack
SECRET, STAMP = "8f742231b10e8888abcd99yyyzzz85a5", "1531420618"
BODY = ("token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow&channel_id=G8PSS9T3V"
        "&channel_name=foobar&user_id=U2CERLKJA&user_name=roadrunner&command=%2Fwebhook-collect&text="
        "&response_url=https%3A%2F%2Fhooks.slack.com%2Fcommands%2FT1DC2JH3J%2F397700885554%2F96rGlfmibIGlgcZRskXaIFfN"
        "&trigger_id=398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c")
SIGNATURE = "v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503"


class Folder(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name).resolve()
        path = list(sys.path)
        modules = set(sys.modules)
        self.addCleanup(lambda: [sys.modules.pop(name) for name in set(sys.modules) - modules])
        self.addCleanup(sys.path.__setitem__, slice(None), path)
        logger = logging.getLogger("catops")
        logger.disabled = True
        self.addCleanup(setattr, logger, "disabled", False)

    def write(self, **files):
        """Writes plug-ins: `a` is plugins/a.py, and `a__b` is plugins/a/b.py."""
        for name, text in files.items():
            path = self.folder / "plugins" / (name.replace("__", "/") + ".py")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return str(self.folder / "plugins") + "/"

    def convert(self, text, plugins, **options):
        return catops.convert_dispatch({"text": [text], "user_name": ["ada"]}, plugin_dir=plugins, **options)


def message(text, response_type="in_channel"):
    return {"statusCode": "200", "headers": {"Content-Type": "application/json"}, "response_type": response_type,
            "text": text}


class ConvertTests(Folder):
    def test_the_table_of_results(self):
        own = {"statusCode": 200, "text": ["any"], "more": 1}
        cases = {
            "'text'": message("text"), "''": message(""), "'é\\u2028'": message("é\u2028"),
            "[1, 'é', None]": message('[1, "é", null]'), "[]": message("[]"),
            repr(own): own,
            "{'a': 1}": message('{"a": 1}'), "{}": message("{}"),
            "None": None, "True": True, "False": False,
            "1.5": message("1.5"), "0": message("0"), "('a',)": message("('a',)"), "b'x'": message("b'x'"),
            "{1}": message("{1}"),
        }
        source = "".join(f"def case{number}(argv, params):\n    return {value}\n" for number, value in enumerate(cases))
        plugins = self.write(cases=source)
        for number, (value, expected) in enumerate(cases.items()):
            with self.subTest(value):
                self.assertEqual(self.convert(f"case{number}", plugins), expected)

    def test_a_convert_function_gives_the_result(self):
        plugins = self.write(a="def a(argv, params):\n    return 'x'\n")
        self.assertEqual(self.convert("a", plugins, convert_function=lambda value: [value]), ["x"])

    def test_an_invalid_command_gives_an_attachment(self):
        plugins = self.write(a="def cat(argv, params): pass\ndef dog(argv, params): pass\n")
        expected = {**message("", "ephemeral"), "attachments": [
            {"fallback": HELP, "title": "Invalid command: /catops cow", "text": HELP, "color": "ffcc00"}]}
        self.assertEqual(self.convert("cow", plugins), expected)
        expected["attachments"][0]["title"] = "Invalid command: /meow cow"
        params = {"text": "cow", "command": "/meow"}
        self.assertEqual(catops.convert_dispatch(params, plugin_dir=plugins), expected)

    def test_an_exception_gives_an_attachment(self):
        plugins = self.write(a="import sys\ndef a(argv, params): return 1 / 0\ndef b(argv, params): sys.exit('no')\n")
        for command, text in (("a", "division by zero"), ("b", "no")):
            self.assertEqual(self.convert(command, plugins)["attachments"], [
                {"fallback": text, "title": f"Kitten dispatch team failed with command: /catops {command}",
                 "text": text, "color": "ff9933"}])

    def test_what_json_cannot_represent_is_text(self):
        plugins = self.write(a="import datetime\ndef a(argv, params): return [datetime.date(2020, 1, 2)]\n")
        self.assertEqual(self.convert("a", plugins)["text"], '["2020-01-02"]')


class DispatchTests(Folder):
    def test_the_help_lists_the_commands(self):
        plugins = self.write(a="def dog(argv, params): pass\n", b="def cat(argv, params): pass\n")
        self.assertEqual(catops.dispatch("help", {}, plugins), HELP)
        self.assertEqual(self.convert("", plugins), message(HELP))

    def test_the_first_words_select_the_function(self):
        plugins = self.write(a="def a(argv, params): return argv, params\n")
        params = {"text": ["x"]}
        result = catops.dispatch('a  b "c d"', params, plugins)
        self.assertEqual(result, (["a", "b", '"c', 'd"'], params))
        self.assertIs(result[1], params)
        self.assertEqual(catops.dispatch("a", None, plugins)[1], {"user_name": ["CatOps"]})

    def test_texts_without_a_command(self):
        for text in ("", "  ", "-h", "--help"):
            with self.assertRaisesRegex(catops.ArgumentParserError, "the following arguments are required: command"):
                catops.dispatch(text, {}, self.write())

    def test_meow(self):
        expected = {"statusCode": 200, "text": "@CatOps Meow!"}
        self.assertEqual(catops.dispatch("meow", plugin_dir=self.write()), expected)
        self.assertEqual(catops.dispatch("meow", {"text": "meow"}, self.write()), expected)

    def test_only_functions_that_a_file_defines_can_be_called(self):
        plugins = self.write(
            a="from os.path import join\nfrom catops import *\nfrom b import b\nimport functools\n"
              "def decorated(function):\n    return functools.wraps(function)(lambda *both: function(*both))\n"
              "def _hidden(argv, params): pass\nclass Thing:\n    def method(argv, params): pass\n"
              "@decorated\ndef a(argv, params): return 'a'\nalso = lambda argv, params: 'also'\n"
              "def helper(x): pass\nasync def later(argv, params): pass\n",
            b="def b(argv, params): return 'b'\n", _c="def c(argv, params): pass\n")
        dispatcher = catops.Dispatcher(plugins)
        # `decorated` has one parameter, so that it is not a command.
        self.assertEqual(sorted(dispatcher.functions), ["a", "also", "b"])
        for name in ("join", "dispatch", "functions", "parse_command", "__init__", "_hidden", "Thing", "method", "c"):
            with self.assertRaises(catops.ArgumentParserError):
                dispatcher.parse_command(name, {})

    def test_a_function_that_a_decorator_of_another_file_returns_is_a_command(self):
        plugins = self.write(_tools="def logged(function):\n    def wrapper(*both):\n        return function(*both)\n"
                                    "    return wrapper\n",
                             a="from _tools import logged\n@logged\ndef a(argv, params): return 'a'\n")
        self.assertEqual(catops.dispatch("a", {}, plugins), "a")
        self.assertEqual(list(catops.Dispatcher(plugins).functions), ["a"])

    def test_include_functions_limits_the_commands(self):
        plugins = self.write(a="def a(argv, params): pass\ndef b(argv, params): pass\n")
        self.assertEqual(list(catops.Dispatcher(plugins, ["b", "c"]).functions), ["b"])

    def test_files_in_subfolders_are_loaded_one_level_deep(self):
        plugins = self.write(x__a="def a(argv, params): pass\n", _y__b="def b(argv, params): pass\n",
                             x__z__c="def c(argv, params): pass\n", a="def d(argv, params): pass\n")
        self.assertEqual(sorted(catops.Dispatcher(plugins).functions), ["a", "d"])

    def test_plug_ins_import_each_other_and_the_files_beside_their_folder(self):
        plugins = self.write(
            a="import b, c\nfrom x import shared\nimport beside\n"
              "def a(argv, params): return [b.state, c.__name__, shared(), beside.value]\n",
            b="state = []\ndef b(argv, params): state.append(1)\n", sub__c="", x="def shared(): return 'shared'\n")
        (self.folder / "beside.py").write_text("value = 5\n")
        dispatcher = catops.Dispatcher(plugins)
        dispatcher.parse_command("b", {})
        self.assertEqual(dispatcher.parse_command("a", {}), [[1], "c", "shared", 5])

    def test_a_file_named_like_a_module_does_not_replace_it(self):
        plugins = self.write(
            json="import json\ndef encode(argv, params): return json.dumps(argv)\n",
            unittest="def u(argv, params): return 'u'\n", catops="import catops\ndef c(argv, params): return 'c'\n",
            my_sub="", string="import string\ndef s(argv, params): return string.digits\n")
        (self.folder / "plugins" / "with-dash.py").write_text("def w(argv, params): return __name__\n")
        (self.folder / "plugins" / "a.b.py").write_text("def ab(argv, params): return 'ab'\n")
        dispatcher = catops.Dispatcher(plugins)
        for command, result in (("encode", '["encode"]'), ("u", "u"), ("c", "c"), ("s", "0123456789"), ("ab", "ab")):
            self.assertEqual(dispatcher.parse_command(command, {}), result)
        self.assertIs(sys.modules["json"], json)

    def test_files_with_errors_leave_the_others(self):
        plugins = self.write(a="def a(:\n", b="import no_such_module\n", c="1 / 0\n", d="import sys; sys.exit(3)\n",
                             e="def e(argv, params): return 'e'\n", f="import a\n")
        self.assertEqual(list(catops.Dispatcher(plugins).functions), ["e"])

    def test_of_two_functions_with_one_name_none_is_a_command(self):
        plugins = self.write(a="def x(argv, params): pass\ndef y(argv, params): pass\n",
                             s__a="def x(argv, params): pass\n")
        self.assertEqual(list(catops.Dispatcher(plugins).functions), ["y"])

    def test_a_folder_that_does_not_exist_has_no_commands(self):
        self.assertEqual(catops.Dispatcher(str(self.folder / "none")).functions, {})


class DocumentedExampleTests(Folder):
    """Plug-ins that use the interface as the documents of CatOps show it."""

    PING = '''"""A plug-in."""
from catops import create_slack_payload

def ping(argv, params):
    """Check is working."""
    text = '@{} Meow!'.format(params.get('user_name', ['CatOps'])[0]),
    return create_slack_payload(text=text)
'''
    NESTED = '''from catops import CatParser, ArgumentParserError

def nested(argv, params):
    """Parse the arguments."""
    parser = CatParser(usage="catops nested test", add_help=False)
    parser.add_argument('test', help="An argument.")
    try:
        args = parser.parse_args(argv[1:])
        return {'statusCode': '200', 'text': 'args were: {}'.format(argv), 'response_type': 'in_channel',
                'headers': {'Content-Type': 'application/json'}}
    except ArgumentParserError as err:
        return {'statusCode': '200', 'text': '{}\\n{}'.format(err, parser.format_help()), 'response_type': 'ephemeral'}

def cat(argv, params):
    return {'statusCode': '200', 'response_type': 'in_channel', 'attachments': [{
        'author_name': '@{} /catops cat'.format(params.get('user_name', ['CatOps'])[0]), 'fallback': 'Meow meow.',
        'title': 'Meow!', 'text': 'Here is a cat.', 'image_url': 'https://cats.example.com/1.jpg', 'color': '#764FA5'}]}
'''

    def test_the_example_with_a_comma_after_its_text(self):
        self.assertEqual(self.convert("ping", self.write(example=self.PING)), message("@ada Meow!", "ephemeral"))

    def test_the_example_with_a_parser_and_an_attachment(self):
        plugins = self.write(example=self.NESTED)
        self.assertEqual(self.convert("nested test", plugins)["text"], "args were: ['nested', 'test']")
        error = self.convert("nested", plugins)
        self.assertEqual(error["response_type"], "ephemeral")
        self.assertIn("the following arguments are required: test\nusage: catops nested test", error["text"])
        self.assertEqual(self.convert("cat", plugins)["attachments"][0]["author_name"], "@ada /catops cat")


class HelperTests(unittest.TestCase):
    def test_colours(self):
        for level, colour in (("CRITICAL", "ff0000"), ("error", "ff9933"), ("Warning", "ffcc00"), ("INFO", "33ccff"),
                              ("DEBUG", "good"), ("other", "good"), (None, "good")):
            self.assertEqual(catops.get_slack_colour(level), colour)

    def test_texts(self):
        for text, expected in (([], "help"), ("", "help"), ([""], "help"), (["a b", "c"], "a b"), ("a", "a"), (5, "5")):
            self.assertEqual(catops.get_text({"text": text}), expected)
        self.assertEqual(catops.get_text({}), "help")

    def test_an_attachment_has_the_members_that_are_given(self):
        self.assertEqual(catops.create_slack_attachment(), {})
        members = {name: name for name in (
            "fallback", "color", "pretext", "author_name", "author_link", "author_icon", "title", "title_link", "text",
            "fields", "image_url", "thumb_url", "footer", "footer_icon", "ts")}
        self.assertEqual(catops.create_slack_attachment(*members), members)
        self.assertEqual(catops.create_slack_attachment(text="", ts=0), {"text": "", "ts": 0})

    def test_payloads(self):
        self.assertEqual(catops.create_slack_payload(), message("", "ephemeral"))
        self.assertEqual(catops.create_slack_payload("in_channel", "x", {"text": "y"}), {
            **message("x"), "attachments": [{"text": "y"}]})
        self.assertEqual(catops.create_slack_payload(attachments=())["attachments"], [])
        self.assertEqual(catops.create_slack_error_payload("a", "b", "ERROR")["attachments"], [
            {"fallback": "b", "title": "a", "text": "b", "color": "ff9933"}])

    def test_a_parser_raises_what_it_would_print_before_it_ends_the_program(self):
        parser = catops.CatParser(prog="x", description="What it does.")
        parser.add_argument("--version", action="version", version="5.0")
        for arguments, text in (([], None), (["-h"], "What it does."), (["--version"], "5.0"), (["y"], "unrecognized")):
            with self.subTest(arguments), open(os.devnull, "w") as nothing, mock.patch("sys.stdout", nothing):
                if text is None:
                    parser.parse_args(arguments)
                else:
                    self.assertRaisesRegex(catops.ArgumentParserError, text, parser.parse_args, arguments)


class SignatureTests(unittest.TestCase):
    def event(self, **changes):
        headers = {"X-Slack-Request-Timestamp": STAMP, "X-Slack-Signature": SIGNATURE}
        return {"headers": {**headers, **changes.pop("headers", {})}, "body": BODY, **changes}

    def check(self, result, event, secret=SECRET, **options):
        self.assertEqual(catops.verify_request(event, secret, **options), result)

    def test_the_documented_request(self):
        valid, invalid = (True, "Valid signature"), (False, "Invalid signature")
        self.check(valid, self.event(), timeout=False)
        encoded = base64.b64encode(BODY.encode()).decode()
        self.check(valid, self.event(body=encoded, isBase64Encoded=True), timeout=False)
        names = {"x-slack-request-timestamp": STAMP, "x-slack-signature": SIGNATURE}
        self.check(valid, {"headers": names, "body": BODY}, timeout=False)
        for event in (self.event(body=BODY + "x"), self.event(body=None),
                      self.event(headers={"X-Slack-Signature": "é"}), self.event(isBase64Encoded=True),
                      self.event(headers={"X-Slack-Signature": None}),
                      self.event(headers={"X-Slack-Request-Timestamp": "1531420619"}), {}, {"headers": None},
                      self.event(headers={"X-Slack-Request-Timestamp": "nan"})):
            self.check(invalid, event, timeout=False)
        self.check(invalid, self.event(), secret="other", timeout=False)

    def test_an_empty_secret_verifies_nothing(self):
        forged = "v0=" + hmac.new(b"", f"v0:{STAMP}:{BODY}".encode(), hashlib.sha256).hexdigest()
        for secret in ("", None):
            self.check((False, "Invalid signature"), self.event(headers={"X-Slack-Signature": forged}), secret,
                       timeout=False)

    def test_the_time_must_be_within_five_minutes(self):
        for difference, result in ((-301, False), (-300, True), (0, True), (300, True), (301, False)):
            with mock.patch("time.time", return_value=int(STAMP) + difference):
                self.check((True, "Valid signature") if result else (False, "Request timeout"), self.event())


class Server(http.server.ThreadingHTTPServer):
    """A web server that answers with `answer(path, headers, body)`, which returns a status and an object."""

    def __init__(self, test, answer):
        received = self.received = []

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                received.append((self.path, self.headers, body))
                status, value = answer(self.path, self.headers, body)
                self.send_response(status)
                self.end_headers()
                self.wfile.write(json.dumps(value).encode())

            def log_message(self, *_):
                pass

        super().__init__(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.serve_forever, args=[0.05], daemon=True).start()
        test.addCleanup(self.server_close)
        test.addCleanup(self.shutdown)
        self.url = f"http://127.0.0.1:{self.server_port}/"
        variables = mock.patch.dict(os.environ, {"no_proxy": "127.0.0.1", "NO_PROXY": "127.0.0.1"})
        variables.start()
        test.addCleanup(variables.stop)


class UserTests(unittest.TestCase):
    USERS = {"U1": {"id": "U1", "name": "ada", "team_id": "T1", "profile": {"email": "ada@example.com"}},
             "U2": {"id": "U2", "name": "bob", "team_id": "T2", "deleted": True}}

    def setUp(self):
        self.server = Server(self, self.answer)
        url = mock.patch.object(catops.auth, "API_URL", self.server.url)
        url.start()
        self.addCleanup(url.stop)

    def answer(self, path, headers, body):
        form = {name: values[0] for name, values in parse_qs(body.decode()).items()}
        if headers["Authorization"] != "Bearer token":
            return 200, {"ok": False, "error": "invalid_auth"}
        if path == "/users.info":
            user = self.USERS.get(form["user"])
            return 200, {"ok": True, "user": user} if user else {"ok": False, "error": "user_not_found"}
        # Two pages
        pages = {"/users.list": [[self.USERS["U2"]], [self.USERS["U1"]]], "/conversations.members": [["U9"], ["U1"]]}
        names = {"/users.list": "members", "/conversations.members": "members"}
        number = int(form.get("cursor", 0))
        if form.get("channel") == "C2":
            number = 0
        return 200, {"ok": True, names[path]: pages[path][number], "response_metadata": {
            "next_cursor": "1" if number == 0 and form.get("channel") != "C2" else ""}}

    def check(self, form, expected, token="token", **options):
        self.assertEqual(catops.get_user_slack({"body": urlencode(form)}, token, **options), expected)

    def test_users(self):
        ada = {"id": "U1", "name": "ada", "username": "ada", "team_id": "T1", "channel_id": "C9",
               "email": "ada@example.com"}
        for form in ({"user_id": "U1", "channel_id": "C9"}, {"user_name": "ada", "channel_id": "C9"}):
            self.check(form, (True, ada))
            self.check(form, (True, {**ada, "channel_id": "C1"}), team_id="T1", channel_id="C1")
            self.check(form, (False, "User not in specified channel"), channel_id="C2")
            self.check(form, (False, "User not in specified team"), team_id="T2")
        for form in ({"user_id": "U2"}, {"user_id": "U3"}, {"user_name": "bob"}, {"user_name": "eve"}, {}):
            self.check(form, (False, "User not in workspace"))
        self.check({"user_id": "U1"}, (False, "Slack error: invalid_auth"), token="other")


class LogTests(unittest.TestCase):
    def logger(self, answers=(), **options):
        answers = list(answers)
        self.server = Server(self, lambda *_: (answers.pop(0) if answers else 200, {"error": "reason"}))
        handler = catops.SlackHandler(self.server.url, **options)
        logger = logging.Logger("test")
        logger.addHandler(handler)
        self.addCleanup(handler.close)
        return logger, handler

    def bodies(self, handler):
        with handler._queue.all_tasks_done:
            self.assertTrue(handler._queue.all_tasks_done.wait_for(
                lambda: not handler._queue.unfinished_tasks, LIMIT))
        return [json.loads(body) for _, _, body in self.server.received]

    def test_records_are_posted_as_json(self):
        logger, handler = self.logger(channels=["#ops"], token="secret")
        logger.warning('"quoted" %s\n', "é")
        body, = self.bodies(handler)
        self.assertEqual((body["channels"], body["level"], body["message"]), (["#ops"], "WARNING", '"quoted" é\n'))
        self.assertRegex(body["time"], r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$")
        self.assertEqual(self.server.received[0][1]["Authorization"], "Bearer secret")

    def test_a_formatter_may_give_the_members_or_another_text(self):
        logger, handler = self.logger()
        handler.setFormatter(logging.Formatter('{"channels": ["#a"], "message": "x%(message)s", "other": 1}'))
        logger.info("y")
        handler.flush()
        handler.setFormatter(logging.Formatter("[%(message)s, 2]"))
        logger.info("1")
        self.assertEqual(self.bodies(handler), [
            {"channels": ["#a"], "message": "xy", "level": None, "time": None}, [1, 2]])

    def test_an_error_of_the_server_is_retried_once_and_one_of_the_request_is_not(self):
        logger, handler = self.logger(answers=[500, 200, 400])
        errors = []
        handler.handleError = errors.append
        logger.info("a")
        logger.info("b")
        self.assertEqual([body["message"] for body in self.bodies(handler)], ["a", "a", "b"])
        self.assertEqual([record.getMessage() for record in errors], ["b"])

    def test_messages_are_made_such_as_the_relay_accepts(self):
        logger, handler = self.logger()
        for message in ("", " \n", "\u2026" * 11_000, "\x00" * 100_000, "a\ud83db"):
            logger.info("%s", message)
        self.assertEqual([body["message"] for body in self.bodies(handler)],
                         ["\u2026" * 8_001, "\x00" * 8_001, "a?b"])
        self.assertLess(max(len(body) for _, _, body in self.server.received), 64 << 10)

    def test_a_record_that_is_refused_is_told_in_one_line_with_the_reason(self):
        logger, handler = self.logger(answers=[400, 503, 503])
        with mock.patch("sys.stderr", io.StringIO()) as output:
            logger.error("a secret")
            logger.error("a secret")
            self.bodies(handler)
            self.server.shutdown()
            self.server.server_close()
            logger.error("a secret")
            handler.flush()
        first, second, third = output.getvalue().splitlines()
        self.assertEqual(first, 'A record of the logger test was not sent: 400 Bad Request: {"error": "reason"}')
        self.assertRegex(second, "not sent: 503 Service Unavailable: ")
        self.assertRegex(third, "not sent: .*refused")

    def test_records_beyond_the_capacity_are_dropped(self):
        held = threading.Event()
        self.addCleanup(held.set)
        server = Server(self, lambda *_: (held.wait(LIMIT) and 200, {}))
        handler = catops.SlackHandler(server.url, capacity=1, timeout=LIMIT)
        logger = logging.Logger("test")
        logger.addHandler(handler)
        for number in range(10):
            logger.info(number)
        self.assertGreaterEqual(handler.dropped, 8)  # One is being sent, and one waits.
        held.set()
        handler.close()


class InstallTests(Folder):
    def install(self, template):
        folder = self.folder / template
        with open(os.devnull, "w") as nothing, mock.patch("sys.stdout", nothing):
            catops.install(["meow", "install", "-t", template, "-d", str(folder)])
        return folder

    def handler(self, template, **environment):
        """Returns the handler of a template, and the list of its invocations of functions."""
        folder = self.install(template)
        invocations = []
        client = types.SimpleNamespace(invoke=lambda **arguments: invocations.append(arguments))
        boto3 = types.SimpleNamespace(client=lambda name: client)
        for patch in (mock.patch.dict(sys.modules, {"boto3": boto3}), mock.patch.dict(os.environ, environment)):
            patch.start()
            self.addCleanup(patch.stop)
        spec = importlib.util.spec_from_file_location("handler", folder / "handler.py")
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        previous = os.getcwd()
        self.addCleanup(os.chdir, previous)
        os.chdir(folder)
        return module, invocations

    def signed(self, body):
        stamp = str(int(time.time()))
        digest = hmac.new(b"secret", f"v0:{stamp}:{body}".encode(), hashlib.sha256).hexdigest()
        return {"body": body, "headers": {"x-slack-request-timestamp": stamp, "x-slack-signature": f"v0={digest}"}}

    def test_existing_files_are_kept(self):
        folder = self.install("slash_command")
        (folder / "handler.py").write_text("mine")
        (folder / "serverless.yml").unlink()
        self.install("slash_command")
        self.assertEqual((folder / "handler.py").read_text(), "mine")
        self.assertTrue((folder / "serverless.yml").exists())

    def test_the_command_line_asks_for_what_is_missing(self):
        program = [sys.executable, "-m", "catops", "install", "-t", "dog"]
        root = pathlib.Path(catops.__file__).parents[1]
        result = subprocess.run(program, input="cow\nslackbot\nmine\n", text=True, capture_output=True, timeout=LIMIT,
                                cwd=self.folder, env={**os.environ, "PYTHONPATH": str(root)}, check=True)
        self.assertIn("There is no template dog.", result.stdout)
        self.assertEqual(sorted(path.name for path in (self.folder / "mine").iterdir()), [
            "README.md", "catops", "handler.py", "plugins", "serverless.yml"])

    def test_a_slash_command_is_answered(self):
        server = Server(self, lambda *_: (200, {}))
        handler, invocations = self.handler("slash_command", SLACK_SIGNING_SECRET="secret", DISPATCHER="main")
        body = urlencode({"text": "ping", "user_name": "ada", "response_url": server.url + "r"})
        self.assertEqual(handler.respond({"headers": {}, "body": body}, None)["statusCode"], 401)
        self.assertEqual(handler.respond(self.signed(body), None), {"statusCode": 200, "body": ""})
        invocation, = invocations
        self.assertEqual((invocation["FunctionName"], invocation["InvocationType"]), ("main", "Event"))
        handler.main(json.loads(invocation["Payload"]), None)
        (path, _, posted), = server.received
        self.assertEqual((path, json.loads(posted)["text"]), ("/r", "@ada Meow!"))

    def test_a_mention_is_answered(self):
        server = Server(self, lambda *_: (200, {"ok": True}))
        handler, invocations = self.handler("slackbot", SLACK_SIGNING_SECRET="secret", DISPATCHER="main",
                                            SLACK_BOT_TOKEN="xoxb", SLACK_API_URL=server.url)
        challenge = self.signed(json.dumps({"type": "url_verification", "challenge": "c"}))
        self.assertEqual(handler.respond(challenge, None)["body"], "c")
        for text in ("<@U0> deploy web", "<@U0> ping"):
            mention = {"type": "app_mention", "text": text, "user": "U1", "channel": "C1"}
            handler.respond(self.signed(json.dumps({"event": mention})), None)
        for invocation in invocations:
            handler.main(json.loads(invocation["Payload"]), None)
        sent = [(path, json.loads(body)) for path, _, body in server.received]
        self.assertEqual([(path, body["channel"], body.get("user")) for path, body in sent], [
            ("/chat.postMessage", "C1", None), ("/chat.postEphemeral", "C1", "U1")])
        self.assertEqual(sent[0][1]["attachments"][0]["title"], "web")
        retry = self.signed(json.dumps({"event": mention}))
        retry["headers"]["X-Slack-Retry-Num"] = "1"
        handler.respond(retry, None)
        self.assertEqual(len(invocations), 2)

    def test_a_log_record_is_shown(self):
        server = Server(self, lambda *_: (200, {"ok": True}))
        handler, _ = self.handler("slack_logger", LOG_SECRET="s", SLACK_BOT_TOKEN="xoxb", SLACK_API_URL=server.url)
        event = {"headers": {"Authorization": "Bearer s"}, "body": json.dumps(
            {"channels": ["#a", "#b"], "level": "ERROR", "message": "m", "time": "t"})}
        self.assertEqual(handler.log({**event, "headers": {}}, None)["statusCode"], 401)
        for body in ("x", "[]", "{}", '{"channels": 5}'):
            self.assertEqual(handler.log({**event, "body": body}, None)["statusCode"], 400)
        self.assertEqual(handler.log(event, None)["statusCode"], 200)
        sent = [json.loads(body) for _, _, body in server.received]
        self.assertEqual([body["channel"] for body in sent], ["#a", "#b"])
        self.assertEqual(sent[0]["attachments"][0]["color"], "ff9933")
