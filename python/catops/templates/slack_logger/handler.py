"""Shows the records of catops.SlackHandler in channels of Slack."""
import hmac
import json
import os
import urllib.request

from catops import create_slack_attachment, get_slack_colour
from catops.auth import body_of, header


def log(event, context):
    """Posts a record to each of its channels."""
    given = header(event, "authorization") or ""
    if not hmac.compare_digest(given.encode(), ("Bearer " + os.environ["LOG_SECRET"]).encode()):
        return {"statusCode": 401, "body": "The secret is wrong."}
    try:
        record = json.loads(body_of(event))
        channels = [str(channel) for channel in record["channels"]][:10]
    except (ValueError, TypeError, KeyError, AttributeError):
        return {"statusCode": 400, "body": 'The body must be {"channels", "time", "level", "message"}.'}
    level, message = str(record.get("level", "INFO")), str(record.get("message", ""))[:3000]
    attachment = create_slack_attachment(
        fallback=message, color=get_slack_colour(level), author_name="CatOpsLogHandler",
        fields=[{"title": "Message", "value": message},
                {"title": "Level", "value": level, "short": True},
                {"title": "Time", "value": str(record.get("time", "")), "short": True}])
    for channel in channels:
        post({"channel": channel, "attachments": [attachment]})
    return {"statusCode": 200, "body": ""}


def post(message):
    request = urllib.request.Request(
        os.environ.get("SLACK_API_URL", "https://slack.com/api/") + "chat.postMessage", json.dumps(message).encode(), {
            "Content-Type": "application/json; charset=utf-8",
            "Authorization": "Bearer " + os.environ["SLACK_BOT_TOKEN"]})
    with urllib.request.urlopen(request, timeout=10) as response:
        result = json.load(response)
    if not result.get("ok"):
        raise RuntimeError("Slack has refused the message: {}".format(result.get("error")))
