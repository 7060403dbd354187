# SPDX-License-Identifier: Apache-2.0
"""Attack corpus F: hostile clients. More of them, one by one, are in integration/test_protocol.py; here
they come in numbers, and the oracle watches."""

import array
import os
import random
import socket
import struct
import time

import pytest

from lib import host, wire
from lib.daemon import NOBODY


def closed(connection):
    try:
        while True:
            connection.receive(timeout=10)
    except wire.Closed:
        return True


def test_46_impossible_lengths(daemon):
    """Hundreds of them: nothing is allocated for a promise."""
    for length in [0, wire.FRAME_MAX + 1, 0x80000000, 0xFFFFFFFF] * 50:
        with daemon.connect() as c:
            c.send_raw(struct.pack(">I", length) + b"xyz")
            assert closed(c)
    held = []
    for _ in range(30):
        c = daemon.session()
        c.send_raw(struct.pack(">I", wire.FRAME_MAX) + b"x")
        held.append(c)
    assert daemon.run("--", "echo", "x").stdout == "x\n"
    for c in held:
        c.close()


def test_46_one_byte_frame(daemon):
    with daemon.connect() as c:
        c.send_raw(struct.pack(">I", 1) + b"\0")
        assert c.receive()["error"]["code"] in ("BAD_FRAME", "BAD_REQUEST")


def test_47_noise(daemon):
    """Random bytes in well-formed frames, and well-formed messages with random bytes changed."""
    rng = random.Random(47)
    good = [wire.run(1, argv=[b"true"], files=[wire.file_message("a", b"b")], env=[b"A=B"]),
            wire.stdin_data(1, b"x"), wire.cancel(1), wire.list_profiles(1), wire.hello(1)]
    for _ in range(300):
        with daemon.session() as c:
            for _ in range(3):
                if rng.random() < 0.3:
                    body = rng.randbytes(rng.randrange(1, 300))
                else:
                    body = bytearray(rng.choice(good))
                    for _ in range(rng.randrange(1, 6)):
                        body[rng.randrange(len(body))] = rng.randrange(256)
                try:
                    c.send(bytes(body))
                except (BrokenPipeError, ConnectionResetError):
                    break


def test_47_large_and_empty(daemon, sanitized):
    """The largest frame full of the smallest things, ten at once."""
    body = wire.request(1, wire.data(3, (wire.varint(6 << 3 | 2) + b"\0") * (2 * 10**6 - 100)))
    connections = [daemon.session(timeout=60) for _ in range(10)]
    for c in connections:
        c.send(body)
    for c in connections:
        assert "error" in c.receive()
        c.close()
    if not sanitized:
        assert host.rss_bytes(daemon.frontend) < 400 << 20


def test_48_thousands_of_connections(daemon):
    """One user takes all they can get; the rest is refused, and others are served meanwhile."""
    held, refused = [], 0
    try:
        for _ in range(5000):
            s = socket.socket(socket.AF_UNIX)
            s.setblocking(False)
            os.setegid(NOBODY)
            os.seteuid(NOBODY)
            try:
                s.connect(str(daemon.socket))
                held.append(s)
            except OSError:
                refused += 1
                s.close()
                time.sleep(0.001)
            finally:
                os.seteuid(0)
                os.setegid(0)
        assert daemon.run("--", "echo", "served").stdout == "served\n"
        assert host.fd_count(daemon.frontend) < 2000
    finally:
        for s in held:
            s.close()
    assert host.wait_until(lambda: daemon.run("--", "true", uid=NOBODY).rc == 0, 10, 0.2)


@pytest.mark.parametrize("count", [1, 16, 253])
@pytest.mark.parametrize("greeted", [False, True])
def test_49_uninvited_fds(daemon, count, greeted):
    """All are closed: the pipe they belong to has no holder left, the frontend as many fds as before."""
    before = host.fd_count(daemon.frontend)
    with daemon.connect() as c:
        if greeted:
            c.hello()
        read_end, write_end = os.pipe()
        body = wire.frame(wire.list_profiles(5) if greeted else wire.hello())
        try:
            c.send_fds(body, [write_end] * count)
            c.receive(timeout=5)
        except (wire.Closed, BrokenPipeError, ConnectionResetError, PermissionError):
            pass
        os.close(write_end)
        # The end of file shows that no copy of the write end is held by anybody.
        os.set_blocking(read_end, False)

        def at_end():
            try:
                return os.read(read_end, 1) == b""
            except BlockingIOError:
                return False
        assert host.wait_until(at_end, 5), "an fd that nobody asked for is still open in the daemon"
        os.close(read_end)
    assert host.wait_until(lambda: host.fd_count(daemon.frontend) == before, 5)


def test_49_fds_split_over_bytes(daemon):
    """One fd with each byte of a frame."""
    with daemon.connect() as c:
        read_end, write_end = os.pipe()
        for byte in wire.frame(wire.hello()):
            try:
                c.sock.sendmsg([bytes([byte])], [(socket.SOL_SOCKET, socket.SCM_RIGHTS,
                                                  array.array("i", [write_end]))])
            except (BrokenPipeError, ConnectionResetError, PermissionError):
                break
        os.close(write_end)
        os.set_blocking(read_end, False)

        def at_end():
            try:
                return os.read(read_end, 1) == b""
            except BlockingIOError:
                return False
        assert host.wait_until(at_end, 5)
        os.close(read_end)


