# SPDX-License-Identifier: Apache-2.0
"""The installed units: what they say, how hardened they are, and that jobs notice nothing of it."""

import json
import os
import pwd
import re
import resource
import shutil
from pathlib import Path

import pytest

from lib import host, machine

EXAMPLES = Path("/usr/share/doc/sandboxd/examples")
EXPOSURE_MAX = {machine.SERVICE_UNIT: 35, machine.BUS_UNIT: 5}  # tenths, of `systemd-analyze security`

# daemon/monitor/privilege.c
CAPABILITIES = {"CAP_SYS_ADMIN", "CAP_SETUID", "CAP_SETGID", "CAP_SETPCAP", "CAP_KILL", "CAP_SYS_CHROOT",
                "CAP_MKNOD"}
NUMBERS = {"CAP_KILL": 5, "CAP_SETGID": 6, "CAP_SETUID": 7, "CAP_SETPCAP": 8, "CAP_SYS_CHROOT": 18,
           "CAP_SYS_ADMIN": 21, "CAP_MKNOD": 27}


def unit_path(unit):
    return machine.get(unit, "FragmentPath")


@pytest.fixture
def serving():
    """The daemon runs, started by a job."""
    r = machine.run("--", "true")
    assert r.status == "OK", r
    return machine.main_pid()


@pytest.mark.parametrize("unit", EXPOSURE_MAX)
def test_exposure(unit):
    machine.call("systemd-analyze", "security", "--offline=true", f"--threshold={EXPOSURE_MAX[unit]}",
                 "--no-pager", unit_path(unit))


def names_of(text):
    """The directives in a cell of the table, each call group of SystemCallFilter= by itself."""
    groups = {f"SystemCallFilter={group}" for group in re.findall(r"~@[\w-]+", text)}
    return groups or set(re.findall(r"\w+(?==)", text))


@pytest.mark.parametrize("unit, least", [(machine.SERVICE_UNIT, 16), (machine.BUS_UNIT, 4)])
def test_what_is_not_set_has_its_reason(unit, least):
    """Each directive that systemd-analyze misses is in the table at the end of the unit, or set as far as it
    can be, with a comment; and the table has no others."""
    path = unit_path(unit)
    found = json.loads(machine.call("systemd-analyze", "security", "--offline=true", "--json=short", path).stdout)
    missing = set().union(*(names_of(f["name"]) for f in found if not f["set"] and f["exposure"] is not None))
    text = Path(path).read_text()
    table = set().union(*(names_of(cell) for cell in re.findall(r"(?m)^#   (\S.*?)  +\S", text)))
    commented = set(re.findall(r"(?m)^#.*\n(\w+)=", text))
    assert missing - commented == table and len(missing) >= least, (missing - commented) ^ table


def test_units_verify():
    """No unknown key, no missing program, no cycle. The machine has no manual pages to look for."""
    p = machine.call("systemd-analyze", "verify", "--man=no", "--recursive-errors=no",
                     *map(unit_path, (machine.SERVICE_UNIT, machine.SOCKET_UNIT, machine.BUS_UNIT, "sandbox.slice")))
    assert (p.stdout, p.stderr) == ("", "")


def test_nothing_of_the_units_is_ignored():
    """What PID 1 does not understand it only logs."""
    for unit in (machine.SERVICE_UNIT, machine.SOCKET_UNIT, machine.BUS_UNIT, "sandbox.slice", "sandbox-u4711.slice"):
        assert machine.get(unit, "LoadState") == "loaded", unit
    text = machine.call("journalctl", "--boot", "--output=cat", "_PID=1").stdout
    assert not re.findall(r"^/\S*/sandbox[^ ]*:\d+: .*", text, re.MULTILINE)


def test_directory_and_users_are_made():
    """tmpfiles.d and sysusers.d; the frontend is not 'nobody', whom other services may be, and the service on the
    bus, which may act for others, is nobody else's either."""
    st = os.stat(machine.SOCKET.parent)
    assert (st.st_uid, st.st_gid, st.st_mode & 0o777) == (0, 0, 0o755)
    frontend, bus = pwd.getpwnam("sandboxd"), pwd.getpwnam("sandboxd-bus")
    assert frontend.pw_uid != bus.pw_uid
    for user in frontend, bus:
        assert 0 < user.pw_uid < 1000
        assert user.pw_shell.endswith("nologin")


