# SPDX-License-Identifier: Apache-2.0
"""Every job in a scope of systemd that is made for it: what systemd says of it, what the kernel holds it by, and
that it is outlived by nothing. Those that are made ahead of time are in test_parked.py."""

import json
import os
import re
import signal
import time

import pytest

from lib import host, jobs, machine

ALICE, BOB = 2001, 2002
MIB = 1 << 20
SLOW = machine.WORLD == "uml"

pytestmark = pytest.mark.usefixtures("no_pool_here")


@pytest.fixture(autouse=True)
def nothing_is_left():
    yield
    jobs.wait_none()


def finish(process, timeout=60):
    """What `sandboxctl run --json` said, and how it exited."""
    out, err = process.communicate(timeout=timeout)
    assert out, err
    return json.loads(out), process.returncode


def cpu_usec(usage):
    """Of both kinds: a short job's may all be one."""
    return usage.get("cpu_user_usec", 0) + usage.get("cpu_system_usec", 0)


# --- what systemd says

def test_scope_of_a_job():
    with jobs.Batch(ALICE) as batch:
        job = batch.start("cat", stdin=True, limits={
            "memory_bytes": 100 * MIB, "pids": 40, "cpu_quota_percent": 50, "wall_time_usec": 90_000_000})
        unit = batch.unit(job)
        jobs.wait_payload(unit)
        p = machine.show(unit)
        status = machine.status(unit)
        tree = machine.call("systemd-cgls", "--no-pager", "--unit", "sandbox-u2001.slice").stdout
        batch.let_go(job)
        assert batch.status(job) == "OK"
    assert re.fullmatch(r"sandbox-[0-9a-f]{16}\.scope", unit)
    assert (p["ActiveState"], p["SubState"], p["Transient"]) == ("active", "running", "yes")
    assert p["Slice"] == f"sandbox-u{ALICE}.slice"
    assert p["ControlGroup"].endswith(f"/sandbox.slice/sandbox-u{ALICE}.slice/{unit}")
    assert p["Description"] == f"Sandbox of job {unit[8:-6]} for uid {ALICE}"
    # What the job may have, and what its init needs beside it.
    assert int(p["MemoryMax"]) == 116 * MIB
    assert p["MemorySwapMax"] == "0"
    assert p["TasksMax"] == "48"
    assert p["CPUQuotaPerSecUSec"] == "600ms"
    assert p["RuntimeMaxUSec"] == "2min 15s"
    assert (p["TimeoutStopUSec"], p["KillSignal"], p["OOMPolicy"]) == ("5s", "9", "continue")
    assert p["Delegate"] == "yes" and {"cpu", "memory", "pids"} <= set(p["DelegateControllers"].split())
    assert p["CollectMode"] == "inactive-or-failed"
    assert p["PartOf"] == machine.SERVICE_UNIT and machine.SERVICE_UNIT in p["After"].split()
    assert p.get("Controller", "") == ""
    # What an administrator looks at.
    assert f"Sandbox of job {unit[8:-6]}" in status and re.search(r"\d+ /?\S*cat", status)
    assert unit in tree


def test_users_have_their_own_slices():
    with jobs.Batch(ALICE) as alice, jobs.Batch(BOB) as bob:
        started = [(b, b.start("cat", stdin=True)) for b in (alice, alice, bob)]
        units = [b.unit(job) for b, job in started]
        for unit in units:
            jobs.wait_payload(unit)
        slices = [machine.get(unit, "Slice") for unit in units]
        below = [machine.group_pids(s) for s in ("sandbox-u2001.slice", "sandbox-u2002.slice")]
        for b, job in started:
            b.let_go(job)
        assert [b.status(job) for b, job in started] == ["OK"] * 3
    assert slices == ["sandbox-u2001.slice"] * 2 + ["sandbox-u2002.slice"]
    assert len(below[0]) == 4 and len(below[1]) == 2, "an init and a payload each"


# --- what the kernel holds a job by

