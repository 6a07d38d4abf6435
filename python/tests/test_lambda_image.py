"""Tests of deploy/lambda: the template, and the function as the image contains it, with Lambda's environment."""
import json, os, pathlib, re, shlex, shutil, subprocess, sys, tempfile, unittest
from fake_petrel import ROOT

sys.path.insert(0, str(ROOT / "Benchmarks"))
import lambda_stand_in as stand_in  # noqa: E402

DEPLOYED = ROOT / "deploy/lambda"
PROGRAM = pathlib.Path(os.environ.get("PETREL_PROGRAM", ROOT / ".build/debug/petrel"))
NOBODY = 65534
# https://docs.aws.amazon.com/lambda/latest/dg/configuration-envvars.html
ENVIRONMENT = {
    "AWS_LAMBDA_FUNCTION_NAME": "petrel", "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "256", "AWS_LAMBDA_FUNCTION_VERSION": "1",
    "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand", "AWS_LAMBDA_LOG_GROUP_NAME": "/aws/lambda/petrel",
    "AWS_LAMBDA_LOG_STREAM_NAME": "2026/01/01/[$LATEST]0", "AWS_REGION": "eu-west-1", "AWS_DEFAULT_REGION": "eu-west-1",
    "AWS_ACCESS_KEY_ID": "ASIA0", "AWS_SECRET_ACCESS_KEY": "x", "AWS_SESSION_TOKEN": "x", "_HANDLER": "",
    "LAMBDA_TASK_ROOT": "/var/task", "LAMBDA_RUNTIME_DIR": "/var/runtime", "LANG": "en_US.UTF-8", "TZ": ":UTC",
    "PATH": "/usr/local/bin:/usr/local/sbin:/usr/bin:/usr/sbin:/sbin:/bin"}


def instructions():
    """Returns the instructions of the Dockerfile: pairs of a word and its arguments."""
    text = re.sub(r"^#.*\n", "", (DEPLOYED / "Dockerfile").read_text(), flags=re.MULTILINE).replace("\\\n", " ")
    return [line.split(None, 1) for line in text.splitlines() if line.strip()]


class TemplateTests(unittest.TestCase):
    def test_the_template_is_valid(self):
        lint = pathlib.Path(sys.executable).with_name("cfn-lint")
        result = subprocess.run([lint, "--include-checks", "W", "--", DEPLOYED / "template.yaml"], text=True,
                                capture_output=True)
        self.assertEqual((result.returncode, result.stdout), (0, ""))

    def test_the_time_out_is_longer_than_that_of_scripts(self):
        timeout = int(re.search(r"^ +Timeout: (\d+)$", (DEPLOYED / "template.yaml").read_text(), re.MULTILINE)[1])
        self.assertGreaterEqual(timeout, 60 + 10)

    def test_the_variables_of_the_template_are_those_of_the_page(self):
        template = (DEPLOYED / "template.yaml").read_text()
        names = set(re.findall(r'"env": "(?!AWS_)(\w+)"', (ROOT / "docs/Lambda.md").read_text()))
        self.assertEqual(names, set(re.findall(r"^ +([A-Z_]+): !Ref", template, re.MULTILINE)))


