# SPDX-License-Identifier: Apache-2.0
"""Attack corpus G, and what of F the bus is a door to: peers of the bus who want what is not theirs, or more than
their share. Each case with the oracle of tests/attacks/conftest.py."""

import contextlib
import mmap
import os
import pwd
import select
import socket
import time

import pytest

from lib import dbus, host, wire
from lib.bus import (ALICE, BOB, DENIED, JOB, MANAGER, MEMBERS, NAME, NO_OBJECT, NO_SUCH_JOB, NOBODY, OBJECT_MANAGER,
                     ROOT_PATH, RUN, USER, job_id)

MIB = 1 << 20
EVERYBODY = {"ListJobs", "ListRuntimes", "ListProfiles", "Subscribe", "Unsubscribe", "GetManagedObjects"}
VALUES = {"s": "x", "as": ["true"], "ay": b"x", "a{sv}": {}, "h": 0, "t": 0}


@pytest.fixture
def bus(daemon, make_bus):
    """One for each test: the oracle asks when it has gone, with all that it kept connected to the daemon."""
    return make_bus(daemon)


@contextlib.contextmanager
def null():
    fd = os.open("/dev/null", os.O_RDWR)
    try:
        yield fd
    finally:
        os.close(fd)


# --- 56

def test_56_socket_and_bus_are_one_account(make_daemon, make_bus):
    """However a user's jobs come, through however many connections, they are counted together."""
    d = make_daemon(settings={"Bus": {"User": USER}, "Server": {"MaxJobsPerUser": 3, "MaxQueuedPerUser": 1}})
    bus = make_bus(d)
    one, two = bus.caller(ALICE), bus.caller(ALICE)
    with d.session(uid=ALICE) as c, d.session(uid=ALICE) as other:
        c.send(wire.run(2, argv=[b"sleep", b"600"]))
        c.expect("started")
        paths = [one.run("sleep", "600"), two.run("sleep", "600")]
        other.send(wire.run(2, argv=[b"sleep", b"600"]))
        other.expect("queued")
        assert one.refusal(one.run, "true").name == "org.sandboxd1.Error.Busy"
        assert two.refusal(two.bash, "true").name == "org.sandboxd1.Error.Busy"
        c.send(wire.run(3, argv=[b"true"]))
        assert c.expect("error")["code"] == "BUSY"
        assert bus.caller(BOB).bash("echo bob")["stdout"] == "bob\n", "another user has his own"
        assert one.get(ROOT_PATH, MANAGER, "QueuedJobs") == 1
        # Bob's result may come before it is known that his job is none that runs.
        assert host.wait_until(lambda: one.get(ROOT_PATH, MANAGER, "RunningJobs") == 3)
        one.job(paths[0], "Cancel")
        assert host.wait_until(lambda: other.receive(), 5).get("started"), "the place went to who waited"
        two.job(paths[1], "Cancel")


def test_56_kept_results_are_one_account(make_daemon, make_bus):
    d = make_daemon(settings={"Bus": {"User": USER}, "Server": {"MaxResultsPerUser": 3}})
    bus = make_bus(d)
    c = bus.caller(ALICE)
    for _ in range(3):
        c.wait(c.run("true"))
        with d.session(uid=ALICE) as s:
            s.run(2, argv=[b"true"])
    assert host.wait_until(lambda: len(c.objects()) == 3)


# --- 57

def test_57_as_nobody(bus):
    """Every method gives nothing but what is everybody's; with arguments that would do for anybody else."""
    alice, c = bus.caller(ALICE), bus.caller(NOBODY)
    path = alice.run("sleep", "600")
    methods = [(i, n, m[1]) for i, members in MEMBERS.items() for n, m in members.items() if m[0] == "method"]
    for interface, member, signature in methods:
        values = [job_id(path) if member in ("GetJob", "CancelJob") else VALUES[kind]
                  for kind in dbus.split(signature)]
        with null() as fd:
            call = (NAME, path if interface == JOB else ROOT_PATH, interface, member, signature, *values)
            if member in EVERYBODY:
                assert path not in str(c.call(*call)), member
            else:
                error = c.refusal(c.call, *call, fds=[fd] if "h" in signature else ())
                assert error.name in (DENIED, NO_SUCH_JOB, NO_OBJECT), (member, error)
    assert alice.jobs()[path][4] == "running"
    alice.job(path, "Cancel")
    alice.wait(path)


