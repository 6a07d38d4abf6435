"""A process that ends the worker processes when the runner has died, whatever they do.

A worker notices by itself that its input has ended, unless it runs code that keeps Python's lock, such as a regular
expression that takes forever.
"""
import os
import signal

MAXIMUM_READ = 4_096  # bytes


class Guardian:
    """The side of the runner. It forks, so it has to be created before the first thread."""

    def __init__(self):
        source, self._output = os.pipe()
        if os.fork() == 0:
            try:
                guard(source)
            finally:
                os._exit(0)
        os.close(source)

    def begin(self, group):
        """Adds the process group of a worker, which is to be ended with the runner."""
        self._tell(f"+{group}\n")

    def end(self, group):
        """Removes a process group that has ended."""
        self._tell(f"-{group}\n")

    def _tell(self, line):
        try:
            os.write(self._output, line.encode())  # A short line is written as a whole.
        except OSError:
            pass  # Somebody has ended the guardian; calls work without it.


def guard(source):
    """Reads lines until the runner has died, and kills the process groups that are left."""
    os.setsid()  # Who ends the group of the runner must not end this process.
    os.closerange(0, source)
    os.closerange(source + 1, os.sysconf("SC_OPEN_MAX"))
    groups, rest = set(), b""
    while data := os.read(source, MAXIMUM_READ):
        *lines, rest = (rest + data).split(b"\n")
        for line in lines:
            (groups.add if line[:1] == b"+" else groups.discard)(int(line[1:]))
    for group in groups:
        try:
            os.killpg(group, signal.SIGKILL)
        except OSError:
            pass  # It has ended.
