# SPDX-License-Identifier: Apache-2.0
"""PID 1 that refuses, stalls, goes away and comes back; other services that do; a daemon that is killed at
every phase of a job, stopped, or shut down with the machine. Jobs that can go on do, the others end and
their clients hear of it, and nothing is left."""

import json
import threading
import time
from pathlib import Path

import pytest

from lib import host, jobs, machine, wire
from lib.pid1 import Proxy

ALICE, BOB = 2001, 2002
SLOW = machine.WORLD == "uml"
SERVICE = machine.SERVICE_UNIT


@pytest.fixture(autouse=True)
def nothing_is_left():
    yield
    jobs.wait_none()


@pytest.fixture(scope="module")
def proxy():
    """Stands between PID 1 and the daemon from its first use on."""
    machine.systemctl("stop", SERVICE)
    proxy = Proxy()
    yield proxy
    proxy.close()


@pytest.fixture
def pid1(proxy):
    """What the daemon takes for PID 1."""
    yield proxy
    proxy.resume()


def works(user=None):
    r = machine.run("--", "true", user=user)
    assert (r.status, r.rc) == ("OK", 0), r


# --- PID 1 refuses

def test_masked_slice():
    works("alice")
    jobs.wait_none()
    machine.systemctl("stop", "sandbox-u2001.slice")
    machine.systemctl("mask", "--runtime", "sandbox-u2001.slice")
    try:
        r = machine.run("--", "true", user="alice")
        works("bob")
    finally:
        machine.systemctl("unmask", "--runtime", "sandbox-u2001.slice")
    assert (r.status, r.step, r.rc) == ("SETUP_ERROR", "scope", 125), r
    assert r.message == ("the sandbox got no scope from systemd (Unit sandbox-u2001.slice is masked): run it "
                         "again, or have an administrator see the journal")
    works("alice")


def test_slice_without_a_unit_file():
    """It is one of systemd's own making then, and the drop-in holds for it."""
    path = Path(machine.get("sandbox.slice", "FragmentPath"))
    machine.systemctl("stop", SERVICE, "sandbox.slice")
    kept = path.rename(path.with_suffix(".away"))
    machine.systemctl("daemon-reload")
    try:
        with jobs.Batch(ALICE) as batch:
            job = batch.start("cat", stdin=True)
            jobs.wait_payload(batch.unit(job))
            p = machine.show("sandbox.slice", "FragmentPath", "ActiveState", "MemoryAccounting")
            batch.let_go(job)
            assert batch.status(job) == "OK"
    finally:
        kept.rename(path)
        machine.systemctl("daemon-reload")
    assert p == {"FragmentPath": "", "ActiveState": "active", "MemoryAccounting": "yes"}
    works("alice")


def test_controller_is_not_delegated(drop_in, configure):
    """On a host of version 1 there is nothing to delegate: each controller is everywhere."""
    if not machine.UNIFIED:
        pytest.skip("DisableControllers= means something on cgroup2 alone")
    machine.systemctl("stop", SERVICE, "sandbox.slice")
    drop_in("sandbox.slice", "[Slice]\nDisableControllers=memory\n")
    r = machine.run("--", "true", user="alice")
    assert (r.status, r.step, r.rc) == ("SETUP_ERROR", "limits", 125), r
    assert "memory" in r.message and "AllowMissing=" in r.message
    configure({"Cgroup": {"AllowMissing": "memory"}})
    r = machine.run("--pids", "7", "--", "cat", "/proc/self/cgroup", user="alice")
    assert r.status == "OK", r
    jobs.wait_none()
    machine.systemctl("stop", "sandbox.slice")


# --- PID 1 is busy with itself

class Load:
    """Clients that run one job after the other, until they are told to end."""

    def __init__(self, clients=4):
        self.ending = False
        self.statuses = []
        self.errors = []
        self.threads = [threading.Thread(target=self.work, args=(i,)) for i in range(clients)]

    def work(self, i):
        try:
            # SO_PEERCRED is the whole process's, so all of them are root's.
            with jobs.Batch() as batch:
                while not self.ending:
                    self.statuses.append(batch.status(batch.start("true")))
        except (OSError, AssertionError, wire.Closed) as e:
            self.errors.append(repr(e))

    def wait(self, n=4 if SLOW else 12):
        """Until some more jobs have ended."""
        wanted = len(self.statuses) + n
        assert host.wait_until(lambda: len(self.statuses) >= wanted or self.errors, 60), self.statuses

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        self.wait()
        return self

    def __exit__(self, *_):
        self.ending = True
        for thread in self.threads:
            thread.join()
        assert not self.errors
        assert set(self.statuses) == {"OK"}, {s: self.statuses.count(s) for s in map(str, set(self.statuses))}


