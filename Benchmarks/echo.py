#!/usr/bin/env python3
"""The plug-in of the benchmark: answers `process-echo` with its text."""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "python"))

from petrel_plugin import Module

module = Module(version="1")


@module.command("process-echo", summary="Repeat the text.")
def echo(call):
    return call.text


module.run()
