"""Looks at the files of a folder of plug-ins."""
import itertools
import os
import stat

MAXIMUM_FILES = 20_000


def key_of(name):
    """Returns the text by which Petrel compares the names of commands: without case, with `_` as a space."""
    return " ".join(name.lower().replace("_", " ").split())


def is_name(name):
    """Returns True if Petrel accepts this name for a command."""
    return 1 <= len(name) <= 100 and all(letter.isalpha() or letter in "0123456789_" for letter in name)


def marks_of_folder(folder):
    """Returns a value for each Python file in a folder and its subfolders, which differs after a change."""
    marks = {folder: mark(folder)}
    for parent, folders, names in itertools.chain(os.walk(folder), *map(os.walk, linked_folders(folder))):
        folders[:] = [name for name in folders if name != "__pycache__" and not name.startswith(".")]
        marks[parent] = mark(parent)
        marks.update(marks_of(os.path.join(parent, name) for name in names if name.endswith(".py")))
        if len(marks) > MAXIMUM_FILES:
            break
    return marks


def linked_folders(folder):
    """Returns the links to folders in a folder, whose files are loaded as well."""
    try:
        with os.scandir(folder) as entries:
            return [entry.path for entry in entries if entry.is_symlink() and entry.is_dir()]
    except OSError:
        return []


def marks_of(files):
    return {path: mark(path) for path in files}


def mark(path):
    try:
        found = os.stat(path)
    except OSError:
        return None
    if stat.S_ISDIR(found.st_mode):
        return found.st_mode  # Its time also changes with files that are not plug-ins.
    return (found.st_mode, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)