@pytest.mark.parametrize("verb", ["daemon-reload", "daemon-reexec"])
def test_pid1_reads_itself_anew(verb):
    works()
    pid = machine.main_pid()
    with Load() as load:
        for _ in range(2 if SLOW else 5):
            machine.systemctl(verb)
            load.wait()
    assert machine.main_pid() == pid


# --- other services

def test_bus_comes_and_goes():
    works()
    pid = machine.main_pid()
    with Load() as load:
        machine.systemctl("stop", "dbus.socket", "dbus.service")
        load.wait()
        machine.systemctl("start", "dbus.socket", "dbus.service")
        load.wait()
        machine.systemctl("restart", "dbus.service")
        load.wait()
    assert machine.main_pid() == pid


def test_journal_comes_and_goes():
    works()
    pid = machine.main_pid()
    sockets = ["systemd-journald.socket", "systemd-journald-dev-log.socket"]
    with Load() as load:
        machine.systemctl("stop", *sockets, "systemd-journald.service")
        load.wait()
        machine.systemctl("start", *sockets, "systemd-journald.service")
        load.wait()
    assert machine.main_pid() == pid


# --- the daemon is stopped

def test_stop_of_the_service(running_job):
    """Clients hear what became of their jobs."""
    process = machine.command("run", "--json", "-t", "5min", "--", "sleep", "300", user="alice")
    scope = host.wait_until(machine.cold_scopes, 20)[0]
    jobs.wait_payload(scope)
    machine.systemctl("stop", SERVICE)
    out, err = process.communicate(timeout=30)
    assert process.returncode == 143, (out, err)
    result = json.loads(out)
    assert result["status"] == "CANCELLED" and result["message"], result
    assert machine.get(SERVICE, "Result") == "success"
    jobs.wait_none()
    works()


def test_restart_under_load():
    """A client gets a result or an error; it never hangs, and the next one is served."""
    ends = []

    def client():
        for _ in range(5):
            try:
                with jobs.Batch() as batch:
                    ends.append(batch.result(batch.start("sleep", "0.1")))
            except (wire.Closed, ConnectionError):
                ends.append("closed")
    threads = [threading.Thread(target=client) for _ in range(4)]
    for thread in threads:
        thread.start()
    for _ in range(2):
        time.sleep(0.3)
        machine.systemctl("restart", SERVICE)
    for thread in threads:
        thread.join(120)
    assert not any(thread.is_alive() for thread in threads)
    assert len(ends) == 20
    assert all(e == "closed" or "code" in e or e["status"] in ("OK", "CANCELLED") for e in ends), ends
    works()


# --- the machine

def test_shutdown_with_jobs(second_machine):
    """Scopes are ended before the daemon, the daemon says so to its clients, and nobody waits for anybody; nor for
    what is parked."""
    second_machine.write("/etc/sandboxd/sandboxd.conf.d/test.conf", "[Pool]\nMaximum=64\nIdleSec=5min\n")
    second_machine.boot()
    second_machine.call("sandboxctl", "run", "-l", "bash", "-c", ":")
    processes = [second_machine.spawn("sandboxctl", "run", "--json", "-t", "5min", "--", "sh", "-c",
                                      "trap '' TERM; sleep 300; sleep 300") for _ in range(3)]

    def running():
        return second_machine.call("sandboxctl", "ps", "--json").stdout.count('"running"')

    def parked():
        """The one that the bash left, and of commands at least one."""
        units = second_machine.call("systemctl", "list-units", "--no-legend", "sandbox-*.scope").stdout
        return units.count("made ahead of time")
    assert host.wait_until(lambda: running() == 3 and parked() >= 2, 30), second_machine.journal()
    second_machine.call("systemctl", "poweroff")
    outs = [p.communicate(timeout=60) for p in processes]
    second_machine.wait_end(60)
    text = second_machine.journal()
    for out, err in outs:
        result = json.loads(out)
        assert result["status"] == "CANCELLED", (result, err)
    assert text.count("ended: CANCELLED") == 3, text[-4000:]
    ours = "\n".join(line for line in text.splitlines() if "sandbox" in line)
    assert "a parked sandbox" not in ours, ours
    assert "sandboxd.service: Deactivated successfully" in text, text[-4000:]
    assert "timed out" not in text and "SIGKILL" not in text, text[-4000:]