# --- 58

def test_58_sender_leaves_during_the_check(bus):
    """CVE-2021-3560, a hundred times: whenever the caller leaves, no job comes of a question about him. The bus
    knows that he has left before polkit answers."""
    root = bus.caller()
    root.manager("Subscribe")
    bus.polkit.rules[RUN] = "hold"
    for i in range(100):
        with bus.caller(ALICE) as c:
            c.start_run("sleep", "600")
            if i % 2:
                bus.polkit.wait_held()
        while root.call(*dbus.BUS, "NameHasOwner", "s", c.name)[0]:
            pass
        bus.polkit.release("yes")
    bus.polkit.rules[RUN] = "yes"
    bus.polkit.release("yes")
    c = bus.caller(ALICE)
    c.bash("true")
    assert c.jobs() == {}
    root.call(NAME, ROOT_PATH, "org.freedesktop.DBus.Peer", "Ping")
    assert len([m for m in root.signals if m.member == "JobNew"]) == 1


@pytest.mark.parametrize("answer", ["no", "challenge", "error", "crash"])
def test_58_polkit_does_not_say_yes(bus, answer):
    bus.polkit.rules = {RUN: answer}
    c = bus.caller(ALICE)
    assert c.refusal(c.run, "true").name == DENIED and c.jobs() == {}


def test_58_nobody_plays_polkit(bus):
    """An answer is polkit's own: others cannot reply to a question of the service's, nor name the serial."""
    bus.polkit.rules[RUN] = "hold"
    victim, forger = bus.caller(NOBODY), bus.caller(BOB)
    serial = victim.start_run("sleep", "600")
    bus.polkit.wait_held()
    owner, = forger.call(*dbus.BUS, "GetNameOwner", "s", NAME)
    for number in range(1, 300):
        forger.send(dbus.Message(dbus.RETURN, dbus.encode("(bba{ss})", [(True, False, {})]), "(bba{ss})",
                                 destination=owner, reply_serial=number))
    forger.settle(0.1)
    assert "command" not in {job[2] for job in bus.caller().jobs().values()}
    bus.polkit.release("no")
    assert victim.refusal(victim.finish, serial).name == DENIED


# --- 59

@pytest.mark.parametrize("uid", [ALICE, NOBODY, 0])
def test_59_the_name_is_not_to_be_had(bus, uid):
    """Replacing, queueing, or taking it when it is free: root neither."""
    c = bus.caller(uid)
    for flags in range(8):
        assert c.refusal(c.call, *dbus.BUS, "RequestName", "su", NAME, flags).name == DENIED
    assert c.refusal(c.call, *dbus.BUS, "RequestName", "su", NAME + ".x", 0).name == DENIED


def test_59_a_name_is_not_handed_on(bus):
    """The subject is a unique name, which the bus gives once: who comes next is somebody else."""
    bus.polkit.rules[RUN] = "hold"
    with bus.caller(ALICE) as c:
        c.start_run("true")
        bus.polkit.wait_held()
        subject = bus.polkit.asked[-1].subject["name"]
        assert subject == c.name
    assert bus.caller(NOBODY).name != subject
    bus.polkit.release("yes")
    assert bus.caller(ALICE).jobs() == {}


def test_sender_cannot_be_forged(bus):
    """What a message says of its sender is not what the bus says."""
    root, c = bus.caller(), bus.caller(NOBODY)
    serial = c.send(dbus.Message(dbus.CALL, destination=NAME, path=ROOT_PATH, interface=MANAGER, member="Drain",
                                 sender=root.name))
    with pytest.raises((dbus.Error, dbus.Closed)) as e:
        c.finish(serial)
    assert e.type is dbus.Closed or e.value.name == DENIED
    assert root.get(ROOT_PATH, MANAGER, "Draining") is False


def test_nobody_sends_it_signals(bus):
    """Not to the connection that has the name, and not to the one on which it asks who calls: as many, and as large, as
    the bus lets through would be had there, and charged to nobody."""
    c = bus.caller(ALICE)
    c.jobs()
    ours = pwd.getpwnam(USER).pw_uid
    names = [n for n in c.call(*dbus.BUS, "ListNames")[0] if n.startswith(":") and
             c.call(*dbus.BUS, "GetConnectionUnixUser", "s", n)[0] == ours]
    owner, = c.call(*dbus.BUS, "GetNameOwner", "s", NAME)
    asking, = set(names) - {owner}
    assert c.refusal(c.call, asking, ROOT_PATH, MANAGER, "ListJobs").name == DENIED
    for name in owner, asking:
        serial = c.send(dbus.Message(dbus.SIGNAL, destination=name, path=ROOT_PATH, interface=MANAGER, member="JobNew"))
        assert c.refusal(c.finish, serial).name == DENIED


