# SPDX-License-Identifier: Apache-2.0
"""Who may do what on the bus: every member as root, as a user whom polkit lets run code, and as nobody, whom it
lets do nothing; and what polkit is asked."""

import os
import signal
import time

import pytest

from lib import dbus, host
from lib.bus import (ALICE, BOB, CONTROL, DENIED, INTROSPECTABLE, JOB, MANAGE_JOBS, MANAGER, MAY, MEMBERS, NAME,
                     NO_OBJECT, NO_SUCH_JOB, NOBODY, PEER, ROOT_PATH, RUN, USE_PROFILE, USER, World, job_id)

WHO = {"root": 0, "user": ALICE, "nobody": NOBODY}
NOT_THERE = "f" * 16


def fds_of_null():
    return [os.open("/dev/null", os.O_RDWR)] * 3


# How each method is called about a job that has ended: its signature and values.
CALLS = {
    (MANAGER, "Execute"): lambda job: ("ssa{sv}", "bash", "true", {}),
    (MANAGER, "Run"): lambda job: ("sasaya{sv}", "command", ["true"], b"", {}),
    (MANAGER, "RunWithFds"): lambda job: ("sasaya{sv}hhh", "command", ["true"], b"", {}, 0, 1, 2),
    (MANAGER, "GetJob"): lambda job: ("s", job_id(job)),
    (MANAGER, "CancelJob"): lambda job: ("s", job_id(job)),
    (JOB, "ReadOutput"): lambda job: ("st", "stdout", 0),
}

METHODS = [(i, name) for i, members in MEMBERS.items() for name, m in members.items() if m[0] == "method"]


@pytest.fixture
def ended(bus):
    """ended(uid) is the path of a job of that user that has ended and is kept."""
    def run(uid):
        with bus.caller(uid) as c:
            path = c.run("true")
            c.wait(path)
            return path
    return run


def outcome(c, what, path, interface, member, *rest, **more):
    """"" or the name of the error."""
    try:
        what(NAME, path, interface, member, *rest, **more)
        return ""
    except dbus.Error as e:
        return e.name


@pytest.fixture
def resumed(bus):
    yield
    with bus.caller() as c:
        c.manager("Resume")


@pytest.mark.parametrize("who", ["root", "user", "other", "nobody"])
@pytest.mark.parametrize("method", METHODS, ids=lambda m: m[1])
def test_methods(bus, ended, resumed, method, who):
    """MAY has a row for each method of MEMBERS, which test_bus.py compares with what there is."""
    interface, member = method
    path = ended(0 if who == "other" else ALICE)
    c = bus.caller(WHO.get(who, ALICE))
    asked = len(bus.polkit.asked)
    values = CALLS.get(method, lambda job: ())(path)
    fds = fds_of_null() if member == "RunWithFds" else ()
    got = outcome(c, c.call, path if interface == JOB else ROOT_PATH, interface, member, *values, fds=fds)
    for fd in set(fds):
        os.close(fd)
    assert got == MAY[method][who]
    if who == "root":
        assert len(bus.polkit.asked) == asked, "there is no question to ask about root"


@pytest.mark.parametrize("who", WHO)
def test_properties(bus, who):
    """Everybody may read those of the manager."""
    c = bus.caller(WHO[who])
    for name in [n for n, m in MEMBERS[MANAGER].items() if m[0] == "property"]:
        c.get(ROOT_PATH, MANAGER, name)
    c.get_all(ROOT_PATH, MANAGER)
    c.call(NAME, ROOT_PATH, INTROSPECTABLE, "Introspect")
    assert bus.polkit.asked == []


@pytest.mark.parametrize("name", [n for n, m in MEMBERS[JOB].items() if m[0] == "property"] + ["*"])
def test_properties_of_jobs(bus, ended, name):
    """Root's and its owner's; to others there is no job, and nothing says that there is."""
    path, none = ended(ALICE), f"{ROOT_PATH}/job/{NOT_THERE}"
    member, values = ("GetAll", ["s", JOB]) if name == "*" else ("Get", ["ss", JOB, name])
    for uid, want in (0, ""), (ALICE, ""), (BOB, NO_OBJECT), (NOBODY, NO_OBJECT):
        c = bus.caller(uid)
        assert outcome(c, c.call, path, dbus.PROPERTIES, member, *values) == want, uid
        assert outcome(c, c.call, none, dbus.PROPERTIES, member, *values) == NO_OBJECT