def test_limits_as_the_kernel_has_them():
    with jobs.Batch(ALICE) as batch:
        job = batch.start("cat", stdin=True, limits={
            "memory_bytes": 100 * MIB, "pids": 40, "cpu_quota_percent": 50})
        unit = batch.unit(job)
        pid = jobs.wait_payload(unit)
        group = host.Cgroup(pid)
        scope = machine.group_dirs(unit)
        if machine.UNIFIED:
            leaf = scope[""] / "job"
            assert group.directories() == [leaf]
            assert host.read(leaf / "memory.max") == f"{100 * MIB}\n"
            assert host.read(leaf / "memory.swap.max") == "0\n"
            assert host.read(leaf / "memory.oom.group") == "1\n"
            assert host.read(leaf / "pids.max") == "40\n"
            assert host.read(leaf / "cpu.max") == "50000 100000\n"
            assert host.read(scope[""] / "memory.max") == f"{116 * MIB}\n"
            assert host.read(scope[""] / "cgroup.procs") == "", "init is in a leaf of its own"
        else:
            for name in ("memory", "cpu", "pids"):
                assert group.dirs[name] == scope[name] / "job", name
            assert host.read(scope["memory"] / "job/memory.limit_in_bytes") == f"{100 * MIB}\n"
            assert host.read(scope["pids"] / "job/pids.max") == "40\n"
            assert host.read(scope["cpu"] / "job/cpu.cfs_quota_us") == "50000\n"
            assert host.read(scope["memory"] / "memory.limit_in_bytes") == f"{116 * MIB}\n"
        assert (group.memory_max(), group.pids_max(), group.cpu_percent()) == (100 * MIB, 40, 50)
        if group.swap_max() is not None:
            assert group.swap_max() == 0
        batch.let_go(job)
        assert batch.status(job) == "OK"


def test_systemd_leaves_the_limits_alone():
    """daemon-reload writes the attributes of every unit again; the leaves are ours."""
    with jobs.Batch(ALICE) as batch:
        job = batch.start("cat", stdin=True, limits={"memory_bytes": 100 * MIB, "pids": 40})
        unit = batch.unit(job)
        group = host.Cgroup(jobs.wait_payload(unit))
        machine.systemctl("daemon-reload")
        machine.systemctl("set-property", "--runtime", unit, "CPUWeight=50")
        assert (group.memory_max(), group.pids_max()) == (100 * MIB, 40)
        batch.let_go(job)
        assert batch.status(job) == "OK"


def test_oom_every_time():
    """What was used is read before systemd has removed the cgroup, each time."""
    with jobs.Batch(ALICE) as batch:
        for _ in range(20):
            r = batch.result(batch.start("tail", "/dev/zero", limits={"memory_bytes": 16 * MIB}))
            assert r["status"] == "MEMORY_LIMIT", r
            assert 8 * MIB < r["usage"]["memory_peak_bytes"] <= 16 * MIB, r
            assert cpu_usec(r["usage"]) > 0, r
    r = machine.run("-m", "16M", "--", "tail", "/dev/zero", user="alice")
    assert (r.status, r.rc) == ("MEMORY_LIMIT", 137), r
    assert "at its limit of 16M" in r.message, r


def test_usage_waits_for_the_monitor():
    """systemd removes a scope when the last process has left it: until it was read, init stays."""
    with jobs.Batch(ALICE) as batch:
        job = batch.start("python3", "-c", "x = bytearray(40 << 20); input()", stdin=True)
        unit = batch.unit(job)
        pid = jobs.wait_payload(unit)
        monitor = machine.main_pid()
        os.kill(monitor, signal.SIGSTOP)
        try:
            batch.let_go(job)
            assert host.wait_until(lambda: not jobs.payloads(unit), 20), host.status(pid)
            time.sleep(0.3)
            assert machine.state(unit) == "active"
        finally:
            os.kill(monitor, signal.SIGCONT)
        result = batch.result(job)
    assert (result["status"], result["exit_code"]) == ("EXITED", 1), result
    assert result["usage"]["memory_peak_bytes"] > 40 * MIB
    assert cpu_usec(result["usage"]) > 0


def test_oom_leaves_the_neighbours_alone():
    with jobs.Batch(ALICE) as batch:
        quiet = batch.start("cat", stdin=True)
        greedy = [batch.start("tail", "/dev/zero", limits={"memory_bytes": 16 * MIB}) for _ in range(4)]
        assert [batch.status(job) for job in greedy] == ["MEMORY_LIMIT"] * 4
        batch.let_go(quiet)
        assert batch.status(quiet) == "OK"


