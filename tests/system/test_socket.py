# SPDX-License-Identifier: Apache-2.0
"""The socket unit: the first connection starts the daemon, which goes when it has nothing to do, and
however often that happens, nobody who connects is lost."""

import os
import random
import re
import signal
import subprocess
import threading
import time
from pathlib import Path

import pytest

from lib import host, jobs, machine, wire

LIVES = 6 if machine.WORLD == "uml" else 60
# Not the installed daemon: one that systemd-socket-activate starts.
OWN_SOCKET = "/tmp/sandboxd-own.sock"
OWN_RUNTIME = Path("/tmp/sandboxd-own")

# `systemctl enable` makes it.
WANTED = Path("/etc/systemd/system/sockets.target.wants/sandboxd.socket")

STARTED = "f3c4a78ae5ae4b21929e9591f5665c03"
STOPPED = "5b601e03af3042e286c165299d23f33c"


def idle(usec):
    return {"Server": {"IdleExitSec": f"{usec}us"}}


# --- the first connection, and the last

def test_connection_alone_starts_it(configure):
    """Before a byte is sent; once it is gone, the daemon goes too."""
    configure(idle(50000))
    assert machine.state(machine.SERVICE_UNIT) == "inactive"
    with wire.Connection(machine.SOCKET):
        machine.wait_state(machine.SERVICE_UNIT, "active")
    machine.wait_state(machine.SERVICE_UNIT, "inactive")
    assert machine.show(machine.SERVICE_UNIT, "Result", "ExecMainStatus") == {"Result": "success",
                                                                           "ExecMainStatus": "0"}


def test_held_connection_keeps_it_up(configure):
    configure(idle(50000))
    with machine.session() as c:
        pid = machine.main_pid()
        time.sleep(1)
        assert machine.main_pid() == pid != 0
        assert c.run(2, argv=[b"true"])[0]["result"]["status"] == "OK"
    machine.wait_state(machine.SERVICE_UNIT, "inactive")


def test_running_job_keeps_it_up(configure, running_job):
    configure(idle(50000))
    process, scope = running_job()
    pid = machine.main_pid()
    time.sleep(1)
    assert machine.main_pid() == pid != 0 and scope in machine.scopes()


# --- many lives

class Clients:
    """Threads that each have a job run, wait, and do so again, until the daemon has had its lives."""

    def __init__(self, count, pause):
        self.pause = pause
        self.lives = set()  # main pids
        self.jobs = 0
        self.failures = []
        self.threads = [threading.Thread(target=self.work, args=(n,)) for n in range(count)]

    def ask(self, number):
        text = f"{number}-{self.jobs}"
        out, pid = machine.ask("echo", text)
        assert out == f"{text}\n", out
        self.lives.add(pid)
        self.jobs += 1

    def work(self, number):
        while len(self.lives) <= LIVES and not self.failures:
            try:
                self.ask(number)
            except Exception as e:
                self.failures.append(f"client {number}, life {len(self.lives)}: {e!r}")
            time.sleep(self.pause())

    def run(self):
        for thread in self.threads:
            thread.start()
        for thread in self.threads:
            thread.join(120)
        assert self.failures == []
        assert self.jobs >= len(self.lives) > LIVES, "not enough lives in the time there was"


IDLE_USEC = 2000

MOMENTS = {
    "any": (3, lambda: random.uniform(0, 0.15)),
    # When the daemon makes up its mind to go, which it has after the last client's leave and this time.
    "last": (1, lambda: max(0.0, IDLE_USEC / 1e6 + random.uniform(-0.0005, 0.003))),
}


@pytest.mark.parametrize("moment", MOMENTS)
def test_no_client_is_lost(configure, journal, moment):
    configure(idle(IDLE_USEC))
    clients = Clients(*MOMENTS[moment])
    clients.run()
    machine.wait_state(machine.SERVICE_UNIT, "inactive")
    p = machine.show(machine.SERVICE_UNIT, "Result", "NRestarts", "ExecMainStatus")
    assert p == {"Result": "success", "NRestarts": "0", "ExecMainStatus": "0"}, "every exit was an idle one"
    assert machine.show(machine.SOCKET_UNIT, "ActiveState", "Result") == {"ActiveState": "active",
                                                                     "Result": "success"}
    started, stopped = journal.entries(MESSAGE_ID=STARTED), journal.entries(MESSAGE_ID=STOPPED)
    assert len(started) == len(stopped) > LIVES
    assert sum(int(re.search(r"after (\d+) jobs", e["MESSAGE"])[1]) for e in stopped) == clients.jobs
    text = journal.text(UNIT=machine.SERVICE_UNIT) + journal.text(UNIT=machine.SOCKET_UNIT)
    assert "repeated too quickly" not in text and "Failed" not in text, text[-2000:]


# --- stopped with clients in the queue

