"""Runs the command line: `python3 -m catops install [-t TEMPLATE] [-d FOLDER]`."""
import sys
from .install import install

sys.exit(install())
