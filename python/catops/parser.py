"""An argument parser for commands: what it would print before it ends the program is raised instead."""
import argparse


class ArgumentParserError(Exception):
    """An error in the arguments of a command. Its text is the answer to the user."""


class CatParser(argparse.ArgumentParser):
    """An ArgumentParser that raises ArgumentParserError, with the help as its text after `--help`."""

    _printed = ""

    def error(self, message):
        raise ArgumentParserError(message)

    def exit(self, status=0, message=None):
        raise ArgumentParserError(message or self._printed)

    def _print_message(self, message, file=None):
        self._printed = message or ""
        super()._print_message(message, file)