def test_fork_bomb():
    with jobs.Batch(ALICE) as batch:
        job = batch.start("bash", "-c", "b() { b | b & }; b; sleep 60",
                          limits={"pids": 20, "wall_time_usec": 2_000_000})
        unit = batch.unit(job)
        jobs.wait_payload(unit)
        leaf = machine.group_dirs(unit)["" if machine.UNIFIED else "pids"] / "job"
        seen = []
        host.wait_until(lambda: seen.append(int(host.read(leaf / "pids.current") or 0)) or
                        max(seen) and not leaf.exists(), 30)
        result = batch.result(job)
    assert result["status"] in ("TIMEOUT", "EXITED"), result
    assert result["pids_limit_hit"], result
    assert 2 < max(seen) <= 20


def test_cpu_hog():
    r = machine.run("--cpus", "0.2", "-t", "2s", "--", "sh", "-c", "while :; do :; done", user="alice")
    assert (r.status, r.cpu_throttled) == ("TIMEOUT", True), r
    assert 0 < cpu_usec(r.usage) <= 0.5 * r.usage["wall_usec"], r


def test_slice_holds_several_jobs_together():
    """Each within its own limit, all of them over that of the user's slice."""
    grab = "import sys\nx = bytearray(%d << 20)\nprint('got it', flush=True)\nsys.stdin.read()"
    machine.systemctl("set-property", "--runtime", "sandbox-u2001.slice", "MemoryMax=64M")
    try:
        with jobs.Batch(ALICE) as alice, jobs.Batch(BOB) as bob:
            greedy = [alice.start("python3", "-c", grab % 40, stdin=True) for _ in range(3)]
            free = bob.start("python3", "-c", grab % 100, stdin=True)
            bob.let_go(free)
            assert bob.status(free) == "OK"
            # Sooner than by their wall-clock limit, which is 30 s.
            assert host.wait_until(lambda: len(machine.group_pids("sandbox-u2001.slice")) <= 2, 20), \
                machine.status("sandbox-u2001.slice")
            for job in greedy:
                alice.let_go(job)
            results = [alice.result(job) for job in greedy]
    finally:
        machine.systemctl("revert", "sandbox-u2001.slice")
    ended = [r for r in results if r["status"] != "OK"]
    assert ended and all(r["status"] == "MEMORY_LIMIT" for r in ended), results
    assert all("below its own limit of 256M" in r["message"] for r in ended), results


# --- somebody else ends it

STOPPED = "stopped by an administrator"


def test_stop_of_a_scope():
    process = machine.command("run", "--json", "-t", "5min", "--", "sleep", "300", user="alice")
    scope = host.wait_until(machine.cold_scopes, 20)[0]
    jobs.wait_payload(scope)
    machine.systemctl("stop", scope)
    result, code = finish(process)
    assert (result["status"], code) == ("CANCELLED", 143), result
    assert STOPPED in result["message"]
    assert result["usage"]["wall_usec"] > 0


def test_stop_cannot_be_answered():
    """Who sees its children die, or ignores what can be ignored, ends as CANCELLED all the same."""
    code = "trap '' TERM INT HUP; sleep 300; sleep 300; exit 3"
    with jobs.Batch(ALICE) as batch:
        for _ in range(5):
            job = batch.start("bash", "-c", code)
            unit = batch.unit(job)
            jobs.wait_payload(unit)
            machine.systemctl("stop", unit)
            assert batch.status(job) == "CANCELLED", batch.result(job)
            assert STOPPED in batch.result(job)["message"]


def test_stop_while_it_is_made():
    """At whatever moment it comes: the job is cancelled and says so, or had not begun to be one."""
    with jobs.Batch(ALICE) as batch:
        for _ in range(10 if SLOW else 30):
            job = batch.start("sleep", "300")
            unit = batch.unit(job)
            host.wait_until(lambda: machine.systemctl("stop", unit, check=False).returncode == 0, 10, 0)
            assert batch.status(job) == "CANCELLED", batch.result(job)
            assert STOPPED in batch.result(job)["message"], batch.result(job)


@pytest.mark.parametrize("unit", ["sandbox-u2001.slice", "sandbox.slice"])
def test_stop_of_a_slice(unit):
    everybody = unit == "sandbox.slice"
    with jobs.Batch(ALICE) as alice, jobs.Batch(BOB) as bob:
        gone = [alice.start("sleep", "300") for _ in range(3)]
        stays = bob.start("cat", stdin=True)
        for batch, job in [(alice, job) for job in gone] + [(bob, stays)]:
            jobs.wait_payload(batch.unit(job))
        machine.systemctl("stop", unit)
        for job in gone:
            assert alice.status(job) == "CANCELLED", alice.result(job)
            assert STOPPED in alice.result(job)["message"]
        assert alice.status(alice.start("true")) == "OK", "the slice is made again"
        if not everybody:
            bob.let_go(stays)
        assert bob.status(stays) == ("CANCELLED" if everybody else "OK")


