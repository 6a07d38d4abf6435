"""A simulated workspace with Slack's Web API and Socket Mode, verified with Slack's own clients (prove_stand_in.py).

    slack_stand_in.py [CERTIFICATE KEY]
                                 prints "listening on http://127.0.0.1:PORT/" and serves until it is terminated;
                                 with a certificate, prints "secure on PORT" first, and serves TLS there
    slack_stand_in.py --many     for each line of its input, starts a workspace and prints its "listening on …", until
                                 the input ends

POST /control with {"do": ..., ...} simulates users and faults; GET /log returns what the app did, and GET /shown what
people see.
"""
import asyncio, itertools, json, os, re, signal, ssl, sys, time
from aiohttp import WSMsgType, web

BOT, BOT_ID, TEAM, APP = "U0BOT", "B0BOT", "T0TEAM", "A0APP"
SCOPES = "app_mentions:read,channels:history,channels:read,chat:write,commands,files:write,groups:history,mpim:history,im:history,im:write,reactions:write,users:read"


class Workspace:
    def __init__(self):
        self.users = {
            "U1": {"id": "U1", "name": "alice", "profile": {"display_name": "alice", "real_name": "Alice A"}},
            "U2": {"id": "U2", "name": "bob", "profile": {"display_name": "bob", "real_name": "Bob B"}},
            BOT: {"id": BOT, "name": "petrel", "is_bot": True, "profile": {"display_name": "petrel"}},
        }
        self.channels = {i: {"id": i, "name": n, "is_channel": True, "is_member": True}
                         for i, n in [("C1", "ops"), ("C2", "dev"), ("C3", "sec"), ("C4", "web"), ("C5", "db")]}
        # A channel that the bot can see but is not a member of.
        self.channels["C6"] = {"id": "C6", "name": "hall", "is_channel": True, "is_member": False}
        self.direct = {"U1": "D1", "U2": "D2"}
        self.messages, self.log, self.sockets, self.waiting = [], [], [], []
        self.files, self.uses = {}, {}
        # What people see, in order: {"message": …, "replaces": whether it is the new content of an earlier message}.
        self.shown, self.changed = [], asyncio.Event()
        self.released = asyncio.Event()
        # The open modals as the app sent them, and the time when each trigger expires.
        self.views, self.triggers = [], {}
        self.trigger_seconds = 3
        self.tickets, self.numbers = set(), itertools.count(1)
        # The time in seconds after which an event without acknowledgement is sent again.
        self.patience = 3.0
        # Injected responses by method: {"method": {"error": …, "times": …}}, or an HTTP status.
        self.faults = {}
        self.port = 0
        # The address with which the app called last, which may be that of a relay.
        self.host = ""

    def ts(self):
        return f"{int(time.time())}.{next(self.numbers):06d}"

    def show(self, message, replaces=False):
        if not replaces:
            self.messages.append(message)
        self.shown.append({"message": dict(message), "replaces": replaces})
        self.changed.set()
        self.changed = asyncio.Event()

    def trigger(self):
        trigger = f"{next(self.numbers)}.{int(time.time())}.abc"
        self.triggers[trigger] = time.time() + self.trigger_seconds
        return trigger

    def response_url(self, user, channel):
        return f"http://127.0.0.1:{self.port}/response?user={user}&channel={channel}&n={next(self.numbers)}"

    def envelope(self, kind, payload, **more):
        return {"envelope_id": f"e{next(self.numbers)}", "type": kind, "payload": payload,
                "accepts_response_payload": kind != "events_api", **more}

    async def event(self, event, event_id=None):
        payload = {"type": "event_callback", "team_id": TEAM, "api_app_id": APP, "event": event,
                   "event_id": event_id or f"Ev{next(self.numbers)}", "event_time": int(time.time())}
        asyncio.ensure_future(self.deliver("events_api", payload))
        return payload["event_id"]

    async def deliver(self, kind, payload):
        """Sends an envelope to one socket, and without an acknowledgement again, to another socket if there is one."""
        for attempt in range(4):
            more = {"retry_attempt": attempt, "retry_reason": "timeout" if attempt else ""} if kind == "events_api" else {}
            envelope = self.envelope(kind, payload, **more)
            while not (live := [s for s in self.sockets if s.takes]):
                await asyncio.sleep(0.01)
            socket = live[attempt % len(live)]
            acked = asyncio.get_running_loop().create_future()
            socket.acks[envelope["envelope_id"]] = acked
            try:
                await socket.ws.send_str(json.dumps(envelope))
                answer = await asyncio.wait_for(acked, self.patience)
                self.log.append({"ack": kind, "payload": answer})
                return
            except (asyncio.TimeoutError, ConnectionError):
                continue
        self.log.append({"undelivered": payload})


