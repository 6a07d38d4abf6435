"""Runs Slack's own clients against the stand-in, to verify that it behaves like Slack.

    prove_stand_in.py http://127.0.0.1:PORT/        prints one line per check, exits with 1 if one fails
"""
import asyncio, json, sys, urllib.request
from slack_bolt.async_app import AsyncApp
from slack_bolt.adapter.socket_mode.aiohttp import AsyncSocketModeHandler
from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient

base = sys.argv[1]
results = []


def order(**what):
    request = urllib.request.Request(base + "control", json.dumps(what).encode(), {"Content-Type": "application/json"})
    with urllib.request.urlopen(request) as answer:
        return json.load(answer)


def log():
    with urllib.request.urlopen(base + "log") as answer:
        return json.load(answer)


async def until(check, seconds=5):
    for _ in range(int(seconds * 100)):
        if check():
            return True
        await asyncio.sleep(0.01)
    return False


def note(name, passed):
    results.append(passed)
    print(f"{'ok  ' if passed else 'FAIL'} {name}", flush=True)


async def main():
    client = AsyncWebClient("xoxb-1", base_url=base + "api/")
    note("slack_sdk: auth.test", (await client.auth_test())["user_id"] == "U0BOT")
    try:
        await client.chat_postMessage(channel="C0", text="x")
        note("slack_sdk: an unknown channel is an error", False)
    except SlackApiError as error:
        note("slack_sdk: an unknown channel is an error", error.response["error"] == "channel_not_found")
    posted = await client.chat_postMessage(channel="C1", text="hello", thread_ts="1.1")
    note("slack_sdk: chat.postMessage in a thread", posted["message"]["thread_ts"] == "1.1")
    note("slack_sdk: users.info", (await client.users_info(user="U1"))["user"]["name"] == "alice")
    names = [channel["name"] async for page in await client.conversations_list() for channel in page["channels"]]
    note("slack_sdk: conversations.list with pagination", names == ["ops", "dev", "sec", "web", "db", "hall"])

    people = [user["name"] async for page in await client.users_list() for user in page["members"]]
    note("slack_sdk: users.list with pagination", people == ["alice", "bob", "petrel"])

    await client.files_upload_v2(channel="C1", content="a\nb\n", filename="out.txt")
    note("slack_sdk: an external file upload",
         any(m.get("file") == "out.txt" and m["content"] == "a\nb\n" for m in log()["messages"]))

    heard = []
    app = AsyncApp(token="xoxb-1", client=client)

    @app.event("message")
    async def message(event, say):
        heard.append(event["text"])
        await say(f"heard {event['text']}", thread_ts=event["ts"])

    @app.event("app_mention")
    async def mention(event):
        heard.append("mention " + event["text"])

    @app.command("/st2")
    async def command(ack, body):
        await ack(f"running {body['text']}")

    @app.action("approve")
    async def approve(ack, body, client, respond):
        await ack()
        heard.append("pressed " + body["actions"][0]["value"])
        await respond("seen by you only", replace_original=False)
        await client.views_open(trigger_id=body["trigger_id"], view={
            "type": "modal", "callback_id": "why", "private_metadata": "kept", "title": {"type": "plain_text",
            "text": "Why?"}, "submit": {"type": "plain_text", "text": "Send"}, "blocks": [
                {"type": "input", "block_id": "reason", "label": {"type": "plain_text", "text": "Reason"},
                 "element": {"type": "plain_text_input", "action_id": "value"}}]})

    @app.view("why")
    async def why(ack, body, view):
        await ack()
        heard.append(f"{view['private_metadata']} {view['state']['values']['reason']['value']['value']}")

    @app.shortcut("petrel_form")
    async def shortcut(ack, body):
        await ack()
        heard.append("shortcut of " + body["user"]["id"])

    handler = AsyncSocketModeHandler(app, "xapp-1", web_client=client)
    await handler.connect_async()
    note("slack_bolt: Socket Mode, hello", await until(lambda: log()["sockets"] == 1))
    order(do="say", user="U1", channel="C1", text="one")
    note("slack_bolt: an event is acknowledged and answered in its thread",
         await until(lambda: any(m.get("text") == "heard one" for m in log()["messages"])))
    order(do="say", user="U1", channel="C1", text="<@U0BOT> two")
    note("slack_bolt: a mention", await until(lambda: "mention <@U0BOT> two" in heard))
    order(do="deliver", type="slash_commands", payload={"command": "/st2", "text": "pack list", "user_id": "U1",
          "channel_id": "C1", "team_id": "T0TEAM", "response_url": base + "response", "trigger_id": "1"})
    note("slack_bolt: a slash command is answered in its acknowledgement", await until(
        lambda: any("running pack list" in json.dumps(e.get("payload")) for e in log()["log"] if e.get("ack"))))
    await client.chat_postMessage(channel="C1", text="x", blocks=[{"type": "actions", "elements": [
        {"type": "button", "action_id": "approve", "value": "v1", "text": {"type": "plain_text", "text": "Approve"}}]}])
    order(do="press", user="U2", label="Approve")
    note("slack_bolt: a button", await until(lambda: "pressed v1" in heard))
    note("slack_bolt: an answer at the response_url", await until(lambda: any(
        m.get("text") == "seen by you only" and m.get("response") for m in log()["messages"])))
    note("slack_bolt: a modal is opened", await until(lambda: len(log()["views"]) == 1))
    order(do="submit", user="U2", values={"reason": "because"})
    note("slack_bolt: a modal is submitted", await until(lambda: "kept because" in heard))
    order(do="shortcut", user="U1", callback_id="petrel_form")
    note("slack_bolt: a shortcut", await until(lambda: "shortcut of U1" in heard))
    try:
        await client.views_open(trigger_id="1.2.stale", view={"type": "modal"})
        note("slack_sdk: a trigger opens one modal only", False)
    except SlackApiError as error:
        note("slack_sdk: a trigger opens one modal only", error.response["error"] == "expired_trigger_id")
    updated = await client.chat_update(channel="C1", ts=posted["ts"], text="changed")
    note("slack_sdk: chat.update", any(
        m["ts"] == updated["ts"] and m.get("text") == "changed" for m in log()["messages"]))
    order(do="disconnect", reason="refresh_requested", close=True)
    note("slack_bolt: a new socket after a refresh", await until(lambda: log()["sockets"] == 1, 15))
    order(do="say", user="U2", channel="C2", text="three")
    note("slack_bolt: an event on the new socket", await until(lambda: "three" in heard))
    await handler.close_async()


asyncio.run(main())
sys.exit(0 if all(results) else 1)