# --- the daemon is killed

PHASES = ["upload", "setup", "running", "draining"]


class Victim:
    """A client whose job is in some phase."""

    def __init__(self, phase, pid1):
        self.batch = jobs.Batch(ALICE, timeout=30)
        getattr(self, phase)(pid1)

    def upload(self, pid1):
        self.batch.start("true", files=[wire.file_message("x", b"part", size=1 << 20)])
        time.sleep(0.1)

    def setup(self, pid1):
        pid1.stall()
        job = self.batch.start("sleep", "300")
        self.batch.unit(job)

    def running(self, pid1):
        jobs.wait_payload(self.batch.unit(self.batch.start("bash", "-c", "setsid sleep 300 & sleep 300")))

    def draining(self, pid1):
        """It has ended, and its client does not read what it wrote."""
        job = self.batch.start("sh", "-c", "read x; head -c 800000 /dev/zero", stdin=True)
        unit = self.batch.unit(job)
        jobs.wait_payload(unit)
        self.batch.let_go(job)
        assert host.wait_until(lambda: unit not in machine.scopes(), 20)

    def hears_of_it(self):
        """The end of the connection, or an error; no hang, and no result of a job that was killed."""
        try:
            while True:
                self.batch.take()
        except wire.Closed:
            pass
        finally:
            self.batch.connection.close()
        return self.batch.results


def ended(results):
    """The connection's end at most has been said, and no result of a job that was killed."""
    assert all(request == 0 or "status" not in r for request, r in results.items()), results


@pytest.mark.parametrize("phase", PHASES)
def test_monitor_is_killed(phase, pid1):
    works()
    pid = machine.main_pid()
    victim = Victim(phase, pid1)
    machine.systemctl("kill", "--kill-whom=main", "--signal=KILL", SERVICE)
    ended(victim.hears_of_it())
    pid1.resume()
    works("alice")
    assert machine.main_pid() not in (0, pid)
    jobs.wait_none()


@pytest.mark.parametrize("phase", PHASES)
def test_frontend_is_killed(phase, pid1):
    works()
    pid, frontend = machine.main_pid(), machine.frontend_pid()
    victim = Victim(phase, pid1)
    machine.call("kill", "-KILL", frontend)
    ended(victim.hears_of_it())
    pid1.resume()
    works("alice")
    assert machine.main_pid() == pid, "the monitor lives on"
    assert machine.frontend_pid() != frontend
    jobs.wait_none()


def test_start_ends_what_is_left():
    """Before it takes work. A process of an earlier life that init's death did not end, in a scope of its
    own; its neighbours, which only look alike, stay."""
    machine.systemctl("stop", SERVICE)
    left, other = "sandbox-00000000000000aa.scope", "sandbox-of-somebody.scope"
    processes = [machine.subprocess.Popen(
        ["systemd-run", "--quiet", "--scope", f"--unit={unit}", "--slice=sandbox-u2001.slice",
         "--property=KillSignal=SIGKILL", "setpriv", f"--reuid={jobs.UID_BASE + 7}", "--clear-groups",
         "sh", "-c", "trap '' TERM; sleep 300; sleep 300"]) for unit in (left, other)]
    try:
        for unit in left, other:
            machine.wait_state(unit, "active")
            assert host.wait_until(lambda u=unit: len(machine.group_pids(u)) >= 2, 10)
        machine.systemctl("start", SERVICE)
        assert machine.state(left) == "inactive"
        processes[0].wait(20)
        assert machine.units(left) == [] and not any(path.name == left for path in jobs.groups())
        assert machine.state(other) == "active"
        assert len(jobs.pids()) == len(machine.group_pids(other)) == 2
        works("alice")
    finally:
        machine.systemctl("kill", "--signal=KILL", other, check=False)
        for process in processes:
            process.wait(20)


