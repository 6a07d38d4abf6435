"""Measures searches of the program with simulated accounts; see Scripts/measure-infra."""
import json, os, pathlib, ssl, subprocess, sys, tempfile, time, urllib.request
import boto3
from botocore.config import Config

ROOT = pathlib.Path(__file__).parent.parent
PROGRAM = pathlib.Path(sys.argv[1]).resolve()
REGIONS = ["eu-west-1", "eu-west-2", "us-east-1"]
BASE = {"AWS_ACCESS_KEY_ID": "AKIDHUB", "AWS_SECRET_ACCESS_KEY": "hub-secret", "AWS_EC2_METADATA_DISABLED": "true"}


def found(number):
    """The ID of an instance, and the answer that contains it."""
    instance = f"i-{number:017x}"
    return instance, {
        "account": "111111111111", "region": "*", "filters": {"instance-id": instance},
        "body": "<DescribeInstancesResponse xmlns='http://ec2.amazonaws.com/doc/2016-11-15/'><requestId>r</requestId>"
                f"<reservationSet><item><instancesSet><item><instanceId>{instance}</instanceId><instanceState><name>"
                "running</name></instanceState></item></instancesSet></item></reservationSet>"
                "</DescribeInstancesResponse>"}


class Stand:
    """The simulated services, as a process."""

    def __init__(self, folder):
        self.certificate = folder / "certificate.pem"
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
             "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1",
             "-keyout", folder / "key.pem", "-out", self.certificate], check=True, capture_output=True)
        script = ROOT / "Tests/InfraModuleTests/aws_stand_in.py"
        self.process = subprocess.Popen(
            [sys.executable, script, self.certificate, folder / "key.pem"], stdout=subprocess.PIPE, text=True)
        self.url = self.process.stdout.readline().split()[-1].replace("127.0.0.1", "localhost")
        self.trust = ssl.create_default_context(cafile=self.certificate)

    def request(self, path, rules=None):
        data = json.dumps(rules).encode() if rules is not None else None
        with urllib.request.urlopen(f"{self.url}/{path}", data, context=self.trust) as answer:
            return json.load(answer)


class Petrel:
    """The program with the text backend."""

    def __init__(self, folder, stand, accounts, **settings):
        listed = [{"name": f"account-{number}", "role": f"arn:aws:iam::{account}:role/PetrelInspection",
                   "regions": regions} for number, (account, regions) in enumerate(accounts)]
        config = folder / "config.json"
        config.write_text(json.dumps({
            "backends": {"text": {"format": "jsonl"}}, "open": True, "store": {"path": str(folder / "petrel.db")},
            "infra": {"accounts": listed, **settings}}))
        config.chmod(0o600)
        for old in folder.glob("petrel.db*"):
            old.unlink()
        environment = {**os.environ, **BASE, "AWS_ENDPOINT_URL": stand.url, "AWS_CA_BUNDLE": str(stand.certificate)}
        self.process = subprocess.Popen(
            [PROGRAM, "run", "--config", config], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL, text=True, env=environment, cwd=folder)
        self.ask("version")

    def ask(self, line):
        """The seconds until the answer, and its text."""
        start = time.monotonic()
        self.process.stdin.write(json.dumps({"id": str(start), "from": "@a", "room": "#ops", "text": "!" + line}) + "\n")
        self.process.stdin.flush()
        while (text := json.loads(self.process.stdout.readline())["text"]).startswith("Looking in"):
            pass
        return time.monotonic() - start, text

    def memory(self):
        """The current and the highest memory, in MB."""
        status = dict(line.split(":") for line in pathlib.Path(f"/proc/{self.process.pid}/status").read_text().splitlines())
        return [int(status[name].split()[0]) / 1024 for name in ("VmRSS", "VmHWM")]

    def end(self):
        self.process.stdin.close()
        self.process.wait()


def one_after_the_other(stand, accounts, instance):
    """Searches as slash-infra does: a client for each account and region, one after the other."""
    def client(service, region, keys):
        return boto3.client(
            service, region_name=region, endpoint_url=stand.url, verify=str(stand.certificate), config=Config(retries={
                "max_attempts": 0}), aws_access_key_id=keys["AccessKeyId"], aws_secret_access_key=keys["SecretAccessKey"],
            aws_session_token=keys.get("SessionToken"))

    hub = {"AccessKeyId": "AKIDHUB", "SecretAccessKey": "hub-secret"}
    clients = [(account, region, client("sts", region, hub)) for account, regions in accounts for region in regions]
    spent, total, sessions = [], 0, {}
    for _ in range(2):
        elapsed, total = 0, 0
        for account, region, sts in clients:
            if (account, region) not in sessions:
                start = time.monotonic()
                keys = sts.assume_role(RoleArn=f"arn:aws:iam::{account}:role/PetrelInspection", RoleSessionName="one")
                elapsed += time.monotonic() - start
                # Making a client of boto3 takes long, and is not counted.
                sessions[account, region] = client("ec2", region, keys["Credentials"])
            start = time.monotonic()
            answer = sessions[account, region].describe_instances(
                Filters=[{"Name": "instance-id", "Values": [instance]}])
            elapsed += time.monotonic() - start
            total += sum(len(one["Instances"]) for one in answer["Reservations"])
        spent.append(elapsed)
    return spent, total


