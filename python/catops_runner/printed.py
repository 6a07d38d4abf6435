"""What a worker process prints."""
import codecs
import os
import select
import threading
import traceback

CHUNK = 1 << 16  # bytes
MAXIMUM_REST = 32  # chunks that are read at the end of a call; a pipe contains fewer


class Printed:
    """Passes on what a process prints: to the call that it runs, or else to standard error."""

    def __init__(self, stream):
        self._stream, self._lock, self._sink, self._decoder = stream, threading.Lock(), None, None
        os.set_blocking(stream.fileno(), False)
        threading.Thread(target=self._run, daemon=True).start()

    def begin(self, sink):
        """Passes texts to `sink` from now on, or to standard error if there is none."""
        with self._lock:
            self._sink, self._decoder = sink, codecs.getincrementaldecoder("utf-8")("replace")

    def finish(self):
        """Passes on what the process has printed until now, and ends the call."""
        with self._lock:
            for _ in range(MAXIMUM_REST):
                if not (data := self._read()):
                    break
                self._pass_on(data)
            self._pass_on(b"", is_last=True)
            self._sink = None

    def _run(self):
        with self._stream:
            while True:
                select.select([self._stream], [], [])
                with self._lock:
                    if (data := self._read()) == b"":
                        return
                    self._pass_on(data or b"")

    def _read(self):
        """Returns a chunk, nothing at the end, or None if the process has not printed anything."""
        try:
            return os.read(self._stream.fileno(), CHUNK)
        except BlockingIOError:
            return None
        except ValueError:  # The stream is closed.
            return b""

    def _pass_on(self, data, is_last=False):
        if self._sink is None:
            while data:
                data = data[os.write(2, data):]
        elif text := self._decoder.decode(data, is_last):
            try:
                self._sink(text)
            except Exception:
                # The call goes on. Its record ends here if the connection to Petrel has ended.
                traceback.print_exc()