# --- fds

def test_50_fds_that_cannot_be_stdio(bus):
    """Attack 50: refused, naming the stream, and none of them is left in the service."""
    poller = select.epoll()
    bad = {"folder": os.open("/", os.O_RDONLY), "path": os.open("/dev/null", os.O_PATH), "epoll": poller.fileno(),
           "namespace": os.open("/proc/self/ns/net", os.O_RDONLY), "write-only": os.open("/dev/null", os.O_WRONLY),
           "read-only": os.open("/dev/null", os.O_RDONLY)}
    c = bus.caller(ALICE)
    c.bash("true")
    before = host.fd_count(bus.service.pid)
    with null() as fd:
        for kind, fd_of_kind in bad.items():
            for at in {"write-only": (0,), "read-only": (1, 2)}.get(kind, range(3)):
                error = c.refusal(c.run_with_fds, ["true"], [fd_of_kind if i == at else fd for i in range(3)])
                assert error.short == "InvalidArgument", (kind, error)
                assert ("stdin", "stdout", "stderr")[at] in error.message, (kind, error)
    poller.close()
    for kind, fd in bad.items():
        if kind != "epoll":
            os.close(fd)
    assert host.wait_until(lambda: c.jobs() == {})
    assert host.wait_until(lambda: host.fd_count(bus.service.pid) <= before)


def test_49_fds_where_none_belong(bus):
    """Sixteen in a call that wants none: closed, none kept."""
    c = bus.caller(NOBODY)
    c.jobs()
    before = host.fd_count(bus.service.pid)
    with null() as fd:
        for _ in range(50):
            c.call(NAME, ROOT_PATH, MANAGER, "ListJobs", fds=[fd] * 16)
    assert host.wait_until(lambda: host.fd_count(bus.service.pid) <= before)


def test_49_outputs_that_stay_open(bus):
    """Each is an fd of the service's as long as it is kept; and of those that are not read the bus keeps a few."""
    c, other = bus.caller(ALICE), bus.caller(BOB)

    def run(c):
        result = c.bash("echo out; echo err >&2", output_fd=True)
        return [result["stdout_fd"], result["stderr_fd"]]

    for _ in range(30):
        for fd in run(c):
            os.close(fd)
    fds = [fd for _ in range(8) for fd in run(c)]
    for _ in range(2):  # whose job has run, and whose does not
        assert c.refusal(run, c).short == "Busy"
    for fd in fds + run(other):
        os.close(fd)

    def is_served():
        with contextlib.suppress(dbus.Error):
            return all(os.close(fd) is None for fd in run(c))
    assert host.wait_until(is_served), "they are not taken back"


def test_49_outputs_that_nobody_reads(bus):
    """The bus keeps 64 fds of a service that are not read, and takes nothing more from it then. The answers of one wait
    before they are so many, others are served, and those that wait come when the first are read."""
    c, same, other = bus.caller(ALICE, timeout=60), bus.caller(ALICE), bus.caller(BOB)
    before = set(same.objects())
    path = c.run("bash", "-c", "head -c 1000000 /dev/zero", output_bytes=1 << 20)
    c.wait(path)
    c.sock.setsockopt(1, 8, 4096)  # SOL_SOCKET, SO_RCVBUF
    unread = c.start(NAME, path, JOB, "ReadOutput", "st", "stdout", 0)
    c.sock.recv(1, socket.MSG_PEEK)
    serials = [c.start_execute("bash", f"echo {i}; echo err >&2", output_fd=True) for i in range(40)]

    def n_ended():
        new = [interfaces[JOB] for p, interfaces in same.objects().items() if p not in before]
        return [properties["State"] for properties in new].count("finished")
    assert host.wait_until(lambda: n_ended() == 41, 20), n_ended()
    assert other.bash("echo other")["stdout"] == "other\n"
    result = other.bash("echo fd", output_fd=True)
    os.close(result["stdout_fd"])
    assert result["stderr"] == "", "of nothing there is no fd"
    c.finish(unread)
    # As they come: those that are kept until it is their turn are open.
    for _ in serials:
        while not c.replies:
            c.step()
        serial, = c.replies
        result, = c.finish(serial)
        os.close(result["stderr_fd"])
        with os.fdopen(result["stdout_fd"], "rb") as f:
            assert f.read() == f"{serials.index(serial)}\n".encode()


