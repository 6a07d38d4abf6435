#!/usr/bin/env python3
"""Compares Petrel with Errbot and err-stackstorm: measures both alternately against the same simulated StackStorm.

usage: compare.py PETREL VENV [ROUNDS]     PETREL: the program, VENV: the folder in which setup installed the peer
Prints the figures of both, their ratio, and the limit of the ratio. Exits with 1 if a limit is missed.
"""
import json, signal, statistics, sys, time
from bots import Errbot, Petrel, StandIn, now


def percentile(values, part):
    values = sorted(values)
    return values[min(len(values) - 1, int(len(values) * part))]


def start(bot):
    bot.send("!uptime")
    answer = bot.wait(1, 60)
    ready = answer[0][0] - bot.started
    bot.until_listening()
    bot.ask("!st2 bench1 first")
    return {"start to first answer, ms": ready / 1e6}


def idle(bot):
    time.sleep(3)
    memory = bot.memory()
    return {"RSS idle, MB": memory["rss"], "private memory idle, MB": memory["private"]}


def latency(bot, count=200):
    for number in range(20):
        bot.ask(f"!st2 bench1 warm{number}")
    bot.stand_in.control(reset=True)
    sent, acks, before = {}, [], bot.cpu()
    for number in range(count):
        command = f"bench{number % 200} lat{number}"
        sent[command] = now()
        acks.append(bot.ask(f"!st2 {command}")[0])
    used = bot.cpu() - before
    requests = [(at - sent[name]) / 1e6 for name, at in bot.stand_in.stats()["execs"] if name in sent]
    return {
        "message to execution request, p50, ms": percentile(requests, 0.5),
        "message to ack, p50, ms": percentile(acks, 0.5),
        "message to ack, p99, ms": percentile(acks, 0.99),
        "CPU per command, ms": used / count * 1e3,
    }


def flood(bot, count, label):
    bot.stand_in.control(reset=True)
    bot.clear()
    before, start = bot.cpu(), now()
    for number in range(count):
        bot.send(f"!st2 bench{number % 200} t{number}", sender=f"@u{number % 100}", room="#ops")
    lines = bot.wait(count, 180, idle=15)
    seconds = (lines[-1][0] - start) / 1e9
    executions = len(bot.stand_in.stats()["execs"])
    assert executions == count, f"{bot.name}: {executions} executions of {count}"
    return {f"{label}, a second": len(lines) / seconds, f"{label}, CPU per command, ms": (bot.cpu() - before) / count * 1e3}


def slow(bot):
    bot.stand_in.control(fault={"match": "slow:50", "exec": "slow:50"})
    acks = [bot.ask(f"!st2 bench1 s{number}")[0] for number in range(40)]
    result = flood(bot, 2_000, "2,000 commands at once, 50 ms calls")
    bot.stand_in.control(fault={"match": None, "exec": None})
    return {"message to ack with 50 ms calls, p50, ms": percentile(acks, 0.5), **result}


def burst(bot, count=10_000):
    bot.clear()
    bot.stand_in.control(burst={"count": 200, "id": "w"})
    bot.wait(200, 20, idle=4)
    bot.clear()
    bot.stand_in.control(burst={"count": count, "id": "b", "pad": 100})
    lines = bot.wait(count, 120, idle=8)
    got = {text.split(" ")[0] for _, _, text in lines if text.startswith("b:")}
    began = bot.stand_in.stats()["bursts"][-1]["t0"]
    assert len(got) == count, f"{bot.name}: {len(got)} of {count} announcements"
    return {"burst of 10,000 announcements, a second": count / ((lines[-1][0] - began) / 1e9)}


def big_event(bot, megabytes):
    bot.clear()
    bot.stand_in.control(noise={"count": 1, "size": megabytes << 20})
    start = now()
    bot.stand_in.control(burst={"count": 1, "id": "after"})
    lines = bot.wait(1, 240)
    return {f"announcement after an unrelated event of {megabytes} MB, ms": (lines[0][0] - start) / 1e6}


def announced(bot, name, count, rate, fault):
    """Injects a fault during announcements at a steady rate; returns the numbers of lost and duplicated ones."""
    bot.clear()
    bot.stand_in.control(reset=True)
    if name == "p":
        fault()
    bot.stand_in.control(burst={"count": count, "rate": rate, "id": name})
    if name == "d":
        time.sleep(count / rate / 5)
        fault()
    bot.wait(count, count / rate + 30, idle=12, matches=lambda line: f"{name}:" in line[2])
    texts = [text[text.index(f"{name}:"):].split(" ")[0] for _, _, text in bot.lines if f"{name}:" in text]
    return count - len(set(texts)), len(texts) - len(set(texts))


