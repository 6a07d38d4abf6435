"""Finds and loads the files of a folder of plug-ins."""
import ast
import importlib
import importlib.util
import inspect
import logging
import os
import sys

LOG = logging.getLogger("catops")


class Plugins:
    """What a folder of plug-ins contains.

    `functions` and `paths` are the commands and their files, by the name of the function; `documentation` has the
    docstring of each file; `problems` are pairs of a path and the reason for which it, or a part of it, is left out;
    `helpers` are pairs of a path and the name of a public function that is not a command because of its parameters.
    """

    def __init__(self):
        self.functions, self.paths, self.documentation, self.problems, self.helpers = {}, {}, {}, [], []


def find_files(folder):
    """Returns the Python files in a folder and in its subfolders, one level deep, whose names have no `_` in front."""
    found = []
    for parent in [folder] + sorted(entry.path for entry in public_entries(folder) if entry.is_dir()):
        files = (entry for entry in public_entries(parent) if entry.name.endswith(".py") and entry.is_file())
        found += sorted(entry.path for entry in files)
    return found


def public_entries(folder):
    try:
        with os.scandir(folder) as entries:
            return [entry for entry in entries if entry.name[0] not in "_."]
    except OSError as error:
        LOG.warning("Cannot read the folder %s: %s", folder, error.strerror)
        return []


def load(folder, include_functions=None, key=lambda name: name, judge=lambda path: None, report=lambda path: None):
    """Loads the plug-ins in a folder. An error in one file leaves out that file only.

    - include_functions: The names of the functions that are commands. By default, these are all public functions that
      a file defines and that can be called with two arguments.
    - key: Returns a text that is equal for names that callers cannot tell apart.
    - judge: Returns the reason for which a path must not be loaded, or None.
    - report: Is called with the path of each file before it is loaded.
    """
    plugins, found, folder = Plugins(), {}, os.path.abspath(folder)
    paths = find_files(folder)
    make_importable([folder, *dict.fromkeys(os.path.dirname(path) for path in paths), os.path.dirname(folder)])
    refused = {place: judge(place) for place in {folder, *(os.path.dirname(path) for path in paths)}}
    for path in paths:
        reason = refused[folder] or refused[os.path.dirname(path)] or judge(path)
        if reason:
            plugins.problems.append((path, reason))
            continue
        report(path)
        try:
            module = load_file(path, folder)
        except BaseException as error:
            LOG.warning("Cannot load %s", path, exc_info=True)
            plugins.problems.append((path, described(error)))
            continue
        plugins.documentation[path] = module.__doc__
        for name, function in public_functions(module, path):
            if include_functions is not None and name not in include_functions:
                continue
            if is_command(function):
                found.setdefault(key(name), []).append((name, function, path))
            else:
                plugins.helpers.append((path, name))
    settle(plugins, found)
    for name in include_functions or ():
        if name not in plugins.functions and not any(name == entry[0] for group in found.values() for entry in group):
            reason = f"include_functions has {name}, but no file defines a function {name}(argv, params)"
            plugins.problems.append((folder, reason))
    return plugins


def settle(plugins, found):
    """Adds the functions that have a name of their own. Of several with one name, none is a command."""
    for group in found.values():
        for name, function, path in group:
            others = [f"{other} in {os.path.basename(place)}" for other, _, place in group
                      if (other, place) != (name, path)]
            if others:
                plugins.problems.append((path, f"the function {name} is left out, because of {', '.join(others)}"))
            else:
                plugins.functions[name], plugins.paths[name] = function, path


def make_importable(folders):
    """Adds folders to the end of the search path, so that no file there replaces an installed module."""
    sys.path += [folder for folder in folders if folder not in sys.path]
    importlib.invalidate_caches()


def load_file(path, folder):
    """Returns the module of a file. It is loaded once, also if another plug-in imports it under its own name."""
    name = os.path.splitext(os.path.basename(path))[0]
    if not belongs(name, path):
        name = "plug-in " + os.path.splitext(os.path.relpath(path, folder))[0].replace(".", "_")
    module = sys.modules.get(name)
    if module is not None and is_file_of(path, getattr(module, "__file__", None)):
        return module
    spec = importlib.util.spec_from_file_location(name, path)
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module


def belongs(name, path):
    """Returns True if `import name` means this file, and not a module of the standard library or another one."""
    if not name.isidentifier():
        return False
    if name in sys.modules:
        return is_file_of(path, getattr(sys.modules[name], "__file__", None))
    spec = importlib.util.find_spec(name)
    return spec is not None and is_file_of(path, spec.origin)


def is_file_of(path, other):
    return other is not None and os.path.realpath(other) == os.path.realpath(path)


def public_functions(module, path):
    """Returns the public functions that a file defines, by name. Those that it imports are not among them."""
    public = [(name, value) for name, value in vars(module).items()
              if not name.startswith("_") and inspect.isfunction(value)]
    if any(function.__module__ != module.__name__ for _, function in public):
        # A decorator of another module may return a function of that module.
        defined = definitions(path)
        public = [(name, function) for name, function in public
                  if function.__module__ == module.__name__ or name in defined]
    return public


def definitions(path):
    """Returns the names that `def` statements outside of classes and functions bind."""
    names, statements = set(), []
    with open(path, "rb") as file:
        statements.append(ast.parse(file.read()))
    while statements:
        statement = statements.pop()
        if isinstance(statement, ast.FunctionDef):
            names.add(statement.name)
        elif not isinstance(statement, (ast.AsyncFunctionDef, ast.ClassDef, ast.expr)):
            statements += ast.iter_child_nodes(statement)
    return names


def is_command(function):
    """Returns True if a function can be called as `function(argv, params)`."""
    try:
        inspect.signature(function).bind([], {})
    except TypeError:
        return False
    return not inspect.iscoroutinefunction(function)


def described(error):
    """Returns one line about an exception."""
    if isinstance(error, SyntaxError):
        return f"line {error.lineno}: {error.msg}"
    text = str(error).strip().splitlines()
    return (type(error).__name__ + (": " + text[-1] if text else ""))[:300]
