"""Answers mentions of the bot in Slack with the functions in plugins/."""
import json
import os
import urllib.request

import boto3
from catops import convert_dispatch, verify_request
from catops.auth import body_of


def respond(event, context):
    """Checks an event and acknowledges it at once, because Slack waits for three seconds. `main` does the work."""
    is_valid, reason = verify_request(event, os.environ["SLACK_SIGNING_SECRET"])
    if not is_valid:
        return {"statusCode": 401, "body": reason}
    body = json.loads(body_of(event))
    if body.get("type") == "url_verification":
        return {"statusCode": 200, "headers": {"Content-Type": "text/plain"}, "body": body["challenge"]}
    headers = {name.lower() for name in event.get("headers") or {}}
    # Slack sends an event again if the acknowledgement was late; the command is already running then.
    if body.get("event", {}).get("type") == "app_mention" and "x-slack-retry-num" not in headers:
        boto3.client("lambda").invoke(FunctionName=os.environ["DISPATCHER"], InvocationType="Event",
                                      Payload=json.dumps(body["event"]).encode())
    return {"statusCode": 200, "body": ""}


def main(event, context):
    """Runs the command after the mention and posts its result."""
    text = event["text"].partition(">")[2].strip()
    payload = convert_dispatch({"text": [text], "user_id": [event["user"]], "user_name": [event["user"]],
                                "channel_id": [event["channel"]], "command": ["@bot"]})
    if isinstance(payload, dict):
        message = {name: payload[name] for name in ("text", "attachments", "blocks") if name in payload}
        message.update(channel=event["channel"], thread_ts=event.get("thread_ts"))
        if payload.get("response_type") == "in_channel":
            call("chat.postMessage", message)
        else:
            call("chat.postEphemeral", {**message, "user": event["user"]})


def call(method, message):
    request = urllib.request.Request(
        os.environ.get("SLACK_API_URL", "https://slack.com/api/") + method, json.dumps(message, default=str).encode(), {
            "Content-Type": "application/json; charset=utf-8",
            "Authorization": "Bearer " + os.environ["SLACK_BOT_TOKEN"]})
    with urllib.request.urlopen(request, timeout=10) as response:
        result = json.load(response)
    if not result.get("ok"):
        raise RuntimeError("Slack has refused the message: {}".format(result.get("error")))
