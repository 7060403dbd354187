# SPDX-License-Identifier: Apache-2.0
"""Latency while the machine does other things: a steady stream of jobs of every language, and some that
compute, on the same daemon; for the un-isolated spawns the same stream un-isolated."""

import contenders
import report

NAME = "mixed"
TITLE = "One at a time beside a steady mixed load"
RATE = 20  # a second; two processors are about half busy with it when nothing is parked
QUICK_RATE = 5
BUSY = "sum(range(1000000))"


def busy(socket=None):
    program = contenders.Program("busy", ["/usr/bin/python3", "-c", BUSY], "python", BUSY, "-", "busy")
    return contenders.job(program, socket, "load", "busy") if socket else contenders.spawn(program)


def under_load(bench, rate, load, measured):
    process = bench.start_client("load", load, seconds=3600, rate=rate, concurrency=64)
    try:
        return bench.compare(measured)
    finally:
        # Its connection ends with it, and what is under way.
        process.kill()
        process.communicate()


def run(bench):
    languages = [p for p in contenders.PROGRAMS if p.runtime]
    rate = bench.pick(RATE, QUICK_RATE)
    result = {"title": TITLE, "rate": rate, "series": {}, "quiet": {}, "notes": [
        f"the load: {rate} a second in turn of {', '.join(p.group for p in languages)} and a python that computes"]}
    with bench.daemon() as daemon:
        jobs = [contenders.job(p, daemon.socket, "pool" if bench.has_pool else "cold",
                               "sandboxd, with its pool" if bench.has_pool else "sandboxd, cold") for p in languages]
        spawns = [contenders.spawn(p, plain=True) for p in languages]
        result["quiet"] = bench.compare(jobs + spawns)
        result["series"] = under_load(bench, rate, [*jobs, busy(daemon.socket)], jobs)
        result["series"] |= under_load(bench, rate, [*spawns, busy()], spawns)
    return result


def tables(result):
    rows = []
    for name, s in sorted(result["series"].items()):
        quiet = result["quiet"][name]
        rows.append([f"{s['group']}: {s['label']}", report.ms(quiet["p50"]), report.ms(quiet["p99"]),
                     report.ms(s["p50"]), report.ms(s["p99"]), report.ratio(s["p99_over_p50"]), report.share(s["warm"])])
    return [report.Table("", ["", "quiet p50", "p99", "loaded p50", "p99", "p99/p50", "warm"], rows)]
