# SPDX-License-Identifier: Apache-2.0
"""Attack corpus H: the daemon's own processes are killed, at each phase of a job."""

import os
import signal
import time

import pytest

from lib import host, wire


@pytest.fixture
def own(make_daemon):
    """A daemon to kill."""
    d = make_daemon()
    with d.command("run", "--", "sleep", "60") as p:
        assert host.wait_until(d.payload_pids, 10)
        d.note_cgroups()
        p.terminate()
        p.communicate(timeout=20)
    assert host.wait_until(lambda: not d.job_pids(), 5)
    return d


def works_again(d):
    def works():
        return d.run("--", "echo", "back").rc == 0
    return host.wait_until(works, 10, 0.1)


@pytest.mark.parametrize("delay", [0, 0.002, 0.005, 0.01, 0.03, 0.5])
def test_60_frontend_killed(own, delay):
    """Its client is told by the end of the connection, its jobs end, and the monitor starts another. A
    client that had not been accepted yet is served by that one."""
    frontend = own.frontend
    with own.command("run", "--", "sh", "-c", "echo begun; sleep 4; echo ended") as p:
        time.sleep(delay)
        os.kill(frontend, signal.SIGKILL)
        out, err = p.communicate(timeout=30)
        if p.returncode == 0 and delay < 0.5:
            assert out == b"begun\nended\n"
        else:
            assert p.returncode == 125 and b"sandboxctl: " in err, err
    assert host.wait_until(lambda: own.frontend not in (None, frontend), 10)
    assert host.wait_until(lambda: not own.job_pids(), 5), "jobs of a dead frontend run on"
    assert works_again(own), own.log()
    assert host.wait_until(lambda: own.cgroup_directories() == [], 5), own.cgroup_directories()
    assert own.process.poll() is None


def test_60_frontend_killed_with_many_jobs(own):
    with own.session() as c:
        c.send(*[wire.run(i, argv=[b"sleep", b"600"]) for i in range(1, 9)])
        assert host.wait_until(lambda: len(own.payload_pids()) >= 8, 10)
        fds = host.fd_count(own.monitor)
        os.kill(own.frontend, signal.SIGKILL)
        c_ended = False
        try:
            while True:
                c.receive(timeout=10)
        except wire.Closed:
            c_ended = True
        assert c_ended
    assert host.wait_until(lambda: not own.job_pids(), 5)
    assert works_again(own)
    assert host.wait_until(lambda: host.fd_count(own.monitor) <= fds, 5)


@pytest.mark.parametrize("delay", [0, 0.002, 0.005, 0.01, 0.03, 0.5])
def test_60_monitor_killed(own, delay):
    """No process of the uid range outlives it, and the frontend ends by itself."""
    frontend = own.frontend
    with own.command("run", "-l", "bash", "-c", "trap '' TERM HUP; sleep 600 & echo begun; sleep 600") as p:
        time.sleep(delay)
        own.process.kill()
        own.process.wait()
        p.communicate(timeout=30)
        assert p.returncode == 125
    assert host.wait_until(lambda: not own.job_pids(), 5), "processes of a dead monitor run on"
    assert host.wait_until(lambda: host.status(frontend).get("State", "Z")[0] in "ZX", 5), \
        "the frontend outlives its monitor"


def upload(d, c):
    """The frontend waits for a file's bytes."""
    c.send(wire.run(2, argv=[b"true"], files=[wire.file_message("late", size=10)]), wire.get_host(3))
    assert c.expect("host")["running_jobs"] == 1


def start(d, c):
    """The monitor was asked for a sandbox and has not looked yet."""
    os.kill(d.monitor, signal.SIGSTOP)
    c.send(wire.run(2, argv=[b"sleep", b"600"]))
    c.expect("started")


def running(d, c):
    c.send(wire.run(2, argv=[b"sleep", b"600"]))
    c.expect("started")
    assert host.wait_until(d.payload_pids, 10)


def draining(d, c):
    """The job has ended, and its client has not read what it wrote: more than the sockets take, and no
    more than the frontend does beside them."""
    c.send(wire.run(2, argv=[b"head", b"-c", b"1150000", b"/dev/zero"],
                    limits={"output_bytes": 4 << 20}))
    c.expect("started")
    assert host.wait_until(lambda: not d.job_pids(), 10)


@pytest.mark.parametrize("phase", [upload, start, running, draining], ids=lambda f: f.__name__)
@pytest.mark.parametrize("victim", ["frontend", "monitor"])
def test_60_killed_in_a_phase(own, phase, victim):
    """The client hears of it at once, if only by the end of the connection, and no job is left."""
    with own.session() as c:
        phase(own, c)
        monitor = own.monitor
        os.kill(own.frontend if victim == "frontend" else monitor, signal.SIGKILL)
        with pytest.raises(wire.Closed):
            while True:
                response = c.receive(timeout=10)
                # Of one that had ended before, the result may still be on its way.
                assert "result" not in response or phase is draining, "of a job that was cut off"
        if victim == "frontend":
            os.kill(monitor, signal.SIGCONT)
    if victim == "monitor":
        own.process.wait(10)
        own.start()
    assert works_again(own), own.log()
    assert host.wait_until(lambda: not own.job_pids(), 5), "its job runs on"
    assert host.wait_until(lambda: own.cgroup_directories() == [], 5), own.cgroup_directories()


