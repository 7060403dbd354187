# SPDX-License-Identifier: Apache-2.0
"""Sockets that are passed to the daemon, as systemd does for a socket unit."""

import os
import shutil
import signal
import socket
import subprocess
from pathlib import Path

import pytest

from lib import host, wire
from lib.activation import ActivatedDaemon, Supervisor

NOBODY = 65534


@pytest.fixture
def make(make_daemon):
    def make_activated(**options):
        return make_daemon(kind=ActivatedDaemon, **options)
    return make_activated


def refuses(d, *words):
    """Exit 1, one sentence with these words, and the sockets are as they were."""
    d.spawn()
    assert d.process.wait(30) == 1, d.log()
    for word in words:
        assert word in d.log(), d.log()
    assert len(d.log().strip().splitlines()) == 1, d.log()
    assert d.leftovers() == []


def test_passed_socket(make):
    """It is served, and still there, the same one, when the daemon has gone."""
    d = make(start=False)
    d.spawn()
    inode = d.socket.stat().st_ino
    d.wait_ready()
    assert not (d.runtime_dir / "sandboxd.sock").exists(), "it made one of its own besides"
    assert d.run("--", "echo", "x", uid=NOBODY).stdout == "x\n"
    assert str(d.socket) in d.log(), "the log says where it serves"
    d.process.terminate()
    assert d.process.wait(30) == 0
    assert d.leftovers() == []
    assert d.socket.stat().st_ino == inode
    d.spawn()
    d.wait_ready()
    assert d.run("--", "echo", "again").stdout == "again\n"


def test_who_connected_first(make):
    """Clients that came before the daemon are served by it."""
    d = make(start=False)
    d.listen()
    early = [d.connect() for _ in range(20)]
    for c in early:
        c.send(wire.hello(), wire.run(2, argv=[b"echo", b"early"]))
    d.spawn()
    for c in early:
        c.expect("hello")
        r, out, _ = c.finish(2)
        assert (r["result"]["status"], out) == ("OK", b"early\n")
        c.close()


def test_each_socket_has_a_default_profile(make):
    d = make(names=["sandboxd.socket", "strict", "default"])
    for number, profile in enumerate(("default", "strict", "default")):
        with wire.Connection(d.socket_of(number)) as c:
            c.hello()
            c.send(wire.run(2, argv=[b"true"]))
            assert c.expect("started")["profile"] == profile
            assert c.finish(2)[0]["result"]["profile"] == profile
            other = "strict" if profile == "default" else "default"
            r, _, _ = c.run(3, argv=[b"true"], profile=other)
            assert r["result"]["profile"] == other, "one that is named is taken on any socket"


def test_reload_keeps_the_sockets(make, policy_copy):
    """Each goes on with its profile, as the new policy has it; one without its profile keeps the old."""
    d = make(names=["sandboxd.socket", "strict"], policy_dir=policy_copy)
    (policy_copy / "profiles" / "strict.profile").rename(policy_copy / "profiles" / "strict.off")
    with wire.Connection(d.socket_of(1)) as c:
        c.hello()
        assert "FileDescriptorName=strict" in d.reload()
        assert c.run(2, argv=[b"true"])[0]["result"]["profile"] == "strict"
        (policy_copy / "profiles" / "strict.off").rename(policy_copy / "profiles" / "strict.profile")
        # Another number: one more profile comes before it.
        shutil.copy(policy_copy / "profiles" / "default.profile", policy_copy / "profiles" / "a.profile")
        assert d.reload().startswith("reloaded: ")
        assert c.run(3, argv=[b"true"])[0]["result"]["profile"] == "strict"
    with wire.Connection(d.socket_of(1)) as c:
        c.hello()
        assert c.run(2, argv=[b"true"])[0]["result"]["profile"] == "strict"


def test_default_profile_outlives_the_frontend(make):
    """The frontend that is started next knows it too, and has all of the sockets."""
    d = make(names=["strict", "sandboxd.socket"])
    first = d.frontend
    os.kill(first, signal.SIGKILL)
    assert host.wait_until(lambda: d.frontend not in (None, first), 10)
    for number, profile in enumerate(("strict", "default")):
        with wire.Connection(d.socket_of(number)) as c:
            c.hello()
            assert c.run(2, argv=[b"true"])[0]["result"]["profile"] == profile


def test_as_many_sockets_as_may_be(make):
    d = make(names=["sandboxd.socket"] * 16)
    for number in range(16):
        with wire.Connection(d.socket_of(number)) as c:
            c.hello()
            assert c.run(2, argv=[b"true"])[0]["result"]["status"] == "OK"