def test_the_job_of_another_is_like_none(bus, ended):
    """Attack 53: the same error to the letter, but for the id."""
    path, none = ended(ALICE), f"{ROOT_PATH}/job/{NOT_THERE}"
    c = bus.caller(BOB)
    for member in "GetJob", "CancelJob":
        a, b = (c.refusal(c.manager, member, "s", job_id(p)) for p in (path, none))
        assert (a.name, a.message.replace(job_id(path), NOT_THERE)) == (b.name, b.message)
    for interface, member, *values in (JOB, "Cancel"), (JOB, "Wait"), (JOB, "NoSuch"), ("no.such", "Interface"), \
            (INTROSPECTABLE, "Introspect"), (dbus.PROPERTIES, "GetAll", "s", JOB):
        said = []
        for p in path, none:
            try:
                said.append(str(c.call(NAME, p, interface, member, *values)))
            except dbus.Error as e:
                said.append(str(e).replace(job_id(p), NOT_THERE))
        assert said[0] == said[1], (interface, member)
    for p in ROOT_PATH, ROOT_PATH + "/job":
        assert job_id(path) not in c.call(NAME, p, INTROSPECTABLE, "Introspect")[0], "introspection names no job"


def test_lists_show_ones_own(bus):
    alice, bob, root = bus.caller(ALICE), bus.caller(BOB), bus.caller()
    mine, other = alice.run("sleep", "60"), bob.run("sleep", "60")
    try:
        assert set(alice.jobs()) == {mine} and set(bob.jobs()) == {other}
        assert {mine, other} <= set(root.jobs()) and bus.caller(NOBODY).jobs() == {}
    finally:
        root.manager("StopAll")


# --- what polkit is asked

def test_subject(bus):
    """Attack 59: the name on the bus, which nobody else can have afterwards, and no pid."""
    c = bus.caller(ALICE)
    c.bash("true")
    q, = bus.polkit.asked
    assert (q.action, q.kind, q.subject) == (RUN, "system-bus-name", {"name": c.name})
    assert (q.uid, q.flags) == (ALICE, 0)


@pytest.mark.parametrize("profile,actions", [(None, [RUN]), ("", [RUN]), ("default", [RUN]),
                                             ("strict", [RUN, USE_PROFILE])])
def test_profiles(bus, profile, actions):
    """Any but the default needs an action of its own."""
    c = bus.caller(ALICE)
    values = {} if profile is None else {"profile": profile}
    bus.polkit.rules[USE_PROFILE] = "yes"
    assert c.bash("true", **values)["profile"] == (profile or "default")
    assert sorted(bus.polkit.actions()) == actions
    if USE_PROFILE in actions:
        for action in RUN, USE_PROFILE:
            bus.polkit.rules = {RUN: "yes", USE_PROFILE: "yes", action: "no"}
            error = c.refusal(c.run, "true", **values)
            assert error.name == DENIED and action in error.message


@pytest.mark.parametrize("member,action", [("Drain", CONTROL), ("Resume", CONTROL), ("StopAll", CONTROL),
                                           ("CancelJob", MANAGE_JOBS)])
def test_administrators(bus, ended, resumed, member, action):
    path = ended(0)
    c = bus.caller(ALICE)
    values = ["s", job_id(path)] if member == "CancelJob" else []
    c.refusal(c.manager, member, *values)
    bus.polkit.asked.clear()
    bus.polkit.rules[action] = {ALICE: "yes"}
    assert c.manager(member, *values) == []
    assert bus.polkit.actions() == [action]


