# SPDX-License-Identifier: Apache-2.0
"""sandboxd-bus when somebody leaves, dies, sends too much or reads too little: only who did it is hurt."""

import contextlib
import os
import re
import signal
import subprocess
import threading
import time

import pytest

from lib import dbus, host, wire
from lib.bus import ALICE, BOB, JOB, MANAGER, NAME, NOBODY, OBJECT_MANAGER, PEER, ROOT_PATH, RUN, USER, job_id

MIB = 1 << 20
BIG = 20 * MIB
WATCHERS = 100
JOBS = 1000


@pytest.fixture
def own(make_daemon, make_bus):
    """A world that the test may break; arguments of its sandboxd-bus, and settings of its sandboxd."""
    def make(*arguments, **settings):
        return make_bus(make_daemon(settings={"Bus": {"User": USER}} | settings), arguments)
    return make


def ping(c):
    c.call(NAME, ROOT_PATH, PEER, "Ping", timeout=5)


@contextlib.contextmanager
def stopped(process):
    """It does nothing meanwhile."""
    os.kill(process.pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(process.pid, signal.SIGCONT)


def running(c, n=1):
    """The paths of all jobs, once there are so many."""
    assert host.wait_until(lambda: len(c.jobs()) == n, 10), c.jobs()
    return list(c.jobs())


def peak(pid):
    """The most memory that a process ever had."""
    return int(host.status(pid)["VmHWM"].split()[0]) * 1024


# --- callers who leave

@pytest.mark.parametrize("uid", [0, ALICE])
def test_caller_leaves_during_execute(bus, uid):
    root, c = bus.caller(), bus.caller(uid)
    c.start_execute("bash", "sleep 600")
    path, = running(root)
    c.close()
    assert root.wait(path)["status"] == "CANCELLED"


def test_caller_leaves_during_wait(bus):
    """Of a detached job nothing changes."""
    root, c = bus.caller(), bus.caller(ALICE)
    path = c.run("sleep", "0.5")
    c.start(NAME, path, JOB, "Wait")
    ping(c)
    c.close()
    assert root.wait(path)["status"] == "OK"


def test_one_of_two_calls_of_a_user(bus):
    """Those of another connection of the same user go on."""
    root, one, two = bus.caller(), bus.caller(ALICE), bus.caller(ALICE)
    one.start_execute("bash", "sleep 600")
    gone, = running(root)
    stays = two.start_execute("bash", "read x; echo $x", stdin="a\n")
    one.close()
    assert two.finish(stays)[0]["stdout"] == "a\n" and root.wait(gone)["status"] == "CANCELLED"


def test_callers_come_and_go(bus):
    """Nothing of 200 connections is left, whatever they were about."""
    root = bus.caller()
    root.jobs()
    bus.polkit.rules[RUN] = {ALICE: "hold", BOB: "yes"}
    before = host.fd_count(bus.service.pid)
    for i in range(200):
        with bus.caller((0, ALICE, BOB, NOBODY)[i % 4]) as c:
            c.start_manager("Subscribe")
            c.start_execute("bash", "sleep 600")
            if i % 3 == 0:
                ping(c)
    running(root, 0)
    assert host.wait_until(lambda: host.fd_count(bus.service.pid) <= before + 8), "fds are left"


# --- what it depends on goes away

def test_bus_goes_away(own):
    """It ends, with what was tied to it; started again on the bus's next life, it knows the detached ones."""
    bus = own()
    c = bus.caller()
    detached = c.run("sleep", "600")
    c.start_execute("bash", "sleep 601")
    running(c, 2)
    bus.bus.kill()
    bus.service.process.wait(10)
    bus.bus.start()
    bus.polkit.reset()
    bus.service.start()
    c = bus.caller()
    assert running(c) == [detached]
    c.job(detached, "Cancel")
    assert c.wait(detached)["status"] == "CANCELLED"


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL])
def test_service_is_started_again(own, how):
    """Detached jobs are not its own; Execute's and those with fds are."""
    bus = own()
    root, c = bus.caller(), bus.caller(ALICE)
    detached = c.run("sleep", "600")
    serial = c.start_execute("bash", "sleep 601")
    with open("/dev/null", "r+") as null:
        with_fds = c.run_with_fds(["sleep", "602"], [null.fileno()] * 3)
    attached = set(running(root, 3)) - {detached, with_fds}
    relays = bus.service.relays()
    bus.service.process.send_signal(how)
    code = bus.service.process.wait(10)
    assert code == (0 if how == signal.SIGTERM else -how)
    assert c.refusal(c.finish, serial).short in ("NoReply", "Unreachable", "NoSuchUnit", "Cancelled")
    bus.service.start()
    assert running(root) == [detached]
    for path in (*attached, with_fds):
        assert root.wait(path)["status"] == "CANCELLED"
    assert host.wait_until(lambda: not any(host.status(p).get("Name") == "sandboxd-bus" for p in relays))
    root.manager("StopAll")


