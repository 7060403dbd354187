# SPDX-License-Identifier: Apache-2.0
"""What is installed around the service on the system bus: the bus starts it, nobody else can be it, it can do little,
and polkit knows its actions."""

import os
import pwd
import signal
import socket
from pathlib import Path

import pytest

from lib import host, machine
from lib.bus import Caller

NAME = "org.sandboxd1"
BUS = ("org.freedesktop.DBus", "/org/freedesktop/DBus", "org.freedesktop.DBus")
SOCKET = "/run/dbus/system_bus_socket"
RULES = Path("/etc/polkit-1/rules.d/10-sandboxd-unit.rules")
RULE = """polkit.addRule(function (action, subject) {
    if (action.id == "org.sandboxd1.run" && subject.user == "alice") return polkit.Result.YES;
});
"""
ACTIONS = {f"{NAME}.{name}" for name in ("run", "use-profile", "manage-jobs", "control")}


def busctl(*args, user=None, **options):
    ids = pwd.getpwnam(user) if user else None
    who = ["setpriv", f"--reuid={ids.pw_uid}", f"--regid={ids.pw_gid}", "--init-groups"] if user else []
    return machine.call(*who, "busctl", "--system", "--timeout=20", *args, **options)


def ping(**options):
    return busctl("call", NAME, "/org/sandboxd1", "org.freedesktop.DBus.Peer", "Ping", **options)


@pytest.fixture
def bus_pid():
    """The service runs, started by a call."""
    machine.systemctl("stop", machine.BUS_UNIT)
    ping()
    return machine.main_pid(machine.BUS_UNIT)


@pytest.mark.parametrize("user", [None, "alice", "nobody"])
def test_a_call_starts_it(user):
    machine.systemctl("stop", machine.BUS_UNIT)
    ping(user=user)
    assert machine.state(machine.BUS_UNIT) == "active"


def test_the_next_call_starts_a_killed_one_again(bus_pid):
    """However often: systemd's own limit is five times in ten seconds."""
    for _ in range(7):
        before = machine.main_pid(machine.BUS_UNIT)
        os.kill(before, signal.SIGKILL)
        machine.wait_state(machine.BUS_UNIT, "failed")
        ping(user="alice")
        assert machine.main_pid(machine.BUS_UNIT) not in (0, before)
    assert machine.state(machine.BUS_UNIT) == "active"


def test_stays_when_sandboxd_stops(bus_pid):
    """It is a client, whose callers are told."""
    for unit in (machine.SERVICE_UNIT, machine.SOCKET_UNIT):
        machine.systemctl("stop", unit)
    try:
        ping()
        assert machine.main_pid(machine.BUS_UNIT) == bus_pid
    finally:
        machine.systemctl("start", machine.SOCKET_UNIT)


@pytest.mark.parametrize("user", [None, "alice", "nobody", "sandboxd"])
def test_59_nobody_else_is_given_the_name(user):
    machine.systemctl("stop", machine.BUS_UNIT)
    p = busctl("call", *BUS, "RequestName", "su", NAME, 0, user=user, check=False)
    assert p.returncode != 0 and "Access denied" in p.stderr, p
    assert busctl("call", *BUS, "RequestName", "su", NAME, 0, user="sandboxd-bus").stdout.split() == ["u", "1"]


def test_it_has_no_privilege(bus_pid):
    status = host.status(bus_pid)
    for name in ("CapBnd", "CapPrm", "CapEff", "CapInh", "CapAmb"):
        assert int(status[name], 16) == 0, name
    assert status["NoNewPrivs"] == "1" and status["Seccomp"] == "2"
    assert set(map(int, status["Uid"].split())) == {pwd.getpwnam("sandboxd-bus").pw_uid}
    assert set(map(int, status["Gid"].split())) == {pwd.getpwnam("sandboxd-bus").pw_gid}


def mount_options(pid, path):
    """Of the mount that is seen last at a path."""
    lines = (line.split() for line in Path(f"/proc/{pid}/mountinfo").read_text().splitlines())
    return [line[5].split(",") for line in lines if line[4] == path][-1]


def test_it_sees_little_and_starts_nothing_else(bus_pid):
    # Not by programs, which its mounts let nobody start.
    assert {"ro", "noexec"} <= set(mount_options(bus_pid, "/"))
    program = str(Path(f"/proc/{bus_pid}/exe").readlink())
    assert "noexec" not in mount_options(bus_pid, program)
    for path in (Path("/root"), Path("/home"), Path("/tmp")):
        secret = path / "sandboxd-must-not-see-this"
        secret.touch()
        try:
            assert os.listdir(f"/proc/{bus_pid}/root{path}") == [], path
        finally:
            secret.unlink()
    assert Path(f"/proc/{bus_pid}/net/dev").read_text().count(":") == 1, "no interface but lo"


@pytest.fixture
def alice():
    """On the bus; she may run code."""
    RULES.write_text(RULE)
    machine.systemctl("restart", "polkit.service")
    with Caller(SOCKET, machine.uid_of("alice")) as caller:
        yield caller
    RULES.unlink()
    machine.systemctl("restart", "polkit.service")


def pair_of(user):
    os.seteuid(machine.uid_of(user))
    try:
        return socket.socketpair()
    finally:
        os.seteuid(0)


def test_fds_of_a_user(alice, tmp_path):
    """A socket, whose other end the service has to know for the caller's own; a pipe; a file. The relays are the
    unit's, and under its filter."""
    ours, theirs = pair_of("alice")
    read, write = os.pipe()
    with ours, theirs, open(tmp_path / "errors", "w", encoding="ascii") as errors:
        ours.settimeout(20)
        os.write(write, b"through\n")
        path = alice.run_with_fds(["sh", "-c", "cat; sleep 1; echo error >&2"],
                                  [read, theirs.fileno(), errors.fileno()])
        pids = machine.group_pids(machine.BUS_UNIT)
        assert len(pids) == 4, "one a stream"
        assert {host.status(pid)["CapEff"] for pid in pids} == {"0" * 16}
        theirs.close()
        os.close(write)
        assert ours.recv(100) == b"through\n"
        assert alice.wait(path)["status"] == "OK"
    os.close(read)
    assert host.wait_until(lambda: (tmp_path / "errors").read_text() == "error\n")


def test_socket_of_somebody_else_is_refused(alice):
    ours, theirs = pair_of("bob")
    with ours, theirs:
        refusal = alice.refusal(alice.run_with_fds, ["true"], [theirs.fileno()] * 3)
    assert refusal.name == f"{NAME}.Error.InvalidArgument" and str(machine.uid_of("bob")) in str(refusal), refusal


def test_what_it_may_use(bus_pid):
    assert machine.get(machine.BUS_UNIT, "MemoryMax") == str(768 << 20)
    assert machine.get(machine.BUS_UNIT, "TasksMax") == "1100"
    assert machine.get(machine.BUS_UNIT, "Restart") == "no"
    # Of which it knows: it looks at what callers keep of it.
    files = [os.readlink(fd) for fd in Path(f"/proc/{bus_pid}/fd").iterdir()]
    assert any(name.endswith(f"/{machine.BUS_UNIT}/memory.stat") for name in files), files


def test_polkit_knows_the_actions():
    known = machine.call("pkaction").stdout.split()
    assert {name for name in known if name.startswith(NAME)} == ACTIONS
    for action in ACTIONS:
        text = machine.call("pkaction", "--verbose", "--action-id", action).stdout
        assert "org.freedesktop.policykit.owner -> unix-user:sandboxd-bus" in text
