# SPDX-License-Identifier: Apache-2.0
"""org.sandboxd1 as it is installed: every member with the tools that people have, as root, as a user whom a rule of
polkit's lets run code, and as nobody; and its life beside sandboxd's. test_bus_unit.py has the unit."""

import json
import os
import pwd
import re
import signal
import subprocess
import time
from pathlib import Path

import pytest

from lib import dbus, host, machine
from lib.bus import DENIED, INTROSPECTABLE, JOB, MANAGER, MAY, MEMBERS, NAME, ROOT_PATH, Caller, members_of

BUS_UNIT = machine.BUS_UNIT
SYSTEM_BUS = "/run/dbus/system_bus_socket"
RULES = Path("/etc/polkit-1/rules.d/10-sandboxd-test.rules")
RULE = """polkit.addRule(function(action, subject) {
    if (action.id == "org.sandboxd1.run" && subject.user == "alice") return polkit.Result.YES;
    if (action.id == "org.sandboxd1.run" && subject.user == "bob") return polkit.Result.AUTH_ADMIN;
});
"""
USERS = {"root": None, "user": "alice", "other": "alice", "nobody": "nobody"}
METHODS = list(MAY)

# The words after a method's name: for busctl with its signature, and for gdbus. JOB and ID are those of a job.
BUSCTL = {
    "Execute": ["ssa{sv}", "bash", "true", "0"], "Run": ["sasaya{sv}", "command", "1", "true", "0", "0"],
    "GetJob": ["s", "ID"], "CancelJob": ["s", "ID"], "ReadOutput": ["st", "stdout", "0"],
}
GDBUS = {
    "Execute": ["bash", "true", "@a{sv} {}"], "Run": ["command", "['true']", "@ay []", "@a{sv} {}"],
    "GetJob": ["ID"], "CancelJob": ["ID"], "ReadOutput": ["stdout", "uint64 0"],
}


def as_user(user, *argv, **options):
    ids = pwd.getpwnam(user) if user else None
    who = ["setpriv", f"--reuid={ids.pw_uid}", f"--regid={ids.pw_gid}", "--init-groups"] if user else []
    return machine.call(*who, *argv, check=False, **options)


def busctl(*args, user=None, **options):
    return as_user(user, "busctl", "--timeout=30", *args, **options)


def call(member, *words, path=ROOT_PATH, interface=MANAGER, user=None):
    """What a method gives, as JSON says it; it may not fail."""
    p = busctl("--json=short", "call", NAME, path, interface, member, *words, user=user)
    assert p.returncode == 0, p
    return json.loads(p.stdout)["data"] if p.stdout.strip() else []


def execute(code, user=None):
    result, = call("Execute", "ssa{sv}", "bash", code, "0", user=user)
    return result["stdout"]["data"]


@pytest.fixture(scope="module", autouse=True)
def rules():
    RULES.write_text(RULE)
    machine.systemctl("restart", "polkit.service")
    yield
    RULES.unlink()
    machine.systemctl("stop", BUS_UNIT)


@pytest.fixture(scope="module")
def ended(rules):
    """{user: the path of a job that has ended, and is kept}"""
    paths = {user: call("Run", "sasaya{sv}", "command", "1", "true", "0", "0", user=user)[0] for user in (None, "alice")}
    for path in paths.values():
        call("Wait", path=path, interface=JOB)
    return paths


def test_members(ended):
    """There are those that the tests know, and each method is in the table of who may call it."""
    manager = members_of(call("Introspect", interface=INTROSPECTABLE)[0])
    job = members_of(call("Introspect", path=ended[None], interface=INTROSPECTABLE)[0])
    assert {i: (manager | job)[i] for i in MEMBERS} == MEMBERS
    assert {m for i, members in MEMBERS.items() for m in members if members[m][0] == "method"} == {m for _, m in MAY}


def words_of(table, member, path):
    return [path.rsplit("/", 1)[-1] if word == "ID" else word for word in table.get(member, ())]


def check(p, want, name_is_told):
    """Done, or refused as MAY says; busctl tells the sentence alone, and of a denial not even that."""
    assert (p.returncode == 0) == (want == ""), p
    if want and name_is_told:
        assert want in p.stderr, p
        assert want != DENIED or re.search(r"org\.sandboxd1\.[a-z-]+", p.stderr), p
    assert not want or len(p.stderr.strip().splitlines()) == 1, p