class Socket:
    def __init__(self, ws):
        self.ws, self.acks, self.takes = ws, {}, True


space = Workspace()
routes = web.RouteTableDef()


def ok(**more):
    return web.json_response({"ok": True, **more})


def error(code, **more):
    return web.json_response({"ok": False, "error": code, **more})


@routes.get("/api/{method}")
@routes.post("/api/{method}")
async def api(request):
    method = request.match_info["method"]
    token = request.headers.get("Authorization", "").removeprefix("Bearer ")
    if request.method == "GET":
        arguments = dict(request.query)
    elif request.content_type == "application/json":
        arguments = await request.json()
    else:
        arguments = {**request.query, **await request.post()}
        token = arguments.pop("token", token)
    for key in ("blocks", "attachments", "view", "files"):
        if isinstance(arguments.get(key), str):
            arguments[key] = json.loads(arguments[key])
    space.log.append({"call": method, "arguments": arguments, "time": time.time()})
    fault = space.faults.get(method)
    if fault and fault.get("holds") and fault.get("times", 1) > 0:
        fault["times"] = fault.get("times", 1) - 1
        await space.released.wait()
    elif fault and fault.get("times", 1) > 0 and fault.get("channel", arguments.get("channel")) == arguments.get("channel"):
        fault["times"] = fault.get("times", 1) - 1
        if "url" in fault:
            return ok(url=fault["url"])
        if "status" in fault:
            return web.Response(status=fault["status"], headers=fault.get("headers", {}), text=fault.get("body", ""))
        return error(fault["error"])
    if not token.startswith(("xoxb-", "xapp-")):
        return error("not_authed" if not token else "invalid_auth")
    if token.startswith("xapp-") != method.startswith("apps.connections"):
        return error("not_allowed_token_type")
    space.host = request.host
    handler = METHODS.get(method)
    return handler(arguments) if handler else error("unknown_method")


def auth_test(_):
    response = ok(url="https://example.slack.com/", team="Example", team_id=TEAM, user="petrel", user_id=BOT,
                  bot_id=BOT_ID)
    response.headers["X-OAuth-Scopes"] = SCOPES
    return response


def connections_open(_):
    ticket = f"t{next(space.numbers)}"
    space.tickets.add(ticket)
    return ok(url=f"ws://{space.host}/link?ticket={ticket}")


def place(channel):
    if channel in space.users:
        return space.direct.get(channel)
    return channel if channel in space.channels or channel in space.direct.values() else None


BLOCKS = {"actions", "context", "divider", "header", "image", "rich_text", "section"}


def unfit(arguments):
    """Returns the error code for a thread or a content that Slack rejects, or None."""
    if not re.fullmatch(r"[0-9]+\.[0-9]+", arguments.get("thread_ts") or "1.0"):
        return "invalid_thread_ts"
    blocks = arguments.get("blocks") or []
    texts = [b["text"]["text"] for b in blocks if b.get("type") == "section" and "text" in b]
    if len(blocks) > 50 or any(b.get("type") not in BLOCKS for b in blocks) or any(not 0 < len(t) <= 3000 for t in texts):
        return "invalid_blocks"
    return "msg_too_long" if len(arguments.get("text") or "") > 40_000 else None


def post(arguments):
    channel = place(arguments.get("channel"))
    if not channel:
        return error("channel_not_found")
    if not space.channels.get(channel, {}).get("is_member", True):
        return error("not_in_channel")
    if not arguments.get("text") and not arguments.get("blocks") and not arguments.get("attachments"):
        return error("no_text")
    if problem := unfit(arguments):
        return error(problem)
    message = {"channel": channel, "ts": space.ts(), "user": BOT, "bot_id": BOT_ID, **{
        k: arguments[k] for k in ("text", "mrkdwn", "thread_ts", "blocks", "attachments", "unfurl_links", "unfurl_media")
        if k in arguments}}
    space.show(message)
    return ok(channel=channel, ts=message["ts"], message=message)


def ephemeral(arguments):
    if not place(arguments.get("channel")):
        return error("channel_not_found")
    if not space.channels.get(arguments["channel"], {}).get("is_member", True):
        return error("not_in_channel")
    if problem := unfit(arguments):
        return error(problem)
    if arguments.get("user") not in space.users:
        return error("user_not_in_channel")
    space.show({**arguments, "ephemeral": True, "ts": space.ts()})
    return ok(message_ts=space.messages[-1]["ts"])