def is_building(pid):
    """A sandbox's init that makes its mounts and is root on the host still. Before, while it starts or
    lends its effective id for a system call, the kernel would not end it with its parent: it sees to
    that afterwards."""
    status = host.status(pid)
    return (status.get("Name") == "sandboxd-init" and set(status["Uid"].split()) == {"0"} and
            host.namespace(pid, "mnt") != host.namespace("self", "mnt") and
            host.namespace(pid, "user") == host.namespace("self", "user"))


def stop_a_builder(d):
    """The pid of an init that was stopped while it builds its sandbox; None when all were too fast."""
    deadline = time.monotonic() + 2
    while time.monotonic() < deadline:
        for pid in host.children(d.monitor):
            if pid == d.frontend:
                continue
            try:
                os.kill(pid, signal.SIGSTOP)
                if host.wait_until(lambda: host.status(pid)["State"][0] == "T", 1, 0) and is_building(pid):
                    return pid
                os.kill(pid, signal.SIGCONT)
            except (OSError, KeyError):
                pass  # it has ended
    return None


def stop_a_reaper(d):
    """The pid of the init of a job that runs, stopped: it has shed everything, and waits."""
    assert host.wait_until(lambda: len(d.payload_pids()) == 1 and len(d.job_pids()) == 2, 10)
    time.sleep(0.2)
    pid = (set(d.job_pids()) - set(d.payload_pids())).pop()
    assert int(host.status(pid)["CapEff"], 16) == 0
    os.kill(pid, signal.SIGSTOP)
    return pid


@pytest.mark.parametrize("stop", [stop_a_builder, stop_a_reaper], ids=["before-shedding", "after-shedding"])
def test_60_init_dies_with_the_monitor(own, stop):
    """By the kernel's hand: it is stopped, and could not do it itself."""
    with own.session() as c:
        for number in range(2, 32):
            c.send(wire.run(number, argv=[b"sleep", b"3"]))
            pid = stop(own)
            if pid:
                break
        assert pid, "no init was seen in time"
        born = host.start_time(pid)
        own.process.kill()
        own.process.wait(10)

        def is_gone():
            return host.start_time(pid) != born or host.status(pid).get("State", "X")[0] in "ZX"
        gone = host.wait_until(is_gone, 5)
        if not gone:
            os.kill(pid, signal.SIGCONT)
    assert gone, "it outlives the monitor"
    assert host.wait_until(lambda: not own.job_pids(), 5)


def test_60_restart_after_a_kill(own):
    """The next start clears what a killed one could not: cgroups, socket."""
    p = own.command("run", "--", "sleep", "600")
    assert host.wait_until(own.payload_pids, 10)
    own.note_cgroups()
    own.process.kill()
    own.process.wait()
    p.communicate(timeout=30)
    own.start()
    assert own.run("--", "echo", "x").stdout == "x\n"
    assert host.wait_until(lambda: own.cgroup_directories() == [], 5), own.cgroup_directories()


def test_60_init_of_a_sandbox_killed(own):
    """Its job ends with an honest status, and the daemon goes on."""
    with own.session() as c:
        c.send(wire.run(1, argv=[b"sleep", b"600"]))
        c.expect("started")
        assert host.wait_until(own.payload_pids, 10)

        def init():
            others = [p for p in own.job_pids() if p not in own.payload_pids()]
            return others if len(others) == 1 else None  # the child for the user namespace is gone
        os.kill(host.wait_until(init, 5)[0], signal.SIGKILL)
        r, _, _ = c.finish(1)
        assert r["result"]["status"] in ("SETUP_ERROR", "SIGNALED", "CANCELLED"), r
        r, out, _ = c.run(2, argv=[b"echo", b"next"])
        assert out == b"next\n"


def test_60_payload_killed_from_outside(own):
    with own.session() as c:
        c.send(wire.run(1, argv=[b"sleep", b"600"]))
        c.expect("started")
        assert host.wait_until(own.payload_pids, 10)
        os.kill(own.payload_pids()[0], signal.SIGKILL)
        r, _, _ = c.finish(1)
        assert (r["result"]["status"], r["result"]["signal"]) == ("SIGNALED", 9), r


def test_60_frontend_that_dies_again_and_again(own):
    """Four deaths are made good. With the fifth start within ten seconds it is enough: the monitor says
    so, ends what runs, and exits with 1."""
    deaths, end = 0, time.monotonic() + 60
    with own.command("run", "--", "sleep", "600") as p:
        while own.process.poll() is None and time.monotonic() < end:
            pid = host.wait_until(lambda: own.frontend or own.process.poll() is not None, 5)
            if own.process.poll() is not None:
                break
            os.kill(pid, signal.SIGKILL)
            deaths += 1
            host.wait_until(lambda: own.frontend != pid, 5)
        assert own.process.wait(10) == 1, own.log()
        p.communicate(timeout=20)
    assert deaths >= 5, f"it gave up after {deaths} deaths"
    assert "the frontend died too often" in own.log()
    assert own.leftovers() == []
