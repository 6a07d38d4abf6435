"""A stand-in for STS and EC2 that verifies signatures and replays answers, with faults on request.

usage: aws_stand_in.py [CERTIFICATE KEY]        prints "listening on http://127.0.0.1:PORT" (https with a certificate)

POST /control takes JSON, whose members replace those of `Stand.rules`:
  delay       seconds before each answer
  skew        seconds that the clock of the services is ahead
  date        seconds that only the header Date is ahead
  lifetime    seconds for which sessions are valid
  answers     [{account, region, filters: {name: value}, body}]; `*` as account or region means any; a query without an
              answer gets an empty one
  broad       the number of instances that every region has without filters and for tag:Name=*, in pages of MaxResults
  faults      {"REGION" or "ACCOUNT REGION": "hang" | "html" | "throttle" | "throttle once" | "huge" | "drop" |
              "reject" | "opt-in"}
  refused     roles that may not be assumed
  external    {role: external ID that its trust policy requires}
  revoked     true: every session that exists becomes invalid
GET /log returns the calls and the number of connections; /log?clear forgets the calls as well.

It is also an HTTP proxy for itself, and the metadata service of an instance (/latest/…) and of a container
(/container). Both issue keys of the hub, as AssumeRoleWithWebIdentity does for the token `web-token`.
"""
import asyncio, datetime, email.utils, functools, hashlib, hmac, json, re, ssl, sys, time
from urllib.parse import parse_qsl
from xml.sax.saxutils import escape

HUB = {"AKIDHUB": ("hub-secret", None, None)}
EMPTY = ('<?xml version="1.0" encoding="UTF-8"?>\n<DescribeInstancesResponse '
         'xmlns="http://ec2.amazonaws.com/doc/2016-11-15/"><requestId>r</requestId><reservationSet/>'
         '</DescribeInstancesResponse>')


class Refused(Exception):
    def __init__(self, status, code, message):
        self.status, self.code, self.message = status, code, message