def test_administrator_cancels(bus):
    path = bus.caller(BOB).run("sleep", "60")
    bus.polkit.rules[MANAGE_JOBS] = {ALICE: "yes"}
    alice = bus.caller(ALICE)
    alice.manager("CancelJob", "s", job_id(path))
    assert bus.caller().wait(path)["status"] == "CANCELLED"
    assert alice.refusal(alice.manager, "CancelJob", "s", NOT_THERE).name == NO_SUCH_JOB
    assert alice.refusal(alice.manager, "GetJob", "s", job_id(path)).name == NO_SUCH_JOB, "to cancel is not to see"


def test_own_jobs_are_no_question(bus, ended):
    path = ended(ALICE)
    bus.polkit.asked.clear()
    c = bus.caller(ALICE)
    c.manager("Subscribe")
    c.jobs(), c.objects(), c.wait(path), c.output(path), c.job(path, "Cancel")
    c.manager("GetJob", "s", job_id(path))
    c.manager("CancelJob", "s", job_id(path))
    c.manager("ListRuntimes"), c.manager("ListProfiles")
    assert bus.polkit.asked == []


@pytest.mark.parametrize("flags,want", [(0, 0), (dbus.INTERACTIVE, 1)])
def test_interaction(bus, flags, want):
    """polkit may ask the user for a password when the caller says so."""
    bus.polkit.rules = {RUN: "challenge"}
    c = bus.caller(ALICE)
    error = c.refusal(c.finish, c.start_execute("bash", "true", flags=flags))
    assert error.name in (DENIED, "org.freedesktop.DBus.Error.InteractiveAuthorizationRequired")
    assert RUN in error.message and bus.polkit.asked[0].flags == want


def test_every_call_is_a_question(bus):
    """What was allowed once is not remembered here: that is polkit's."""
    c = bus.caller(ALICE)
    c.bash("true"), c.bash("true")
    bus.polkit.rules = {}
    assert c.refusal(c.bash, "true").name == DENIED and bus.polkit.actions() == [RUN] * 3


def test_a_bad_request_is_no_question(bus):
    """Nobody is asked for a password for what cannot be done."""
    c = bus.caller(ALICE)
    assert c.refusal(c.bash, "true", no_such=1).short == "InvalidArgument"
    assert bus.polkit.asked == []


def test_questions_do_not_wait_for_each_other(bus):
    alice, bob, root = bus.caller(ALICE), bus.caller(BOB), bus.caller()
    bus.polkit.rules[RUN] = {ALICE: "hold", BOB: "yes"}
    held = alice.start_execute("bash", "echo late")
    bus.polkit.wait_held()
    assert bob.bash("echo bob")["stdout"] == "bob\n" and root.bash("echo root")["stdout"] == "root\n"
    assert alice.jobs() == {}, "the same connection is served too"
    bus.polkit.release("yes")
    assert alice.finish(held)[0]["stdout"] == "late\n"


# --- polkit fails

@pytest.mark.parametrize("answer", ["error", "crash"])
def test_polkit_fails(bus, answer):
    bus.polkit.rules = {RUN: answer}
    c = bus.caller(ALICE)
    error = c.refusal(c.bash, "true")
    assert error.name == DENIED and "polkit" in error.message and c.jobs() == {}


def test_polkit_is_not_there(bus):
    """root goes on; others are told what is missing; it is used as soon as it is there."""
    bus.polkit.stop()
    c = bus.caller(ALICE)
    error = c.refusal(c.bash, "true")
    assert error.name == DENIED and "polkit" in error.message
    assert c.jobs() == {} and bus.caller().bash("echo root")["stdout"] == "root\n"
    bus.polkit.reset()
    assert c.bash("echo again")["stdout"] == "again\n"


@pytest.fixture(scope="module")
def hasty(build, daemon):
    """One that waits for polkit for a second."""
    world = World(build, daemon, ["--polkit-timeout", "1s"])
    try:
        yield world.start()
    finally:
        world.dispose()


