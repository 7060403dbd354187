# SPDX-License-Identifier: Apache-2.0
"""Attack corpus F: fds of clients, as the stdin, stdout and stderr of jobs and elsewhere."""

import fcntl
import os
import select
import socket
import tempfile
import termios

import pytest

from lib import fuse, host, wire
from lib.daemon import NOBODY
from lib.stdio import PASSED_PIPES, STDERR, STDIN, STDOUT, Pipes, is_at_end, is_full, read_all

# What one user can have stay open, see daemon/frontend/passed.h.
HELD_MAX = 32


@pytest.fixture(scope="session")
def daemon(passing_daemon):
    return passing_daemon


def refused(daemon, fd, bit, name, uid=NOBODY):
    """It is refused by name, and the connection goes on."""
    with daemon.session(uid) as c:
        c.send_fds(wire.frame(wire.run(2, argv=[b"true"], passed_fds=bit)), [fd])
        error = c.finish(2)[0]["error"]
        assert (error["code"], error["field"]) == ("INVALID_ARGUMENT", name), error
        assert c.run(3, argv=[b"echo", b"x"])[1] == b"x\n"


@pytest.mark.parametrize("count", [1, 3, 6, 7, 253])
@pytest.mark.parametrize("when", ["hello", "run", "late"])
def test_49_wrong_messages(daemon, count, when):
    """With a Hello, with a Run that does not want them, with bytes of its upload: misuse, all are closed."""
    read_end, write_end = os.pipe()
    before = host.fd_count(daemon.frontend)
    with daemon.connect(NOBODY) as c:
        if when != "hello":
            c.hello()
        if when == "late":
            c.send(wire.run(2, argv=[b"true"], files=[wire.file_message("f", b"", size=1000)]))
        body = {"hello": wire.hello(), "run": wire.run(2, argv=[b"true"]),
                "late": wire.file_data(2, 0, b"x")}[when]
        c.send_fds(wire.frame(body), [write_end] * count)
        os.close(write_end)
        while True:
            try:
                r = c.receive()
            except wire.Closed:
                break
            assert "error" not in r or r["error"]["code"] == "BAD_REQUEST", r
        assert host.wait_until(lambda: is_at_end(read_end), 5)
    os.close(read_end)
    assert host.wait_until(lambda: host.fd_count(daemon.frontend) == before, 5)


def test_49_nobody_reads_them(daemon):
    """Many messages with fds in the socket of a client that leaves at once."""
    read_end, write_end = os.pipe()
    for _ in range(50):
        with daemon.connect(NOBODY) as c:
            try:
                for _ in range(20):
                    c.send_fds(wire.frame(wire.hello()), [write_end] * 6)
            except (BrokenPipeError, ConnectionResetError):
                pass
    os.close(write_end)
    assert host.wait_until(lambda: is_at_end(read_end), 5)
    os.close(read_end)


def kinds():
    """What a client can pass that is no pipe, or not the right end of one."""
    folder = tempfile.mkdtemp()
    listener = socket.create_server(("127.0.0.1", 0))
    connected = socket.create_connection(listener.getsockname())
    read_end, write_end = os.pipe()
    poll = select.epoll()
    unlinked = os.open(folder, os.O_TMPFILE | os.O_RDWR)
    out = {
        "directory": os.open("/", os.O_RDONLY),
        "path": os.open("/etc/passwd", os.O_PATH),
        "path of a pipe": os.open(f"/proc/self/fd/{write_end}", os.O_PATH),
        "file": unlinked,
        "device": os.open("/dev/null", os.O_RDWR),
        "epoll": os.dup(poll.fileno()),
        "pidfd": os.pidfd_open(os.getpid()),
        "namespace": os.open("/proc/self/ns/net", os.O_RDONLY),
        "memfd": os.memfd_create("x"),
        "eventfd": os.eventfd(0),
        "socket": connected.detach(),
        "wrong end": read_end,
        "both ends": os.open(f"/proc/self/fd/{write_end}", os.O_RDWR),
    }
    os.rmdir(folder)
    return out


def test_50_other_files(make_daemon):
    d = make_daemon(settings={"Server": PASSED_PIPES})
    for fd in kinds().values():
        refused(d, fd, STDOUT, "stdout")


def test_50_wrong_mode(daemon):
    read_end, write_end = os.pipe()
    refused(daemon, write_end, STDIN, "stdin")
    refused(daemon, read_end, STDERR, "stderr")
    os.close(read_end)
    os.close(write_end)