def test_sandboxd_is_started_again(own):
    """The service stays, says what is missing, and is back as soon as sandboxd is."""
    bus = own()
    d, c = bus.daemon, bus.caller()
    c.manager("Subscribe")
    path = c.run("sleep", "600")
    serial = c.start_execute("bash", "sleep 601")
    running(c, 2)
    d.process.send_signal(signal.SIGTERM)
    d.process.wait(20)
    try:
        assert c.finish(serial)[0]["status"] == "CANCELLED"
    except dbus.Error as e:
        assert e.short == "Unreachable"
    error = c.refusal(c.bash, "true")
    assert error.short == "Unreachable" and "sandboxd" in error.message
    c.signal("InterfacesRemoved", lambda m: m.args()[0] == path)
    assert c.refusal(c.wait, path).short in ("UnknownObject", "Unreachable", "NoSuchJob")
    d.start()
    assert host.wait_until(lambda: _executes(c), 10), "it is not back"
    c.signals.clear()
    new = c.run("true")
    assert c.signal("JobRemoved", lambda m: new in m.args()).args() == [job_id(new), new, "OK"], "it watches again"
    assert c.get(ROOT_PATH, MANAGER, "RunningJobs") == 0


def test_it_is_back_with_its_callers(own):
    """Where sandboxd was away for long it is not asked for jobs before long: but with the first who has reached it."""
    bus = own()
    d, c = bus.daemon, bus.caller(timeout=8)
    d.process.send_signal(signal.SIGTERM)
    d.process.wait(20)
    time.sleep(14)  # 0.1 s, 0.2 s and so on to 6.4 s: the next attempt is 12.8 s after that
    d.start()
    path = c.run("sleep", "600")
    assert list(c.jobs()) == [path]
    c.manager("CancelJob", "s", job_id(path))
    assert c.wait(path)["status"] == "CANCELLED"


def _executes(c):
    try:
        return c.bash("echo back")["stdout"] == "back\n"
    except dbus.Error as e:
        assert e.short == "Unreachable"
        return False


def _watches(c):
    """It knows of new jobs, and of no old ones."""
    path = c.run("sleep", "600")
    assert list(c.jobs()) == [path]
    c.job(path, "Cancel")


def test_frontend_dies(own):
    bus = own()
    d, c = bus.daemon, bus.caller()
    serial = c.start_execute("bash", "sleep 600")
    running(c)
    os.kill(d.frontend, signal.SIGKILL)
    error = c.refusal(c.finish, serial)
    assert error.short in ("Unreachable", "Internal"), error
    assert host.wait_until(lambda: _executes(c), 10)
    _watches(c)


def test_started_before_sandboxd(make_daemon, make_bus):
    """It is on the bus all the same, for whoever asks what is wrong."""
    d = make_daemon(start=False, settings={"Bus": {"User": USER}})
    d.prepare()
    bus = make_bus(d)
    c = bus.caller()
    assert c.refusal(c.bash, "true").short == "Unreachable"
    assert c.get(ROOT_PATH, MANAGER, "RunningJobs") == 0
    d.start()
    assert host.wait_until(lambda: _executes(c), 10)
    _watches(c)