def run_with_fds(user):
    """The name of the error, or "" when the job's output came through a pipe."""
    null, (out, into) = os.open("/dev/null", os.O_RDWR), os.pipe()
    with Caller(SYSTEM_BUS, uid=machine.uid_of(user) if user else 0) as c:
        try:
            c.run_with_fds(["echo", "out"], [null, into, null])
        except dbus.Error as e:
            return e.name
        finally:
            os.close(null)
            os.close(into)
        with open(out, "rb") as f:
            assert f.read() == b"out\n"
    return ""


@pytest.fixture
def resumed():
    yield
    call("Resume")


@pytest.mark.parametrize("method", METHODS, ids=lambda m: m[1])
def test_methods(ended, resumed, method):
    """With both tools, as everybody; neither can pass fds."""
    interface, member = method
    for who, user in USERS.items():
        path = ended[None if who in ("root", "other") else "alice"]
        target = path if interface == JOB else ROOT_PATH
        want = MAY[method][who]
        if member == "RunWithFds":
            assert run_with_fds(user) == want
            continue
        p = busctl("call", NAME, target, interface, member, *words_of(BUSCTL, member, path), user=user)
        check(p, want, False)
        p = as_user(user, "gdbus", "call", "--system", "--timeout=30", "--dest", NAME, "--object-path", target, "--method",
                    f"{interface}.{member}", *words_of(GDBUS, member, path))
        check(p, want, True)


@pytest.mark.parametrize("who", USERS)
def test_properties(ended, who):
    user = USERS[who]
    of_manager = [n for n, m in MEMBERS[MANAGER].items() if m[0] == "property"]
    of_job = [n for n, m in MEMBERS[JOB].items() if m[0] == "property"]
    p = busctl("get-property", NAME, ROOT_PATH, MANAGER, *of_manager, user=user)
    assert p.returncode == 0 and len(p.stdout.splitlines()) == len(of_manager), p
    path = ended[None if who in ("root", "other") else "alice"]
    p = busctl("get-property", NAME, path, JOB, *of_job, user=user)
    if who in ("root", "user"):
        assert p.returncode == 0 and len(p.stdout.splitlines()) == len(of_job), p
    else:
        assert p.returncode != 0 and p.stdout == "", p


def test_execute():
    """As in the manual."""
    p = busctl("call", NAME, ROOT_PATH, MANAGER, "Execute", "ssa{sv}", "python", "print(6*7)", "0", user="alice")
    assert p.returncode == 0 and '"stdout" s "42\\n"' in p.stdout, p


def test_signals():
    """gdbus subscribes to nothing by itself: a program does, that has python3-gi as people have."""
    script = """
import sys
from gi.repository import Gio, GLib
bus, loop = Gio.bus_get_sync(Gio.BusType.SYSTEM), GLib.MainLoop()
def told(bus, sender, path, interface, member, values):
    print(member, path, flush=True)
    if member == 'JobRemoved':
        loop.quit()
for interface in 'Manager', 'Job':
    bus.signal_subscribe('org.sandboxd1', 'org.sandboxd1.' + interface, None, None, None, 0, told)
def call(member, values=None):
    return bus.call_sync('org.sandboxd1', '/org/sandboxd1', 'org.sandboxd1.Manager', member, values, None, 0, -1)
call('Subscribe')
path, = call('Run', GLib.Variant('(sasaya{sv})', ('command', ['true'], b'', {})))
print('job', path, flush=True)
GLib.timeout_add_seconds(30, loop.quit)
loop.run()
"""
    p = as_user("alice", "/usr/bin/python3", "-c", script)
    told = [line.split() for line in p.stdout.splitlines()]
    path = next(words[1] for words in told if words[0] == "job")
    assert [ROOT_PATH] == [words[1] for words in told if words[0] == "JobRemoved"], p
    assert ["Finished", path] in told and ["JobNew", ROOT_PATH] in told, p


def test_polkit_asks_for_a_password():
    """A rule may; without an agent in the session that is a no."""
    for flags in ([], ["--allow-interactive-authorization=yes"]):
        p = busctl(*flags, "call", NAME, ROOT_PATH, MANAGER, "Execute", "ssa{sv}", "bash", "true", "0", user="bob")
        assert p.returncode != 0 and ("Access denied" in p.stderr or "authorization" in p.stderr), p