class Stand:
    def __init__(self):
        self.rules = {"delay": 0, "skew": 0, "date": 0, "lifetime": 3600, "answers": [], "broad": 0, "faults": {}, "refused": [],
                      "external": {}}
        self.sessions, self.calls, self.open, self.peak, self.opened, self.throttled = {}, [], 0, 0, 0, set()

    def now(self):
        return time.time() + self.rules["skew"]

    def verify(self, headers, body):
        """Verifies the signature of a request, and returns the account, the region and the service."""
        match = re.fullmatch(r"AWS4-HMAC-SHA256 Credential=(\S+)/(\d{8})/([\w-]+)/(\w+)/aws4_request, "
                             r"SignedHeaders=([\w;-]+), Signature=([0-9a-f]{64})", headers.get("authorization", ""))
        if not match:
            raise Refused(400, "IncompleteSignature", "no signature")
        key, day, region, service, signed, signature = match.groups()
        known = {**HUB, **self.sessions}.get(key)
        if not known:
            raise Refused(403 if service == "sts" else 401, "InvalidClientTokenId" if service == "sts" else
                          "AuthFailure", "unknown key")
        secret, token, session = known
        names = signed.split(";")
        needed = {"host", "x-amz-date"} | ({"x-amz-security-token"} if token else set())
        lines = [f"{name}:{' '.join(headers[name].split())}\n" for name in names]
        canonical = "\n".join(["POST", "/", "", "".join(lines), signed, hashlib.sha256(body).hexdigest()])
        scope = f"{day}/{region}/{service}/aws4_request"
        text = "\n".join(["AWS4-HMAC-SHA256", headers["x-amz-date"], scope,
                          hashlib.sha256(canonical.encode()).hexdigest()])
        derived = ("AWS4" + secret).encode()
        for part in (day, region, service, "aws4_request"):
            derived = hmac.new(derived, part.encode(), hashlib.sha256).digest()
        wanted = hmac.new(derived, text.encode(), hashlib.sha256).hexdigest()
        wrong = Refused(403, "SignatureDoesNotMatch", "wrong " + text) if service == "sts" else \
            Refused(401, "AuthFailure", "AWS was not able to validate the provided access credentials")
        if not hmac.compare_digest(wanted, signature) or not needed <= set(names):
            raise wrong
        if token and headers.get("x-amz-security-token") != token:
            raise wrong
        sent = datetime.datetime.strptime(headers["x-amz-date"], "%Y%m%dT%H%M%SZ").replace(
            tzinfo=datetime.timezone.utc).timestamp()
        if abs(sent - self.now()) > 300:
            raise wrong
        if session and session["expires"] < self.now():
            raise Refused(400, "RequestExpired" if service == "ec2" else "ExpiredToken", "expired")
        return session, region, service

    def issue(self, account):
        """Makes a session and returns its key, secret, token and expiry."""
        number = len(self.sessions)
        key, expires = f"ASIA{number:016}", self.now() + self.rules["lifetime"]
        self.sessions[key] = (f"secret-{number}", f"token/+{number}=", {"account": account, "expires": expires})
        iso = datetime.datetime.fromtimestamp(expires, datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
        return key, f"secret-{number}", f"token/+{number}=", iso

    def issued(self, action, account):
        key, secret, token, expires = self.issue(account)
        return (f'<{action}Response xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><{action}Result><AssumedRoleUser>'
                f"<Arn>arn</Arn></AssumedRoleUser><Credentials><AccessKeyId>{key}</AccessKeyId><SecretAccessKey>{secret}"
                f"</SecretAccessKey><SessionToken>{token}</SessionToken><Expiration>{expires}</Expiration></Credentials>"
                f"</{action}Result><ResponseMetadata><RequestId>r</RequestId></ResponseMetadata></{action}Response>")

    def metadata(self, method, path, headers):
        """Answers as the metadata service of an instance (IMDSv2) or a container."""
        self.calls.append({"metadata": f"{method} {path}"})
        key, secret, token, expires = self.issue("hub")
        body = json.dumps({"Code": "Success", "AccessKeyId": key, "SecretAccessKey": secret, "Token": token,
                           "Expiration": expires})
        if path == "/container":
            return (200, body) if headers.get("authorization") in ("container-token", "Basic abcd") else (403, "no")
        if path == "/latest/api/token":
            return (200, "imds") if method == "PUT" and "x-aws-ec2-metadata-token-ttl-seconds" in headers else (400, "")
        if headers.get("x-aws-ec2-metadata-token") != "imds":
            return 401, ""
        listing = "/latest/meta-data/iam/security-credentials/"
        return {listing: (200, "hub-role"), listing + "hub-role": (200, body)}.get(path, (404, ""))

    def assume(self, form):
        role = form["RoleArn"]
        if role in self.rules["refused"] or self.rules["external"].get(role) != form.get("ExternalId"):
            raise Refused(403, "AccessDenied", f"User is not authorized to perform: sts:AssumeRole on {role}")
        return self.issued("AssumeRole", role.split(":")[4])

    @functools.cache
    def page(self, start, size, count):
        """A page of `broad` instances with three kilobytes each, for any account."""
        tags = "".join(f"<item><key>Key{number}</key><value>{'v' * 40}</value></item>" for number in range(20))
        items = "".join(
            f"<item><reservationId>r</reservationId><instancesSet><item><instanceId>i-{{account}}{number:05x}</instanceId>"
            f"<imageId>ami-1</imageId><instanceState><code>16</code><name>running</name></instanceState><privateIpAddress>"
            f"10.0.0.1</privateIpAddress><instanceType>t3.micro</instanceType><placement><availabilityZone>{{region}}a"
            f"</availabilityZone></placement><tagSet><item><key>Name</key><value>web-{number}</value></item>{tags}</tagSet>"
            f"<networkInterfaceSet><item><networkInterfaceId>eni-1</networkInterfaceId><privateIpAddressesSet><item>"
            f"<privateIpAddress>10.0.0.1</privateIpAddress></item></privateIpAddressesSet><description>{'d' * 900}"
            f"</description></item></networkInterfaceSet></item></instancesSet></item>"
            for number in range(start, min(start + size, count)))
        rest = f"<nextToken>{start + size}</nextToken>" if start + size < count else ""
        return EMPTY.replace("<reservationSet/>", f"<reservationSet>{items}</reservationSet>{rest}")

    def describe(self, account, region, form):
        filters, number = {}, 1
        while name := form.get(f"Filter.{number}.Name"):
            filters[name] = form.get(f"Filter.{number}.Value.1")
            number += 1
        token = form.get("NextToken")
        if self.rules["broad"] and filters in ({}, {"tag:Name": "*"}):
            return self.page(int(token or 0), int(form["MaxResults"]), self.rules["broad"]).replace(
                "{account}", account).replace("{region}", region)
        for answer in self.rules["answers"]:
            if answer["account"] in (account, "*") and answer["region"] in (region, "*") \
                    and answer["filters"] == filters and answer.get("token") == token:
                return answer["body"].replace("{account}", account).replace("{region}", region)
        return EMPTY

    async def answer(self, headers, body, writer):
        form = dict(parse_qsl(body.decode(), keep_blank_values=True))
        action = form.get("Action")
        try:
            if action == "AssumeRoleWithWebIdentity":
                self.calls.append({"action": action, "form": form})
                if form.get("WebIdentityToken") != "web-token" or "authorization" in headers:
                    raise Refused(400, "InvalidIdentityToken", "wrong token")
                return 200, "text/xml", self.issued(action, "hub").encode()
            session, region, service = self.verify(headers, body)
            account = session["account"] if session else "hub"
            key = headers["authorization"].split("=")[1].split("/")[0]
            self.calls.append({"action": action, "account": account, "region": region, "form": form, "key": key,
                               "host": headers["host"]})
            fault = self.rules["faults"].get(f"{account} {region}", self.rules["faults"].get(region)) \
                if service == "ec2" else self.rules["faults"].get("sts")
            if fault:
                done = await self.fault(fault, (account, region), writer)
                if done is not None:
                    return done
            await asyncio.sleep(self.rules["delay"])
            text = self.assume(form) if action == "AssumeRole" else self.describe(account, region, form)
            return 200, "text/xml;charset=UTF-8", text.encode()
        except Refused as error:
            self.calls.append({"action": action, "refused": error.code})
            inner = f"<Error><Code>{error.code}</Code><Message>{escape(error.message)}</Message></Error>"
            if headers.get("authorization", "").find("/sts/") >= 0:
                text = f"<ErrorResponse>{inner}<RequestId>r</RequestId></ErrorResponse>"
            else:
                text = f"<Response><Errors>{inner}</Errors><RequestID>r</RequestID></Response>"
            return error.status, "text/xml;charset=UTF-8", text.encode()

    async def fault(self, fault, place, writer):
        if fault == "hang":
            await asyncio.sleep(3600)
        if fault == "html":
            return 200, "text/html", b"<!DOCTYPE html><html><head><title>Proxy</title></head><body>Hi</body></html>"
        if fault == "throttle" or fault == "throttle once" and place not in self.throttled:
            self.throttled.add(place)
            return 503, "text/xml", (b"<Response><Errors><Error><Code>RequestLimitExceeded</Code><Message>Request limit "
                                     b"exceeded.</Message></Error></Errors><RequestID>r</RequestID></Response>")
        if fault == "huge":
            item = ("<item><instancesSet><item><instanceId>i-0123456789abcdef0</instanceId><tagSet><item><key>Name"
                    "</key><value>" + "x" * 200 + "</value></item></tagSet></item></instancesSet></item>")
            count = (20 << 20) // len(item)
            return 200, "text/xml", EMPTY.replace(
                "<reservationSet/>", f"<reservationSet>{item * count}</reservationSet>").encode()
        if fault in ("reject", "opt-in"):
            code = "AuthFailure" if fault == "reject" else "OptInRequired"
            return 401, "text/xml", (f"<Response><Errors><Error><Code>{code}</Code><Message>No.</Message></Error></Errors>"
                                     "<RequestID>r</RequestID></Response>").encode()
        if fault == "drop":
            writer.transport.abort()
            return 200, "text/xml", b""
        return None

    def control(self, path, body):
        if path == "/control":
            rules = json.loads(body)
            if rules.pop("revoked", False):
                self.sessions.clear()
            self.rules.update(rules)
            return {}
        calls, self.calls = (self.calls, []) if path == "/log?clear" else (self.calls, self.calls)
        return {"calls": calls, "peak": self.peak, "opened": self.opened, "open": self.open}

    async def serve(self, reader, writer):
        self.open, self.opened = self.open + 1, self.opened + 1
        self.peak = max(self.peak, self.open)
        try:
            while line := await reader.readline():
                method, path, _ = line.decode().split()
                headers = {}
                while (header := await reader.readline()).strip():
                    name, _, value = header.decode().partition(":")
                    headers[name.lower()] = value.strip()
                body = await reader.readexactly(int(headers.get("content-length", 0)))
                if path.startswith("http://"):
                    path = "/" + path.split("/", 3)[3]
                if path.startswith(("/latest/", "/container")):
                    status, text = self.metadata(method, path, headers)
                    kind, data = "text/plain", text.encode()
                elif path != "/":
                    status, kind, data = 200, "application/json", json.dumps(self.control(path, body)).encode()
                else:
                    status, kind, data = await self.answer(headers, body, writer)
                date = email.utils.formatdate(self.now() + self.rules["date"], usegmt=True)
                writer.write(f"HTTP/1.1 {status} X\r\nDate: {date}\r\nContent-Type: {kind}\r\n"
                             f"Content-Length: {len(data)}\r\n\r\n".encode() + data)
                await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError, ssl.SSLError):
            pass
        finally:
            self.open -= 1
            writer.close()


async def main():
    tls = None
    if len(sys.argv) > 2:
        tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        tls.load_cert_chain(sys.argv[1], sys.argv[2])
    server = await asyncio.start_server(Stand().serve, "127.0.0.1", 0, ssl=tls, backlog=1024)
    scheme = "https" if tls else "http"
    print(f"listening on {scheme}://127.0.0.1:{server.sockets[0].getsockname()[1]}", flush=True)
    await server.serve_forever()


asyncio.run(main())
