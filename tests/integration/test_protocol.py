# SPDX-License-Identifier: Apache-2.0
"""The wire protocol, spoken by a client that shares no code with ours."""

import struct
import time

import pytest

from lib import host, wire


def goes_on(daemon):
    """The daemon serves the next client."""
    with daemon.session() as c:
        r, out, _ = c.run(1, argv=[b"echo", b"next"])
        assert r["result"]["status"] == "OK" and out == b"next\n"
    assert host.wait_until(lambda: not daemon.job_pids(), 5)


@pytest.fixture(scope="module")
def impatient(build):
    """A daemon that waits one second for the rest of a frame, and takes 4 connections of a user."""
    from lib.daemon import Daemon
    d = Daemon(build, settings={"Server": {"FrameTimeoutSec": "1s", "MaxConnectionsPerUser": "4"}})
    d.start()
    yield d
    d.stop()


def test_hello(daemon):
    with daemon.connect() as c:
        c.send(wire.hello(9))
        r = c.receive()
        assert r["id"] == 9
        assert r["hello"]["protocol"] == 1 and r["hello"]["version"]
        assert r["hello"]["max_frame_bytes"] == wire.FRAME_MAX


def test_hello_with_another_version(daemon):
    with daemon.connect() as c:
        c.send(wire.hello(1, protocol=2))
        r = c.receive()
        # An honest daemon either names the version that it speaks, or refuses the other.
        assert r.get("hello", {}).get("protocol") == 1 or "error" in r


@pytest.mark.parametrize("body", [wire.run(1, argv=[b"true"]), wire.list_runtimes(1),
                                  wire.cancel(1), wire.stdin_data(1, b"x")])
def test_no_hello(daemon, body):
    with daemon.connect() as c:
        c.send(body)
        c.expect_error_and_close("BAD_REQUEST")
    goes_on(daemon)


def test_second_hello(daemon):
    with daemon.session() as c:
        c.send(wire.hello(2))
        r = c.receive()
        assert "error" in r or "hello" in r
    goes_on(daemon)


def test_run(daemon):
    with daemon.session() as c:
        c.send(wire.run(5, runtime="python", code=b"print('x' * 3)\n[1]", label=b"mine",
                        argv=[b"a"], env=[b"K=V"]))
        started = c.receive()
        assert started["id"] == 5 and started["started"]["runtime"] == "python"
        r, out, err = c.finish(5)
        assert (out, err) == (b"xxx\n", b"")
        result = r["result"]
        assert result["status"] == "OK" and result["label"] == b"mine"
        assert result["return_value"]["json"] == b"[1]"
        assert result["job_id"] == started["started"]["job_id"]


def test_many_jobs_on_one_connection(daemon):
    """Answers carry their request's id and come as they are ready."""
    with daemon.session() as c:
        c.send(wire.run(1, argv=[b"sleep", b"1"]),
               *[wire.run(i, argv=[b"echo", b"%d" % i]) for i in range(2, 6)])
        results, output = [], {}
        while len(results) < 5:
            r = c.receive()
            if "output" in r:
                output[r["id"]] = output.get(r["id"], b"") + r["output"]["data"]
            elif "result" in r:
                results.append(r["id"])
        assert results[-1] == 1 and sorted(results) == [1, 2, 3, 4, 5]
        assert output == {i: b"%d\n" % i for i in range(2, 6)}


def test_output_comes_while_the_job_runs(daemon):
    with daemon.session() as c:
        c.send(wire.run(1, argv=[b"sh", b"-c", b"echo first; read line; echo got $line"], stdin=True))
        assert c.expect("started")["stdin_credit"] > 0
        assert c.expect("output")["data"] == b"first\n"
        c.send(wire.stdin_data(1, b"it\n", eof=True))
        r, out, _ = c.finish(1)
        assert out == b"got it\n" and r["result"]["status"] == "OK"


def test_stdin_over_the_credit(daemon):
    """Bytes that no credit was given for are misuse, and never buffered without bound."""
    with daemon.session() as c:
        c.send(wire.run(1, argv=[b"sleep", b"60"], stdin=True))
        credit = c.expect("started")["stdin_credit"]
        assert 0 < credit <= 16 << 20
        try:
            left = credit + (4 << 20)
            while left > 0:
                c.send(wire.stdin_data(1, bytes(min(left, 1 << 20))))
                left -= 1 << 20
        except (BrokenPipeError, ConnectionResetError):
            pass
        try:
            r, _, _ = c.finish(1, timeout=10)
        except wire.Closed:
            r = {"error": None}
        assert "error" in r, r
    goes_on(daemon)