def test_sandboxd_hangs(own):
    """Who asks for a job waits; who asks nothing of it does not."""
    bus = own()
    c, other = bus.caller(), bus.caller(ALICE)
    c.bash("true")
    frontend = bus.daemon.frontend
    os.kill(frontend, signal.SIGSTOP)
    try:
        serial = c.start_execute("bash", "echo late")
        ping(other)
        other.manager("Subscribe")
        assert other.jobs() == {}
        other.get_all(ROOT_PATH, MANAGER)
    finally:
        os.kill(frontend, signal.SIGCONT)
    assert c.finish(serial)[0]["stdout"] == "late\n"


# --- too much of everything

BIG_CALLS = ["code", "language", "key", "string option", "bytes option", "many options", "id", "property", "interface",
             "argv", "many files", "stdin"]


def big_call(what, size):
    """A message with a string of that size, or with very many parts."""
    text = "x" * size
    member, signature, *values = {
        "code": ("Execute", "ssa{sv}", "bash", text, {}), "language": ("Execute", "ssa{sv}", text, "", {}),
        "key": ("Execute", "ssa{sv}", "bash", "", {text: ("b", True)}),
        "string option": ("Execute", "ssa{sv}", "bash", "", {"label": ("s", text)}),
        "bytes option": ("Execute", "ssa{sv}", "bash", "", {"files": ("a{say}", {"f": bytes(size)})}),
        "many options": ("Execute", "ssa{sv}", "bash", "", [("pids", ("y", 1))] * 50000),
        "id": ("GetJob", "s", text), "property": ("Get", "ss", MANAGER, text), "interface": ("GetAll", "s", text),
        "argv": ("Run", "sasaya{sv}", "command", ["x"] * 300000, b"", {}),
        "many files": ("Execute", "ssa{sv}", "bash", "", {"files": ("a{say}", {f"f{i}": b"" for i in range(50000)})}),
        "stdin": ("Execute", "ssa{sv}", "bash", "cat", {"stdin": ("s", text)}),
    }[what]
    interface = dbus.PROPERTIES if member in ("Get", "GetAll") else MANAGER
    return dbus.Message(dbus.CALL, dbus.encode(signature, values), signature, destination=NAME, path=ROOT_PATH,
                        interface=interface, member=member)


TOO_MUCH = ("InvalidArgument", "OverLimit", "Busy", "UnknownRuntime", "NoSuchJob", "InvalidArgs")


@pytest.mark.parametrize("what", BIG_CALLS)
def test_big_messages(bus, sanitized, what):
    """Of 20 MiB, or of more parts than anything may have: an error in a sentence, and another caller is served
    meanwhile. However many there are, the service does not grow by them."""
    c, other = bus.caller(ALICE, timeout=60), bus.caller(BOB)
    c.bash("true")
    # A sanitizer's realloc() copies, and libsystemd calls it for each piece of a message.
    call = big_call(what, 2 * MIB if sanitized else BIG)
    serials = [c.send(call) for _ in range(3)]
    assert other.bash("echo served")["stdout"] == "served\n"
    for serial in serials:
        try:
            result, = c.finish(serial)
            assert what == "stdin" and result["stdout_truncated"], result
        except dbus.Error as error:
            assert error.short in TOO_MUCH and len(error.message) < 1000, error
    assert sanitized or peak(bus.service.pid) < 300 * MIB


@pytest.mark.parametrize("what", ["code", "argv", "many files"])
def test_a_bad_call_ends_no_other(bus, sanitized, what):
    """Not even of the same user, whose calls have one connection to sandboxd."""
    one, two = bus.caller(ALICE), bus.caller(ALICE)
    serial = one.start_execute("bash", "read x; echo $x; sleep 1; echo end", stdin="begun\n")
    running(bus.caller(), 1)
    assert two.refusal(two.finish, two.send(big_call(what, 2 * MIB if sanitized else BIG))).short in TOO_MUCH
    assert one.finish(serial)[0]["stdout"] == "begun\nend\n"


def test_message_that_the_bus_does_not_take(bus):
    c = bus.caller(ALICE)
    with contextlib.suppress(dbus.Closed, BrokenPipeError, ConnectionResetError):
        c.refusal(c.bash, "x" * (40 * MIB))
    ping(bus.caller(ALICE))


