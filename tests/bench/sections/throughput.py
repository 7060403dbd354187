# SPDX-License-Identifier: Apache-2.0
"""As many as go: jobs on one connection, un-isolated spawns, and bwrap's, at a growing number under way."""

import os

import contenders
import figures
import harness
import report

NAME = "throughput"
TITLE = "Jobs a second, by the number under way"


def kinds(program, cold, parked):
    found = [contenders.job(program, cold.socket, "cold", "sandboxd, cold"),
             contenders.spawn(program, plain=True)]
    if parked:
        # All its jobs count: what no parked sandbox is there for runs cold.
        found.insert(0, contenders.job(program, parked.socket, "pool", "sandboxd, with its pool"))
    bwrap = contenders.bwrap(program)
    return found + [bwrap] * os.path.exists(bwrap.needs)


def measure(bench, contender, level):
    samples, seconds = bench.run_client("load", [contender], seconds=bench.pick(3, 1), concurrency=level)
    series = samples[0].series(contender)
    return {**series, "concurrency": level, "rate": series["samples"] / seconds}


def run(bench):
    levels = bench.pick([1, 2, 4, 8, 16, 32, 64], [1, 8])
    result = {"title": TITLE, "levels": levels, "points": [], "sustained": {}, "notes": []}
    with bench.daemon(pool=False) as cold, harness.optional(bench.has_pool, bench.daemon) as parked:
        if not parked:
            result["notes"].append(harness.NO_POOL)
        for program in contenders.PROGRAMS:
            for level in levels:
                result["points"] += [measure(bench, c, level) for c in kinds(program, cold, parked)]
            bench.say(f"   {program.group}: up to {levels[-1]} under way")
    for program in contenders.PROGRAMS:
        best = {kind: max((p["rate"] for p in result["points"] if p["name"] == f"{program.group}/{kind}"),
                          default=None) for kind in ("pool", "cold", "spawn", "bwrap")}
        ours = best["pool"] or best["cold"]
        result["sustained"][program.group] = {
            **best, "ratio": figures.ratio(ours, best["spawn"]), "to_bwrap": figures.ratio(ours, best["bwrap"])}
    failed = sum(p["failed"] for p in result["points"])
    if failed:
        result["notes"].append(f"{failed} did not end well: {next(p['why'] for p in result['points'] if p['why'])}")
    return result


def tables(result):
    found = []
    for group, title in contenders.GROUPS.items():
        points = [p for p in result["points"] if p["group"] == group]
        rows = []
        for name in dict.fromkeys(p["name"] for p in points):
            mine = {p["concurrency"]: p for p in points if p["name"] == name}
            rows.append([mine[result["levels"][0]]["label"],
                         *(f"{mine[n]['rate']:.0f}" for n in result["levels"]),
                         report.ms(mine[result["levels"][-1]]["p99"]), report.share(mine[result["levels"][-1]]["warm"])])
        found.append(report.Table(title, ["a second, at", *map(str, result["levels"]), "p99 ms there", "warm there"],
                                  rows))
    rows = [[group, *(report.number(s[k]) for k in ("pool", "cold", "spawn", "bwrap")), report.ratio(s["ratio"]),
             report.ratio(s["to_bwrap"])] for group, s in result["sustained"].items()]
    found.append(report.Table("The most of each", ["a second", "pool", "cold", "spawn", "bwrap", "ours / spawn",
                                                   "ours / bwrap"], rows))
    return found
