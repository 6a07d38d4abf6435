"""A person with an independent XMPP client: slixmpp.

    person.py JID PASSWORD PORT CA [ROOM NICK]

Reads orders as JSON lines: {"do": "say", "to": …, "kind": "chat"|"groupchat", "text": …, "more": XML} and
{"do": "kick"|"destroy"|"leave"|"join"|"subscribe"|"ask", …}. Writes events as JSON lines. Exits at the end of input.
"""
import asyncio, json, logging, sys
from xml.etree import ElementTree
import slixmpp

logging.basicConfig(level=logging.ERROR)


def tell(**what):
    print(json.dumps(what), flush=True)


class Person(slixmpp.ClientXMPP):
    def __init__(self, jid, password, ca, room=None, nick=None):
        super().__init__(jid, password)
        self.ca_certs = ca
        self.room, self.nick = room, nick
        # Stream management is disabled: its writes to a killed server would discard data that is not read yet.
        for plugin in ("xep_0004", "xep_0045", "xep_0030", "xep_0092", "xep_0199", "xep_0184", "xep_0359"):
            self.register_plugin(plugin)
        self["xep_0184"].auto_request = False
        self.add_event_handler("session_start", self.begin)
        self.add_event_handler("message", self.heard)
        self.add_event_handler("presence_unsubscribed", lambda p: tell(unsubscribed=str(p["from"])))
        self.add_event_handler("presence_subscribed", lambda p: tell(subscribed=str(p["from"])))
        self.add_event_handler("receipt_received", lambda m: tell(receipt=m["receipt"]))
        self.add_event_handler("failed_all_auth", lambda _: tell(failed=True))

    async def begin(self, _):
        try:
            await self.enter()
        except Exception as problem:
            tell(problem=f"{type(problem).__name__}: {problem}")
        else:
            tell(ready=str(self.boundjid))

    async def enter(self):
        # Without a roster request the server sends no subscription stanzas.
        await self.get_roster()
        self.send_presence()
        if self.room:
            muc = self["xep_0045"]
            self.add_event_handler(f"muc::{self.room}::got_online", self.saw)
            joined = await self.join(muc)
            if 201 in joined[0]["muc"]["status_codes"]:
                await muc.set_room_config(self.room, await muc.get_room_config(self.room))

    async def join(self, muc):
        """slixmpp waits forever if a room's error omits the <x/> of the request, as prosody's does."""
        while True:
            refusal = asyncio.get_running_loop().create_future()

            def note(presence):
                if presence["from"].bare == self.room and not refusal.done():
                    refusal.set_result(presence["error"]["condition"])

            self.add_event_handler("presence_error", note)
            joining = asyncio.ensure_future(muc.join_muc_wait(self.room, self.nick, timeout=120, maxstanzas=0))
            await asyncio.wait({joining, refusal}, return_when=asyncio.FIRST_COMPLETED)
            self.del_event_handler("presence_error", note)
            if not refusal.done():
                return joining.result()
            joining.cancel()
            # The owner has not unlocked the room yet (XEP-0045, section 10.1.2).
            if refusal.result() != "item-not-found":
                raise RuntimeError(f"the room says {refusal.result()}")
            await asyncio.sleep(0.1)

    async def config(self, changes):
        form = await self["xep_0045"].get_room_config(self.room)
        form["type"] = "submit"
        fields = form.get_fields()
        # Servers support different fields.
        for name in changes.keys() & fields.keys():
            fields[name]["value"] = changes[name]
        return form

    def saw(self, presence):
        tell(joined=presence["from"].resource)

    def heard(self, message):
        if message["type"] in ("chat", "groupchat", "normal") and message["body"]:
            tell(**{"from": str(message["from"]), "kind": message["type"], "text": message["body"],
                    "thread": message["thread"] or None, "id": message["id"], "xml": str(message)})
        elif message["type"] == "error":
            tell(error=str(message["error"]["condition"]), **{"from": str(message["from"])})

    async def obey(self, order):
        match order["do"]:
            case "say":
                message = self.make_message(mto=order["to"], mbody=order["text"], mtype=order["kind"])
                if order.get("thread"):
                    message["thread"] = order["thread"]
                for more in order.get("more", []):
                    message.xml.append(ElementTree.fromstring(more))
                if order.get("id"):
                    message["id"] = order["id"]
                message.send()
            case "kick":
                await self["xep_0045"].set_role(self.room, order["nick"], "none", reason="enough")
            case "ban":
                await self["xep_0045"].set_affiliation(self.room, "outcast", jid=order["jid"])
            case "password":
                await self["xep_0045"].set_room_config(self.room, await self.config({
                    "muc#roomconfig_passwordprotectedroom": True, "muc#roomconfig_roomsecret": order["password"]}))
                tell(configured=True)
            case "hide":
                await self["xep_0045"].set_room_config(self.room, await self.config({
                    "muc#roomconfig_whois": "moderators"}))
                tell(configured=True)
            case "configure":
                await self["xep_0045"].set_room_config(self.room, await self.config(order["fields"]))
                tell(configured=True)
            case "destroy":
                await self["xep_0045"].destroy(self.room, reason="done")
            case "subscribe":
                self.send_presence_subscription(pto=order["to"])
            case "ask":
                iq = self.make_iq(id=order.get("id", "q1"), ito=order["to"], itype=order.get("type", "get"))
                iq.xml.append(ElementTree.fromstring(order["content"]))
                try:
                    tell(answer=str(await iq.send(timeout=120)))
                except slixmpp.exceptions.IqError as problem:
                    tell(refused=problem.condition)


async def main():
    jid, password, port, ca = sys.argv[1:5]
    person = Person(jid, password, ca, *sys.argv[5:7])
    person.connect("127.0.0.1", int(port))
    reader = asyncio.StreamReader(limit=1 << 22)
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    while line := await reader.readline():
        try:
            await person.obey(json.loads(line))
        except Exception as problem:
            tell(problem=f"{type(problem).__name__}: {problem}")
    # The server may be down.
    await asyncio.wait([asyncio.ensure_future(person.disconnect())], timeout=2)


asyncio.run(main())
