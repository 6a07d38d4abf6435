"""What plug-ins print with Python's own functions."""
import functools
import io
import os
import sys
import threading


class Output(io.RawIOBase):
    """The standard output and the standard error of plug-ins.

    What the threads of the current call print belongs to the call, and is written to descriptor 2. What others print,
    such as those that an earlier call has left behind, goes to the log.
    """

    def __init__(self, log):
        super().__init__()
        self._log, self._call = log, None

    def begin(self, call):
        """Begins a call, in the current thread."""
        self._call = threading.current_thread().catops_call = call

    def end(self):
        self._call = threading.current_thread().catops_call = None

    def writable(self):
        return True

    def fileno(self):
        return 2  # for the programs that a plug-in starts with it

    def write(self, data):
        call = getattr(threading.current_thread(), "catops_call", None)
        descriptor = self._log if call is None or call is not self._call else 2
        view = memoryview(data).cast("B")
        size = len(view)
        while view:
            view = view[os.write(descriptor, view):]
        return size


def install(log):
    """Replaces the standard output and the standard error of Python, and returns the object behind both."""
    output = Output(log)
    sys.stdout = sys.stderr = io.TextIOWrapper(output, "utf-8", "backslashreplace", write_through=True)
    start = threading.Thread.start

    @functools.wraps(start)
    def start_for_call(thread):
        thread.catops_call = getattr(threading.current_thread(), "catops_call", None)
        start(thread)

    threading.Thread.start = start_for_call
    return output
