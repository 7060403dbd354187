# SPDX-License-Identifier: Apache-2.0
"""Many jobs: thousands on one connection, which must all end once and leave nothing behind; hundreds of
connections at once; and what a full store of kept results costs."""

import contextlib
import os
import pathlib
import re
import time

import contenders
import figures
import harness
import report

NAME = "jobs"
TITLE = "Many jobs at once"
UNDER_WAY = 32
TRUE = contenders.PROGRAMS[0]


def cgroup_roots(bench, daemon):
    """The folder that its sandboxes have in each hierarchy; a job shows its name."""
    sleeper = contenders.Program("sleep", ["/usr/bin/sleep", "1000"], "", "", "", "sleep")
    with harness.Hold(bench, contenders.job(sleeper, daemon.socket, "idle", "an idle job"), 1):
        def names():
            found = set()
            for pid in daemon.sandbox_pids():
                with contextlib.suppress(OSError):  # it has ended
                    found.update(re.findall(r"/(sandboxd-[0-9a-f]+)/", pathlib.Path(f"/proc/{pid}/cgroup").read_text()))
            return found
        name = harness.wait_until(names, "the process of a job").pop()
    return [os.path.join(top, name) for top, names, _ in os.walk("/sys/fs/cgroup") if name in names]


def rss_kib(pid):
    text = pathlib.Path(f"/proc/{pid}/status").read_text()
    return int(text.split("VmRSS:")[1].split()[0])


def snapshot(daemon, roots):
    monitor, frontend = daemon.pids()
    return {
        "monitor fds": len(os.listdir(f"/proc/{monitor}/fd")),
        "frontend fds": len(os.listdir(f"/proc/{frontend}/fd")),
        "monitor RSS KiB": rss_kib(monitor),
        "frontend RSS KiB": rss_kib(frontend),
        "cgroups": sum(entry.is_dir() for root in roots for entry in os.scandir(root)),
        "mounts": len(pathlib.Path(f"/proc/{monitor}/mounts").read_text().splitlines()),
    }


def many(bench, daemon, label, jobs, **options):
    contender = contenders.job(TRUE, daemon.socket, "many", label)
    samples, seconds = bench.run_client("load", [contender], jobs=jobs, **options)
    ids = len(set(samples[0].ids))
    return {**samples[0].series(contender), "asked": jobs, "different_ids": ids, "rate": len(samples[0].ids) / seconds}


def run(bench):
    jobs, connections = bench.pick(10000, 300), bench.pick(500, 20)
    room = {"MaxConnectionsPerUser": connections + 8, "MaxConnections": 2 * connections + 16}
    result = {"title": TITLE, "many": [], "notes": []}
    with bench.daemon(settings={"Server": {**room, "MaxResultsPerUser": 0}}) as plain, \
            bench.daemon(settings={"Server": room}) as keeping:
        roots = cgroup_roots(bench, plain)
        result["snapshots"] = {"idle": snapshot(plain, roots)}
        # The first jobs fill allocators and caches that then stay.
        many(bench, plain, "", jobs // 10, concurrency=UNDER_WAY)
        result["snapshots"]["before"] = snapshot(plain, roots)
        result["many"].append(many(bench, plain, f"one connection, {UNDER_WAY} under way", jobs, concurrency=UNDER_WAY))
        time.sleep(1)
        result["snapshots"]["after"] = snapshot(plain, roots)
        result["many"].append(many(bench, keeping, f"{connections} connections at once", connections,
                                   concurrency=connections, connections=1))
        many(bench, keeping, "", bench.pick(1000, 50), concurrency=8)
        result["series"] = bench.compare([contenders.job(TRUE, plain.socket, "none-kept", "a job, nothing kept"),
                                          contenders.job(TRUE, keeping.socket, "kept", "a job, all results kept")],
                                         pause_ms=0)
    result["kept_ratio"] = figures.ratio(*(result["series"][f"true/{n}"]["p50"] for n in ("kept", "none-kept")))
    for m in result["many"]:
        if m["samples"] != m["asked"] or m["different_ids"] != m["asked"]:
            result["notes"].append(f"NOT ALL ENDED ONCE AND WELL: {m['label']}: {m['samples']} of {m['asked']}, "
                                   f"{m['different_ids']} different ids: {m['why']}")
    return result


def tables(result):
    rows = [[m["label"], m["samples"], report.ms(m["p50"]), report.ms(m["p99"]), report.ratio(m["p99_over_p50"]),
             report.number(m["rate"])] for m in result["many"]]
    states = list(result["snapshots"])
    kept = report.series_table("With results kept, and none", list(result["series"].values()), "true/none-kept")
    return [report.Table("", ["milliseconds", "jobs", "p50", "p99", "p99/p50", "a second"], rows),
            report.Table("What is left behind", ["", *states],
                         [[key, *(result["snapshots"][s][key] for s in states)] for key in result["snapshots"]["idle"]]),
            kept]