def test_watchers(bus):
    """A hundred are told of each job, and none is told of another's."""
    watchers = [bus.caller(ALICE if i % 2 else BOB) for i in range(WATCHERS)]
    for serial, c in [(c.start_manager("Subscribe"), c) for c in watchers]:
        c.finish(serial)
    path = watchers[1].run("true")
    for c in watchers[1::2]:
        assert c.signal("JobRemoved").args() == [job_id(path), path, "OK"]
        c.signal("Finished")
    for c in watchers[0::2]:
        ping(c)
        assert [m.member for m in c.signals if m.member != "NameAcquired" and m.path != ROOT_PATH] == []


def test_jobs_by_the_thousand(own):
    """They are listed at once, and end at once; who watches hears the end of each."""
    bus = own(Server={"MaxJobsPerUser": 1, "MaxQueued": 2 * JOBS, "MaxQueuedPerUser": 2 * JOBS,
                      "MaxResultsPerUser": 2 * JOBS})
    root, c, watcher = bus.caller(), bus.caller(ALICE, timeout=60), bus.caller(ALICE, timeout=60)
    crowd, bob = bus.caller(ALICE), bus.caller(BOB)
    watcher.manager("Subscribe")
    with bus.daemon.session(uid=ALICE) as s:
        for i in range(JOBS):
            s.send(wire.run(i + 2, argv=[b"sleep", b"600"], detach=True))
        running(root, JOBS)
        listed, objects = c.jobs(), c.objects()
        assert len(listed) == len(objects) == JOBS and set(listed) == set(objects)
        assert [e[4] for e in listed.values()].count("queued") == JOBS - 1
        assert c.get(ROOT_PATH, MANAGER, "QueuedJobs") == JOBS - 1
        assert bus.caller(NOBODY).jobs() == {} and bus.caller(NOBODY).objects() == {}
        assert bob.jobs() == {}
        # Nobody waits until another has all the long answers that he asked for.
        with stopped(bus.service):
            for _ in range(100):
                crowd.start(NAME, ROOT_PATH, OBJECT_MANAGER, "GetManagedObjects")
            crowd.call(*dbus.BUS, "GetId")
            serial = bob.start_manager("ListJobs")
            bob.call(*dbus.BUS, "GetId")
        assert bob.finish(serial) == [[]]
        with stopped(bus.service):
            crowd.settle(0.5)
        assert len(crowd.replies) < 100
        root.manager("StopAll")
        ended = {watcher.signal("JobRemoved").args()[1] for _ in range(JOBS)}
        assert ended == set(listed) and c.jobs() == {}


def read_nothing(c, calls):
    """Asks for answers of a megabyte, so often, and reads none of them. Of what a service sends, the bus keeps 127 MiB
    that are not read."""
    path = c.run("bash", "-c", "head -c 1000000 /dev/zero", output_bytes=MIB)
    c.wait(path)
    c.sock.setsockopt(1, 8, 4096)  # SOL_SOCKET, SO_RCVBUF
    c.sock.settimeout(0.5)
    with contextlib.suppress(OSError, TimeoutError):
        for _ in range(calls):
            c.start(NAME, path, JOB, "ReadOutput", "st", "stdout", 0)


def test_jobs_that_wait_are_no_calls(own):
    """Who has begun more jobs than he may have calls under way can still call."""
    bus = own(Server={"MaxJobsPerUser": 1, "MaxQueued": JOBS, "MaxQueuedPerUser": JOBS, "MaxResultsPerUser": JOBS})
    c = bus.caller(ALICE, timeout=60)
    for _ in range(6):
        for serial in [c.start_run("sleep", "600") for _ in range(100)]:
            c.finish(serial)
    paths = list(c.jobs())
    assert len(paths) == 600
    c.manager("CancelJob", "s", job_id(paths[0]))
    bus.caller().manager("StopAll")


