#!/usr/bin/env python3
"""Measures jobs: many at once, what they leave behind, and a job with 1 GB of output beside the commands of others.

usage: jobs.py PETREL [ROUNDS]     PETREL: the program, ROUNDS: how many times 200 jobs are started at once (3)
Prints the rate, the resident memory of Petrel, its zombies and its open descriptors after each round, then the time of
the large job, the memory meanwhile, and the times to the replies of `!uptime`.
"""
import os, signal, sys, time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "peer"))
from bots import TextPetrel, memory, now

JOBS, PEOPLE = 200, 50
LINE = "a line of output that has eighty characters, which is what logs have often"
COMMAND = {"command": "sh", "auth_strategy": "any", "no_handshake": True, "timeout": 300}
CONFIG = {
    "open": True,
    "jobs": {
        "pool": 20, "queue": JOBS, "output_mb": 2048, "retention_mb": 4096,
        "templates": {"success": "ok {{ jobid }}"}, "reply_styles": {"success": "text"},
        "commands": {
            "small": {**COMMAND, "args": ["-c", "seq 1 2000; echo done"]},
            "large": {**COMMAND, "args": ["-c", f"yes '{LINE}' | head -c 1000000000"]},
        },
    },
}


def is_success(line):
    return line[2].startswith("ok ")


def children(pid):
    """The states of the child processes, such as Z for a zombie."""
    states = []
    for entry in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{entry}/stat") as file:
                state, parent = file.read().rsplit(")", 1)[1].split()[:2]
        except (FileNotFoundError, ProcessLookupError):
            continue
        if int(parent) == pid:
            states.append(state)
    return states


def many(bot, rounds):
    pid = bot.process.pid

    def state():
        return memory(pid)["rss"], len(os.listdir(f"/proc/{pid}/fd"))

    before = state()
    for _ in range(rounds):
        start = time.monotonic()
        for number in range(JOBS):
            bot.send("!small", sender=f"@p{number % PEOPLE}", room=f"#r{number % PEOPLE}")
        done = bot.wait(JOBS, 120, matches=is_success)
        taken, after = time.monotonic() - start, state()
        if len(done) != JOBS:
            raise SystemExit(f"only {len(done)} of {JOBS} jobs succeeded")
        print(
            f"{JOBS} jobs, pool of 20: {taken:.2f} s ({JOBS / taken:.0f} a second), RSS {before[0]:.1f} -> "
            f"{after[0]:.1f} MB, descriptors {before[1]} -> {after[1]}, zombies {children(pid).count('Z')}")
        bot.clear()


def large(bot):
    before, peak, times = memory(bot.process.pid)["rss"], 0, []
    bot.send("!large", sender="@large")
    start = time.monotonic()
    while not any(is_success(line) for line in bot.lines):
        if time.monotonic() - start > 300:
            raise SystemExit("the job does not end")
        asked = now()
        bot.send("!uptime", sender="@other")
        replies = bot.wait(1, 30, matches=lambda line: line[1] == "@other")
        times.append((replies[0][0] - asked) / 1e6)
        with bot.changed:
            bot.lines[:] = [line for line in bot.lines if line[1] != "@other"]
        peak = max(peak, memory(bot.process.pid)["rss"])
        time.sleep(0.01)
    taken = time.monotonic() - start
    times.sort()
    print(
        f"1 GB of output: {taken:.1f} s, RSS {before:.1f} MB, at most {peak:.1f} (+{peak - before:.1f}); "
        f"!uptime beside it, of {len(times)}: median {times[len(times) // 2]:.2f} ms, slowest {times[-1]:.2f} ms")


def main():
    bot = TextPetrel(None, sys.argv[1], CONFIG)
    bot.ask("!uptime")
    bot.clear()
    try:
        many(bot, int(sys.argv[2]) if len(sys.argv) > 2 else 3)
        large(bot)
    finally:
        bot.end(signal.SIGTERM)


main()