@pytest.mark.parametrize("phase", ["hello", "uploading", "starting", "running", "reading"])
def test_52_vanishing(daemon, phase):
    """Twenty clients leave at the same point."""
    before = len(daemon.job_pids())
    for _ in range(20):
        c = daemon.connect()
        if phase != "hello":
            c.hello()
        if phase == "uploading":
            c.send(wire.run(1, argv=[b"true"], files=[wire.file_message("f", b"", size=5 << 20)]))
            c.send(wire.file_data(1, 0, bytes(100_000)))
        elif phase != "hello":
            c.send(wire.run(1, argv=[b"sh", b"-c", b"yes & sleep 600"],
                            limits={"output_bytes": 1 << 20}))
        if phase in ("running", "reading"):
            c.expect("started")
        if phase == "reading":
            c.expect("output")
        c.close()
    assert host.wait_until(lambda: len(daemon.job_pids()) == before, 5)


def test_52_half_closed(daemon):
    """shutdown(SHUT_WR) is the end of requests, and no reason to hang."""
    with daemon.session() as c:
        c.send(wire.run(1, argv=[b"sh", b"-c", b"sleep 0.3; echo x"]))
        c.sock.shutdown(socket.SHUT_WR)
        assert closed(c)


ENVIRONMENT = ["GLIBC_TUNABLES=glibc.malloc.check=3:glibc.malloc.perturb=170", "PYTHONPATH=/box",
               "PYTHONSTARTUP=/box/evil.py", "PYTHONHOME=/box", "NODE_OPTIONS=--require /box/evil.js",
               "BASH_ENV=/box/evil.sh", "ENV=/box/evil.sh", "LD_LIBRARY_PATH=/box", "LD_AUDIT=/box/e.so",
               "PATH=/box:/usr/bin:/bin", "IFS=/", "SHELLOPTS=xtrace", "MALLOC_PERTURB_=7"]


@pytest.mark.parametrize("setting", ENVIRONMENT)
@pytest.mark.parametrize("language", ["python", "javascript", "bash"])
def test_54_environment(daemon, tmp_path, setting, language):
    """They may break the job that sets them. What makes the sandbox never reads them."""
    for name, text in (("evil.py", "print('evil')"), ("sitecustomize.py", "print('evil')"),
                       ("evil.js", "console.log('evil')"), ("evil.sh", "echo evil")):
        (tmp_path / name).write_text(text)
    files = [x for n in ("evil.py", "sitecustomize.py", "evil.js", "evil.sh")
             for x in ("-f", tmp_path / n)]
    code = {"python": "import os; print('uid', os.getuid())", "bash": "echo uid $UID",
            "javascript": "console.log('uid', process.getuid())"}[language]
    r = daemon.run("-e", setting, *files, "-l", language, "-c", code)
    assert r.status in ("OK", "EXITED", "SIGNALED"), r
    if r.status == "OK":
        assert "uid 1000" in r.stdout, r


def test_54_preload(daemon, helper):
    """A library in LD_PRELOAD is loaded by the payload alone: one uid, no pid 1."""
    r = daemon.run("-e", "LD_PRELOAD=/box/evil.so", "-f", f"{helper('preload')}:evil.so", "--", "true")
    lines = r.stderr.splitlines()
    assert r.status == "OK" and len(lines) == 1, r
    assert lines[0].startswith("loaded by uid 1000 pid ") and not lines[0].endswith("pid 1")


@pytest.mark.parametrize("limits", [
    {"wall_time_usec": (1 << 64) - 1}, {"wall_time_usec": 1 << 63}, {"memory_bytes": (1 << 64) - 1},
    {"cpu_quota_percent": (1 << 64) - 1}, {"cpu_quota_percent": (1 << 64) // 1000},
    {"output_bytes": (1 << 64) // 64 + 1}, {"pids": 1 << 32}, {"tmp_size_bytes": (1 << 64) - 4096},
    {"pids": 0}, {"memory_bytes": 0}, {"output_bytes": 0}, {"wall_time_usec": 0},
])
def test_55_numbers(daemon, limits):
    """Whatever a product or a cast would make of them."""
    with daemon.session() as c:
        r, _, _ = c.run(1, argv=[b"true"], limits=limits)
        assert r["error"]["code"] in ("OVER_LIMIT", "INVALID_ARGUMENT"), r
        assert next(iter(limits)) in r["error"]["message"]


def test_a_thousand_requests_without_reading(daemon, sanitized):
    """Answers that nobody reads are bounded: the connection stalls or ends, the daemon does not."""
    with daemon.session() as c:
        c.sock.settimeout(2)
        try:
            for i in range(1, 200_000, 100):
                c.send(*[wire.list_profiles(i + k) for k in range(100)])
        except (socket.timeout, BrokenPipeError, ConnectionResetError):
            pass
        assert daemon.run("--", "echo", "x").stdout == "x\n"
        assert sanitized or host.rss_bytes(daemon.frontend) < 100 << 20
