"""Converts payloads for Slack into replies of Petrel."""
import json
import re
from datetime import datetime, timezone

from catops.helpers import payload_of, plain

MAXIMUM_TEXT = 100_000  # characters of the text of a reply
MAXIMUM_MEMBER = 8_000  # characters of a text in an attachment
MAXIMUM_EXTRA = 300_000  # characters of all attachments
MAXIMUM_ATTACHMENTS = 20
MAXIMUM_FIELDS = 50
TEXTS = ("fallback", "color", "pretext", "author_name", "author_link", "author_icon", "title", "title_link", "text",
         "image_url", "thumb_url", "footer", "footer_icon", "ts")
COLOUR = re.compile(r"[0-9A-Fa-f]{6}")
MENTION = re.compile(r"<(?=[!@#])")


def shortened(text, limit):
    if len(text) <= limit:
        return text
    return f"{text[:limit]}\n… (the first {limit:,} of {len(text):,} characters)"


def reduced(value):
    """Returns the payload for the result of a command, with the members that a reply uses, and bounded; or None."""
    payload = payload_of(str(value) if isinstance(value, bool) else value)
    if payload is None:
        return None
    attachments = as_list(payload.get("attachments"))
    result = {
        "private": payload.get("response_type") != "in_channel",
        "text": shortened(plain(payload.get("text")), MAXIMUM_TEXT),
        "attachments": [attachment(each) for each in attachments[:MAXIMUM_ATTACHMENTS] if isinstance(each, dict)]}
    blocks = payload.get("blocks")
    if isinstance(blocks, list) and len(json.dumps(blocks)) <= MAXIMUM_EXTRA:
        result["blocks"] = blocks
    return result


def as_list(value):
    """Returns a list as it is, one object as a list of it, and nothing for a value of another type."""
    if isinstance(value, dict):
        return [value]
    return list(value) if isinstance(value, (list, tuple)) else []


def attachment(members):
    """Returns an attachment with texts of limited length."""
    result = {name: shortened(plain(members[name]), MAXIMUM_MEMBER) for name in TEXTS if members.get(name) is not None}
    fields = as_list(members.get("fields"))
    result["fields"] = [
        {"title": shortened(plain(field.get("title")), MAXIMUM_MEMBER),
         "value": shortened(plain(field.get("value")), MAXIMUM_MEMBER), "short": bool(field.get("short"))}
        for field in fields[:MAXIMUM_FIELDS] if isinstance(field, dict)]
    if COLOUR.fullmatch(result.get("color", "")):
        result["color"] = "#" + result["color"]
    return {name: value for name, value in result.items() if value not in ("", [])}


def reply(payload, traits, source=""):
    """Returns the reply for a reduced payload, or None if it shows nothing.

    A service with Slack's markup and attachments receives them; others receive one text. If `source`, the texts that
    other people have typed, contains `<`, the payload may repeat it, so that it must not mention anybody.
    """
    if "<" in source:
        payload = json.loads(json.dumps(payload), object_hook=lambda members: {
            name: without_mentions(value) for name, value in members.items()})
    attachments, text = payload["attachments"], payload["text"]
    extra = {name: payload[name] for name in ("attachments", "blocks") if payload.get(name)}
    if extra and traits.get("mrkdwn") and traits.get("attachments") and len(json.dumps(extra)) <= MAXIMUM_EXTRA:
        for each in extra.get("attachments", ()):
            each.setdefault("fallback", shown(each))
    else:
        extra = {}
        if attachments:
            text = shortened("\n\n".join(part for part in (text, *map(shown, attachments)) if part), MAXIMUM_TEXT)
    if not text and not extra:
        return None
    result = {"text": text, "style": "mrkdwn"}
    if payload["private"]:
        result["private"] = True
    if extra:
        result["extra"] = {"slack": extra}
    return result


def text_of(payload):
    """Returns a reduced payload as text."""
    return shortened("\n\n".join(filter(None, (payload["text"], *map(shown, payload["attachments"])))), MAXIMUM_TEXT)


def without_mentions(value):
    if isinstance(value, list):
        return [without_mentions(element) for element in value]
    return MENTION.sub("&lt;", value) if isinstance(value, str) else value


def shown(attachment):
    """Returns an attachment as text."""
    title, link = attachment.get("title"), attachment.get("title_link")
    lines = [attachment.get("pretext"), attachment.get("author_name"), f"<{link}|{title}>" if title and link else title,
             attachment.get("text")]
    for field in attachment.get("fields", ()):
        lines.append(": ".join(part for part in (field["title"], field["value"]) if part))
    lines += [attachment.get("image_url"), attachment.get("footer"), time_of(attachment.get("ts"))]
    return "\n".join(line for line in lines if line) or attachment.get("fallback", "")


def time_of(stamp):
    try:
        return datetime.fromtimestamp(float(stamp), timezone.utc).strftime("%Y-%m-%d %H:%M:%S UTC") if stamp else None
    except (ValueError, OverflowError, OSError):
        return None