def user_info(arguments):
    user = space.users.get(arguments.get("user"))
    return ok(user=user) if user else error("user_not_found")


def channel_info(arguments):
    channel = space.channels.get(arguments.get("channel"))
    return ok(channel=channel) if channel else error("channel_not_found")


def open_direct(arguments):
    channel = space.direct.get(arguments.get("users"))
    return ok(channel={"id": channel}) if channel else error("user_not_found")


def channels(arguments):
    every, start = list(space.channels.values()), int(arguments.get("cursor") or 0)
    page = every[start:start + 2]
    more = str(start + 2) if start + 2 < len(every) else ""
    return ok(channels=page, response_metadata={"next_cursor": more})


def own_channels(arguments):
    """Lists the channels that the bot is a member of."""
    every = [c for c in space.channels.values() if c["is_member"]]
    start = int(arguments.get("cursor") or 0)
    more = str(start + 2) if start + 2 < len(every) else ""
    return ok(channels=every[start:start + 2], response_metadata={"next_cursor": more})


def people(arguments):
    every, start = list(space.users.values()), int(arguments.get("cursor") or 0)
    more = str(start + 2) if start + 2 < len(every) else ""
    return ok(members=every[start:start + 2], response_metadata={"next_cursor": more})


def upload_url(arguments):
    id = f"F{next(space.numbers)}"
    space.files[id] = {"id": id, "name": arguments["filename"], "length": int(arguments["length"]), "bytes": b""}
    return ok(upload_url=f"http://{space.host}/upload/{id}", file_id=id)


def complete_upload(arguments):
    files = arguments["files"]
    if problem := unfit(arguments):
        return error(problem)
    if not place(arguments.get("channel_id")) or arguments["channel_id"] in space.users:
        return error("channel_not_found")
    for file in files:
        known = space.files.get(file["id"])
        if not known or len(known["bytes"]) != known["length"]:
            return error("file_not_found")
        space.show({"channel": arguments["channel_id"], "file": known["name"], "content":
                    known["bytes"].decode(), "thread_ts": arguments.get("thread_ts"), "ts": space.ts()})
    return ok(files=files)


@routes.post("/upload/{id}")
async def upload(request):
    space.files[request.match_info["id"]]["bytes"] = await request.read()
    return web.Response(text="OK")


def update(arguments):
    for message in space.messages:
        if (message.get("channel"), message["ts"]) == (arguments.get("channel"), arguments.get("ts")):
            message.update({k: arguments[k] for k in ("text", "blocks", "attachments") if k in arguments})
            space.show(message, replaces=True)
            return ok(channel=message["channel"], ts=message["ts"])
    return error("message_not_found")


KINDS = {"plain_text_input", "number_input", "static_select"}


def view_open(arguments):
    if space.triggers.pop(arguments.get("trigger_id"), 0) < time.time():
        return error("expired_trigger_id")
    view = arguments.get("view") or {}
    names = [b.get("block_id") for b in view.get("blocks", []) if b["type"] == "input"]
    sound = (view.get("type") == "modal" and 0 < len(view.get("title", {}).get("text", "")) <= 24
             and 0 < len(names) <= 100 and len(set(names)) == len(names)
             and all(b["type"] != "input" or b["element"]["type"] in KINDS and b["label"]["type"] == "plain_text"
                     for b in view["blocks"])
             and all(0 < len(b["element"].get("options", [1])) <= 100 for b in view["blocks"] if b["type"] == "input")
             and len(view.get("private_metadata", "")) <= 3000)
    if not sound:
        return error("invalid_arguments")
    view = {**view, "id": f"V{next(space.numbers)}"}
    space.views.append(view)
    return ok(view=view)


def state(view, values):
    """Returns the values of a form as Slack sends them, and raises ValueError where the Slack client would."""
    state = {}
    for block in filter(lambda b: b["type"] == "input", view["blocks"]):
        element, name = block["element"], block["block_id"]
        value = values.get(name)
        answer = {"type": element["type"]}
        if element["type"] == "static_select":
            chosen = [o for o in element["options"] if o["value"] == value] if value else [element.get("initial_option")]
            answer["selected_option"] = chosen[0]
        else:
            answer["value"] = value if value is not None else element.get("initial_value")
        if not block.get("optional") and not (answer.get("value") or answer.get("selected_option")):
            raise ValueError(f"{name} is required")
        state[name] = {element["action_id"]: answer}
    return state


def person(user):
    return {"id": user, "username": space.users[user]["name"], "team_id": TEAM}


