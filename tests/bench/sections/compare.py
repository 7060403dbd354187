# SPDX-License-Identifier: Apache-2.0
"""One job at a time: ours, cold and parked, beside everything else that runs the same program."""

import contenders
import harness
import report

NAME = "compare"
TITLE = "One at a time, all limits on, from the request to the result"


def candidates(bench, program, cold, parked):
    found = [contenders.job(program, cold.socket, "cold", "sandboxd, cold"),
             contenders.ctl(bench, program, cold.socket, "ctl-cold", "sandboxctl run, cold")]
    if parked:
        found += [contenders.job(program, parked.socket, "parked", "sandboxd, parked", parked=True),
                  contenders.ctl(bench, program, parked.socket, "ctl-parked", "sandboxctl run, parked")]
    found += [contenders.bwrap(program), contenders.crun(bench, program), contenders.firejail(program),
              *contenders.spawns(program)]
    if program.group == "javascript":
        found.append(contenders.node_vm())
    return found


def run(bench):
    result = {"title": TITLE, "series": {}, "left_out": [], "notes": [],
              "rounds": bench.rounds, "pause_ms": bench.pause_ms}
    with bench.daemon(pool=False) as cold, harness.optional(bench.has_pool, bench.daemon) as parked:
        if not parked:
            result["notes"].append(harness.NO_POOL)
        for program in contenders.PROGRAMS:
            good, left_out = bench.usable(candidates(bench, program, cold, parked))
            result["left_out"] += left_out
            result["series"] |= bench.compare(good)
            bench.say(f"   {program.group}: {len(good)} contenders, {bench.rounds} rounds")
    return result


def tables(result):
    return [report.series_table(title, [s for s in result["series"].values() if s["group"] == group],
                                base=f"{group}/bwrap", other=f"{group}/spawn")
            for group, title in contenders.GROUPS.items()]
