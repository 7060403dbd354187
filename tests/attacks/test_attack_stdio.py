# SPDX-License-Identifier: Apache-2.0
"""Attack corpus F: fds that clients send to the daemon, and the sockets that it makes for them."""

import array
import os
import select
import socket
import struct
import tempfile

import pytest

from lib import fuse, host, wire
from lib.daemon import NOBODY
from lib.stdio import ALL, STDERR, STDIN, STDOUT, Sockets, is_at_end, is_stuck, read_all

SO_PEEK_OFF, SO_PASSRIGHTS = 42, 83


def kernel_refuses_fds():
    a, b = socket.socketpair()
    with a, b:
        try:
            a.setsockopt(socket.SOL_SOCKET, SO_PASSRIGHTS, 0)
        except OSError:
            return False
    return True


def send_fds(sock, raw, fds):
    """Whether the kernel let them through."""
    try:
        sock.sendmsg([raw], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))])
    except PermissionError:
        return False
    except (BrokenPipeError, ConnectionResetError):
        pass
    return True


def pipe_is_at_end(fd):
    os.set_blocking(fd, False)
    try:
        return os.read(fd, 1) == b""
    except BlockingIOError:
        return False


def lingering_socket():
    """A connection whose last close waits for the other side, which does not read."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        ours = socket.create_connection(listener.getsockname())
        theirs, _ = listener.accept()
    ours.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 60))
    ours.setblocking(False)
    try:
        while ours.send(bytes(1 << 16)):
            pass
    except BlockingIOError:
        pass
    return ours, theirs


@pytest.mark.parametrize("count", [1, 3, 253])
@pytest.mark.parametrize("when", ["hello", "run", "half a frame", "late"])
def test_49_wrong_messages(daemon, count, when):
    """Fds are never taken: the kernel refuses them, or drops them and it is misuse."""
    read_end, write_end = os.pipe()
    before = host.fd_count(daemon.frontend)
    with daemon.connect(NOBODY) as c:
        if when != "hello":
            c.hello()
        if when == "late":
            c.send(wire.run(2, argv=[b"true"], files=[wire.file_message("f", b"", size=1000)]))
        raw = wire.frame({"hello": wire.hello(), "late": wire.file_data(2, 0, b"x")}.get(
            when, wire.run(2, argv=[b"true"])))
        if when == "half a frame":
            c.send_raw(raw[:7])
            raw = raw[7:]
        went = send_fds(c.sock, raw, [write_end] * count)
        assert went != kernel_refuses_fds()
        os.close(write_end)
        if went:
            while "error" not in (r := c.receive()):
                pass
            assert r["error"]["code"] == "BAD_REQUEST", r
            c.expect_closed()
        assert host.wait_until(lambda: pipe_is_at_end(read_end), 5)
    os.close(read_end)
    assert host.wait_until(lambda: host.fd_count(daemon.frontend) == before, 5)


def kinds():
    """What a client can have that is no pipe."""
    folder = tempfile.mkdtemp()
    poll = select.epoll()
    out = [os.open("/", os.O_RDONLY), os.open("/etc/passwd", os.O_PATH), os.dup(poll.fileno()),
           os.open(folder, os.O_TMPFILE | os.O_RDWR), os.open("/dev/null", os.O_RDWR),
           os.pidfd_open(os.getpid()), os.open("/proc/self/ns/net", os.O_RDONLY), os.memfd_create("x"),
           os.eventfd(0), *os.pipe(), *os.openpty()]
    os.rmdir(folder)
    return out


def test_50_of_any_kind(daemon):
    fds = kinds()
    before = host.fd_count(daemon.frontend)
    for fd in fds:
        with daemon.session(NOBODY) as c:
            send_fds(c.sock, wire.frame(wire.list_profiles(2)), [fd])
    for fd in fds:
        os.close(fd)
    assert daemon.run("--", "echo", "x").stdout == "x\n"
    assert host.wait_until(lambda: host.fd_count(daemon.frontend) == before, 5)


@pytest.mark.parametrize("stream", ["stdin", "stdout"])
def test_50_on_a_stream_socket(daemon, stream):
    """They do not come in by the sockets that the daemon made, either; an output takes no bytes at all."""
    read_end, write_end = os.pipe()
    with daemon.session(NOBODY) as c, Sockets() as s:
        s.run(c, 2, STDIN | STDOUT, argv=[b"cat"])
        went = send_fds(getattr(s, stream), b"x", [write_end])
        os.close(write_end)
        if stream == "stdout":
            with pytest.raises(BrokenPipeError):
                s.stdout.send(b"x")
        else:
            assert went != kernel_refuses_fds()
        assert host.wait_until(lambda: pipe_is_at_end(read_end), 5)
        s.stdin.sendall(b"through")
        s.close("stdin")
        assert read_all(s.stdout) == (b"x" if went and stream == "stdin" else b"") + b"through"
        c.finish(2)
    os.close(read_end)


@pytest.mark.skipif(not kernel_refuses_fds(), reason="this kernel does not know SO_PASSRIGHTS")
@pytest.mark.parametrize("where", ["connection", "stdin", "stdout"])
def test_51_lingering_socket(daemon, where):
    """Whose last close would wait a minute: the daemon must not be who makes it."""
    ours, theirs = lingering_socket()
    with daemon.session(NOBODY) as c, Sockets() as s:
        s.run(c, 2, STDIN | STDOUT, argv=[b"cat"])
        send_fds(c.sock if where == "connection" else getattr(s, where), b"\0", [ours.fileno()])
        theirs_fd = theirs.detach()
        # Not by its own close, but by none that is left in a queue.
        ours.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        ours.close()
        os.close(theirs_fd)
    assert daemon.run("--", "echo", "x", timeout=20).stdout == "x\n"


@pytest.mark.skipif(not os.path.exists("/dev/fuse"), reason="this kernel has no FUSE")
def test_51_sleeping_file(daemon, tmp_path):
    """A file whose server never answers the daemon, not even its close."""
    with fuse.SleepingFiles(tmp_path) as files:
        fd = os.open(tmp_path / "x", os.O_RDWR)
        files.ignore(daemon.monitor, daemon.frontend)
        with daemon.session(NOBODY) as c, Sockets() as s:
            s.run(c, 2, STDIN, argv=[b"cat"])
            send_fds(s.stdin, b"x", [fd])
            send_fds(c.sock, wire.frame(wire.list_profiles(2)), [fd] * 253)
        assert daemon.run("--", "echo", "x").stdout == "x\n"
        assert files.waiting() == [], "the daemon asks the file"
        os.close(fd)


def peek(sock):
    """What lies in the socket, over the fds that lie there between."""
    timeout = sock.gettimeout()
    sock.setblocking(False)
    sock.setsockopt(socket.SOL_SOCKET, SO_PEEK_OFF, 0)
    out = b""
    try:
        while got := sock.recv(1 << 20, socket.MSG_PEEK):
            out += got
    except BlockingIOError:
        pass
    sock.setsockopt(socket.SOL_SOCKET, SO_PEEK_OFF, -1)
    sock.settimeout(timeout)
    return out


def test_49_never_received(make_daemon):
    """Sockets that their client does not receive are bounded, and cost it alone."""
    d = make_daemon(settings={"Server": {"MaxJobsPerUser": 4, "MaxQueuedPerUser": 4}})
    before = host.fd_count(d.frontend)
    with d.session(NOBODY) as c:
        sent = 0

        def refused_some():
            nonlocal sent
            c.send(wire.run(sent + 2, argv=[b"true"], stream_sockets=ALL))
            sent += 1
            return b"stream_sockets" in peek(c.sock)

        # Slots are free again when jobs end, places for sockets are not.
        assert host.wait_until(refused_some, 60)
        assert d.run("--", "echo", "x").stdout == "x\n"
        assert host.fd_count(d.frontend) < before + 100
        with d.session() as other, Sockets() as s:
            s.run(other, 2, STDOUT, argv=[b"echo", b"y"])
            assert read_all(s.stdout) == b"y\n"
            other.finish(2)
        ends = 0
        while ends < sent:
            response = c.receive()
            ends += "result" in response or "error" in response
        while c.fds:
            os.close(c.fds.pop())
        with Sockets() as s:
            s.run(c, sent + 2, STDOUT, argv=[b"echo", b"z"])
            assert read_all(s.stdout) == b"z\n"
    assert host.wait_until(lambda: host.fd_count(d.frontend) <= before, 10)


def test_49_never_received_and_left(make_daemon):
    """The daemon has closed the connection, and the sockets are still on their way in it."""
    d = make_daemon(settings={"Server": {"MaxJobsPerUser": 4, "MaxQueuedPerUser": 4}})
    before = host.fd_count(d.frontend)
    kept = []
    for _ in range(2):
        c = d.connect(NOBODY)
        kept.append(c)
        c.hello()
        sent = 0

        def refused_some():
            nonlocal sent
            c.send(wire.run(sent + 2, argv=[b"true"], stream_sockets=ALL))
            sent += 1
            return b"stream_sockets" in peek(c.sock)

        assert host.wait_until(refused_some, 60)
        # The second time there is no place for even one.
        assert sent > 8 or len(kept) == 2
        assert sent < 4 or len(kept) == 1
        c.sock.shutdown(socket.SHUT_WR)
        assert d.run("--", "echo", "x").stdout == "x\n"
    for c in kept:
        c.close()
    with d.session(NOBODY) as c, Sockets() as s:
        s.run(c, 2, STDOUT, argv=[b"echo", b"z"])
        assert read_all(s.stdout) == b"z\n"
    assert host.wait_until(lambda: host.fd_count(d.frontend) <= before, 10)


def leave_output(connection, request_id):
    """Runs a job and reads nothing of what it wrote. Returns its sockets, or what refused it."""
    code = b"import os; os.write(1, bytes(150_000)); os.write(2, bytes(150_000))"
    s = Sockets()
    s.ask(connection, request_id, STDOUT | STDERR, runtime="python", code=code)
    while True:
        response = connection.receive()
        if "error" in response:
            return s, response["error"]
        if "started" in response:
            s.stdout, s.stderr = (socket.socket(fileno=fd) for fd in connection.fds)
            connection.fds.clear()
        if "result" in response:
            assert response["result"]["stdout_bytes"] == 150_000
            return s, None


def test_35_output_left_in_sockets(daemon):
    """Also when its job is gone, and who ran it: a user has so much of it, until it is read or closed."""
    before = host.fd_count(daemon.frontend)
    with daemon.session(NOBODY) as c:
        left = []
        for i in range(2, 500):
            s, error = leave_output(c, i)
            left.append(s)
            if error:
                break
        assert error and error["field"] == "stream_sockets" and "unread" in error["message"], error
        # 64 MiB, in jobs that leave two times 150 kB.
        assert 100 < len(left) < 250
        with daemon.session() as other, Sockets() as s:
            s.run(other, 2, STDOUT, argv=[b"echo", b"y"])
            assert read_all(s.stdout) == b"y\n"
            other.finish(2)
    with daemon.connect(NOBODY) as c:
        assert "unread" in c.expect("error")["message"]
    # Some by reading, some by closing.
    assert read_all(left[0].stdout) == read_all(left[0].stderr) == bytes(150_000)
    assert host.wait_until(lambda: host.fd_count(daemon.frontend) <= before + 2 * len(left) - 4, 5)
    left[1].close("stdout", "stderr")
    assert host.wait_until(lambda: host.fd_count(daemon.frontend) <= before + 2 * len(left) - 6, 5)
    with daemon.session(NOBODY) as c:
        s, error = leave_output(c, 3)
        assert not error
    for s in left + [s]:
        s.close("stdout", "stderr")
    assert host.wait_until(lambda: host.fd_count(daemon.frontend) <= before, 5)


def test_52_vanishing_with_a_full_socket(daemon):
    before = host.fd_count(daemon.frontend)
    with daemon.session(NOBODY) as c, Sockets() as s:
        s.run(c, 2, STDOUT, argv=[b"yes"], limits={"output_bytes": 16 << 20})
        assert host.wait_until(lambda: is_stuck(s.stdout), 5)
        c.close()
        assert host.wait_until(lambda: is_at_end(s.stdout), 5)
    assert host.wait_until(lambda: host.fd_count(daemon.frontend) == before, 5)


def test_52_vanishing_before_started(make_daemon):
    """The sockets are on their way, or not yet made."""
    d = make_daemon()
    before = host.fd_count(d.frontend)
    for _ in range(30):
        with d.session(NOBODY) as c:
            c.send(wire.run(2, argv=[b"cat"], stream_sockets=ALL))
    assert host.wait_until(lambda: host.fd_count(d.frontend) <= before, 10)


def test_35_a_page_for_each_byte(daemon):
    """A job whose pipe is in packet mode: what counts in the socket is more than bytes, and none is lost."""
    code = (b"import fcntl, os\n"
            b"fcntl.fcntl(1, fcntl.F_SETFL, fcntl.fcntl(1, fcntl.F_GETFL) | os.O_DIRECT)\n"
            b"for _ in range(3000): os.write(1, b'x')\n")
    with daemon.session(NOBODY) as c, Sockets() as s:
        s.run(c, 2, STDOUT, runtime="python", code=code)
        assert read_all(s.stdout) == b"x" * 3000
        r = c.finish(2)[0]["result"]
        assert (r["status"], r["stdout_bytes"]) == ("OK", 3000), r
