#!/usr/bin/env python3
"""Measures what a plug-in that misbehaves costs everybody else: a steady stream of `!uptime` from other people beside it.

usage: bad_plugin.py PETREL [COUNT]     PETREL: the program, COUNT: the number of `!uptime` in each row (500)
Prints a table: the median and the 99th percentile of the time to the reply of `!uptime`, the largest resident memory
of Petrel, and what the person who used the plug-in read.
"""
import os, signal, sys, threading, time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, f"{HERE}/peer")
from bots import TextPetrel, memory, now

PLUG_IN = os.path.join(HERE, "..", "Tests", "ProcessPlugInTests", "fake_plugin.py")
# A name for the row, arguments of the plug-in, and the line that makes it misbehave.
ROWS = [
    ("no plug-in", None, None),
    ("a plug-in that behaves", [], "!raw hello"),
    ("hangs at startup", ["hang-at-start"], "!raw hello"),
    ("hangs in a command", [], "!do hang"),
    ("is stopped (SIGSTOP)", [], "!do stop"),
    ("dies at startup", ["die-at-start"], "!raw hello"),
    ("dies in a command", [], "!do die"),
    ("writes 1 GB without a line end", [], "!do flood"),
    ("writes 60 GB of log messages", [], "!do chatter"),
    ("writes half a line and exits", [], "!do half"),
    ("responds with wrong ids", [], "!do ids"),
    ("announces 100,000 commands", ["many"], "!raw hello"),
    ("writes invalid UTF-8", [], "!do utf8"),
    ("writes lines that are not JSON", [], "!do junk"),
    ("sends 5,000 requests at once", [], "!do requests"),
    ("leaves a child that holds its pipes", [], "!do child"),
]


def petrel(program, faults):
    config = {"access_controls_default": {"allowusers": ["*"]}}
    if faults is not None:
        config["modules"] = {"bad": {"command": [sys.executable, os.path.abspath(PLUG_IN), "module", *faults]}}
    return TextPetrel(None, program, config)


def measure(program, faults, line, count):
    bot = petrel(program, faults)
    bot.send("!uptime", sender="@other")
    bot.wait(1, 60)
    # The commands of a plug-in are there once it has said hello.
    while faults == [] and bot.ask("!raw hello")[1] != "hello":
        time.sleep(0.05)
    bot.clear()
    peak, ended = 0, threading.Event()

    def watch():
        nonlocal peak
        while not ended.wait(0.05):
            peak = max(peak, memory(bot.process.pid)["rss"])

    watcher = threading.Thread(target=watch)
    watcher.start()
    if line:
        bot.send(line, sender="@victim")
    times = []
    for _ in range(count):
        with bot.changed:
            bot.lines[:] = [entry for entry in bot.lines if entry[1] != "@other"]
        start = now()
        bot.send("!uptime", sender="@other")
        reply = bot.wait(1, 30, matches=lambda entry: entry[1] == "@other")
        times.append((reply[0][0] - start) / 1e6 if reply else float("inf"))
        time.sleep(0.005)
    read = bot.wait(1, 70, matches=lambda entry: entry[1] == "@victim") if line else []
    ended.set()
    watcher.join()
    left = bot.end(signal.SIGTERM)
    times.sort()
    return times[len(times) // 2], times[int(len(times) * 0.99)], peak, left, [text for _, _, text in read]


def main():
    program, count = os.path.abspath(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 500
    print(f"{'the plug-in':36} {'p50, ms':>8} {'p99, ms':>8} {'RSS, MB':>8} {'exit, s':>8}  what its user reads")
    for name, faults, line in ROWS:
        p50, p99, peak, left, read = measure(program, faults, line, count)
        said = read[-1].replace("\n", " / ")[:150] if read else ("" if line is None else "nothing within 70 s")
        print(f"{name:36} {p50:8.2f} {p99:8.2f} {peak:8.1f} {left if left is not None else -1:8.2f}  {said}", flush=True)


if __name__ == "__main__":
    main()