def test_one_who_reads_nothing(bus, sanitized):
    """His replies and signals pile up at the bus; nobody else notices."""
    c, other = bus.caller(ALICE), bus.caller(BOB)
    before = bus.service.rss()
    c.manager("Subscribe")
    read_nothing(c, 120)
    for i in range(20):
        assert other.bash(f"echo {i}")["stdout"] == f"{i}\n"
    if not sanitized:
        assert peak(bus.service.pid) - before < 300 * MIB


def test_the_bus_has_enough(own):
    """When more is not read than the bus keeps of a service, it takes nothing more from it, for anybody. The service
    notices by itself, without another call, and goes; who waits is told, and the next one serves whoever calls."""
    bus = own()
    waits, other = bus.caller(timeout=60), bus.caller(BOB)
    serial = waits.start_execute("bash", "sleep 600")
    for c in [bus.caller(ALICE) for _ in range(2)]:
        read_nothing(c, 100)
    assert waits.refusal(waits.finish, serial).short == "NoReply"
    assert bus.service.process.wait(10) == 1 and "takes no more answers" in bus.service.log()
    bus.service.start()
    assert other.bash("echo on")["stdout"] == "on\n"


def sip(c, done):
    """Reads a little now and then of much."""
    c.sock.settimeout(1)
    while not done.wait(1.5):
        with contextlib.suppress(OSError):
            for _ in range(350):
                c.sock.recv(4096)


def test_one_who_reads_a_little_now_and_then(own):
    """The bus takes something each time, and has everybody wait for it: that is not enough for the service to stay."""
    bus = own()
    waits, crowd, done = bus.caller(timeout=30), [bus.caller(ALICE) for _ in range(4)], threading.Event()
    serial = waits.start_execute("bash", "sleep 600")
    read_nothing(crowd[0], 40)
    sipper = threading.Thread(target=sip, args=(crowd[0], done))
    sipper.start()
    try:
        with contextlib.suppress(dbus.Error):  # it may have gone before the last has asked
            for c in crowd[1:]:
                read_nothing(c, 70)
        assert waits.refusal(waits.finish, serial).short == "NoReply"
        assert bus.service.process.wait(60) == 1 and "takes no more answers" in bus.service.log()
    finally:
        done.set()
        sipper.join()


def fill(crowd):
    """Each sends a call of 31 MiB."""
    big = dbus.Message(dbus.CALL, dbus.encode("s", ["x" * (31 * MIB)]), "s", dbus.NO_REPLY, destination=NAME,
                       path=ROOT_PATH, interface=MANAGER, member="CancelJob")
    for c in crowd:
        c.send(big)
        c.call(*dbus.BUS, "GetId")


def test_more_calls_than_the_bus_keeps(own):
    """Of what it has for one that does not read, the bus drops what is over 127 MiB, its own answers too. Somebody new
    among them is served, and the service goes on."""
    bus = own()
    new, crowd = bus.caller(BOB), [bus.caller(ALICE) for _ in range(6)]
    with stopped(bus.service):
        serial = new.start_manager("ListJobs")
        new.call(*dbus.BUS, "GetId")
        fill(crowd)
    assert new.finish(serial) == [[]]


