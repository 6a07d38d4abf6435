"""Runs the function of a plug-in that a text names."""
import logging
from .parser import ArgumentParserError, CatParser
from .plugin import load

LOG = logging.getLogger("catops")
# The help begins with these lines; tests of existing bots compare it as a whole.
USAGE = """
                <command> [<args>]

                commands:
                    help
                    {}
            """


def meow(argv, params):
    """Answers, as a test of the bot."""
    return {"statusCode": 200, "text": "@{} Meow!".format(first(params, "user_name") or "CatOps")}


def first(params, name):
    """Returns a parameter of a request. Parsed forms have lists of values."""
    value = params.get(name)
    return (value[0] if value else None) if isinstance(value, (list, tuple)) else value


class Dispatcher:
    """The functions of a folder of plug-ins. Only these can be called, and `help` and `meow`."""

    def __init__(self, plugin_dir="plugins/", include_functions=None):
        plugins = load(plugin_dir, include_functions)
        self.functions, self.plugins = plugins.functions, list(plugins.documentation.values())
        for path, reason in plugins.problems:
            LOG.warning("%s: %s", path, reason)
        if not self.functions:
            LOG.warning("No plug-in was found in %s.", plugin_dir)

    def get_parser(self):
        """Returns the parser of the command's name, whose help lists the commands."""
        names = "\n                    ".join(sorted(self.functions))
        parser = CatParser(usage=USAGE.format(names), add_help=False)
        parser.add_argument("command", help="Subcommand to run")
        return parser

    def parse_command(self, text, params):
        """Splits a text at white space and calls the function that its first word names. Returns the result."""
        argv = text.split()
        parser = self.get_parser()
        name = parser.parse_args(argv[:1]).command
        if name == "help":
            return parser.format_help()
        function = self.functions.get(name, meow if name == "meow" else None)
        if function is None:
            raise ArgumentParserError(parser.format_help())
        return function(argv, params)


def dispatch(command, params=None, plugin_dir="plugins/", include_functions=None):
    """Runs a command with the plug-ins of a folder and returns its result."""
    return Dispatcher(plugin_dir, include_functions).parse_command(command, params or {"user_name": ["CatOps"]})
