#!/usr/bin/env python3
"""Runs Petrel under a steady load of 50 commands and 200 announcements a second.

usage: soak.py PETREL VENV [MINUTES]
Compares the messages that were sent and received, and fits a line to the resident memory per minute. Exits with 1 if
messages were lost or duplicated, or if memory grows.
"""
import collections, math, re, signal, statistics, sys, threading, time
from bots import Petrel, StandIn

COMMANDS, ANNOUNCEMENTS, ROOMS, PEOPLE = 50, 200, 20, 100
# The part of the run that is excluded from the fit: caches fill, and tables reach their size limits.
WARM_UP = 0.3


class Counter:
    """Counts the messages that Petrel sends, as they arrive."""

    def __init__(self, bot):
        self.bot, self.seen, self.stopped = bot, collections.Counter(), threading.Event()
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self):
        while not self.stopped.wait(0.2):
            self.take()

    def take(self):
        with self.bot.changed:
            lines, self.bot.lines[:] = list(self.bot.lines), []
        for _, _, text in lines:
            found = re.search(r"(a\d+:\d+) |RESULT bench\d+ (c\d+)", text)
            self.seen[found[1] or found[2] if found else text] += 1

    def stop(self):
        self.stopped.set()
        self.thread.join()
        self.take()


def slope(points):
    """Returns the least-squares slope of (minute, value) pairs and its 95 % confidence, per minute."""
    count = len(points)
    mean_x, mean_y = (statistics.fmean(values) for values in zip(*points))
    spread = sum((x - mean_x) ** 2 for x, _ in points)
    slope = sum((x - mean_x) * (y - mean_y) for x, y in points) / spread
    rest = sum((y - mean_y - slope * (x - mean_x)) ** 2 for x, y in points)
    return slope, 2 * math.sqrt(rest / max(count - 2, 1) / spread)


def main():
    program, venv, minutes = sys.argv[1], sys.argv[2], float(sys.argv[3]) if len(sys.argv) > 3 else 30
    if minutes < 5:
        sys.exit("soak.py: a run must take at least 5 minutes for a meaningful memory trend")
    stand_in = StandIn(f"{venv}/bin/python")
    stand_in.control(auto_result=True)
    bot = Petrel(stand_in, program)
    bot.send("!uptime")
    bot.wait(1, 60)
    bot.until_listening()
    bot.clear()
    counter, start, sent, bursts, samples = Counter(bot), time.monotonic(), 0, 0, []
    while (passed := time.monotonic() - start) < minutes * 60:
        if passed >= bursts * 10:
            stand_in.control(burst={"count": ANNOUNCEMENTS * 10, "rate": ANNOUNCEMENTS, "id": f"a{bursts}", "pad": 100})
            samples.append((passed / 60, bot.memory()["rss"]))
            bursts += 1
        while sent < passed * COMMANDS:
            bot.send(f"!st2 bench{sent % 200} c{sent}", sender=f"@u{sent % PEOPLE}", room=f"#room{sent % ROOMS}")
            sent += 1
        time.sleep(0.01)
    wanted = {f"c{number}" for number in range(sent)}
    wanted |= {f"a{burst}:{number}" for burst in range(bursts) for number in range(ANNOUNCEMENTS * 10)}
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and not wanted <= counter.seen.keys():
        time.sleep(1)
    counter.stop()
    executions = len(stand_in.stats()["execs"])
    took = bot.end(signal.SIGTERM)
    stand_in.stop()

    lost = len(wanted - counter.seen.keys())
    twice = sum(counter.seen[name] - 1 for name in wanted & counter.seen.keys())
    acks = sum(count for text, count in counter.seen.items() if text.startswith("ACK bench"))
    each = collections.defaultdict(list)
    for at, value in samples:
        each[int(at)].append(value)
    points = [(minute, statistics.median(values)) for minute, values in sorted(each.items())]
    points = [point for point in points if point[0] >= minutes * WARM_UP]
    growth, doubt = slope(points)
    print(f"{minutes:g} minutes, {sent} commands, {bursts * ANNOUNCEMENTS * 10} announcements")
    print(f"executions {executions}, acknowledged {acks}, results and announcements lost {lost}, duplicated {twice}")
    print(f"RSS after each minute, MB: {' '.join(f'{value:.1f}' for _, value in points)}")
    print(f"RSS slope {growth * 1e3:+.1f} kB a minute, 95 % confidence ±{doubt * 1e3:.1f}; stopped in {took} s")
    good = lost == 0 and twice == 0 and executions == sent == acks and growth <= doubt and took is not None
    sys.exit(0 if good else 1)


if __name__ == "__main__":
    main()