def test_polkit_is_stopped():
    """It is started by the question; where it cannot be, root goes on, and others are told."""
    machine.systemctl("stop", "polkit.service")
    assert execute("echo a", user="alice") == "a\n"
    machine.systemctl("mask", "--runtime", "--now", "polkit.service")
    try:
        assert execute("echo root") == "root\n"
        p = as_user("alice", "gdbus", "call", "--system", "--dest", NAME, "--object-path", ROOT_PATH, "--method",
                    f"{MANAGER}.Execute", *GDBUS["Execute"])
        assert p.returncode != 0 and "polkit" in p.stderr, p
    finally:
        machine.systemctl("unmask", "--runtime", "polkit.service")
        machine.systemctl("reset-failed", "polkit.service", check=False)
    assert execute("echo b", user="alice") == "b\n"


def test_job_in_a_scope():
    """One that came over the bus is in its caller's slice."""
    path, = call("Run", "sasaya{sv}", "command", "2", "sleep", "60", "0", "0", user="alice")
    unit = f"sandbox-{path.rsplit('/', 1)[-1]}.scope"
    assert host.wait_until(lambda: machine.state(unit) == "active", 10), machine.status(unit)
    assert machine.get(unit, "Slice") == f"sandbox-u{machine.uid_of('alice')}.slice"
    call("Cancel", path=path, interface=JOB, user="alice")


# --- its life

def test_both_are_started_by_a_call():
    machine.systemctl("stop", BUS_UNIT, machine.SERVICE_UNIT)
    assert execute("echo started", user="alice") == "started\n"
    assert machine.state(BUS_UNIT) == machine.state(machine.SERVICE_UNIT) == "active"


def test_killed_in_the_middle():
    """Who waited hears so; the job is cancelled; the next call starts it again."""
    execute("true")
    waiting = subprocess.Popen(["busctl", "call", NAME, ROOT_PATH, MANAGER, "Execute", "ssa{sv}", "bash", "sleep 60", "0"],
                               stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert host.wait_until(machine.running_jobs, 10, 0.1)
    os.kill(machine.main_pid(BUS_UNIT), signal.SIGKILL)
    _, err = waiting.communicate(timeout=30)
    assert waiting.returncode != 0 and err
    assert host.wait_until(lambda: not machine.scopes(), 10, 0.1), "its job goes on"
    assert execute("echo again", user="alice") == "again\n"
    machine.systemctl("reset-failed", BUS_UNIT, check=False)


def test_sandboxd_is_restarted():
    execute("true")
    before = machine.main_pid(BUS_UNIT)
    machine.systemctl("restart", machine.SERVICE_UNIT)
    assert execute("echo on", user="alice") == "on\n"
    assert machine.main_pid(BUS_UNIT) == before


def test_it_goes_when_idle(drop_in):
    """And then so does sandboxd; who calls next notices nothing."""
    program = machine.get(BUS_UNIT, "ExecStart").split("path=")[1].split(" ")[0]
    drop_in(BUS_UNIT, f"[Service]\nExecStart=\nExecStart={program} --idle-timeout 1s\n")
    machine.systemctl("stop", BUS_UNIT)
    for _ in range(2):
        assert execute("echo up", user="alice") == "up\n"
        machine.wait_state(BUS_UNIT, "inactive")
        assert machine.show(BUS_UNIT, "Result", "ExecMainStatus") == {"Result": "success", "ExecMainStatus": "0"}


def test_it_stays_while_it_is_needed(drop_in):
    """Who waits for a job is not left alone, nor who subscribed."""
    program = machine.get(BUS_UNIT, "ExecStart").split("path=")[1].split(" ")[0]
    drop_in(BUS_UNIT, f"[Service]\nExecStart=\nExecStart={program} --idle-timeout 1s\n")
    machine.systemctl("stop", BUS_UNIT)
    assert execute("sleep 2.5; echo slept", user="alice") == "slept\n"


def test_callers_while_it_goes(drop_in):
    """None is lost between its going and its next life."""
    program = machine.get(BUS_UNIT, "ExecStart").split("path=")[1].split(" ")[0]
    drop_in(BUS_UNIT, f"[Service]\nExecStart=\nExecStart={program} --idle-timeout 50ms\n")
    machine.systemctl("stop", BUS_UNIT)
    pids = set()
    for i in range(4 if machine.WORLD == "uml" else 30):
        assert call("ListJobs", user="alice") == [[]]
        pids.add(machine.get(BUS_UNIT, "ExecMainPID"))
        time.sleep(0.04 + i % 5 * 0.01)
    # 0: it had gone already when systemd was asked.
    assert len(pids) > 1 or pids == {"0"}, "it has never gone"
