"""The functions that plug-ins and handlers for CatOps import, in Python 3.9 or later without other packages.

The names, parameters and results are those that CatOps documents. docs/CatOps.md describes how Petrel runs a folder of
plug-ins, and what differs from CatOps.
"""
from .auth import get_user_slack, verify_request
from .dispatcher import Dispatcher, dispatch
from .helpers import (convert_dispatch, create_slack_attachment, create_slack_error_payload, create_slack_payload,
                      get_slack_colour, get_text)
from .install import install
from .parser import ArgumentParserError, CatParser
from .slack_handler import SlackHandler

__all__ = ["ArgumentParserError", "CatParser", "Dispatcher", "SlackHandler", "convert_dispatch",
           "create_slack_attachment", "create_slack_error_payload", "create_slack_payload", "dispatch",
           "get_slack_colour", "get_text", "get_user_slack", "install", "verify_request"]