def test_stdin_that_the_job_closes(daemon):
    with daemon.session() as c:
        c.send(wire.run(1, argv=[b"sh", b"-c", b"exec <&-; sleep 1; echo done"], stdin=True))
        c.expect("started")
        c.send(wire.stdin_data(1, b"x" * 1000))
        r, out, _ = c.finish(1)
        assert out == b"done\n" and r["result"]["status"] == "OK"


def test_stdin_for_a_job_without(daemon):
    with daemon.session() as c:
        c.send(wire.run(1, argv=[b"cat"]), wire.stdin_data(1, b"x"))
        r, out, _ = c.finish(1)
        assert out == b"" or "error" in r, r
    goes_on(daemon)


def test_file_in_pieces(daemon):
    with daemon.session() as c:
        c.send(wire.run(1, argv=[b"sha256sum", b"f"],
                        files=[wire.file_message("f", b"ab", size=6)]))
        c.send(wire.file_data(1, 0, b"cd"), wire.file_data(1, 0, b"ef"))
        r, out, _ = c.finish(1)
        import hashlib
        assert out.split()[0].decode() == hashlib.sha256(b"abcdef").hexdigest(), r


@pytest.mark.parametrize("pieces", [[(0, b"toolong")], [(1, b"ab")], [(4000000000, b"ab")]])
def test_file_pieces_that_do_not_fit(daemon, pieces):
    with daemon.session() as c:
        c.send(wire.run(1, argv=[b"true"], files=[wire.file_message("f", b"", size=4)]))
        c.send(*[wire.file_data(1, i, d) for i, d in pieces])
        r, _, _ = c.finish(1)
        assert "error" in r, r
    goes_on(daemon)


def test_file_size_that_lies(daemon):
    """A size of 2^63 reserves nothing."""
    with daemon.session() as c:
        r, _, _ = c.run(1, argv=[b"true"], files=[wire.file_message("f", b"", size=1 << 63)])
        assert r["error"]["code"] == "OVER_LIMIT" and "files" in r["error"]["field"], r
        r, _, _ = c.run(2, argv=[b"true"], files=[wire.file_message("a", b"", size=(1 << 64) - 1),
                                                   wire.file_message("b", b"x", size=2)])
        assert r["error"]["code"] == "OVER_LIMIT", r
    goes_on(daemon)


