"""Many people with an independent XMPP client, slixmpp, in one process.

    crowd.py PORT CA

Reads orders as JSON lines, each with the account "who": {"do": "enter", "rooms": [JID, …]}, {"do": "say", "to": …,
"kind": "chat"|"groupchat", "text": …, "id": …, "thread": …}, {"do": "refuse", "account": …, "type": …, "condition": …}
and {"do": "leave"}. Writes events as JSON lines, with the account as well. Exits at the end of input.
"""
import asyncio, json, logging, re, ssl, sys
from xml.etree import ElementTree
import slixmpp

logging.basicConfig(level=logging.CRITICAL)
DOMAIN, TESTS, IDS = "localhost", "urn:petrel:tests", "urn:xmpp:sid:0"
# The characters that XML cannot contain. A client removes them from what is typed.
ILLEGAL = re.compile("[^\t\n\r\u0020-\uD7FF\uE000-\uFFFD\U00010000-\U0010FFFF]")

TASKS = set()


class Person(slixmpp.ClientXMPP):
    def __init__(self, name, rooms, context):
        # The server hashes passwords; with SCRAM, the client would, slowly.
        super().__init__(f"{name}@{DOMAIN}", "secret", plugin_config={"feature_mechanisms": {"use_mech": "PLAIN"}},
                         ssl_context=context)
        self.name, self.rooms = name, rooms
        for plugin in ("xep_0004", "xep_0045", "xep_0030", "xep_0199"):
            self.register_plugin(plugin)
        self.add_event_handler("session_start", lambda _: self.attempt(self.enter()))
        self.add_event_handler("message", self.heard)
        self.add_event_handler("failed_all_auth", lambda _: self.tell(problem="wrong password"))

    def tell(self, **what):
        print(json.dumps({"who": self.name, **what}), flush=True)

    def attempt(self, work):
        async def run():
            try:
                await work
            except Exception as problem:
                self.tell(problem=f"{type(problem).__name__}: {problem}")
        # The event loop does not keep the tasks alive.
        task = asyncio.ensure_future(run())
        TASKS.add(task)
        task.add_done_callback(TASKS.discard)

    async def enter(self):
        self.send_presence()
        muc = self["xep_0045"]
        for room in self.rooms:
            joined = await muc.join_muc_wait(room, self.name, timeout=240, maxstanzas=0)
            if 201 in joined[0]["muc"]["status_codes"]:
                await muc.set_room_config(room, await muc.get_room_config(room))
        self.tell(ready=True)

    def heard(self, message):
        if message["from"] == DOMAIN:
            return self.tell(refusing=True)
        if message["type"] == "error" or not message["body"]:
            return
        file = message.xml.find("{jabber:x:oob}x/{jabber:x:oob}url")
        self.tell(**{"from": str(message["from"]), "kind": message["type"], "text": message["body"],
                     "thread": message["thread"] or None, "file": None if file is None else file.text})

    def obey(self, order):
        match order["do"]:
            case "say":
                message = self.make_message(order["to"], ILLEGAL.sub("", order["text"]), mtype=order["kind"])
                message["id"] = order["id"]
                if order.get("thread"):
                    message["thread"] = order["thread"]
                message.xml.append(ElementTree.Element(f"{{{IDS}}}origin-id", {"id": order["id"]}))
                message.send()
            case "refuse":
                message = self.make_message(DOMAIN)
                more = {key: order[key] for key in ("account", "type", "condition")}
                message.xml.append(ElementTree.Element(f"{{{TESTS}}}refuse", more))
                message.send()


async def main():
    port, people = int(sys.argv[1]), {}
    # One for all: by default, every client would load the authorities of the system.
    context = ssl.create_default_context(cafile=sys.argv[2])
    reader = asyncio.StreamReader(limit=1 << 22)
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    while line := await reader.readline():
        order = json.loads(line)
        who = order["who"]
        match order["do"]:
            case "enter":
                people[who] = Person(who, order["rooms"], context)
                people[who].connect("127.0.0.1", port)
            case "leave":
                person = people.pop(who)
                person.attempt(person.disconnect())
            case _:
                people[who].obey(order)


asyncio.run(main())
