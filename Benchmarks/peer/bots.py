"""Processes of the two bots and the simulated StackStorm, with a common interface for the benchmarks."""
import json, os, shutil, signal, socket, subprocess, sys, tempfile, threading, time, urllib.request

HERE = os.path.dirname(os.path.abspath(__file__))
now = time.monotonic_ns


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def cpu(pid):
    """Returns the CPU time of the threads of a process in seconds, with nanosecond resolution. The ticks of
    /proc/PID/stat are too coarse: 200 commands take about ten of them."""
    used = 0
    for thread in os.listdir(f"/proc/{pid}/task"):
        try:
            with open(f"/proc/{pid}/task/{thread}/schedstat") as file:
                used += int(file.read().split()[0])
        except OSError:
            pass  # The thread has ended.
    return used / 1e9


def memory(pid):
    """Returns resident and private memory, in MB."""
    sizes = {}
    for line in open(f"/proc/{pid}/smaps_rollup"):
        name, _, rest = line.partition(":")
        if rest.strip().endswith("kB"):
            sizes[name] = int(rest.split()[0]) / 1024
    return {"rss": sizes["Rss"], "private": sizes["Private_Clean"] + sizes["Private_Dirty"]}


class StandIn:
    def __init__(self, python):
        self.port = free_port()
        self.process = subprocess.Popen([python, f"{HERE}/stand_in.py", "--port", str(self.port), "--aliases", "200"])
        deadline = time.time() + 20
        while True:
            try:
                self.stats()
                return
            except OSError:
                if time.time() > deadline or self.process.poll() is not None:
                    raise SystemExit("the simulated StackStorm did not start")
                time.sleep(0.02)

    def request(self, path, body=None):
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}{path}", data=None if body is None else json.dumps(body).encode())
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.loads(answer.read())

    def control(self, **body):
        return self.request("/_ctl", body)

    def stats(self):
        return self.request("/_stats")

    def stop(self):
        self.process.terminate()
        self.process.wait()


class Bot:
    """Base class of both bots. Received lines are tuples (time, place, text)."""

    def __init__(self, stand_in):
        self.stand_in = stand_in
        self.folder = tempfile.mkdtemp(prefix="petrel-peer-")
        self.log = open(f"{self.folder}/log", "w")
        self.lines = []
        self.changed = threading.Condition()

    def read(self, file, begin=None):
        def run():
            for line in file:
                at = now()
                entry = json.loads(line)
                if "text" not in entry:
                    continue
                with self.changed:
                    self.lines.append((at, self.place(entry), entry["text"]))
                    self.changed.notify_all()
        threading.Thread(target=run, daemon=True).start()

    def clear(self):
        with self.changed:
            self.lines.clear()

    def wait(self, count, timeout, idle=None, matches=lambda line: True):
        """Waits for count matching lines and returns them, or those received at the timeout or after idle seconds."""
        deadline, seen, since = time.time() + timeout, -1, time.time()
        with self.changed:
            while True:
                found = [line for line in self.lines if matches(line)] if len(self.lines) >= count else []
                if len(found) >= count or time.time() > deadline:
                    return found or [line for line in self.lines if matches(line)]
                if len(self.lines) != seen:
                    seen, since = len(self.lines), time.time()
                elif idle and time.time() - since > idle:
                    return [line for line in self.lines if matches(line)]
                self.changed.wait(0.2)

    def ask(self, text, timeout=20, **where):
        """Sends a line and returns the time to the first answer in milliseconds, and the answer."""
        self.clear()
        start = now()
        self.send(text, **where)
        lines = self.wait(1, timeout)
        return ((lines[0][0] if lines else now()) - start) / 1e6, lines[0][2] if lines else None

    def until_listening(self):
        while not self.stand_in.stats()["streams"]:
            time.sleep(0.02)

    def cpu(self):
        return cpu(self.process.pid)

    def memory(self):
        return memory(self.process.pid)

    def end(self, number, patience=20):
        """Sends a signal and returns the time to the exit in seconds, or None at the timeout."""
        start = time.time()
        self.process.send_signal(number)
        try:
            self.process.wait(patience)
            took = time.time() - start
        except subprocess.TimeoutExpired:
            took = None
            self.process.kill()
            self.process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)
        return took


class TextPetrel(Bot):
    """Petrel with the text backend and a configuration."""
    name = "petrel"

    def __init__(self, stand_in, program, config):
        super().__init__(stand_in)
        path = f"{self.folder}/config.json"
        # A single sender stands for all users.
        limits = {"limits": {"lines_per_minute": 1000000}}
        with open(path, "w") as file:
            json.dump({"backends": {"text": {"format": "jsonl"}}, "bot": limits, **config}, file)
        os.chmod(path, 0o600)
        self.count = 0
        self.started = now()
        self.process = subprocess.Popen(
            [program, "run", "--config", path], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.log)
        self.read(self.process.stdout)

    def place(self, entry):
        return entry["room"] or entry["to"]

    def send(self, text, sender="@admin", room=None):
        self.count += 1
        line = {"id": str(self.count), "from": sender, "room": room, "text": text}
        self.process.stdin.write((json.dumps(line) + "\n").encode())
        self.process.stdin.flush()


class Petrel(TextPetrel):
    """Petrel as a bot of StackStorm."""

    def __init__(self, stand_in, program):
        base = f"http://127.0.0.1:{stand_in.port}"
        super().__init__(stand_in, program, {
            "admins": ["@admin"],
            "stackstorm": {
                "auth_url": f"{base}/auth/v1", "api_url": f"{base}/api/v1", "stream_url": f"{base}/stream/v1",
                "api_auth": {"user": {"name": "errbot", "password": "secret"}}, "timer_update": 900,
            },
        })


class Errbot(Bot):
    name = "errbot"

    def __init__(self, stand_in, venv):
        super().__init__(stand_in)
        self.port = free_port()
        environment = dict(
            os.environ, PEER_VENV=venv, BENCH_DATA=self.folder, BENCH_PORT=str(self.port), ST2_PORT=str(stand_in.port),
            LANG="C.UTF-8")
        self.started = now()
        self.process = subprocess.Popen(
            [f"{venv}/bin/errbot", "-c", f"{HERE}/errbot/config.py"], env=environment, stdout=self.log,
            stderr=subprocess.STDOUT, cwd=self.folder)
        while True:
            try:
                self.socket = socket.create_connection(("127.0.0.1", self.port))
                break
            except OSError:
                if self.process.poll() is not None:
                    raise SystemExit(f"errbot did not start: {open(self.folder + '/log').read()[-2000:]}")
                time.sleep(0.005)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.read(self.socket.makefile("rb"))

    def place(self, entry):
        return entry["to"]

    def send(self, text, sender="@admin", room=None):
        line = {"frm": sender, "to": room or "@errbot", "text": text}
        self.socket.sendall((json.dumps(line) + "\n").encode())
