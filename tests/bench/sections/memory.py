# SPDX-License-Identifier: Apache-2.0
"""What a sandbox holds while it waits: a parked one, and an idle job that was started cold, beside the same
interpreter un-isolated."""

import contextlib
import os
import pathlib
import time

import contenders
import harness
import report

NAME = "memory"
TITLE = "Memory of a sandbox that waits, KiB"
SETTLE_SECONDS = 1  # for an interpreter to have read what it reads
INTERPRETERS = {"bash": "bash", "python": "python3", "javascript": "node"}
WAITING = {
    "bash": "while :; do sleep 1000; done",
    "python": "import time; time.sleep(1000)",
    "javascript": "setTimeout(() => {}, 1000000)",
}
ROOM = {"bash": ["/usr/bin/bash", "-c"], "python": ["/usr/bin/python3", "-c"], "javascript": ["/usr/bin/node", "-e"]}


def rollup(pid):
    """Rss, Pss and what is private, in KiB."""
    values = {}
    for line in pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]:
        key, _, rest = line.partition(":")
        values[key] = int(rest.split()[0])
    return {"rss": values["Rss"], "pss": values["Pss"],
            "private": values["Private_Clean"] + values["Private_Dirty"]}


def processes(daemon):
    """Of its sandboxes, by pid namespace: [{comm, rss, pss, private}]."""
    found = {}
    for pid in daemon.sandbox_pids():
        with contextlib.suppress(OSError):  # it has ended
            executable = os.path.basename(os.readlink(f"/proc/{pid}/exe"))
            found.setdefault(os.readlink(f"/proc/{pid}/ns/pid"), []).append({"comm": executable, **rollup(pid)})
    return found


def describe(group, state, sandbox):
    """One row: the interpreter, and the sum of all processes in its sandbox."""
    own = [p for p in sandbox if p["comm"].startswith(INTERPRETERS[group])]
    if not own:
        return None
    return {"group": group, "state": state, "processes": len(sandbox), **max(own, key=lambda p: p["rss"]),
            "sandbox_pss": sum(p["pss"] for p in sandbox), "sandbox_private": sum(p["private"] for p in sandbox)}


def idle_jobs(bench, daemon, group):
    program = contenders.Program(group, [], group, WAITING[group], "", group)
    with harness.Hold(bench, contenders.job(program, daemon.socket, "idle", f"idle {group}"), 1):
        harness.wait_until(lambda: [s for s in processes(daemon).values() if describe(group, "", s)], f"an idle {group}")
        time.sleep(SETTLE_SECONDS)
        return [describe(group, "cold, idle", s) for s in processes(daemon).values()]


def unisolated(bench, group):
    program = contenders.Program(group, [*ROOM[group], WAITING[group]], group, "", "-", group)
    with harness.Hold(bench, contenders.spawn(program), 1) as hold:
        time.sleep(SETTLE_SECONDS)
        comm = os.path.basename(os.readlink(f"/proc/{hold.pids[0]}/exe"))
        return [describe(group, "un-isolated", [{"comm": comm, **rollup(hold.pids[0])}])]


def parked(bench):
    """One of each key stays parked once it was used."""
    with bench.daemon() as daemon:
        for program in contenders.PROGRAMS:
            if program.runtime:
                bench.compare([contenders.job(program, daemon.socket, "pool", "")], rounds=2)
        time.sleep(2 * SETTLE_SECONDS)
        return [describe(group, "parked", sandbox) for sandbox in processes(daemon).values()
                for group in INTERPRETERS if any(p["comm"].startswith(INTERPRETERS[group]) for p in sandbox)]


def run(bench):
    result = {"title": TITLE, "sandboxes": [], "notes": []}
    if bench.has_pool:
        result["sandboxes"] += parked(bench)
    else:
        result["notes"].append(harness.NO_POOL)
    with bench.daemon(pool=False) as daemon:
        for group in INTERPRETERS:
            result["sandboxes"] += idle_jobs(bench, daemon, group) + unisolated(bench, group)
        result["daemon"] = [{"name": name, **rollup(pid)}
                            for name, pid in zip(("monitor", "frontend"), daemon.pids())]
    result["sandboxes"] = [s for s in result["sandboxes"] if s]
    return result


def tables(result):
    columns = ["rss", "pss", "private", "sandbox_pss", "sandbox_private", "processes"]
    rows = [[f"{s['group']}, {s['state']}", *(str(s[c]) for c in columns)]
            for s in sorted(result["sandboxes"], key=lambda s: (s["group"], s["state"]))]
    rows += [[d["name"], str(d["rss"]), str(d["pss"]), str(d["private"]), "", "", ""] for d in result["daemon"]]
    return [report.Table("", ["of the interpreter:", "RSS", "PSS", "private", "all PSS", "all private", "processes"],
                         rows)]