def test_50_until_no_more(make_daemon):
    """What must stay open is bounded, and costs its user alone."""
    d = make_daemon(settings={"Server": PASSED_PIPES})
    before = host.fd_count(d.frontend)
    fd = os.open("/dev/null", os.O_WRONLY)
    for _ in range(HELD_MAX):
        refused(d, fd, STDOUT, "stdout")
    for _ in range(20):
        with d.session(NOBODY) as c:
            c.send_fds(wire.frame(wire.run(2, argv=[b"true"], passed_fds=STDOUT)), [fd])
            c.expect_error_and_close("BUSY")
    assert host.wait_until(lambda: host.fd_count(d.frontend) <= before + HELD_MAX, 5)
    assert d.run("--", "echo", "x", uid=NOBODY).stdout == "x\n"
    with d.session() as c, Pipes() as p:
        p.run(c, 2, argv=[b"echo", b"x"])
        assert c.finish(2)[0]["result"]["stdout_bytes"] == 2
    os.close(fd)


def test_51_fifo_without_a_peer(daemon, tmp_path):
    """Nobody will ever write to the one or read the other: the job waits, and can be ended."""
    names = [tmp_path / n for n in ("in", "out")]
    for name in names:
        os.mkfifo(name, 0o666)
    keep = [os.open(n, os.O_RDWR) for n in names]
    job_in = os.open(names[0], os.O_RDONLY)
    job_out = os.open(names[1], os.O_WRONLY)
    with daemon.session(NOBODY) as c:
        body = wire.run(2, argv=[b"sh", b"-c", b"head -c 200000 /dev/zero; cat"],
                        passed_fds=STDIN | STDOUT)
        c.send_fds(wire.frame(body), [job_in, job_out])
        c.expect("started")
        assert host.wait_until(lambda: is_full(job_out), 5)
        assert c.run(3, argv=[b"echo", b"x"])[1] == b"x\n"
        assert daemon.run("--", "echo", "x").stdout == "x\n"
        c.send(wire.cancel(2))
        assert c.finish(2)[0]["result"]["status"] == "CANCELLED"
    for fd in (*keep, job_in, job_out):
        os.close(fd)


def test_51_stopped_terminal(make_daemon):
    d = make_daemon(settings={"Server": PASSED_PIPES})
    master, slave = os.openpty()
    os.set_blocking(slave, False)
    try:
        while os.write(slave, b"x" * 4096):
            pass
    except BlockingIOError:
        pass
    termios.tcflow(slave, termios.TCOOFF)
    for bit, name in ((STDOUT, "stdout"), (STDIN, "stdin")):
        refused(d, slave, bit, name)
    os.close(slave)
    assert d.run("--", "echo", "x").stdout == "x\n"
    os.close(master)


@pytest.mark.skipif(not os.path.exists("/dev/fuse"), reason="this kernel has no FUSE")
@pytest.mark.parametrize("where", ["stdout", "uninvited", "too many"])
def test_51_sleeping_file(make_daemon, tmp_path, where):
    """A file whose server never answers the daemon, not even its close."""
    d = make_daemon(settings={"Server": PASSED_PIPES})
    with fuse.SleepingFiles(tmp_path) as files:
        fd = os.open(tmp_path / "x", os.O_RDWR)
        files.ignore(d.monitor, d.frontend)
        if where == "stdout":
            refused(d, fd, STDOUT, "stdout")
        else:
            with d.session(NOBODY) as c:
                c.send_fds(wire.frame(wire.list_profiles(2)), [fd] * (1 if where == "uninvited" else 253))
                while "error" not in c.receive():
                    pass
        assert d.run("--", "echo", "x").stdout == "x\n"
        assert d.run("--", "echo", "x", uid=NOBODY).stdout == "x\n"
        assert files.waiting() == [], "the daemon asks the file"
        os.close(fd)


def test_52_vanishing_with_a_full_pipe(daemon):
    with daemon.session(NOBODY) as c, Pipes() as p:
        p.run(c, 2, argv=[b"yes"], limits={"output_bytes": 1 << 20})
        c.expect("started")
        # Another end of the same pipe says when it is full.
        peek = os.open(f"/proc/self/fd/{p.stdout}", os.O_WRONLY)
        assert host.wait_until(lambda: is_full(peek), 5)
        os.close(peek)
        c.close()
        assert host.wait_until(lambda: is_at_end(p.stdout), 5)


def test_flags_stay_the_clients(daemon):
    """O_NONBLOCK belongs to the open file that is shared: the daemon never sets it, though it moves bytes."""
    with daemon.session(NOBODY) as c, Pipes() as p:
        shared = os.dup(p.job_out)
        p.run(c, 2, argv=[b"head", b"-c", b"100000", b"/dev/zero"])
        assert host.wait_until(lambda: is_full(shared), 5)
        assert not fcntl.fcntl(shared, fcntl.F_GETFL) & os.O_NONBLOCK
        os.close(shared)
        assert len(read_all(p.stdout)) == 100000
        assert c.finish(2)[0]["result"]["status"] == "OK"
