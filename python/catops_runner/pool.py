"""The worker processes."""
import threading

from .process import LoadFailure, Process

MAXIMUM_IDLE = 2
MAXIMUM_WITH_CHILDREN = 8  # idle processes whose programs still run
MAXIMUM_SKIPPED = 20


class Pool:
    """Worker processes with the current plug-ins. Those with earlier ones end when their call has ended."""

    def __init__(self, guardian):
        self._guardian = guardian
        self._lock, self._idle, self._all, self._settings = threading.Lock(), [], set(), None
        self._is_closed = False

    def reload(self, settings):
        """Loads the plug-ins in a new process, and returns its report. Calls that are running go on.

        A file that ends the process, or that takes too long, is skipped. Raises LoadFailure if no process can load the
        rest; then the earlier plug-ins remain.
        """
        skipped = {}
        while True:
            settings = {**settings, "skip": dict(skipped)}
            try:
                process = self._start(settings)
                break
            except LoadFailure as failure:
                if not failure.path or failure.path in skipped or len(skipped) >= MAXIMUM_SKIPPED:
                    raise
                skipped[failure.path] = failure.reason
        with self._lock:
            stale, self._idle, self._settings = self._idle, [], settings
        self.give(process)
        for other in stale:
            self._end(other)
        return process.loaded

    def take(self):
        """Returns a process for a call. Raises LoadFailure.

        One that has children is returned only if there are many of them.
        """
        with self._lock:
            ended = [process for process in self._idle if not process.is_idle()]
            self._idle = [process for process in self._idle if process not in ended]
            free = [process for process in self._idle if not process.has_children]
            others = self._idle[:1] if len(self._idle) >= MAXIMUM_WITH_CHILDREN else []
            process = next(iter(free[:1] + others), None)
            if process:
                self._idle.remove(process)
            settings = self._settings
        for other in ended:
            self.drop(other)
        return process or self._start(settings)

    def give(self, process):
        """Takes a process back that has answered its call."""
        with self._lock:
            free = sum(not other.has_children for other in self._idle)
            is_wanted = (process.is_clean and process.settings is self._settings and not self._is_closed
                         and (process.has_children or free < MAXIMUM_IDLE))
            if is_wanted:
                self._idle.append(process)
        if not is_wanted:
            self._end(process)

    def drop(self, process):
        """Ends a process at once, and returns how it ended."""
        status = process.kill()
        self._all.discard(process)
        return status

    def close(self):
        """Ends all processes at once. It may run in a signal handler, and takes no lock of the pool for that reason."""
        self._is_closed = True
        for process in list(self._all):
            process.kill()

    def _start(self, settings):
        process = Process(settings, self._guardian)
        self._all.add(process)
        if self._is_closed:
            self.drop(process)
        try:
            return process.load()
        except LoadFailure:
            self._all.discard(process)
            raise

    def _end(self, process):
        def end():
            process.close()
            self._all.discard(process)

        threading.Thread(target=end, daemon=True).start()