def test_client_in_the_queue_outlives_the_daemon(journal):
    """Nobody has accepted it when the daemon is stopped: it is the next one's."""
    machine.ask("true")
    before = machine.main_pid()
    os.kill(machine.frontend_pid(), signal.SIGSTOP)
    frontend = machine.frontend_pid()
    with wire.Connection(machine.SOCKET, timeout=60) as late:
        late.send(wire.hello(), wire.run(2, argv=[b"echo", b"late"]))
        machine.systemctl("stop", "--no-block", machine.SERVICE_UNIT)
        machine.wait_state(machine.SERVICE_UNIT, "deactivating")
        os.kill(frontend, signal.SIGCONT)
        late.expect("hello")
        assert late.finish(2)[1] == b"late\n"
    assert machine.main_pid() not in (0, before)
    assert machine.get(machine.SERVICE_UNIT, "NRestarts") == "0", "the socket started it"


# --- the file is removed

def advice(p):
    """The command that a sentence of sandboxctl ends with."""
    assert p.returncode == 125, p
    text = p.stderr.decode()
    assert text.startswith("sandboxctl: ") and text.count("\n") == 1 and str(machine.SOCKET) in text, text
    return text, re.search(r"with 'sudo (.*)'\n$", text)[1].split()


def test_removed_file_while_it_serves(running_job):
    """The sentence says what has happened, and what it advises helps."""
    process, _ = running_job("--json")
    before = machine.main_pid()
    machine.SOCKET.unlink()
    text, command = advice(machine.ctl("run", "--", "true"))
    assert "there is no socket" in text and command == ["systemctl", "restart", "sandboxd.socket"], text
    assert process.poll() is None, "who is connected goes on"
    machine.call(*command)
    out, err = process.communicate(timeout=20)
    assert process.returncode == 143 and b'"CANCELLED"' in out, (out, err)
    assert machine.ask("echo", "x")[0] == "x\n"
    assert machine.main_pid() not in (0, before)


@pytest.mark.parametrize("how", ["stop", "idle"])
def test_removed_file_while_nothing_runs(configure, how):
    configure(idle(10000) if how == "idle" else {})
    machine.ask("true")
    if how == "stop":
        machine.systemctl("stop", machine.SERVICE_UNIT)
    machine.wait_state(machine.SERVICE_UNIT, "inactive")
    machine.SOCKET.unlink()
    _, command = advice(machine.ctl("run", "--", "true"))
    machine.call(*command)
    assert machine.ask("echo", "x")[0] == "x\n"


def test_socket_that_was_stopped():
    machine.systemctl("stop", machine.SOCKET_UNIT)
    text, command = advice(machine.ctl("run", "--", "true"))
    assert "there is no socket" in text
    machine.call(*command)
    assert machine.ask("echo", "x")[0] == "x\n"


def test_socket_that_was_never_enabled():
    machine.systemctl("stop", machine.SOCKET_UNIT)
    WANTED.unlink()
    machine.systemctl("daemon-reload")
    try:
        text, command = advice(machine.ctl("run", "--", "true"))
        assert "not running" in text
        machine.call(*command)
        assert machine.ask("echo", "x")[0] == "x\n"
        assert machine.get(machine.SOCKET_UNIT, "UnitFileState") == "enabled"
    finally:
        if not WANTED.is_symlink():
            machine.systemctl("enable", "--now", machine.SOCKET_UNIT)


# --- systemd-socket-activate

@pytest.fixture
def activated():
    """activated(*options) has systemd-socket-activate start sandboxd at OWN_SOCKET; what is given is what
    it has said so far."""
    log = Path("/tmp/sandboxd-own.log")
    processes = []

    def start(*options):
        machine.systemctl("stop", machine.SERVICE_UNIT)
        OWN_RUNTIME.mkdir(exist_ok=True)
        with open(log, "wb") as stderr:
            processes.append(subprocess.Popen(
                ["systemd-socket-activate", "-l", OWN_SOCKET, "--fdname=strict", "/usr/sbin/sandboxd",
                 "--runtime-dir", OWN_RUNTIME, *options],
                stdin=subprocess.DEVNULL, stdout=stderr, stderr=stderr, cwd="/"))
        assert host.wait_until(lambda: Path(OWN_SOCKET).is_socket(), 10), log.read_text()
        return processes[-1]
    yield start
    for process in processes:
        process.kill()
        process.wait()
    Path(OWN_SOCKET).unlink(missing_ok=True)
    log.unlink(missing_ok=True)


@pytest.mark.parametrize("options", [["--standalone"], []], ids=["standalone", "scope"])
def test_systemd_socket_activate(activated, options):
    """In either mode; only one makes units of its jobs."""
    process = activated(*options)
    first = machine.run("--socket", OWN_SOCKET, "--", "echo", "x")
    assert (first.status, first.stdout, first.profile) == ("OK", "x\n", "strict"), first
    with machine.command("--socket", OWN_SOCKET, "run", "--json", "-t", "50s", "--", "sleep", "300") as client:
        sleeping, = host.wait_until(lambda: [pid for pid in jobs.pids() if host.status(pid).get("Name") == "sleep"], 20)
        assert any(sleeping in jobs.payloads(unit) for unit in machine.scopes()) == (not options)
        process.terminate()
        out, _ = client.communicate(timeout=20)
    assert process.wait(30) == 0
    assert client.returncode == 143 and b'"CANCELLED"' in out, out
    assert machine.state(machine.SERVICE_UNIT) == "inactive", "the installed one was not asked"
