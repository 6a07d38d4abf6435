"""Writes a bot for AWS Lambda to start from: `python3 -m catops install` asks what is missing."""
import argparse
import os
import shutil
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
TEMPLATES = ["slash_command", "slackbot", "slack_logger"]


def install(argv=None):
    """Writes a template into a folder, and the package `catops` beside it. An existing file is never replaced."""
    parser = argparse.ArgumentParser(prog="meow", description="Write a bot for AWS Lambda to start from.")
    parser.add_argument("command", choices=["install"])
    parser.add_argument("-t", "--template", help="one of " + ", ".join(TEMPLATES))
    parser.add_argument("-d", "--target-dir", dest="folder")
    arguments = parser.parse_args((sys.argv if argv is None else argv)[1:])
    try:
        return write(arguments.template, arguments.folder)
    except (EOFError, KeyboardInterrupt):
        print("\nNothing was installed: there was no answer. Name the template with -t and the folder with -d.")
        return 1


def write(template, folder):
    """Asks for what is missing, and writes the files."""
    if template is not None and template not in TEMPLATES:
        print(f"There is no template {template}.")
    while template not in TEMPLATES:
        template = input(f"Template ({', '.join(TEMPLATES)}) [slash_command]: ").strip() or "slash_command"
    folder = folder or input(f"Folder [{template}]: ").strip() or template
    print(f"Installing {template} into {folder}")
    copy(os.path.join(HERE, "templates", template), folder)
    copy(HERE, os.path.join(folder, "catops"))
    return 0


def copy(source, folder):
    """Copies the files of a folder and of its subfolders."""
    for place, folders, names in os.walk(source):
        folders[:] = sorted(name for name in folders if name != "__pycache__")
        target = os.path.normpath(os.path.join(folder, os.path.relpath(place, source)))
        os.makedirs(target, exist_ok=True)
        for name in sorted(names):
            path = os.path.join(target, name)
            try:
                with open(os.path.join(place, name), "rb") as file, open(path, "xb") as copied:
                    shutil.copyfileobj(file, copied)
                print(f"Writing {path}")
            except FileExistsError:
                print(f"{path} exists and is kept.")