def test_monitor_has_seven_capabilities_and_the_frontend_none(serving):
    bounding = sum(1 << NUMBERS[name] for name in CAPABILITIES)
    monitor, frontend = host.status(serving), host.status(machine.frontend_pid())
    for name in ("CapBnd", "CapPrm", "CapEff"):
        assert int(monitor[name], 16) == bounding, name
        assert int(frontend[name], 16) == 0, name
    assert monitor["NoNewPrivs"] == frontend["NoNewPrivs"] == "1"
    uid = pwd.getpwnam("sandboxd").pw_uid
    assert set(map(int, frontend["Uid"].split())) == {uid}
    declared = machine.get(machine.SERVICE_UNIT, "CapabilityBoundingSet").upper().split()
    assert set(declared) == CAPABILITIES, "PID 1 takes no more away than the daemon itself"


def test_monitor_sees_little_of_the_machine(serving):
    def inside(*argv):
        return machine.call("nsenter", f"--target={serving}", "--mount", "--net", "--", *argv, check=False)
    for path in ("/etc", "/usr", "/var", "/run"):
        assert "Read-only file system" in inside("touch", f"{path}/sandboxd-was-here").stderr, path
    assert inside("touch", "/run/sandboxd/here").returncode == 0
    Path("/run/sandboxd/here").unlink()
    for path in (Path("/root"), Path("/home"), Path("/tmp")):
        secret = path / "sandboxd-must-not-see-this"
        secret.touch()
        try:
            assert inside("ls", "-A", path).stdout == "", path
        finally:
            secret.unlink()
    assert inside("cat", "/proc/net/dev").stdout.count(":") == 1, "no interface but lo"


def test_limits_of_the_daemon(serving):
    """Enough files for MaxJobs=, and nothing that a core_pattern could run."""
    files, core = (resource.prlimit(serving, what) for what in (resource.RLIMIT_NOFILE, resource.RLIMIT_CORE))
    assert core == (1, 1)
    assert files[0] == files[1] >= 16384


UNAFFECTED = {
    "MemoryDenyWriteExecute": ("javascript", "let s = 0; for (let i = 0; i < 1e6; i++) s += i; console.log('ok')"),
    "RestrictSUIDSGID openat2": ("python", """
import ctypes, struct
fd = ctypes.CDLL(None).syscall(437, -100, b"/etc/passwd", struct.pack("QQQ", 0, 0, 0), 24)
print("ok" if fd >= 0 else "no openat2")"""),
    "RestrictSUIDSGID chmod": ("bash", "mkdir d && chmod 2755 d && echo ok"),
    "LockPersonality": ("bash", "setarch -R echo ok"),
    "IPAddressDeny, RestrictAddressFamilies, PrivateNetwork": ("python", """
import socket
for family, address in (socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1"):
    server = socket.socket(family)
    server.bind((address, 0))
    server.listen()
    socket.create_connection(server.getsockname()[:2], timeout=5).sendall(b"x")
    assert server.accept()[0].recv(1) == b"x"
print("ok")"""),
    "SystemCallFilter=~@resources": ("bash", "ulimit -S -n 100; nice -n 5 taskset 1 echo ok"),
    "SystemCallFilter=~@privileged": ("bash", "touch f && chown 1000:1000 f && echo ok"),
    "DevicePolicy": ("bash", "head -c 4 /dev/urandom >/dev/null && head -c 4 /dev/zero >/dev/null && echo ok"),
    "ProtectHostname": ("bash", "[ $(uname -n) = sandbox ] && echo ok"),
    "ProtectKernelTunables": ("bash", "[ $(cat /proc/sys/kernel/ostype) = Linux ] && echo ok"),
}


@pytest.mark.parametrize("directive", UNAFFECTED)
def test_jobs_notice_nothing_of_the_hardening(directive):
    """What works in a sandbox of a daemon that is no unit works here."""
    language, code = UNAFFECTED[directive]
    r = machine.run("-l", language, "-c", code)
    assert (r.status, r.stdout) == ("OK", "ok\n"), r