@pytest.mark.parametrize("fields,code,field", [
    (dict(argv=[b"echo", b"a\0b"]), "INVALID_ARGUMENT", "argv"),
    (dict(argv=[b"ec\0ho"]), "INVALID_ARGUMENT", "argv"),
    (dict(argv=[]), "INVALID_ARGUMENT", "argv"),
    (dict(argv=[b""]), "INVALID_ARGUMENT", "argv"),
    (dict(argv=[b"true"], env=[b"A=\0"]), "INVALID_ARGUMENT", "env"),
    (dict(argv=[b"true"], env=[b"AB"]), "INVALID_ARGUMENT", "env"),
    (dict(argv=[b"true"], workdir=b"a\0b"), "INVALID_ARGUMENT", "workdir"),
    (dict(argv=[b"true"], label=b"x" * 257), "INVALID_ARGUMENT", "label"),
    (dict(argv=[b"true"], code=b"x"), "INVALID_ARGUMENT", "code"),
    (dict(argv=[b"true"], runtime="cobol"), "UNKNOWN_RUNTIME", "runtime"),
    (dict(argv=[b"true"], profile="lax"), "UNKNOWN_PROFILE", "profile"),
    (dict(runtime="python"), "INVALID_ARGUMENT", "code"),
    (dict(argv=[b"true"], limits={"memory_bytes": 1 << 40}), "OVER_LIMIT", "memory_bytes"),
    (dict(argv=[b"true"], limits={"memory_bytes": 1 << 63}), "OVER_LIMIT", "memory_bytes"),
    (dict(argv=[b"true"], limits={"memory_bytes": (1 << 64) - 1}), "OVER_LIMIT", "memory_bytes"),
    (dict(argv=[b"true"], limits={"memory_bytes": 0}), "INVALID_ARGUMENT", "memory_bytes"),
    (dict(argv=[b"true"], limits={"memory_bytes": 1}), "INVALID_ARGUMENT", "memory_bytes"),
    (dict(argv=[b"true"], limits={"pids": 0}), "INVALID_ARGUMENT", "pids"),
    (dict(argv=[b"true"], limits={"wall_time_usec": (1 << 64) - 1}), "OVER_LIMIT", "wall_time_usec"),
    (dict(argv=[b"true"], limits={"bananas": 10}), "INVALID_ARGUMENT", "limits"),
    (dict(argv=[b"true"], limits={"code_size_bytes": 1 << 30}), "INVALID_ARGUMENT", "limits"),
    (dict(argv=[b"true"], files=[wire.file_message(b"../x", b"")]), "INVALID_ARGUMENT", "files"),
    (dict(argv=[b"true"], files=[wire.file_message(b"/etc/x", b"")]), "INVALID_ARGUMENT", "files"),
    (dict(argv=[b"true"], files=[wire.file_message(b"a/../../x", b"")]), "INVALID_ARGUMENT", "files"),
    (dict(argv=[b"true"], files=[wire.file_message(b"a\0b", b"")]), "INVALID_ARGUMENT", "files"),
    (dict(argv=[b"true"], files=[wire.file_message(b"", b"x")]), "INVALID_ARGUMENT", "files"),
    (dict(argv=[b"true"], files=[wire.file_message(b"a/b/", b"x")]), "INVALID_ARGUMENT", "files"),
    (dict(argv=[b"true"], files=[wire.file_message(b"x" * 5000, b"")]), "INVALID_ARGUMENT", "files"),
    (dict(argv=[b"true"], files=[wire.file_message(b"d/" * 300 + b"x", b"")]), "INVALID_ARGUMENT",
     "files"),
    (dict(argv=[b"true"], files=[wire.file_message(b"x", b"", mode=0o4755)]), "INVALID_ARGUMENT",
     "files"),
    (dict(argv=[b"true"], files=[wire.file_message(b"x", b"toolong", size=2)]), "INVALID_ARGUMENT",
     "files"),
])
def test_bad_field(daemon, fields, code, field):
    """The error names the field, and the connection lives on: only this request was bad."""
    with daemon.session() as c:
        r, _, _ = c.run(1, **fields)
        error = r["error"]
        assert error["code"] == code, error
        assert error["field"].startswith(field), error
        # Either the field or, for limits, the limit by its name: the sentence stands alone.
        assert field in error["message"], error
        r, out, _ = c.run(2, argv=[b"echo", b"next"])
        assert out == b"next\n", r


def test_limit_given_twice(daemon):
    """The last value counts, as in any map: a small one cannot hide a large one from the check."""
    with daemon.session() as c:
        extra = wire.data(8, wire.text(1, "pids") + wire.number(2, 10)) + \
            wire.data(8, wire.text(1, "pids") + wire.number(2, 10**6))
        r, _, _ = c.run(1, argv=[b"true"], extra=extra)
        assert "error" in r, r


def test_id_zero(daemon):
    with daemon.session() as c:
        c.send(wire.run(0, argv=[b"true"]))
        c.expect_error_and_close("BAD_REQUEST")
    goes_on(daemon)


def test_id_under_way(daemon):
    with daemon.session() as c:
        c.send(wire.run(7, argv=[b"sleep", b"60"]), wire.run(7, argv=[b"true"]))
        while True:
            r = c.receive()
            if "error" in r:
                break
            assert "started" in r, r
        assert r["error"]["code"] == "BAD_REQUEST", r
    goes_on(daemon)


def test_id_used_again_after_its_end(daemon):
    with daemon.session() as c:
        for _ in range(3):
            r, _, _ = c.run(7, argv=[b"true"])
            assert r["result"]["status"] == "OK"


@pytest.mark.parametrize("body", [wire.cancel(99), wire.stdin_data(99, b"x"),
                                  wire.file_data(99, 0, b"x")])
def test_id_that_is_not_there(daemon, body):
    with daemon.session() as c:
        c.send(body)
        c.send(wire.list_profiles(100))
        seen = []
        try:
            while not seen or seen[-1].get("id") != 100:
                seen.append(c.receive())
        except wire.Closed:
            pass
        assert all("error" in r or "profiles" in r for r in seen), seen
    goes_on(daemon)


def test_unknown_body(daemon):
    with daemon.session() as c:
        c.send(wire.request(3, wire.data(500, b"from the future")))
        r = c.receive()
        assert r["error"]["code"] == "BAD_REQUEST", r
    goes_on(daemon)