@pytest.mark.parametrize("answer", ["yes", "no"])
def test_polkit_is_slow(hasty, answer):
    """Attack 58: silence is a no; an answer after that changes nothing."""
    hasty.polkit.reset()
    hasty.polkit.rules[RUN] = "hold"
    c = hasty.caller(ALICE)
    began = time.monotonic()
    error = c.refusal(c.bash, "true")
    assert error.name == DENIED and "polkit" in error.message and time.monotonic() - began >= 0.9
    before = len(c.objects())
    hasty.polkit.release(answer)
    time.sleep(0.1)
    assert c.jobs() == {} and len(c.objects()) == before, "it was run although it was denied"
    hasty.polkit.reset()
    assert c.bash("echo on")["stdout"] == "on\n"


def test_polkit_is_late_and_so_are_we(hasty):
    """A yes that came in time, but was found after it, is a late one; whatever else there is to read before it."""
    hasty.polkit.reset()
    hasty.polkit.rules[RUN] = "hold"
    c, crowd = hasty.caller(ALICE), hasty.caller(BOB)
    before = len(c.objects())
    serial = c.start_execute("bash", "true")
    hasty.polkit.wait_held()
    hasty.service.process.send_signal(signal.SIGSTOP)
    try:
        crowd.start_manager("ListJobs")
        hasty.polkit.release("yes")
        time.sleep(1.2)
    finally:
        hasty.service.process.send_signal(signal.SIGCONT)
    assert c.refusal(c.finish, serial).name == DENIED
    assert c.jobs() == {} and len(c.objects()) == before


def test_someone_may_take_his_time_over_a_password(hasty):
    """With interaction the deadline is another one."""
    hasty.polkit.reset()
    hasty.polkit.rules[RUN] = "hold"
    c = hasty.caller(ALICE)
    serial = c.start_execute("bash", "echo typed", flags=dbus.INTERACTIVE)
    hasty.polkit.wait_held()
    time.sleep(1.3)
    hasty.polkit.release("yes")
    assert c.finish(serial)[0]["stdout"] == "typed\n"


@pytest.mark.parametrize("call", ["execute", "run"])
def test_sender_leaves_during_the_question(bus, call):
    """Attack 58, CVE-2021-3560: a yes for who is gone makes no job."""
    bus.polkit.rules[RUN] = "hold"
    root, c = bus.caller(), bus.caller(ALICE)
    before = set(root.objects())
    c.start_execute("bash", "true") if call == "execute" else c.start_run("true")
    bus.polkit.wait_held()
    c.close()
    watcher = bus.caller(ALICE)
    assert host.wait_until(lambda: not root.call(*dbus.BUS, "NameHasOwner", "s", c.name)[0])
    asked = [q.cancellation for q in bus.polkit.asked]
    assert host.wait_until(lambda: bus.polkit.cancelled == asked), "polkit is not told that nobody waits"
    bus.polkit.release("yes")
    watcher.call(NAME, ROOT_PATH, PEER, "Ping")
    time.sleep(0.1)
    assert set(root.objects()) == before, "a job was made for a caller that is gone"


# --- sandboxd's own say

def test_access_lists(make_daemon, make_bus):
    """[Access] counts for who comes over the bus as for who connects; groups are the caller's own."""
    d = make_daemon(settings={"Bus": {"User": USER}, "Access": {"AllowUsers": ALICE, "AllowGroups": "61011"}})
    bus = make_bus(d)
    assert bus.caller(ALICE).bash("echo a")["stdout"] == "a\n"
    assert bus.caller(BOB, groups=[61010, 61011]).bash("echo b")["stdout"] == "b\n"
    c = bus.caller(BOB, groups=[61010])
    error = c.refusal(c.bash, "true")
    assert error.name == DENIED and f"user {BOB} " in error.message, error
    assert bus.caller().bash("echo r")["stdout"] == "r\n"


def test_nobody_else_acts_for_others(make_daemon, make_bus):
    """A service that runs as another than [Bus] User= says is refused by sandboxd, whatever polkit says."""
    bus = make_bus(make_daemon(settings={"Bus": {"User": "backup"}}))
    for uid in 0, ALICE:
        c = bus.caller(uid)
        error = c.refusal(c.bash, "true")
        assert error.name in (DENIED, "org.sandboxd1.Error.Unreachable"), error