def test_a_result_that_just_fits(bus, sanitized):
    """A user may have 160 MiB under way. What is collected and what is answered are not held, nor counted, at the same
    time: a job that was run is not lost for that."""
    if sanitized:
        pytest.skip("a sanitizer's realloc() copies, and libsystemd calls it for each piece of a message")
    c, other = bus.caller(ALICE), bus.caller(ALICE)
    path = other.run("bash", "-c", "head -c 4194304 /dev/zero | tee /dev/stderr", output_bytes=4 * MIB)
    kept = other.wait(path)
    bus.polkit.rules[RUN] = "hold"
    for _ in range(4):
        c.start_execute("bash", "true", stdin=bytes(148 * MIB // 8))
    bus.polkit.wait_held(4)
    bus.polkit.rules[RUN] = "yes"
    result = other.bash("head -c 4194304 /dev/zero | tr '\\0' x | tee /dev/stderr", output_bytes=4 * MIB)
    assert result["stdout"] == result["stderr"] == "x" * (4 * MIB)
    assert other.wait(path) == kept
    bus.polkit.release("no")


def test_who_leaves_while_the_bus_has_too_much(own):
    """The bus drops that he left, as all that is over 127 MiB: it is found out nevertheless."""
    bus = own()
    c, crowd = bus.caller(ALICE), [bus.caller(BOB) for _ in range(6)]
    c.start_execute("bash", "sleep 600", wall_time_usec=300_000_000)
    path, = running(bus.caller())
    with stopped(bus.service):
        fill(crowd)
        c.close()
        crowd[0].call(*dbus.BUS, "GetId")
    with bus.daemon.session() as s:
        s.send(wire.wait_job(2, job_id(path)))
        assert s.expect("result", timeout=120)["status"] == "CANCELLED"


def test_answers_of_polkit_that_the_bus_drops(own):
    """A user has eight questions under way: those whose answers never come are not counted for ever."""
    bus = own("--polkit-timeout", "2s")
    c, crowd = bus.caller(ALICE, timeout=60), [bus.caller(BOB) for _ in range(6)]
    bus.polkit.rules[RUN] = "hold"
    serials = [c.start_execute("bash", "true") for _ in range(8)]
    bus.polkit.wait_held(8)
    with stopped(bus.service):
        fill(crowd)
        bus.polkit.release("yes")
        time.sleep(0.5)  # so that the bus has taken them; nothing shows it
    bus.polkit.rules[RUN] = "yes"
    assert [c.refusal(c.finish, serial).short for serial in serials] == ["AccessDenied"] * 8
    assert host.wait_until(lambda: allowed(c, "echo on"), 60) == "on\n"


def allowed(c, code):
    """What it prints; or False, when polkit cannot be asked, or the bus has no room for the call."""
    try:
        return c.bash(code)["stdout"]
    except dbus.Error as error:
        assert error.short in ("AccessDenied", "LimitsExceeded"), error
        return False


def test_calls_in_flight(bus):
    """As many as the bus lets one caller have are answered; beyond that the bus says no."""
    c = bus.caller(ALICE, timeout=60)
    serials = [c.start_execute("bash", f"echo {i}") for i in range(100)]
    assert [c.finish(serial)[0]["stdout"] for serial in serials] == [f"{i}\n" for i in range(100)]


def test_callers_at_once(bus):
    callers = [bus.caller((0, ALICE, BOB)[i % 3], timeout=60) for i in range(50)]
    serials = [c.start_execute("bash", "echo $1", args=[str(i)]) for i, c in enumerate(callers)]
    got = [c.finish(serial)[0]["stdout"] for c, serial in zip(callers, serials)]
    assert got == [f"{i}\n" for i in range(50)]


def test_questions_at_once(bus):
    """One user's unanswered questions to polkit are not in the way of another's, however many they are."""
    bus.polkit.rules[RUN] = {ALICE: "hold", BOB: "yes"}
    crowd = [bus.caller(ALICE) for _ in range(4)]
    for c in crowd:
        for _ in range(100):
            c.start_run("true")
    bus.polkit.wait_held()
    bob, root = bus.caller(BOB), bus.caller()
    assert bob.bash("echo bob")["stdout"] == "bob\n" and root.bash("echo root")["stdout"] == "root\n"
    for c in crowd:
        c.close()
    bus.polkit.rules[RUN] = "yes"
    bus.polkit.release("no")
    assert bob.bash("echo on")["stdout"] == "on\n"
    assert root.jobs() == {}


def test_questions_of_who_left(bus):
    """Nobody's any more, they are not left standing with the bus either, which lets us have 128 calls under way."""
    bus.polkit.rules[RUN] = {ALICE: "hold", BOB: "yes"}
    for _ in range(200):
        with bus.caller(ALICE) as c:
            c.start_run("true")
            ping(c)
    assert bus.caller(BOB).bash("echo bob")["stdout"] == "bob\n"


def test_groups_without_end(bus):
    """Each set of groups is a connection to sandboxd. Who comes with too many is told so, and others are served."""
    crowd = [bus.caller(ALICE, groups=[50000 + i], timeout=5) for i in range(8)]
    errors = []
    for c in crowd:
        try:
            assert c.jobs() == {}
        except dbus.Error as error:
            errors.append(error.short)
    assert errors == ["Busy"] * len(errors) and len(errors) > 0
    ping(bus.caller(BOB))
    for c in crowd:
        c.close()
    assert host.wait_until(lambda: bus.caller(ALICE, groups=[60000]).jobs() == {})


def test_a_flood_does_not_grow_it(bus, sanitized):
    """Ten thousand small calls of every kind, half of them wrong."""
    c = bus.caller(ALICE)
    ping(c)
    kinds = [("ListJobs", "", ()), ("GetJob", "s", ("x",)), ("NoSuch", "", ()), ("Execute", "s", ("x",)),
             ("Subscribe", "", ()), ("Unsubscribe", "", ()), ("CancelJob", "s", ("f" * 16,)), ("Drain", "", ())]

    def flood():
        for _ in range(25):
            serials = [c.start_manager(member, signature, *values) for member, signature, values in kinds * 6]
            for serial in serials:
                with contextlib.suppress(dbus.Error):
                    c.finish(serial)
    flood()
    fds, before = host.fd_count(bus.service.pid), bus.service.rss()
    flood()
    assert host.fd_count(bus.service.pid) <= fds
    assert sanitized or bus.service.rss() - before < 4 * MIB


def test_slow_watcher_is_told_the_end(bus):
    """Who does not read for a while hears of each job's end nevertheless."""
    c, other = bus.caller(ALICE, timeout=60), bus.caller(ALICE)
    c.manager("Subscribe")
    paths = {other.run("true") for _ in range(30)}
    for path in paths:
        other.wait(path)
    assert {c.signal("JobRemoved").args()[1] for _ in paths} == paths


KEEPING = {
    "Subscribe": ("",), "Execute": ("ssa{sv}", "bash", "sleep 600", {}),
    "Run": ("sasaya{sv}", "command", ["sleep", "600"], b"", {}),
    "CancelJob": ("s", "0" * 16), "Drain": ("",), "Resume": ("",), "StopAll": ("",),
}


@pytest.mark.parametrize("call", KEEPING)
def test_a_call_as_it_leaves(make_daemon, make_bus, call):
    """Who comes when it has just decided to go is told so: he would be subscribed to one that ends, or have it stay."""
    bus = make_bus(make_daemon(settings={"Bus": {"User": USER}}), ["--idle-timeout", "1s"])
    c = bus.caller()
    assert c.jobs() == {}
    with stopped(bus.bus.process):
        serial = c.start_manager(call, *KEEPING[call])
        time.sleep(1.5)
    # The bus may as well hear first that the name is given back.
    assert c.refusal(c.finish, serial).short in ("Busy", "ServiceUnknown")
    assert bus.service.process.wait(10) == 0


# --- the program

@pytest.mark.parametrize("arguments,words", [
    (["--no-such"], "--no-such"), (["--address"], "--address"), (["--polkit-timeout", "x"], "polkit-timeout"),
    (["--polkit-timeout", "-1"], "polkit-timeout"), (["argument"], "argument"),
])
def test_wrong_options(bus, arguments, words):
    p = bus.tool(bus.service.program, *arguments, timeout=10)
    assert p.returncode not in (0, -signal.SIGSEGV, -signal.SIGABRT) and words in p.stderr, p


def test_no_bus(bus, tmp_path):
    p = bus.tool(bus.service.program, "--address", f"unix:path={tmp_path}/none", "--socket", bus.daemon.socket,
                 timeout=10)
    assert p.returncode == 1 and re.search(r"bus", p.stderr), p


def test_name_is_taken(bus):
    """A second one ends and says why; the first goes on."""
    who = subprocess.run(["id", "-u", USER], capture_output=True, text=True, check=True).stdout
    p = bus.tool(bus.service.program, "--address", bus.bus.address, "--socket", bus.daemon.socket, uid=int(who),
                 timeout=10)
    assert p.returncode == 1 and NAME in p.stderr, p
    ping(bus.caller())
