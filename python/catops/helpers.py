"""Builds payloads for Slack, and converts the results of commands into them."""
import json
import logging
from .dispatcher import dispatch, first
from .parser import ArgumentParserError

LOG = logging.getLogger("catops")
COLOURS = {"CRITICAL": "ff0000", "ERROR": "ff9933", "WARNING": "ffcc00", "INFO": "33ccff", "DEBUG": "good"}


def get_slack_colour(level):
    """Returns the colour of a log level, which is a name in any case."""
    return COLOURS.get(str(level).upper(), "good")


def get_text(params):
    """Returns the text of a command from the parsed form of a request; `help` if there is none."""
    text = first(params, "text")
    return str(text) if text else "help"


def plain(text):
    """Returns a text. A list or a tuple, such as one that a stray comma makes, gives a line for each element."""
    if isinstance(text, (list, tuple)):
        return "\n".join(plain(part) for part in text)
    return "" if text is None else str(text)


def create_slack_attachment(fallback=None, color=None, pretext=None, author_name=None, author_link=None,
                            author_icon=None, title=None, title_link=None, text=None, fields=None, image_url=None,
                            thumb_url=None, footer=None, footer_icon=None, ts=None):
    """Returns an attachment with the members that are not None.

    https://docs.slack.dev/legacy/legacy-messaging/legacy-secondary-message-attachments describes them. `fallback` is
    the text for notifications, and `fields` are dicts with `title`, `value` and `short`.
    """
    return {name: value for name, value in locals().items() if value is not None}


def create_slack_payload(response_type="ephemeral", text="", attachments=None):
    """Returns a message, which only the user sees unless `response_type` is `in_channel`."""
    payload = {"statusCode": "200", "headers": {"Content-Type": "application/json"}, "response_type": response_type,
               "text": plain(text)}
    if attachments is not None:
        payload["attachments"] = [attachments] if isinstance(attachments, dict) else list(attachments)
    return payload


def create_slack_error_payload(title, msg, color="WARNING"):
    """Returns a message about an error. The colour is a log level, or a colour of Slack."""
    colour = COLOURS.get(str(color).upper(), color)
    return create_slack_payload(attachments=create_slack_attachment(fallback=msg, title=title, text=msg, color=colour))


def payload_of(value):
    """Returns the message for the result of a command. A bool and None are returned as they are."""
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, dict) and "statusCode" in value:
        return value
    if isinstance(value, (dict, list)):
        value = json.dumps(value, ensure_ascii=False, default=str)
    return create_slack_payload("in_channel", str(value))


def convert_dispatch(params, convert_function=None, plugin_dir="plugins/"):
    """Runs the command of a request and returns the payload for Slack; an error gives one that describes it."""
    text = get_text(params)
    line = "{} {}".format(first(params, "command") or "/catops", text)
    try:
        result = dispatch(text, params, plugin_dir)
        return convert_function(result) if convert_function is not None else payload_of(result)
    except ArgumentParserError as error:
        return create_slack_error_payload("Invalid command: " + line, str(error), "WARNING")
    except (Exception, SystemExit) as error:
        LOG.exception("The command failed: %s", line)
        return create_slack_error_payload("Kitten dispatch team failed with command: " + line, str(error), "ERROR")