def press(order):
    """Returns the payload of a press on the button with this label on the last message that has one."""
    for message in reversed(space.messages):
        for block in message.get("blocks") or []:
            for element in block.get("elements", []) if block["type"] == "actions" else []:
                if element["text"]["text"] == order["label"]:
                    channel = message["channel"]
                    return {
                        "type": "block_actions", "user": person(order["user"]), "team": {"id": TEAM},
                        "trigger_id": space.trigger(), "channel": {"id": channel},
                        "container": {"type": "message", "message_ts": message["ts"], "channel_id": channel},
                        "message": message, "response_url": space.response_url(order["user"], channel),
                        "actions": [{**element, "action_ts": space.ts(), "block_id": "b"}]}
    raise ValueError(f"no button {order['label']}")


def submit(order):
    """Returns the payload of submitting the form that was opened last."""
    view = space.views.pop()
    return {"type": "view_submission", "user": person(order["user"]), "team": {"id": TEAM},
            "trigger_id": space.trigger(),
            "view": {**view, "state": {"values": state(view, order.get("values", {}))}}, "response_urls": []}


def slash(order):
    return {"command": order["command"], "text": order.get("text", ""), "user_id": order["user"],
            "user_name": "mallory", "channel_id": order["channel"], "channel_name": "privategroup",
            "trigger_id": space.trigger(), "response_url": space.response_url(order["user"], order["channel"])}


METHODS = {
    "chat.update": update, "views.open": view_open,
    "files.getUploadURLExternal": upload_url, "files.completeUploadExternal": complete_upload,
    "auth.test": auth_test, "apps.connections.open": connections_open, "chat.postMessage": post,
    "chat.postEphemeral": ephemeral, "users.info": user_info, "conversations.info": channel_info,
    "conversations.open": open_direct, "conversations.list": channels, "users.conversations": own_channels, "users.list": people,
    "reactions.add": lambda arguments: ok(),
}


@routes.post("/response")
async def respond(request):
    """Accepts five answers per response_url, like Slack."""
    name = request.query.get("n")
    space.uses[name] = space.uses.get(name, 0) + 1
    if name and space.uses[name] > 5:
        return web.json_response({"ok": False, "error": "used_url"}, status=404)
    if problem := unfit(await request.json()):
        return web.Response(status=400, text=problem)
    space.show({**await request.json(), "response": True, "channel": request.query.get("channel"),
                "user": request.query.get("user"), "ts": space.ts()})
    return web.Response(text="ok")


@routes.get("/link")
async def link(request):
    ticket = request.query.get("ticket")
    if ticket not in space.tickets:
        return web.Response(status=403)
    space.tickets.discard(ticket)
    fault = space.faults.get("link", {})
    step = fault.get("error") if fault.get("times", 0) > 0 else None
    if step:
        fault["times"] -= 1
    if step == "before the handshake":
        request.transport.abort()
        return web.Response(status=500)
    ws = web.WebSocketResponse()
    await ws.prepare(request)
    socket = Socket(ws)
    if step == "after the handshake":
        request.transport.abort()
        return ws
    await ws.send_str(json.dumps({
        "type": "hello", "num_connections": len(space.sockets) + 1, "connection_info": {"app_id": APP},
        "debug_info": {"host": "stand-in", "approximate_connection_time": 18060}}))
    if step == "after the hello":
        request.transport.abort()
        return ws
    space.sockets.append(socket)
    try:
        async for message in ws:
            if message.type != WSMsgType.TEXT:
                continue
            answer = json.loads(message.data)
            future = socket.acks.pop(answer.get("envelope_id"), None)
            if future and not future.done():
                future.set_result(answer.get("payload"))
    finally:
        space.sockets.remove(socket)
        space.log.append({"left": ticket})
    return ws


async def say(order):
    """Sends a message of a user to a channel or to the bot."""
    direct = order.get("channel") is None
    channel = space.direct[order["user"]] if direct else order["channel"]
    event = {"type": "message", "user": order["user"], "text": order["text"], "channel": channel,
             "channel_type": "im" if direct else "channel", "ts": order.get("ts") or space.ts(), "team": TEAM}
    if order.get("thread_ts"):
        event["thread_ts"] = order["thread_ts"]
    event.update(order.get("more", {}))
    id = await space.event(event, order.get("event_id"))
    if f"<@{BOT}>" in order["text"] and not direct:
        await space.event({**event, "type": "app_mention"})
    return {"ts": event["ts"], "event_id": id}


