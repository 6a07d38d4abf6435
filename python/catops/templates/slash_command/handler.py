"""Answers a slash command of Slack with the functions in plugins/."""
import json
import os
import urllib.request
from urllib.parse import parse_qs

import boto3
from catops import convert_dispatch, verify_request
from catops.auth import body_of


def respond(event, context):
    """Checks the request and acknowledges it at once, because Slack waits for three seconds. `main` does the work."""
    is_valid, reason = verify_request(event, os.environ["SLACK_SIGNING_SECRET"])
    if not is_valid:
        return {"statusCode": 401, "body": reason}
    boto3.client("lambda").invoke(FunctionName=os.environ["DISPATCHER"], InvocationType="Event",
                                  Payload=json.dumps({"body": body_of(event)}).encode())
    return {"statusCode": 200, "body": ""}


def main(event, context):
    """Runs the command and posts its result."""
    params = parse_qs(event["body"])
    payload = convert_dispatch(params)
    if isinstance(payload, dict):
        request = urllib.request.Request(params["response_url"][0], json.dumps(payload, default=str).encode(),
                                         {"Content-Type": "application/json"})
        urllib.request.urlopen(request, timeout=10).close()