def test_kill_of_a_scope():
    """A signal is no order to stop: what the job ended by is said as far as it can be known."""
    with jobs.Batch(ALICE) as batch:
        job = batch.start("sleep", "300")
        unit = batch.unit(job)
        jobs.wait_payload(unit)
        machine.systemctl("kill", "--signal=KILL", unit)
        result = batch.result(job)
        assert (result["status"] == "SIGNALED" and result["signal"] == 9 or
                (result["status"], result["step"]) == ("SETUP_ERROR", "lost")
                and "killed from outside" in result["message"]), result


def test_kill_by_the_job_is_its_own():
    """Nobody stopped the scope of a job that died of a SIGKILL of its own."""
    for _ in range(5):
        r = machine.run("--", "sh", "-c", "sleep 300 & kill -9 $$", user="alice")
        assert (r.status, r.signal, r.rc) == ("SIGNALED", 9, 137), r


def test_start_of_a_scope():
    """It runs already. However it ends after that, nobody stopped it."""
    with jobs.Batch(ALICE) as batch:
        ends = {"exit 3": "EXITED", "kill -9 $$": "SIGNALED", "sleep 300": "TIMEOUT"}
        started = []
        for end in ends:
            started.append(batch.start("bash", "-c", f"read; {end}", stdin=True, limits={"wall_time_usec": 3_000_000}))
            jobs.wait_payload(batch.unit(started[-1]))
            machine.systemctl("start", batch.unit(started[-1]))
            batch.let_go(started[-1])
        assert [batch.status(job) for job in started] == list(ends.values())


def test_cancel_is_no_stop():
    process = machine.command("run", "--json", "-t", "5min", "--", "sleep", "300", user="alice")
    scope = host.wait_until(machine.cold_scopes, 20)[0]
    jobs.wait_payload(scope)
    process.terminate()
    result, code = finish(process)
    assert (result["status"], code) == ("CANCELLED", 143), result
    assert STOPPED not in result["message"]


# --- a job is outlived by nothing

DAEMONS = """
import os, signal, sys, time
def daemon(depth):
    if os.fork():
        return
    os.setsid()
    for s in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT): signal.signal(s, signal.SIG_IGN)
    if depth:
        daemon(depth - 1)
    time.sleep(300)
    os._exit(0)
for _ in range(5): daemon(2)
time.sleep(0.2)
"""


@pytest.mark.parametrize("end", ["pass", "os.kill(os.getpid(), 9)", "x = bytearray(1 << 30)",
                                 "time.sleep(300)"], ids=["exit", "kill", "oom", "timeout"])
def test_nothing_outlives_a_job(end):
    r = machine.run("-t", "2s", "-m", "128M", "-l", "python", "-c", DAEMONS + end, user="alice")
    assert r.status in ("OK", "SIGNALED", "MEMORY_LIMIT", "TIMEOUT"), r
    jobs.wait_none()


def test_many_at_once():
    """As many as one user may have; PID 1 has none of their units afterwards."""
    count = 60 if SLOW else 200
    with jobs.Batch(ALICE) as batch:
        started = [batch.start("cat", stdin=True) for _ in range(count)]
        units = {batch.unit(job) for job in started}
        assert len(units) == count
        assert host.wait_until(lambda: set(machine.scopes()) == units, 60, 0.2), \
            f"{len(machine.scopes())} of {count}"
        for job in started:
            batch.let_go(job)
        statuses = [batch.status(job) for job in started]
    assert statuses == ["OK"] * count, {s: statuses.count(s) for s in map(str, statuses)}
    jobs.wait_none(30)
    assert machine.scopes() == []
    assert machine.failed_units() == []
    assert machine.systemctl("list-jobs", "--no-legend").stdout == ""


def test_many_cancelled_at_once():
    """The client vanishes while scopes are being made."""
    with jobs.Batch(ALICE) as batch:
        for _ in range(20 if SLOW else 100):
            batch.start("sleep", "300")
        host.wait_until(machine.cold_scopes, 10, 0.01)
    jobs.wait_none(30)
    assert machine.run("--", "true", user="alice").status == "OK"