def test_unknown_fields_are_ignored(daemon):
    extra = wire.data(999, b"new") + wire.number(1000, 5) + varied_wire_types()
    with daemon.session() as c:
        r, out, _ = c.run(1, argv=[b"echo", b"x"], extra=extra)
        assert out == b"x\n" and r["result"]["status"] == "OK"


def varied_wire_types():
    return wire.varint(1001 << 3 | 1) + bytes(8) + wire.varint(1002 << 3 | 5) + bytes(4)


# --- frames

@pytest.mark.parametrize("length", [0, wire.FRAME_MAX + 1, 0x7FFFFFFF, 0xFFFFFFFF])
@pytest.mark.parametrize("greeted", [False, True])
def test_frame_length_that_cannot_be(daemon, length, greeted):
    with daemon.connect() as c:
        if greeted:
            c.hello()
        before = host.rss_bytes(daemon.frontend)
        c.send_raw(struct.pack(">I", length) + b"abc")
        c.expect_error_and_close("BAD_FRAME")
        assert host.rss_bytes(daemon.frontend) < before + (4 << 20)
    goes_on(daemon)


@pytest.mark.parametrize("body", [b"\xff" * 100, b"\x0a", b"\x12\xff\xff\xff\xff\x0f", b"\x08",
                                  b"\x07\x07", b"\x1a\x05\x0a\xff\xff\xff\x7f",
                                  bytes(range(256)) * 40, b"\x08" + b"\x80" * 11])
def test_garbage(daemon, body):
    with daemon.session() as c:
        c.send(body)
        r = c.receive()
        assert r.get("id", 0) == 0 and r["error"]["code"] in ("BAD_FRAME", "BAD_REQUEST"), r
        c.expect_closed()
    goes_on(daemon)