def main():
    with tempfile.TemporaryDirectory() as temporary:
        folder = pathlib.Path(temporary)
        stand = Stand(folder)
        try:
            measure(folder, stand)
        finally:
            stand.process.kill()


def measure(folder, stand):
    """Prints the measurements. Ends with an error if a search is not as fast as documented."""
    known = [found(number) for number in range(1, 20)]
    stand.request("control", {"answers": [answer for _, answer in known], "delay": 0.3})
    ids = iter(instance for instance, _ in known)

    accounts = [(f"{number:012}", REGIONS) for number in [111111111111, *range(2, 9)]]
    # With the sessions still to be created, and without.
    at_once, later = [], []
    for pause, times in ((0, at_once), (3, later)):
        petrel = Petrel(folder, stand, accounts)
        time.sleep(pause)
        for _ in range(1 if pause == 0 else 5):
            spent, text = petrel.ask(f"infra search {next(ids)}")
            assert text.startswith("3 instances") and "Not searched" not in text, text
            times.append(spent)
        petrel.end()
    spent, total = one_after_the_other(stand, accounts, known[0][0])
    assert total == 3
    print("8 accounts x 3 regions, 300 ms for each call:")
    print(f"  Petrel:              at once after the start {at_once[0]:.2f} s, later {min(later):.2f} to {max(later):.2f} s")
    print(f"  one after the other: at once after the start {spent[0]:.2f} s, later {spent[1]:.2f} s")

    accounts = [(f"{number:012}", ["eu-west-1"]) for number in [111111111111, *range(2, 201)]]
    petrel = Petrel(folder, stand, accounts)
    before = stand.request("log?clear")
    idle = petrel.memory()
    first, text = petrel.ask(f"infra search {next(ids)}")
    assert text.startswith("i-") and "Not searched" not in text, text
    later = [petrel.ask(f"infra search {next(ids)}")[0] for _ in range(5)]
    after, memory = stand.request("log"), petrel.memory()
    print("200 accounts, 300 ms for each call:")
    print(f"  at once after the start {first:.2f} s, later {min(later):.2f} to {max(later):.2f} s, {len(after['calls'])} calls")
    print(f"  {after['opened'] - before['opened'] - 1} connections; RSS {idle[0]:.0f} MB before, {memory[0]:.0f} MB after, "
          f"at most {memory[1]:.0f} MB")
    petrel.end()

    broad = []
    for number, size in ((200, 500), (8, 12_500)):
        stand.request("control", {"broad": size, "delay": 0})
        accounts = [(f"{account:012}", ["eu-west-1"]) for account in range(1, number + 1)]
        petrel = Petrel(folder, stand, accounts, cache=0)
        petrel.ask("infra search i-0123456789abcdef0")
        spent, text = petrel.ask("infra search *")
        broad.append(spent)
        print(f"{number} accounts with {size} matching instances each: {spent:.2f} s, at most {petrel.memory()[1]:.0f} MB; "
              f"{text.splitlines()[0]}; {'all' if 'Not searched' not in text else 'not all'} accounts searched")
        petrel.end()

    odd = {"eu-west-2": "hang", "eu-central-1": "html", "us-east-1": "throttle", "us-east-2": "huge"}
    stand.request("control", {"faults": odd, "delay": 0})
    petrel = Petrel(folder, stand, [("111111111111", ["eu-west-1", *odd])])
    spent, text = petrel.ask(f"infra search {next(ids)}")
    print(f"odd regions, with a limit of 3 s: {spent:.2f} s, at most {petrel.memory()[1]:.0f} MB\n  "
          + text.replace("\n", "\n  "))
    petrel.end()
    slow = [f"{name}: {spent:.2f} s instead of {limit} s" for name, spent, limit in (
        ("8 accounts x 3 regions", at_once[0], 0.7), ("broad searches", max(broad), 3.5)) if spent > limit]
    if slow:
        sys.exit("too slow: " + ", ".join(slow))


main()