def test_too_many_sockets(make):
    refuses(make(start=False, names=["sandboxd.socket"] * 17), "17 sockets", "at most 16")


def test_name_that_is_no_profile(make):
    refuses(make(start=False, names=["sandboxd.socket", "lax"]), "FileDescriptorName=lax",
            "profiles/lax.profile", "passed-1.sock")


@pytest.mark.parametrize("family,kind,listens", [
    (socket.AF_UNIX, socket.SOCK_STREAM, False),
    (socket.AF_UNIX, socket.SOCK_DGRAM, False),
    (socket.AF_UNIX, socket.SOCK_SEQPACKET, True),
    (socket.AF_INET, socket.SOCK_STREAM, True),
], ids=["not-listening", "datagrams", "packets", "internet"])
def test_fd_of_another_kind(make, family, kind, listens):
    """The sentence names the fd, and what is expected."""
    d = make(start=False, names=["sandboxd.socket", "odd"])

    def make_listener(number):
        if number == 0:
            return ActivatedDaemon.make_listener(d, 0)
        other = socket.socket(family, kind)
        if family == socket.AF_UNIX:
            other.bind(str(d.socket_of(number)))
        if listens:
            other.listen()
        return other
    d.make_listener = make_listener
    refuses(d, "fd 4", "'odd'", "AF_UNIX stream socket that listens")


def test_socket_option_with_passed_sockets(make):
    d = make(start=False)
    d.extra = ["--socket", d.home / "own.sock"]
    refuses(d, "--socket", "own.sock")
    assert not (d.home / "own.sock").exists()


def test_jobs_do_not_see_the_sockets(make):
    d = make(names=["sandboxd.socket"] * 3)
    assert sorted(d.run("--", "sh", "-c", "echo /proc/$$/fd/*").stdout.split()) != []
    seen = d.python("import os; print(sorted(map(int, os.listdir('/proc/self/fd')))[:-1])").stdout
    assert seen.strip() == "[0, 1, 2]", seen


def test_stop_leaves_the_queue_alone(make):
    """Who has connected and was not accepted yet when the daemon stops is served by its next life."""
    d = make()
    os.kill(d.frontend, signal.SIGSTOP)
    with d.connect() as late:
        late.send(wire.hello(), wire.run(2, argv=[b"echo", b"late"]))
        d.process.send_signal(signal.SIGTERM)
        assert host.wait_until(lambda: "stopping on signal" in d.log(), 10)
        os.kill(d.frontend, signal.SIGCONT)
        assert d.process.wait(30) == 0
        d.spawn()
        late.expect("hello")
        assert late.finish(2)[1] == b"late\n"


def test_monitor_killed_at_any_time(make):
    """Each client gets its result, or is told at once that there will be none; whoever comes next is
    served."""
    d = make(start=False)
    with Supervisor(d):
        for i in range(8):
            with d.session() as c:
                c.send(wire.run(2, argv=[b"sleep", b"600"]))
                c.expect("started")
                os.kill(d.process.pid, signal.SIGKILL)
                try:
                    while "error" not in c.receive(timeout=20):
                        pass
                except wire.Closed:
                    pass
            assert host.wait_until(lambda: not d.job_pids(), 10), f"life {i}: jobs run on"
    assert len(d.codes) >= 8


@pytest.mark.skipif(not shutil.which("systemd-socket-activate"), reason="systemd is not installed")
def test_systemd_socket_activate(make_daemon):
    d = make_daemon(start=False)
    environment = d.prepare()
    d.socket = d.home / "activate.sock"
    with open(d.log_path, "ab") as log:
        d.process = subprocess.Popen(
            ["systemd-socket-activate", "-l", d.socket, "--fdname=strict",
             *(f"--setenv={key}" for key in environment if key.endswith("SAN_OPTIONS")), *d.arguments()],
            stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment, cwd="/")
    assert host.wait_until(d.socket.exists, 10)
    d.socket.chmod(0o666)
    result = d.run("--", "echo", "x", uid=NOBODY)
    assert (result.stdout, result.profile) == ("x\n", "strict")
    d.process.terminate()
    assert d.process.wait(30) == 0
    assert d.leftovers() == []


@pytest.mark.skipif(Path("/run/systemd/system").exists(), reason="systemd runs here")
def test_systemd_mode_without_systemd(build):
    r = subprocess.run([build / "sandboxd"], capture_output=True, text=True, timeout=30)
    assert r.returncode == 2
    assert "systemd does not run here" in r.stderr and "--standalone" in r.stderr