def drop(bot):
    lost, twice = announced(bot, "d", 2_500, 100, lambda: bot.stand_in.control(drop_streams=True))
    return {"stream dropped: lost of 2,500": lost, "stream dropped: duplicated": twice}


def poison(bot):
    raw = "event: st2.announcement__errbot\ndata: {not json\n\n"
    lost, _ = announced(bot, "p", 1_500, 100, lambda: bot.stand_in.control(raw=raw))
    return {"one malformed event: lost of 1,500": lost}


def hanging(bot):
    bot.stand_in.control(fault={"match": "hang", "exec": "hang"})
    bot.clear()
    for number in range(10):
        bot.send(f"!st2 bench1 h{number}", sender=f"@h{number}")
    time.sleep(0.3)
    start = now()
    bot.send("!uptime", sender="@z")
    lines = bot.wait(1, 40, matches=lambda line: line[1] == "@z")
    bot.stand_in.control(fault={"match": None, "exec": None})
    return {"!uptime beside 10 hanging calls, ms": (lines[0][0] - start) / 1e6}


def leave(make):
    """Measures the shutdown of an idle bot."""
    figures = {}
    for number in (signal.SIGTERM, signal.SIGINT):
        stand_in = make.stand_in()
        bot = make.bot(stand_in)
        start(bot)
        figures[f"{signal.Signals(number).name} to exit, ms"] = milliseconds(bot.end(number))
        stand_in.stop()
    return figures


def milliseconds(seconds):
    return float("inf") if seconds is None else seconds * 1e3


def measure(make):
    """Runs all measurements of one bot, from startup to shutdown."""
    stand_in = make.stand_in()
    bot = make.bot(stand_in)
    figures = {}
    for step in (
        start, idle, latency, lambda bot: flood(bot, 2_000, "2,000 commands at once"), slow, burst,
        lambda bot: big_event(bot, 1), lambda bot: big_event(bot, 4), drop, poison, hanging,
    ):
        figures.update(step(bot))
    figures["RSS after all measurements, MB"] = bot.memory()["rss"]
    figures["SIGTERM to exit beside 10 hanging calls, ms"] = milliseconds(bot.end(signal.SIGTERM))
    stand_in.stop()
    return figures | leave(make)


class Maker:
    def __init__(self, kind, where, python):
        self.kind, self.where, self.python = kind, where, python

    def stand_in(self):
        return StandIn(self.python)

    def bot(self, stand_in):
        return self.kind(stand_in, self.where)


# The minimum ratio: how many times less ("less") or more ("more") Petrel's figure must be.
LIMITS = {
    "start to first answer, ms": ("less", 5), "RSS idle, MB": ("less", 1 / 0.6), "message to ack, p50, ms": ("less", 5),
    "CPU per command, ms": ("less", 8), "2,000 commands at once, CPU per command, ms": ("less", 8),
    "2,000 commands at once, a second": ("more", 12),
    "burst of 10,000 announcements, a second": ("more", 5),
    "announcement after an unrelated event of 4 MB, ms": ("less", 400), "RSS after all measurements, MB": ("less", 1 / 0.8),
}
# The maximum of Petrel's own figure.
OWN = {
    "!uptime beside 10 hanging calls, ms": 5, "stream dropped: lost of 2,500": 0, "stream dropped: duplicated": 0,
    "one malformed event: lost of 1,500": 0,
}


def main():
    program, venv, rounds = sys.argv[1], sys.argv[2], int(sys.argv[3]) if len(sys.argv) > 3 else 3
    makers = [Maker(Petrel, program, f"{venv}/bin/python"), Maker(Errbot, venv, f"{venv}/bin/python")]
    all_figures = {Petrel: {}, Errbot: {}}
    for turn in range(rounds):
        for maker in makers:
            print(f"round {turn + 1} of {rounds}: {maker.kind.name}", file=sys.stderr, flush=True)
            for name, value in measure(maker).items():
                all_figures[maker.kind].setdefault(name, []).append(value)
    missed = 0
    print(f"{'':60} {'Petrel':>10} {'Errbot':>10} {'ratio':>8}  limit")
    for name, values in all_figures[Petrel].items():
        ours, theirs = statistics.median(values), statistics.median(all_figures[Errbot][name])
        more = name.endswith("a second")
        ratio = (ours / theirs if more else theirs / ours) if ours and theirs else float("nan")
        limit, good = "", True
        if name in LIMITS:
            good, limit = ratio >= LIMITS[name][1], f"at least {LIMITS[name][1]:.3g}"
        elif name in OWN:
            good, limit = ours <= OWN[name], f"Petrel at most {OWN[name]}"
        missed += not good
        print(f"{'' if good else 'MISS '}{name:{60 if good else 55}} {ours:10.2f} {theirs:10.2f} {ratio:8.2f}  {limit}")
    sys.exit(1 if missed else 0)


if __name__ == "__main__":
    main()
