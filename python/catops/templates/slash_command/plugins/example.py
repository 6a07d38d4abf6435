"""Commands to start from: each public function with the parameters (argv, params) is one."""
from catops import ArgumentParserError, CatParser, create_slack_attachment, create_slack_payload


def ping(argv, params):
    """Check that the bot works."""
    return create_slack_payload(text="@{} Meow!".format(params.get("user_name", ["CatOps"])[0]))


def deploy(argv, params):
    """Deploy a version of a service: deploy SERVICE --version VERSION"""
    parser = CatParser(prog="deploy", add_help=False)
    parser.add_argument("service")
    parser.add_argument("--version", default="latest")
    try:
        chosen = parser.parse_args(argv[1:])
    except ArgumentParserError as error:
        return create_slack_payload(text="{}\n{}".format(error, parser.format_help()))
    attachment = create_slack_attachment(fallback="Deployed.", color="good", title=chosen.service, text=chosen.version)
    return create_slack_payload("in_channel", attachments=attachment)