def test_49_outputs_that_stay_open_otherwise(bus):
    """With O_PATH, mapped, or on its way: the file is there."""
    c = bus.caller(ALICE)
    one, two = socket.socketpair()

    def keep(fd, how):
        if how == 0:
            return os.open(f"/proc/self/fd/{fd}", os.O_PATH)
        if how == 1:
            return mmap.mmap(fd, 4096, mmap.MAP_SHARED, mmap.PROT_READ)
        return socket.send_fds(one, [b"x"], [fd]) and None

    with contextlib.ExitStack() as kept:
        kept.callback(one.close)
        kept.callback(two.close)
        for i in range(15):
            fd = c.bash("head -c 5000 /dev/zero", output_fd=True, output_bytes=MIB)["stdout_fd"]
            other = keep(fd, i % 3)
            os.close(fd)
            if other is not None:
                kept.callback(os.close, other) if isinstance(other, int) else kept.enter_context(other)
        time.sleep(0.3)  # by when it would have been noticed
        assert c.refusal(c.bash, "echo", output_fd=True).short == "Busy"
    assert host.wait_until(lambda: is_lent(c)), "they are not taken back"


def is_lent(c):
    with contextlib.suppress(dbus.Error):
        os.close(c.bash("echo", output_fd=True)["stdout_fd"])
        return True
    return False


@contextlib.contextmanager
def start_limited(bus, size):
    """Its service is started anew, and may use so much memory, as its unit says."""
    directories = host.cgroups("self")
    v1 = "memory" in directories
    own = directories["memory" if v1 else ""]
    cgroup = own / f"sandboxd-bus-{os.getpid()}"
    cgroup.mkdir()
    try:
        (cgroup / ("memory.limit_in_bytes" if v1 else "memory.max")).write_text(str(size))
        bus.service.stop()
        (cgroup / "cgroup.procs").write_text("0")
        try:
            bus.service.start()
        finally:
            (own / "cgroup.procs").write_text("0")
        yield
        kills = (cgroup / ("memory.oom_control" if v1 else "memory.events")).read_text().split()
        assert kills[kills.index("oom_kill") + 1] == "0", "it ran out of memory"
    finally:
        bus.service.kill()
        assert host.wait_until(lambda: not (cgroup / "cgroup.procs").read_text(), 10)
        cgroup.rmdir()


@pytest.fixture
def limited(sanitized):
    if sanitized:
        pytest.skip("a sanitizer build's memory says nothing")
    return start_limited


def hide(fd, stack):
    """Its pages are in sockets; it is open no more."""
    at, size = 0, os.fstat(fd).st_size
    while at < size:
        pair = socket.socketpair()
        for s in pair:
            stack.callback(s.close)
        pair[0].setblocking(False)
        with contextlib.suppress(BlockingIOError):
            while at < size:
                at += os.sendfile(pair[0].fileno(), fd, at, MIB)
    os.close(fd)


def test_49_outputs_that_are_kept_as_pages(make_daemon, make_bus, limited):
    """They are the service's memory for as long: who does that gets no more of it, before it is none of others'."""
    bus = make_bus(make_daemon(settings={"Bus": {"User": USER}}))
    with limited(bus, 256 * MIB):
        c, other = bus.caller(ALICE), bus.caller(BOB)
        with contextlib.ExitStack() as kept:
            def take():
                hide(c.bash("head -c 20000000 /dev/zero", output_fd=True, output_bytes=20_000_000)["stdout_fd"], kept)
            for _ in range(3):
                take()
            assert c.refusal(lambda: [take() for _ in range(10)]).short == "Busy"
            assert is_lent(other) and not is_lent(c)
        assert host.wait_until(lambda: is_lent(c)), "what is gone is held against him"