def test_monitor_is_killed_while_it_starts(pid1):
    """Before it has ended what an earlier life left. The life after it does, and takes work then."""
    machine.systemctl("stop", SERVICE)
    left = "sandbox-00000000000000ab.scope"
    process = machine.subprocess.Popen(["systemd-run", "--quiet", "--scope", f"--unit={left}",
                                        "--slice=sandbox-u2001.slice", "sleep", "300"])
    try:
        machine.wait_state(left, "active")
        pid1.stall()
        machine.systemctl("start", "--no-block", SERVICE)
        assert host.wait_until(
            lambda: machine.get(SERVICE, "StatusText") == "Starting: ending what an earlier life left", 20), \
            machine.status(SERVICE)
        pid = machine.main_pid()
        assert (machine.state(SERVICE), machine.state(left)) == ("activating", "active")
        machine.systemctl("kill", "--kill-whom=main", "--signal=KILL", SERVICE)
        pid1.resume()
        works("alice")
        assert machine.main_pid() not in (0, pid)
        process.wait(20)
        assert machine.units(left) == []
    finally:
        process.kill()
        process.wait(20)


def test_monitor_hangs(drop_in):
    """Nobody kills it, and nobody keeps the job's time: PID 1 ends the scope when RuntimeMaxUSec= has passed.
    Its client hears of it when the daemon is back."""
    drop_in(SERVICE, "[Service]\nWatchdogSec=0\n")
    machine.systemctl("stop", SERVICE)
    works()
    with jobs.Batch(ALICE) as batch:
        job = batch.start("bash", "-c", "setsid sleep 300 & sleep 300", limits={"wall_time_usec": 1_000_000})
        unit = batch.unit(job)
        jobs.wait_payload(unit)
        pid = machine.main_pid()
        machine.call("kill", "-STOP", pid)
        try:
            assert machine.show(unit, "ActiveState", "RuntimeMaxUSec") == {
                "ActiveState": "active", "RuntimeMaxUSec": "46s"}
            assert host.wait_until(lambda: unit not in machine.scopes(), 55, 0.5), machine.status(unit)
            assert jobs.payloads(unit) == [] and not any(path.name == unit for path in jobs.groups())
        finally:
            machine.call("kill", "-CONT", pid)
        assert batch.status(job) != "OK", batch.result(job)
    works("alice")
    assert machine.main_pid() == pid
    machine.systemctl("stop", SERVICE)


def test_killed_and_not_started_again(drop_in, no_pool):
    """Init dies with the monitor; should it not, PID 1 ends the scope when RuntimeMaxUSec has passed."""
    drop_in(SERVICE, "[Service]\nRestart=no\n")
    with jobs.Batch(ALICE) as batch:
        units = [batch.unit(batch.start("bash", "-c", "setsid sleep 300 & sleep 300")) for _ in range(3)]
        for unit in units:
            jobs.wait_payload(unit)
        machine.systemctl("kill", "--kill-whom=all", "--signal=KILL", SERVICE)
        with pytest.raises(wire.Closed):
            while True:
                batch.take()
    machine.wait_state(SERVICE, "failed")
    jobs.wait_none()
    machine.systemctl("reset-failed", SERVICE)


# --- PID 1 stalls

def test_stalled(no_pool, pid1):
    """Closed, within a deadline; open again when PID 1 is back, without what it made too late."""
    works("alice")
    accepted = pid1.accepted
    pid1.stall()
    with jobs.Batch(ALICE) as alice, jobs.Batch(BOB) as bob:
        started = [(b, b.start("true")) for b in (alice, alice, bob)]
        results = [b.result(job) for b, job in started]
    for r in results:
        assert (r["status"], r["step"]) == ("SETUP_ERROR", "scope"), r
        assert "no answer in time" in r["message"], r
    pid1.resume()
    works("alice")
    assert pid1.accepted == accepted, "the connection was never lost"