@unittest.skipUnless(PROGRAM.exists(), f"requires {PROGRAM}")
class ImageTests(unittest.TestCase):
    """The instructions of the Dockerfile, followed in a folder. Only installing packages is left out."""

    def setUp(self):
        self.folder = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))
        self.folder.chmod(0o755)
        self.server = stand_in.StandIn()
        self.source, self.image = self.folder / "source", self.folder / "image"
        (self.source / "dist/bin").mkdir(parents=True)
        shutil.copy2(PROGRAM, self.source / "dist/bin/petrel")
        share = self.source / "dist/share/petrel"
        shutil.copytree(ROOT / "html", share / "html")
        shutil.copytree(ROOT / "python", share / "python", ignore=shutil.ignore_patterns("tests", "__pycache__"))
        self.bot = self.source / "deploy/lambda/bot"
        self.bot.mkdir(parents=True)

    def write(self, path, text, mode=0o644):
        file = self.bot / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        file.chmod(mode)

    def configuration(self):
        """The configuration of the page, with the stand-in of Slack."""
        blocks = re.findall(r"^ *```json\n(.*?)^ *```", (ROOT / "docs/Lambda.md").read_text(), re.MULTILINE | re.DOTALL)
        configuration = json.loads(blocks[0])
        configuration["backends"]["slack"]["api_url"] = f"http://{self.server.address}/api/"
        return configuration

    def build(self):
        for word, arguments in instructions():
            if word == "COPY":
                source, target = arguments.split()
                source, target = self.source / source, self.image / target.lstrip("/")
                target.parent.mkdir(parents=True, exist_ok=True)
                (shutil.copytree if source.is_dir() else shutil.copy2)(source, target)
            elif word == "RUN" and arguments.startswith("chmod"):
                subprocess.run([part.replace("/etc/", f"{self.image}/etc/") for part in shlex.split(arguments)],
                               check=True)

    def start(self):
        entry = json.loads(next(arguments for word, arguments in instructions() if word == "ENTRYPOINT"))
        command = [str(self.image) + part if part.startswith("/") else part for part in entry]
        environment = {**ENVIRONMENT, "AWS_LAMBDA_RUNTIME_API": self.server.address, "SLACK_BOT_TOKEN": "xoxb-1",
                       "SLACK_SIGNING_SECRET": stand_in.SECRET}
        self.log = self.enterContext(open(self.folder / "log", "w+b"))
        user = {"user": NOBODY, "group": NOBODY, "extra_groups": []} if os.geteuid() == 0 else {}
        process = subprocess.Popen(command, env=environment, cwd="/", stdin=subprocess.DEVNULL, stdout=self.log,
                                   stderr=self.log, **user)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)

    def ask(self, name, text):
        number, _ = self.server.command(text, "/bot" if name is None else name)
        try:
            return json.dumps(self.server.wait(self.server.hooks, number))
        except TimeoutError:
            self.log.seek(0)
            self.fail(self.log.read().decode(errors="replace"))

    def test_the_scripts_of_the_page_answer(self):
        # The modes of `petrel new`, with which the user of Lambda could read nothing.
        self.write("config.json", json.dumps(self.configuration()), 0o640)
        self.write("scripts/hello.sh", "#!/bin/sh\necho \"Hello, $1!\"\n", 0o775)
        self.build()
        self.start()
        self.assertIn("Hello, Ada!", self.ask(None, "hello Ada"))

    def test_plug_ins_for_catops_answer_without_scripts(self):
        configuration = self.configuration()
        configuration["jobs"] = {"catops": {"plugins": "plugins", "auth_strategy": "any"}}
        self.write("config.json", json.dumps(configuration))
        self.write("plugins/example.py", stand_in.PLUGIN, 0o664)
        self.build()
        self.start()
        self.assertIn("Meow! x", self.ask(None, "ping x"))

    def test_a_configuration_without_requests_of_slack_is_an_error_at_the_start(self):
        self.write("config.json", '{"backends": {"text": {}}}')
        self.build()
        self.start()
        kind, error = self.server.wait(self.server.results, "init")
        self.assertEqual(kind, "error")
        self.assertIn("signing_secret", error["errorMessage"])


class ContextTests(unittest.TestCase):
    def test_the_context_of_the_image_has_what_is_copied_and_nothing_else(self):
        ignored = (ROOT / ".dockerignore").read_text().split("\n")
        self.assertIn("*", ignored)
        kept = [line[1:] for line in ignored if line.startswith("!")]
        for word, arguments in instructions():
            if word == "COPY":
                self.assertIn(arguments.split("/")[0], kept)


if __name__ == "__main__":
    unittest.main()