def test_49_outputs_of_calls_that_were_begun_before(make_daemon, make_bus, limited):
    """That there was enough memory when a call began does not help it."""
    bus = make_bus(make_daemon(settings={"Bus": {"User": USER}}))
    with limited(bus, 768 * MIB), contextlib.ExitStack() as kept:
        c, size = bus.caller(ALICE, timeout=60), 30_000_000
        serials = [c.start_execute("bash", "sleep $1; head -c $2 /dev/zero", args=[f"{0.5 + i / 5}", f"{size}"],
                                   output_fd=True, output_bytes=size) for i in range(14)]
        with pytest.raises(dbus.Error) as refused:
            for serial in serials:
                hide(c.finish(serial)[0]["stdout_fd"], kept)
        assert refused.value.short == "Busy" and "has ended" in str(refused.value) and not bus.service.ended()


def test_49_a_file_in_memory_that_is_mostly_holes(make_daemon, make_bus, limited):
    """The caller has the offset of the file too, and moves it: each byte is a page of its own."""
    bus = make_bus(make_daemon(settings={"Bus": {"User": USER}}))
    with limited(bus, 64 * MIB):
        c = bus.caller(ALICE)
        fd = os.memfd_create("output")
        code = "import os, time\nwhile True: os.write(1, b'x'); time.sleep(0.0001)"
        with null() as no:
            path = c.run_with_fds(["python3", "-c", code], [no, fd, no])

        at = 0
        while os.fstat(fd).st_blocks * 512 < 128 * MIB:
            if os.lseek(fd, 0, os.SEEK_CUR) != at:
                at += 4096
                os.lseek(fd, at, os.SEEK_SET)
            elif at > 0 and c.get(path, JOB, "State") == "finished":
                break
        assert c.wait(path)["status"] != "TIMEOUT" and 30 * MIB < os.fstat(fd).st_blocks * 512 < 64 * MIB
        os.close(fd)
        assert c.bash("echo on")["stdout"] == "on\n"


def test_49_files_in_memory(make_daemon, make_bus, limited, tmp_path):
    """What a job writes to a file on tmpfs is the service's memory as well, for as long as the file is there."""
    bus = make_bus(make_daemon(settings={"Bus": {"User": USER}}))
    with limited(bus, 256 * MIB), contextlib.ExitStack() as kept:
        c = bus.caller(ALICE)

        def write():
            fd = os.memfd_create("output")
            kept.callback(os.close, fd)
            with null() as no:
                return c.wait(c.run_with_fds(["head", "-c", "60000000", "/dev/zero"], [no, fd, no],
                                              output_bytes=60_000_000))
        assert [write()["stdout_truncated"] for _ in range(3)] == [False] * 3
        assert "tmpfs" in str(c.refusal(lambda: [write() for _ in range(10)]))
        assert not bus.service.ended() and c.bash("echo x")["stdout"] == "x\n"
        with null() as no, open(tmp_path / "disk", "wb") as disk:
            path = c.run_with_fds(["echo", "x"], [no, disk.fileno(), no])
            assert c.wait(path)["status"] == "OK", "of others nothing is held against it"
        kept.close()
        assert write()["status"] == "OK"


def test_49_too_few_fds(bus):
    """Three handles to one fd are one fd three times; a handle beyond those that came ends at the bus."""
    c = bus.caller(ALICE)
    with null() as fd:
        path = c.manager("RunWithFds", "sasaya{sv}hhh", "command", ["true"], b"", {}, 0, 0, 0, fds=[fd])[0]
        assert c.wait(path)["status"] == "OK"
        with pytest.raises((dbus.Error, dbus.Closed)):
            c.manager("RunWithFds", "sasaya{sv}hhh", "command", ["true"], b"", {}, 0, 1, 7, fds=[fd] * 2)


# --- names of jobs

def test_53_jobs_of_others(bus):
    """Nothing that a user can say finds another's job; nor does a path that is not one."""
    alice, c = bus.caller(ALICE), bus.caller(BOB)
    path = alice.run("sleep", "600")
    for p in path, path + "/", path.upper(), path.replace("/job/", "/job/../job/"):
        with pytest.raises((dbus.Error, dbus.Closed)):
            c = bus.caller(BOB)
            c.call(NAME, p, JOB, "Cancel")
    c = bus.caller(BOB)
    assert c.refusal(c.call, NAME, path, OBJECT_MANAGER, "GetManagedObjects").name.startswith("org.freedesktop.DBus")
    assert alice.jobs()[path][4] == "running"
    alice.job(path, "Cancel")
    alice.wait(path)
