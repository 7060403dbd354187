# SPDX-License-Identifier: Apache-2.0
"""Pipes that clients pass for stdin, stdout and stderr, and output by credit."""

import os
import threading

import pytest

from lib import host, wire
from lib.daemon import NOBODY
from lib.stdio import PASSED_PIPES, STDIN, STDOUT, Pipes, is_at_end, read_all

OF_STDOUT = 1


@pytest.fixture(scope="session")
def daemon(passing_daemon):
    return passing_daemon


def test_features(daemon):
    with daemon.connect() as c:
        assert {"fds", "credit"} <= set(c.hello()["features"])


def test_not_by_default(make_daemon):
    """Only where the administrator says that clients are trusted; others are served as ever."""
    with make_daemon().connect() as c, Pipes() as p:
        assert "fds" not in c.hello()["features"]
        p.run(c, 2, argv=[b"true"])
        error = c.finish(2)[0]["error"]
        assert (error["code"], error["field"]) == ("UNAVAILABLE", "passed_fds"), error
        assert "PassedPipes=" in error["message"]
        assert c.run(3, argv=[b"echo", b"x"])[1] == b"x\n"


@pytest.mark.parametrize("uid", [0, NOBODY])
def test_bytes_pass_unchanged(daemon, uid):
    data = os.urandom(4 << 20)
    with daemon.session(uid) as c, Pipes() as p:
        p.run(c, 2, argv=[b"sh", b"-c", b"cat; echo done >&2"], limits={"output_bytes": 8 << 20})

        def feed():
            with open(p.stdin, "wb", closefd=False) as f:
                f.write(data)
            p.close("stdin")
        feeder = threading.Thread(target=feed)
        feeder.start()
        assert read_all(p.stdout) == data
        feeder.join()
        r, out, err = c.finish(2)
        assert read_all(p.stderr) == b"done\n"
        assert (r["result"]["status"], out, err) == ("OK", b"", b""), r
        assert r["result"]["stdout_bytes"] == len(data) and r["result"]["stderr_bytes"] == 5
        assert "stdout_truncated" not in r["result"]


def test_some_are_passed(daemon):
    """Stdout as a pipe, stdin and stderr as messages."""
    with daemon.session() as c, Pipes() as p:
        body = wire.run(2, argv=[b"sh", b"-c", b"cat; echo two >&2"], passed_fds=STDOUT, stdin=True)
        c.send_fds(wire.frame(body), [p.job_out])
        p.close("job_out")
        c.expect("started")
        c.send(wire.stdin_data(2, b"one\n", eof=True))
        _, out, err = c.finish(2)
        assert (out, err, read_all(p.stdout)) == (b"", b"two\n", b"one\n")


def test_the_job_itself_reads(daemon):
    """What it leaves in its stdin is still the client's."""
    with daemon.session() as c, Pipes() as p:
        os.write(p.stdin, b"a\nb\n")
        body = wire.run(2, argv=[b"sh", b"-c", b"read x; echo $x"], passed_fds=STDIN)
        c.send_fds(wire.frame(body), [p.job_in])
        assert c.finish(2)[1] == b"a\n"
        assert os.read(p.job_in, 10) == b"b\n"


def test_limit(daemon):
    with daemon.session() as c, Pipes() as p:
        p.run(c, 2, argv=[b"sh", b"-c", b"head -c 5000 /dev/zero; head -c 10 /dev/zero >&2"],
              limits={"output_bytes": 4096})
        r, _, _ = c.finish(2)
        assert r["result"]["stdout_bytes"] == 5000 and r["result"]["stdout_truncated"], r
        assert "stderr_truncated" not in r["result"]
        assert len(read_all(p.stdout)) == 4096 and len(read_all(p.stderr)) == 10


@pytest.mark.parametrize("strict", [False, True])
def test_output_limit(daemon, strict):
    with daemon.session() as c, Pipes() as p:
        p.run(c, 2, argv=[b"yes"], limits={"output_bytes": 4096}, strict_output=strict)
        r, _, _ = c.finish(2)
        assert r["result"]["status"] == "OUTPUT_LIMIT", r
        assert len(read_all(p.stdout)) == 4096


