# SPDX-License-Identifier: Apache-2.0
"""Each sandbox in a scope of systemd's, beside systemd-run and beside the same without systemd: in the
container of the system tests, where systemd is pid 1. run() starts this same program in it with --inside."""

import json
import pathlib
import subprocess

import contenders
import figures
import harness
import report

NAME = "scope"
TITLE = "A scope around each job, in the container"
SOCKET = "/run/sandboxd/sandboxd.sock"
DROP_IN = pathlib.Path("/etc/sandboxd/sandboxd.conf.d/bench.conf")
CANNOT_RUN = 77  # of tests/system/container
LIMIT = 2400
MOST_ROUNDS = 150  # of programs that take a hundred times as long as the quickest


def candidates(program, standalone, state):
    parked = state == "parked"
    return [contenders.job(program, SOCKET, f"scope-{state}", f"sandboxd, scope, {state}", parked=parked),
            contenders.job(program, standalone.socket, f"cgroupfs-{state}", f"sandboxd --standalone, {state}",
                           parked=parked),
            contenders.wrapped(program, contenders.SYSTEMD_SCOPE, "systemd-scope", "systemd-run --scope"),
            contenders.wrapped(program, contenders.SYSTEMD_WAIT, "systemd-wait", "systemd-run --wait", every=2),
            contenders.spawn(program, plain=True)]


def systemctl(*arguments):
    done = subprocess.run(["/usr/bin/systemctl", *arguments], capture_output=True, text=True, check=False)
    return done.stdout


def set_pool(on):
    """Whether the installed daemon parks; systemd starts it anew for the first connection."""
    DROP_IN.parent.mkdir(exist_ok=True)
    DROP_IN.write_text(f"[Pool]\nMaximum={64 if on else 0}\nIdleSec=5min\n")
    systemctl("stop", "sandboxd.service")


def inside(bench):
    """In the container: what run() returns."""
    result = {"title": TITLE, "passes": {}, "left_out": [], "notes": []}
    for state in ["cold", "parked"] if bench.has_pool else ["cold"]:
        if bench.has_pool:
            set_pool(state == "parked")
        result["passes"][state] = {}
        with bench.daemon(pool=state == "parked") as standalone:
            for program in contenders.PROGRAMS:
                good, left_out = bench.usable(candidates(program, standalone, state))
                result["left_out"] += left_out
                result["passes"][state] |= bench.compare(good)
                bench.say(f"   {state} {program.group}: {len(good)} contenders")
    result["over_cgroupfs_ms"] = {
        state: {group: difference(series, group, state) for group in contenders.GROUPS}
        for state, series in result["passes"].items()}
    dead = systemctl("list-units", "--all", "--no-legend", "--state=failed,dead", "sandbox*.scope", "sandbox*.slice")
    result["notes"].append(f"units of sandboxd that failed or are dead: {len(dead.splitlines())}")
    return result


def difference(series, group, state):
    """None where one of the two is not there, or was to be parked and never was."""
    both = [series.get(f"{group}/{mode}-{state}") for mode in ("scope", "cgroupfs")]
    if not all(s and s["p50"] and (state == "cold" or s["warm"]) for s in both):
        return None
    return both[0]["p50"] - both[1]["p50"]


def command(bench):
    options = ["--rounds", str(min(bench.rounds, MOST_ROUNDS))] + (["--quick"] if bench.quick else [])
    if bench.options.pause is not None:
        options += ["--pause", str(bench.options.pause)]
    return [harness.SOURCE / "tests/system/container", "--build", bench.build, "--limit", str(LIMIT), "--",
            "/usr/bin/python3", "/opt/sandboxd/tests/bench/bench.py", "--inside", *options,
            "--build", "/opt/sandboxd/build", "--output", "/results", NAME]


def run(bench):
    done = subprocess.run(command(bench), check=False, stdin=subprocess.DEVNULL)
    folder = bench.build / "system/container"
    if done.returncode == CANNOT_RUN:
        raise harness.Failed((folder / "skipped").read_text().strip())
    if done.returncode != 0:
        raise harness.Failed(f"the container ended with {done.returncode}: see {folder}")
    return json.loads((folder / "bench.json").read_text())["sections"][NAME]


def tables(result):
    found = []
    for state, series in result["passes"].items():
        for group, title in contenders.GROUPS.items():
            mine = [s for s in series.values() if s["group"] == group]
            if mine:
                found.append(report.series_table(f"{title}, {state}", mine, f"{group}/systemd-scope", f"{group}/spawn"))
    rows = [[group, state, report.ms(value)] for state, groups in result["over_cgroupfs_ms"].items()
            for group, value in groups.items() if value is not None]
    found.append(report.Table("scope over cgroupfs, p50", ["", "", "ms"], rows))
    return found