def test_slices_keep_their_controllers(running_job):
    """The drop-ins hold for the slice of all, and for a user's."""
    running_job(user="alice")
    for unit in ("sandbox.slice", "sandbox-u2001.slice"):
        p = machine.show(unit, "CPUAccounting", "MemoryAccounting", "TasksAccounting", "CPUWeight", "DropInPaths")
        assert (p["CPUAccounting"], p["MemoryAccounting"], p["TasksAccounting"]) == ("yes", "yes", "yes"), unit
        assert p["CPUWeight"] == "100", unit
        assert "50-accounting.conf" in p["DropInPaths"], unit


def test_slice_of_a_user_limits_that_user(running_job):
    """README.md: systemctl set-property sandbox-u<uid>.slice."""
    running_job(user="alice")
    fork = "import os, time\nfor i in range(30):\n    if os.fork() == 0: time.sleep(300)\nprint('ok')"
    machine.systemctl("set-property", "--runtime", "sandbox-u2001.slice", "TasksMax=20")
    try:
        limited = machine.run("-l", "python", "-c", fork, user="alice")
        free = machine.run("-l", "python", "-c", fork, user="bob")
    finally:
        machine.systemctl("revert", "sandbox-u2001.slice")
    assert (limited.status, limited.stdout) == ("EXITED", ""), limited
    assert "BlockingIOError" in limited.stderr
    assert (free.status, free.stdout) == ("OK", "ok\n"), free


def test_restart_of_the_socket_mends_a_removed_file(serving):
    machine.SOCKET.unlink()
    gone = machine.ctl("run", "--", "true")
    assert gone.returncode != 0 and str(machine.SOCKET) in gone.stderr.decode(), gone
    machine.systemctl("restart", machine.SOCKET_UNIT)
    r = machine.run("--", "true")
    assert r.status == "OK", r
    assert machine.main_pid() != serving, "the daemon has the new socket, since it was restarted too"


def test_restart_of_the_socket_mends_a_removed_directory(serving):
    shutil.rmtree(machine.SOCKET.parent)
    machine.systemctl("restart", machine.SOCKET_UNIT)
    r = machine.run("--", "true", user="alice")
    assert r.status == "OK", r


def test_stopped_socket_leaves_nothing(serving):
    """Neither the daemon nor a file on which a client would wait for it."""
    machine.systemctl("stop", machine.SOCKET_UNIT)
    try:
        assert machine.state(machine.SERVICE_UNIT) == "inactive"
        assert not machine.SOCKET.exists()
        assert machine.ctl("run", "--", "true", timeout=10).returncode != 0
    finally:
        machine.systemctl("start", machine.SOCKET_UNIT)


def test_stop_is_for_the_monitor_first(running_job):
    """The frontend still tells clients what became of their jobs."""
    process, scope = running_job("--json")
    machine.systemctl("stop", machine.SERVICE_UNIT)
    out, err = process.communicate(timeout=20)
    assert process.returncode == 143 and b'"CANCELLED"' in out, (out, err)
    assert machine.get(machine.SERVICE_UNIT, "Result") == "success"


def test_killed_daemon_comes_back(serving):
    os.kill(serving, 9)
    assert host.wait_until(lambda: machine.main_pid() not in (0, serving), 20), machine.status(machine.SERVICE_UNIT)
    assert machine.run("--", "true").status == "OK"


def test_client_of_a_broken_policy_is_served_once_it_is_mended(configure):
    """The daemon fails to start as often as it is asked to, and neither unit gives up."""
    configure({"Server": {"MaxJobs": "banana"}})
    process = machine.command("run", "-l", "bash", "-c", "echo served")
    try:
        assert host.wait_until(lambda: int(machine.get(machine.SERVICE_UNIT, "NRestarts")) >= 6, 60, 0.2), \
            machine.status(machine.SERVICE_UNIT)
        assert machine.state(machine.SOCKET_UNIT) == "active"
        Path("/etc/sandboxd/sandboxd.conf.d/test.conf").unlink()
        out, err = process.communicate(timeout=30)
    finally:
        process.kill()
        process.communicate()
    assert out == b"served\n", err
