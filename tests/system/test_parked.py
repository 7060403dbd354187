# SPDX-License-Identifier: Apache-2.0
"""Sandboxes that are made ahead of time, in scopes: what systemd says of them, what a job in one is held by, and
that whoever ends them, or the daemon, leaves nothing."""

import subprocess

import pytest

from lib import host, jobs, machine

ALICE = 2001
MIB = 1 << 20


@pytest.fixture(autouse=True)
def kept(configure):
    """They are given back when the test is over."""
    configure(jobs.KEEPS_PARKED)
    yield
    machine.systemctl("stop", machine.SERVICE_UNIT)
    assert machine.scopes() == []
    jobs.wait_none()


def bash(code, *options, **more):
    return machine.run(*options, "-l", "bash", "-c", code, user="alice", **more)


def reading(*options):
    """A job that waits for a line, as a started sandboxctl."""
    process = machine.command("run", "--json", *options, "-l", "bash", "-c", "read x; echo $x", user="alice",
                              stdin=subprocess.PIPE)
    assert host.wait_until(machine.running_jobs, 20)
    return process


def answer(process):
    """What came of it."""
    out, err = process.communicate(b"42\n", timeout=60)
    return machine.Result(subprocess.CompletedProcess([], process.returncode, out, err))


def limits(pid):
    group = host.Cgroup(pid)
    return group.memory_max(), group.pids_max(), group.cpu_percent()


def test_scope():
    """It allows what a job may have at most, since systemd changes no scope; the leaf in it is the job's."""
    one = jobs.park("alice")
    p = machine.show(one.unit)
    assert p["ActiveState"] == "active" and one.is_idle
    assert p["Slice"] == f"sandbox-u{ALICE}.slice"
    assert p["Description"] == f"Sandbox {one.unit[8:-6]}, made ahead of time for uid {ALICE}"
    assert (int(p["MemoryMax"]), p["MemorySwapMax"], p["TasksMax"]) == (2064 * MIB, "0", "520")
    assert (p["CPUQuotaPerSecUSec"], p["KillSignal"], p["OOMPolicy"]) == ("2.100000s", "9", "continue")
    # As long as it may wait, and then as long as its job may take, with what that may bring and leave.
    assert p["RuntimeMaxUSec"] == "2h 20min 45s" and p["Delegate"] == "yes"
    assert p["PartOf"] == machine.SERVICE_UNIT and machine.SERVICE_UNIT in p["After"].split()
    assert limits(one.command) == (256 * MIB, 64, 100)
    with reading("-m", "64M", "--pids", "20", "--cpus", "0.5") as process:
        assert host.wait_until(lambda: limits(one.command) == (64 * MIB, 20, 50), 10), limits(one.command)
        assert not one.is_idle
        r = answer(process)
    assert (r.status, r.stdout, r.warm) == ("OK", "42\n", True), r
    assert host.wait_until(lambda: machine.units(one.unit) == [], 10), "each takes one job"


def test_systemd_leaves_it_alone():
    one = jobs.park("alice")
    machine.systemctl("daemon-reload")
    machine.systemctl("set-property", "--runtime", one.unit, "CPUWeight=50")
    assert limits(one.command) == (256 * MIB, 64, 100)
    r = bash("echo x", "-m", "64M")
    assert (r.status, r.stdout, r.warm) == ("OK", "x\n", True), r


def test_out_of_memory():
    one = jobs.park("alice", "python")
    r = machine.run("-m", "48M", "-l", "python", "-c", "x = bytearray(100 << 20)", user="alice")
    assert (r.status, r.warm) == ("MEMORY_LIMIT", True), r
    assert 8 * MIB < r.usage["memory_peak_bytes"] <= 48 * MIB, r
    assert host.wait_until(lambda: machine.units(one.unit) == [], 10)