def test_stalled_at_the_end_of_a_job(no_pool, pid1):
    """Who killed a job cannot be asked: what is known is said, and what it left does not run on. Neither
    its deadline nor its client make anything else of it."""
    with jobs.Batch(ALICE) as batch:
        started = [batch.start("bash", "-c", "read; sleep 300 & kill -9 $$", stdin=True,
                               limits={"wall_time_usec": 2_000_000}) for _ in range(2)]
        units = [batch.unit(job) for job in started]
        for unit in units:
            jobs.wait_payload(unit)
        pid1.stall()
        for job in started:
            batch.let_go(job)
        assert host.wait_until(lambda: not any(map(jobs.payloads, units)), 4), "their children run on"
        batch.connection.send(wire.cancel(started[1]))
        for job in started:
            result = batch.result(job)
            assert (result["status"], result["signal"]) == ("SIGNALED", 9), result


def test_stalled_while_one_is_parked(pid1, configure, journal):
    """It is given up, and another one made when PID 1 is back."""
    configure(jobs.KEEPS_PARKED)
    init = jobs.park("alice").init
    pid1.stall()
    machine.call("kill", "-KILL", init)
    lost = "a parked sandbox of uid 2001 for bash died (step scope"
    assert host.wait_until(lambda: lost in journal.text(_SYSTEMD_UNIT=SERVICE), 40, 0.5), journal.text()
    pid1.resume()
    works("alice")
    assert host.wait_until(lambda: jobs.parked(ALICE), 40), machine.scopes()


def test_stalled_at_a_stop_of_the_daemon(pid1, journal):
    """Neither it nor its client waits for ever. What it could not see through, the next start does."""
    works()
    pid = machine.main_pid()
    pid1.stall()
    with jobs.Batch(ALICE) as batch:
        for _ in range(3):
            batch.start("sleep", "300")
        host.wait_until(lambda: len(batch.started) == 3 or batch.take(), 20)
        machine.systemctl("kill", "--kill-whom=main", "--signal=TERM", SERVICE)
        while len(batch.results) < 3:
            batch.take()
        assert [r.get("status") for r in batch.results.values()] == ["CANCELLED"] * 3, batch.results
    assert host.wait_until(lambda: machine.main_pid() != pid, 30), machine.status(SERVICE)
    assert "sandboxes did not end in time" in journal.text(_SYSTEMD_UNIT=SERVICE)
    pid1.resume()
    works()


# --- PID 1 is away

def test_away_at_start(pid1):
    """The daemon starts as soon as PID 1 can be asked what is left of an earlier life."""
    machine.systemctl("stop", SERVICE)
    pid1.refuse()
    accepted = pid1.accepted
    machine.systemctl("start", "--no-block", SERVICE)
    assert host.wait_until(lambda: pid1.accepted >= accepted + 3, 20), machine.status(SERVICE)
    assert machine.state(SERVICE) == "activating"
    pid1.resume()
    machine.wait_state(SERVICE, "active")
    works("alice")


def test_away_for_a_moment(pid1):
    """Jobs wait; none is lost, whatever had become of what they asked for."""
    with jobs.Batch(ALICE) as batch:
        old = batch.start("cat", stdin=True)
        jobs.wait_payload(batch.unit(old))
        pid1.stall()
        # No more than one user may have in the making at one time: the next ones' time begins later.
        started = [batch.start("true") for _ in range(5)]
        for job in started:
            batch.unit(job)
        pid1.refuse()
        accepted = pid1.accepted
        assert host.wait_until(lambda: pid1.accepted >= accepted + 2, 20)
        pid1.resume()
        assert [batch.status(job) for job in started] == ["OK"] * 5
        batch.let_go(old)
        assert batch.status(old) == "OK"


def test_answers_are_lost(no_pool, pid1):
    """It did what it was asked for, and nobody heard of it."""
    with jobs.Batch(ALICE) as batch:
        for _ in range(3 if SLOW else 10):
            pid1.mute()
            started = [batch.start("true") for _ in range(5)]
            units = {batch.unit(job) for job in started}
            assert host.wait_until(lambda: units <= set(machine.scopes()), 20), machine.scopes()
            accepted = pid1.accepted
            pid1.cut()
            assert [batch.status(job) for job in started] == ["OK"] * 5
            assert pid1.accepted > accepted
