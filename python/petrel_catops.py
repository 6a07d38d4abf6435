#!/usr/bin/env python3
"""Runs a folder of plug-ins for CatOps as a module of Petrel; see docs/CatOps.md.

    "modules": {"catops": {"command": ["python3", "petrel_catops.py"], "settings": {"plugins": "plugins"}}}

Each public function `(argv, params)` that a file in the folder defines is a command. The settings are `plugins`, and
optional `include_functions` (the names of the functions that are commands), `timeout` (60 seconds for a call) and
`load_timeout` (30 seconds for a file).
"""
import sys

if sys.version_info < (3, 9):
    sys.exit("petrel_catops.py requires Python 3.9 or later; this is Python %d.%d." % sys.version_info[:2])

from catops_runner import runner, worker

if __name__ == "__main__":
    worker.main(int(sys.argv[2])) if sys.argv[1:2] == ["--worker"] else runner.main()