async def control(order):
    match order["do"]:
        case "say":
            return await say(order)
        case "disconnect":
            for socket in list(space.sockets):
                socket.takes = order.get("takes", False)
                await socket.ws.send_str(json.dumps({"type": "disconnect", "reason": order["reason"]}))
                if order.get("close"):
                    await socket.ws.close()
        case "cut":
            for socket in list(space.sockets)[:order.get("sockets", 100)]:
                socket.ws._req.transport.abort()
        case "exit":
            os._exit(0)
        case "release":
            space.released.set()
        case "close":
            space.views.pop()
        case "triggers":
            space.trigger_seconds = order["seconds"]
        case "patience":
            space.patience = order["milliseconds"] / 1000
        case "raw":
            for socket in list(space.sockets):
                await socket.ws.send_str(order["text"])
        case "fault":
            space.faults[order["method"]] = order["fault"]
        case "press":
            asyncio.ensure_future(space.deliver("interactive", press(order)))
        case "submit":
            asyncio.ensure_future(space.deliver("interactive", submit(order)))
        case "shortcut":
            asyncio.ensure_future(space.deliver("interactive", {
                "type": "shortcut", "callback_id": order["callback_id"], "user": person(order["user"]),
                "trigger_id": space.trigger(), "action_ts": space.ts()}))
        case "slash":
            asyncio.ensure_future(space.deliver("slash_commands", slash(order)))
        case "deliver":
            asyncio.ensure_future(space.deliver(order["type"], order["payload"]))
    return {}


@routes.post("/control")
async def take_control(request):
    try:
        return web.json_response(await control(await request.json()))
    except ValueError as problem:
        return web.json_response({"problem": str(problem)}, status=400)


@routes.get("/log")
async def tell(request):
    """Returns messages and the log when all conditions of the query hold: texts and the numbers of messages, calls,
    acknowledgements, views and sockets."""
    text = request.query.get("text")
    ending, channel = request.query.get("ending"), request.query.get("channel")
    while (text and not any(m.get("text") == text for m in space.messages)
           or ending and not any(m.get("channel") == channel and (m.get("text") or "").endswith(ending)
                                 for m in space.messages)
           or len([e for e in space.log if e.get("call") == request.query.get("method")])
                   < int(request.query.get("times", 0))
           or len([m for m in space.messages if request.query.get("part", "") in (m.get("text") or "")])
                   < int(request.query.get("parts", 0))
           or len(space.messages) < int(request.query.get("messages", 0))
           or len([e for e in space.log if "ack" in e]) < int(request.query.get("acks", 0))
           or len(space.views) < int(request.query.get("views", 0))
           or len([s for s in space.sockets if s.takes]) < int(request.query.get("sockets", 0))
           or len(space.sockets) > int(request.query.get("most_sockets", 1_000))):
        await asyncio.sleep(0.005)
    return web.json_response({
        "messages": space.messages, "log": space.log, "views": space.views, "sockets": len([s for s in space.sockets if s.takes])})


@routes.get("/shown")
async def shown(request):
    """Returns what people saw after the first `after` events, and waits up to `seconds` for it."""
    after, end = int(request.query["after"]), time.monotonic() + float(request.query["seconds"])
    while len(space.shown) <= after and (rest := end - time.monotonic()) > 0:
        try:
            await asyncio.wait_for(space.changed.wait(), rest)
        except asyncio.TimeoutError:
            break
    return web.json_response(space.shown[after:])


async def main(is_over=None):
    if is_over is not None:
        asyncio.get_running_loop().add_reader(is_over, os._exit, 0)
    app = web.Application(client_max_size=32 << 20)
    app.add_routes(routes)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    space.port = site._server.sockets[0].getsockname()[1]
    if len(sys.argv) > 2:
        tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        tls.load_cert_chain(sys.argv[1], sys.argv[2])
        secure = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls)
        await secure.start()
        print(f"secure on {secure._server.sockets[0].getsockname()[1]}", flush=True)
    # In one write, because several workspaces write to the same pipe.
    sys.stdout.write(f"listening on http://127.0.0.1:{space.port}/\n")
    sys.stdout.flush()
    await asyncio.Event().wait()


def fork_for_each_line():
    # The workspaces exit when this process has: the end of the pipe is only here.
    is_over, end = os.pipe()
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    for _ in sys.stdin:
        if os.fork() == 0:
            os.close(end)
            sys.argv[1:] = []
            asyncio.run(main(is_over))


if __name__ == "__main__":
    try:
        if "--many" in sys.argv:
            fork_for_each_line()
        else:
            asyncio.run(main())
    except KeyboardInterrupt:
        sys.exit(0)