@pytest.mark.parametrize("what", ["scope", "slice"])
def test_stop_with_a_job(what):
    """Who has it hears that an administrator did it, as in any other."""
    one = jobs.park("alice")
    with reading() as process:
        assert host.wait_until(lambda: not one.is_idle, 10)
        machine.systemctl("stop", one.unit if what == "scope" else f"sandbox-u{ALICE}.slice")
        r = answer(process)
    assert (r.status, r.warm) == ("CANCELLED", True) and "stopped by an administrator" in r.message, r


@pytest.mark.parametrize("what", ["scope", "slice", "kill"])
def test_end_without_a_job(what, journal):
    """Nobody misses it: the next job is served, and there is another one, now or later."""
    one = jobs.park("alice")
    if what == "kill":
        machine.systemctl("kill", "--signal=KILL", one.unit)
    else:
        machine.systemctl("stop", one.unit if what == "scope" else f"sandbox-u{ALICE}.slice")
    assert host.wait_until(lambda: machine.units(one.unit) == [], 10)
    r = bash("echo x")
    assert (r.status, r.stdout) == ("OK", "x\n"), r
    assert host.wait_until(lambda: jobs.parked(ALICE), 30, 0.1), machine.scopes()
    assert ("a parked sandbox of uid 2001 for bash died" in journal.text()) == (what == "kill"), journal.text()


def test_stop_with_a_command():
    """The job is in the scope that was made before it, and systemd has no other of it."""
    one = jobs.park_bare("alice")
    with machine.command("run", "--json", "--", "sh", "-c", "sleep 300; sleep 300", user="alice") as process:
        assert host.wait_until(lambda: jobs.payloads(one.unit), 20), machine.scopes()
        assert machine.cold_scopes() == [] and not one.is_idle
        machine.systemctl("stop", one.unit)
        r = answer(process)
    assert (r.status, r.warm) == ("CANCELLED", True) and "stopped by an administrator" in r.message, r


@pytest.mark.parametrize("verb", [["stop"], ["kill", "--signal=KILL"]], ids=["stop", "kill"])
def test_end_without_a_command(verb, journal):
    one = jobs.park_bare("alice")
    machine.systemctl(*verb, one.unit)
    assert host.wait_until(lambda: machine.units(one.unit) == [], 10)
    r = machine.run("--", "echo", "x", user="alice")
    assert (r.status, r.stdout) == ("OK", "x\n"), r
    assert host.wait_until(lambda: jobs.bare(ALICE), 30, 0.1), machine.scopes()
    assert ("a parked sandbox of uid 2001 for command died" in journal.text()) == (verb[0] == "kill"), journal.text()


def test_stop_of_the_service(journal):
    one = jobs.park("alice")
    groups = machine.group_dirs(one.unit).values()
    machine.systemctl("stop", machine.SERVICE_UNIT)
    assert machine.scopes() == [] and not any(path.exists() for path in groups)
    assert not host.status(one.command) and not host.status(one.init)
    assert machine.get(machine.SERVICE_UNIT, "Result") == "success"
    text = journal.text()
    assert "a parked sandbox" not in text and "SIGKILL" not in text, text[-3000:]


@pytest.mark.parametrize("whom", ["main", "all"])
def test_kill_of_the_daemon(whom):
    """The next one finds none of them, and makes its own."""
    one = jobs.park("alice")
    machine.systemctl("kill", f"--kill-whom={whom}", "--signal=KILL", machine.SERVICE_UNIT)
    assert host.wait_until(lambda: machine.units(one.unit) == [] and not host.status(one.command), 20), machine.scopes()
    assert not bash("echo x").warm
    assert jobs.park("alice").unit != one.unit


def test_it_does_not_keep_the_daemon_up(configure):
    configure(jobs.KEEPS_PARKED | {"Server": {"IdleExitSec": "1s"}})
    one = jobs.park("alice")
    machine.wait_state(machine.SERVICE_UNIT, "inactive")
    assert machine.scopes() == [] and not host.status(one.init)
    assert machine.get(machine.SERVICE_UNIT, "Result") == "success"