def test_garbage_of_another_protocol(daemon):
    with daemon.connect() as c:
        c.send_raw(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        c.expect_error_and_close("BAD_FRAME")
    goes_on(daemon)


def test_flipped_bits(daemon):
    """Each bit of a good Run, flipped once: an answer or an end, never a crash or a hang."""
    good = wire.run(1, runtime="bash", code=b"true", env=[b"A=B"],
                    files=[wire.file_message("f", b"x")], limits={"pids": 5})
    frontend = daemon.frontend
    for at in range(0, len(good) * 8, 3):
        bad = bytearray(good)
        bad[at // 8] ^= 1 << at % 8
        with daemon.session() as c:
            c.send(bytes(bad))
            try:
                c.receive(timeout=3)
            except wire.Closed:
                pass
            except TimeoutError:
                # A size that now is larger: the daemon waits for the rest of a file.
                asked = wire.decode(bytes(bad), {1: ("id", int, False), 3: ("run", bytes, False)})
                assert "run" in asked, f"no answer to bit {at}"
    assert daemon.frontend == frontend, "the frontend died"
    goes_on(daemon)


def test_frame_byte_by_byte(daemon):
    with daemon.connect() as c:
        for byte in wire.frame(wire.hello()):
            c.send_raw(bytes([byte]))
        c.expect("hello")


def test_many_frames_in_one_write(daemon):
    with daemon.session() as c:
        c.send(*[wire.list_profiles(i) for i in range(1, 200)])
        assert [c.receive()["id"] for _ in range(1, 200)] == list(range(1, 200))


@pytest.mark.parametrize("field", [3, 4, 6, 8])
def test_a_million_repeated_fields(daemon, sanitized, field):
    """Decoding has a budget: an error, no matter how the memory is asked for."""
    body = wire.request(1, wire.data(3, (wire.varint(field << 3 | 2) + b"\0") * 10**6))
    with daemon.session() as c:
        before = host.rss_bytes(daemon.frontend)
        c.send(body)
        r = c.receive(timeout=20)
        assert "error" in r, r
        if not sanitized:
            assert host.rss_bytes(daemon.frontend) < before + (64 << 20)
    goes_on(daemon)


def test_a_flood_of_unknown_fields(daemon, sanitized):
    """Kept by a decoder that keeps what it does not know: bounded all the same."""
    one = wire.varint(777 << 3) + b"\1"
    body = wire.hello() + one * 10**6
    with daemon.connect() as c:
        before = host.rss_bytes(daemon.frontend)
        c.send(body)
        try:
            c.receive(timeout=20)
        except wire.Closed:
            pass
        if not sanitized:
            assert host.rss_bytes(daemon.frontend) < before + (64 << 20)
    goes_on(daemon)


def test_deep_nesting(daemon):
    """Groups and messages within messages do not eat the stack."""
    body = b""
    for _ in range(50_000):
        body = wire.data(3, body)
        if len(body) > 3 << 20:
            break
    with daemon.session() as c:
        c.send(body)
        try:
            c.receive(timeout=20)
        except wire.Closed:
            pass
    goes_on(daemon)


def test_truncated_frame_then_end(daemon):
    for cut in (1, 3, 4, 5, 20):
        with daemon.connect() as c:
            c.send_raw(wire.frame(wire.run(1, argv=[b"true"], env=[b"A=" + b"b" * 50]))[:cut])
    goes_on(daemon)


def test_half_frame_times_out(impatient):
    with impatient.session() as c:
        c.send_raw(struct.pack(">I", 100) + b"half")
        started = time.monotonic()
        c.expect_error_and_close("BAD_FRAME", timeout=15)
        assert time.monotonic() - started > 0.5
    goes_on(impatient)


def test_half_frame_byte_by_byte_times_out(impatient):
    """The time is the whole frame's: a byte now and then does not extend it."""
    with impatient.session() as c:
        c.send_raw(struct.pack(">I", 100))
        deadline = time.monotonic() + 15
        try:
            while time.monotonic() < deadline:
                c.send_raw(b"x")
                time.sleep(0.4)
        except (BrokenPipeError, ConnectionResetError):
            pass
        assert time.monotonic() < deadline, "a frame of a byte each 0.4 s is still waited for"
    goes_on(impatient)


def test_idle_connection_does_not_time_out(impatient):
    with impatient.session() as c:
        time.sleep(2.5)
        r, out, _ = c.run(1, argv=[b"echo", b"still here"])
        assert out == b"still here\n", r


def test_connections_per_user(impatient):
    """The one over the cap gets an Error, another user is served meanwhile."""
    held = [impatient.session() for _ in range(4)]
    try:
        with impatient.connect() as c:
            try:
                r = c.receive(timeout=5)
                assert r["error"]["code"] == "BUSY", r
                c.expect_closed(timeout=5)
            except wire.Closed:
                pass
        with impatient.session(uid=65534) as c:
            r, out, _ = c.run(1, argv=[b"echo", b"other"])
            assert out == b"other\n"
    finally:
        for c in held:
            c.close()
    assert host.wait_until(lambda: impatient.ctl_run("run", "--", "true").returncode == 0, 5)


# --- the client vanishes

def test_vanishes_while_uploading(daemon):
    with daemon.session() as c:
        c.send(wire.run(1, argv=[b"true"], files=[wire.file_message("f", b"x", size=1 << 20)]))
        c.send(wire.file_data(1, 0, bytes(1000)))
        time.sleep(0.1)
    goes_on(daemon)


def test_vanishes_while_running(daemon):
    with daemon.session() as c:
        c.send(wire.run(1, argv=[b"sleep", b"600"]), wire.run(2, argv=[b"sleep", b"600"]))
        c.expect("started")
        assert host.wait_until(daemon.payload_pids, 10)
    assert host.wait_until(lambda: not daemon.job_pids(), 5), "the jobs of a lost client run on"
    goes_on(daemon)


def test_vanishes_while_starting(daemon):
    for delay in (0, 0.001, 0.003, 0.01):
        with daemon.session() as c:
            c.send(*[wire.run(i, argv=[b"sleep", b"600"]) for i in range(1, 5)])
            time.sleep(delay)
    assert host.wait_until(lambda: not daemon.job_pids(), 5)
    goes_on(daemon)


def test_vanishes_while_reading(daemon):
    with daemon.session() as c:
        c.send(wire.run(1, argv=[b"yes"], limits={"output_bytes": 16 << 20}))
        c.expect("started")
        c.expect("output")
    assert host.wait_until(lambda: not daemon.job_pids(), 5)
    goes_on(daemon)


def test_lists(daemon):
    with daemon.session() as c:
        c.send(wire.list_runtimes(1), wire.list_profiles(2), wire.get_host(3))
        names = {r["name"]: r.get("available", False) for r in c.expect("runtimes")["runtimes"]}
        assert {"python", "javascript", "javascript-bare", "bash", "command"} <= set(names)
        assert all(names.values())
        assert {"default", "strict"} <= {p["name"] for p in c.expect("profiles")["profiles"]}
        assert "cgroupfs" in c.expect("host")["driver"]
