"""Checks that a request came from Slack, and who sent it."""
import base64
import hashlib
import hmac
import json
import time
import urllib.error
import urllib.request
from urllib.parse import parse_qs, urlencode

API_URL = "https://slack.com/api/"
WINDOW = 300  # seconds between the time of a request and now, in both directions
LIMIT = 10  # seconds for an answer of Slack


def bytes_of(event):
    """Returns the body of a request to a Lambda function. API Gateway may have encoded it. Raises ValueError."""
    body = event.get("body") or ""
    if event.get("isBase64Encoded"):
        return base64.b64decode(body, validate=True)
    return body if isinstance(body, bytes) else body.encode("utf-8", "surrogatepass")


def body_of(event):
    """Returns the body of a request as text."""
    return bytes_of(event).decode("utf-8", "replace")


def header(event, name):
    """Returns a header. The case of its name depends on the gateway."""
    for key, value in (event.get("headers") or {}).items():
        if key.lower() == name:
            return value
    return None


def verify_request(event, slack_secret, timeout=True):
    """Verifies the signature of a request, and with `timeout` its time. Returns a bool and a sentence."""
    stamp, signature = header(event, "x-slack-request-timestamp"), header(event, "x-slack-signature")
    if not (slack_secret and isinstance(signature, str) and isinstance(stamp, str) and stamp.isascii()
            and stamp.isdigit() and len(stamp) <= 15):
        return False, "Invalid signature"
    if timeout and abs(time.time() - int(stamp)) > WINDOW:
        return False, "Request timeout"
    try:
        signed = f"v0:{stamp}:".encode() + bytes_of(event)
    except ValueError:
        return False, "Invalid signature"
    expected = "v0=" + hmac.new(slack_secret.encode(), signed, hashlib.sha256).hexdigest()
    if hmac.compare_digest(expected.encode(), signature.encode("utf-8", "replace")):
        return True, "Valid signature"
    return False, "Invalid signature"


def get_user_slack(event, oauth, team_id=None, channel_id=None):
    """Checks that the user of a request exists, is in a team, and is in a channel.

    Returns True and a dict with `id`, `name`, `username`, `team_id`, `channel_id` and `email`, or False and the reason.
    """
    form = {name: values[0] for name, values in parse_qs(body_of(event)).items()}
    try:
        user = find_user(oauth, form)
        if user is None or user.get("deleted"):
            return False, "User not in workspace"
        if team_id and user.get("team_id") != team_id:
            return False, "User not in specified team"
        if channel_id and user["id"] not in pages(oauth, "conversations.members", "members", channel=channel_id):
            return False, "User not in specified channel"
    except SlackError as error:
        return False, f"Slack error: {error}"
    return True, {"id": user["id"], "name": user.get("name"), "username": user.get("name"),
                  "team_id": user.get("team_id"), "channel_id": channel_id or form.get("channel_id"),
                  "email": (user.get("profile") or {}).get("email")}


class SlackError(Exception):
    """An error of Slack's API, or of the connection to it."""


def find_user(oauth, form):
    """Returns the user of a form by the ID, or by the name if the form has no ID."""
    if "user_id" in form:
        try:
            return call(oauth, "users.info", user=form["user_id"])["user"]
        except SlackError as error:
            if str(error) in ("user_not_found", "user_not_visible"):
                return None
            raise
    users = pages(oauth, "users.list", "members")
    return next((user for user in users if "user_name" in form and user.get("name") == form["user_name"]
                 and not user.get("deleted")), None)


def pages(oauth, method, member, **arguments):
    """Returns the elements of all pages of a list, at most a hundred pages."""
    cursor = ""
    for _ in range(100):
        page = call(oauth, method, limit=200, **({"cursor": cursor} if cursor else {}), **arguments)
        yield from page.get(member) or ()
        cursor = (page.get("response_metadata") or {}).get("next_cursor")
        if not cursor:
            return


def call(oauth, method, **arguments):
    """Calls a method of Slack's API and returns its response."""
    request = urllib.request.Request(API_URL + method, urlencode(arguments).encode(), {
        "Authorization": f"Bearer {oauth}", "Content-Type": "application/x-www-form-urlencoded"})
    try:
        with urllib.request.urlopen(request, timeout=LIMIT) as response:
            result = json.loads(response.read(16 << 20))
    except (OSError, ValueError) as error:
        raise SlackError(getattr(error, "reason", None) or type(error).__name__) from error
    if not isinstance(result, dict) or not result.get("ok"):
        raise SlackError(result.get("error") if isinstance(result, dict) else "invalid response")
    return result