def test_broken_pipe(daemon):
    """As in any pipeline: who writes to nobody gets SIGPIPE."""
    with daemon.session() as c, Pipes() as p:
        p.run(c, 2, argv=[b"yes"], limits={"output_bytes": 64 << 20})
        assert os.read(p.stdout, 2) == b"y\n"
        p.close("stdout")
        r, _, _ = c.finish(2)
        assert (r["result"]["status"], r["result"]["signal"]) == ("SIGNALED", 13), r


def test_full_pipe_stalls_one_job(daemon):
    with daemon.session() as c, Pipes() as slow, Pipes() as other:
        slow.run(c, 2, argv=[b"head", b"-c", b"1000000", b"/dev/zero"])
        c.expect("started")
        other.run(c, 3, argv=[b"head", b"-c", b"50000", b"/dev/zero"])
        assert len(read_all(other.stdout)) == 50000
        c.finish(3)
        c.send(wire.run(4, argv=[b"echo", b"x"]))
        assert c.finish(4)[1] == b"x\n"
        assert len(read_all(slow.stdout)) == 1000000
        assert c.finish(2)[0]["result"]["stdout_bytes"] == 1000000


def test_result_waits_for_the_pipe(daemon):
    """The job has ended, and what it wrote is not yet in the client's pipe."""
    with daemon.session() as c, Pipes() as p:
        p.run(c, 2, argv=[b"head", b"-c", b"120000", b"/dev/zero"])
        job = c.expect("started")["job_id"]
        assert host.wait_until(lambda: not daemon.payload_pids(), 10), job
        c.send(wire.get_host(3))
        c.expect("host")
        assert len(read_all(p.stdout)) == 120000
        assert c.finish(2)[0]["result"]["stdout_bytes"] == 120000


def test_queued(make_daemon):
    """Pipes wait with the job that they are for."""
    d = make_daemon(settings={"Server": {"MaxJobs": 1} | PASSED_PIPES})
    with d.session() as c, Pipes() as p, Pipes() as q:
        p.run(c, 2, argv=[b"cat"])
        c.expect("started")
        q.run(c, 3, argv=[b"cat"])
        c.expect("queued")
        os.write(q.stdin, b"second")
        q.close("stdin")
        os.write(p.stdin, b"first")
        p.close("stdin")
        c.finish(2)
        c.finish(3)
        assert (read_all(p.stdout), read_all(q.stdout)) == (b"first", b"second")


def test_queued_and_cancelled(make_daemon):
    d = make_daemon(settings={"Server": {"MaxJobs": 1} | PASSED_PIPES})
    with d.session() as c, Pipes() as p, Pipes() as q:
        p.run(c, 2, argv=[b"cat"])
        c.expect("started")
        q.run(c, 3, argv=[b"cat"])
        c.receive()
        c.send(wire.cancel(3))
        assert c.finish(3)[0]["result"]["status"] == "CANCELLED"
        assert host.wait_until(lambda: is_at_end(q.stdout), 5)


def test_credit(daemon):
    """A job whose output is not asked for waits, and nobody else does."""
    with daemon.session() as c:
        c.send(wire.run(2, argv=[b"head", b"-c", b"300000", b"/dev/zero"], output_credit=1000))
        c.expect("started")
        got = 0
        while got < 1000:
            got += len(c.expect("output")["data"])
        assert got == 1000
        for i in range(3, 8):
            assert c.run(i, argv=[b"echo", b"x"])[1] == b"x\n"
        c.send(wire.output_credit(2, OF_STDOUT, 299_000))
        r, out, _ = c.finish(2)
        assert len(out) == 299_000 and r["result"]["status"] == "OK", r


def test_credit_of_many(daemon):
    """Each of twenty gets what it has credit for, in small steps."""
    jobs = range(2, 22)
    left = {i: 20_000 for i in jobs}
    with daemon.session() as c:
        c.send(*[wire.run(i, argv=[b"head", b"-c", b"20000", b"/dev/zero"], output_credit=4000)
                 for i in jobs])
        done = set()
        while len(done) < len(jobs):
            r = c.receive()
            if "output" in r:
                n = len(r["output"]["data"])
                left[r["id"]] -= n
                c.send(wire.output_credit(r["id"], OF_STDOUT, n))
            elif "result" in r:
                assert r["result"]["status"] == "OK" and left[r["id"]] == 0, (r, left)
                done.add(r["id"])
