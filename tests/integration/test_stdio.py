# SPDX-License-Identifier: Apache-2.0
"""Streams of jobs over sockets of their own, and output by credit."""

import os
import socket
import subprocess
import threading

import pytest

from lib import host, wire
from lib.daemon import NOBODY
from lib.stdio import ALL, STDERR, STDIN, STDOUT, Sockets, is_at_end, is_stuck, read_all

OF_STDOUT = 1


def fds_of(daemon):
    return host.fd_count(daemon.frontend)


def test_features(daemon):
    with daemon.connect() as c:
        assert {"stream-sockets", "credit"} <= set(c.hello()["features"])


@pytest.mark.parametrize("uid", [0, NOBODY])
def test_bytes_pass_unchanged(daemon, uid):
    data = os.urandom(4 << 20)
    with daemon.session(uid) as c, Sockets() as s:
        s.run(c, 2, argv=[b"sh", b"-c", b"cat; echo done >&2"], limits={"output_bytes": 8 << 20})
        assert not c.fds

        def feed():
            s.stdin.sendall(data)
            s.stdin.shutdown(socket.SHUT_WR)
        feeder = threading.Thread(target=feed)
        feeder.start()
        assert read_all(s.stdout) == data
        feeder.join()
        r, out, err = c.finish(2)
        assert read_all(s.stderr) == b"done\n"
        assert (r["result"]["status"], out, err) == ("OK", b"", b""), r
        assert r["result"]["stdout_bytes"] == len(data) and r["result"]["stderr_bytes"] == 5
        assert "stdout_truncated" not in r["result"]


@pytest.mark.parametrize("streams", range(1, ALL + 1))
def test_each_choice(daemon, streams):
    """Those that have no socket go over the connection; each is where it should be."""
    with daemon.session() as c, Sockets() as s:
        s.run(c, 2, streams, argv=[b"sh", b"-c", b"cat; echo two >&2"], stdin=not streams & STDIN)
        assert not c.fds
        if streams & STDIN:
            s.stdin.sendall(b"one\n")
            s.close("stdin")
        else:
            c.send(wire.stdin_data(2, b"one\n", eof=True))
        _, out, err = c.finish(2)
        assert (out, err) == (b"" if streams & STDOUT else b"one\n", b"" if streams & STDERR else b"two\n")
        if streams & STDOUT:
            assert read_all(s.stdout) == b"one\n"
        if streams & STDERR:
            assert read_all(s.stderr) == b"two\n"


def test_the_job_closes_its_stdin(daemon):
    """While it runs: who writes is told."""
    with daemon.session() as c, Sockets() as s:
        s.run(c, 2, STDIN, argv=[b"sh", b"-c", b"exec <&-; echo closed; sleep 60"])
        assert c.expect("output")["data"] == b"closed\n"

        def is_closed():
            try:
                s.stdin.send(b"x")
            except (BrokenPipeError, ConnectionResetError):
                return True
            return False
        assert host.wait_until(is_closed, 5)
        c.send(wire.cancel(2))
        assert c.finish(2)[0]["result"]["status"] == "CANCELLED"


def test_the_job_never_reads(daemon):
    """Bytes wait in its pipe and the socket, and nobody else does."""
    with daemon.session() as c, Sockets() as s:
        s.run(c, 2, STDIN, argv=[b"sh", b"-c", b"echo up; sleep 60"])
        c.expect("output")
        s.stdin.settimeout(0.2)
        with pytest.raises(TimeoutError):
            s.stdin.sendall(bytes(8 << 20))
        assert c.run(3, argv=[b"echo", b"x"])[1] == b"x\n"
        c.send(wire.cancel(2))
        assert c.finish(2)[0]["result"]["status"] == "CANCELLED"


def test_limit(daemon):
    with daemon.session() as c, Sockets() as s:
        s.run(c, 2, STDOUT | STDERR, argv=[b"sh", b"-c", b"head -c 5000 /dev/zero; head -c 10 /dev/zero >&2"],
              limits={"output_bytes": 4096})
        r, _, _ = c.finish(2)
        assert r["result"]["stdout_bytes"] == 5000 and r["result"]["stdout_truncated"], r
        assert "stderr_truncated" not in r["result"]
        assert len(read_all(s.stdout)) == 4096 and len(read_all(s.stderr)) == 10


@pytest.mark.parametrize("strict", [False, True])
def test_output_limit(daemon, strict):
    with daemon.session() as c, Sockets() as s:
        s.run(c, 2, STDOUT, argv=[b"yes"], limits={"output_bytes": 4096}, strict_output=strict)
        r, _, _ = c.finish(2)
        assert r["result"]["status"] == "OUTPUT_LIMIT", r
        assert len(read_all(s.stdout)) == 4096


@pytest.mark.parametrize("how", ["close", "shutdown"])
def test_client_closes_early(daemon, how):
    """As in any pipeline: who writes to nobody gets SIGPIPE."""
    with daemon.session() as c, Sockets() as s:
        s.run(c, 2, STDOUT, argv=[b"yes"], limits={"output_bytes": 64 << 20})
        assert s.stdout.recv(2) == b"y\n"
        if how == "close":
            s.close("stdout")
        else:
            s.stdout.shutdown(socket.SHUT_RD)
        r, _, _ = c.finish(2)
        assert (r["result"]["status"], r["result"]["signal"]) == ("SIGNALED", 13), r


def test_full_socket_stalls_one_job(daemon):
    with daemon.session() as c, Sockets() as slow, Sockets() as other:
        slow.run(c, 2, STDOUT, argv=[b"head", b"-c", b"1000000", b"/dev/zero"])
        other.run(c, 3, STDOUT, argv=[b"head", b"-c", b"50000", b"/dev/zero"])
        assert len(read_all(other.stdout)) == 50000
        c.finish(3)
        c.send(wire.run(4, argv=[b"echo", b"x"]))
        assert c.finish(4)[1] == b"x\n"
        assert len(read_all(slow.stdout)) == 1000000
        assert c.finish(2)[0]["result"]["stdout_bytes"] == 1000000


def test_result_waits_for_the_socket(daemon):
    """The job has ended, and what it wrote is not yet in the socket."""
    with daemon.session() as c, Sockets() as s:
        job = s.run(c, 2, STDOUT, argv=[b"head", b"-c", b"400000", b"/dev/zero"])
        assert host.wait_until(lambda: is_stuck(s.stdout), 10), job
        c.send(wire.get_host(3))
        c.expect("host")
        assert len(read_all(s.stdout)) == 400000
        assert c.finish(2)[0]["result"]["stdout_bytes"] == 400000


@pytest.mark.parametrize("end", ["TIMEOUT", "CANCELLED"])
def test_end_with_full_sockets(daemon, end):
    """Nobody reads, and stdin is full as well. What a cancelled job wrote is not waited for."""
    with daemon.session() as c, Sockets() as s:
        s.run(c, 2, argv=[b"sh", b"-c", b"yes >&2 & exec yes"], limits={"wall_time_usec": 2_000_000})
        assert host.wait_until(lambda: is_stuck(s.stdout) and is_stuck(s.stderr), 10)
        s.stdin.settimeout(0.1)
        with pytest.raises(TimeoutError):
            s.stdin.sendall(bytes(8 << 20))
        if end == "CANCELLED":
            c.send(wire.cancel(2))
            r = c.finish(2)[0]["result"]
            assert r["stdout_truncated"] and r["stdout_bytes"] > len(read_all(s.stdout))
        else:
            assert host.wait_until(lambda: not daemon.payload_pids(), 10)
            s.close("stdout", "stderr")
            r = c.finish(2)[0]["result"]
        assert r["status"] == end, r


def test_nothing_is_kept(daemon):
    with daemon.session() as c, Sockets() as s:
        job = s.run(c, 2, STDOUT, argv=[b"sh", b"-c", b"echo one; echo two >&2"])
        c.finish(2)
        c.send(wire.read_output(3, job.encode()))
        assert c.expect("output")["data"] == b"two\n"
        end = c.expect("output_end")
        assert end["stdout_bytes"] == 4 and "stdout_kept" not in end, end


def test_many_on_one_connection(daemon):
    """With sockets, with some, and with none: each gets its own."""
    before = fds_of(daemon)
    with daemon.session() as c:
        kinds = [ALL, 0, STDOUT, STDIN, 0, STDIN | STDERR] * 4
        socks = {i: Sockets() for i, _ in enumerate(kinds, 2)}
        for i, kind in enumerate(kinds, 2):
            argv = [b"sh", b"-c", b"cat; echo %d; echo %d >&2" % (i, -i)]
            socks[i].ask(c, i, kind, argv=argv)
        results, framed = {}, {}
        while len(results) < len(kinds):
            r = c.receive()
            i = r["id"]
            if "started" in r:
                for bit, name in ((STDIN, "stdin"), (STDOUT, "stdout"), (STDERR, "stderr")):
                    if socks[i].streams & bit:
                        setattr(socks[i], name, socket.socket(fileno=c.fds.pop(0)))
                if socks[i].stdin:
                    socks[i].stdin.sendall(b"in %d " % i)
                    socks[i].close("stdin")
            elif "output" in r:
                key = i, r["output"]["stream"]
                framed[key] = framed.get(key, b"") + r["output"]["data"]
            else:
                results[i] = r["result"]
        assert not c.fds
        for i, kind in enumerate(kinds, 2):
            out = read_all(socks[i].stdout) if kind & STDOUT else framed[i, 1]
            err = read_all(socks[i].stderr) if kind & STDERR else framed[i, 2]
            assert out == (b"in %d " % i if kind & STDIN else b"") + b"%d\n" % i, (i, kind)
            assert err == b"%d\n" % -i
            socks[i].close("stdout", "stderr")
    assert host.wait_until(lambda: fds_of(daemon) <= before, 5)


def test_queued(make_daemon):
    d = make_daemon(settings={"Server": {"MaxJobs": 1}})
    with d.session() as c, Sockets() as s, Sockets() as t:
        s.run(c, 2, argv=[b"cat"])
        t.ask(c, 3, argv=[b"cat"])
        c.expect("queued")
        s.stdin.sendall(b"first")
        s.close("stdin")
        assert read_all(s.stdout) == b"first"
        c.finish(2)
        t.take(c)
        t.stdin.sendall(b"second")
        t.close("stdin")
        assert read_all(t.stdout) == b"second"
        c.finish(3)


def test_refused(daemon):
    """No socket comes, and none stays."""
    before = fds_of(daemon)
    with daemon.session() as c:
        for i, fields in enumerate(({"argv": []}, {"stream_sockets": 8}, {"detach": True}, {"stdin": True}), 2):
            c.send(wire.run(i, **{"argv": [b"true"], "stream_sockets": ALL} | fields))
            assert c.finish(i)[0]["error"]["code"] == "INVALID_ARGUMENT"
        assert c.run(9, argv=[b"echo", b"x"])[1] == b"x\n"
        assert not c.fds
    assert host.wait_until(lambda: fds_of(daemon) <= before, 5)


def test_ctl_with_all_kinds_of_files(daemon, tmp_path):
    """Files, pipes and /dev/null as its own stdin and stdout: the same bytes."""
    data = os.urandom(3 << 20)
    (tmp_path / "in").write_bytes(data)
    command = f"{daemon.ctl} --socket {daemon.socket} run --output-limit 8M -- cat"
    script = (f"{command} < in > out1; cat in | {command} > out2; {command} < in | cat > out3;"
              f"cat in | {command} | cat > out4; {command} < /dev/null > out5; {command} < in > /dev/null;"
              f"{command} < in >> out6")
    subprocess.run(["sh", "-ec", script], cwd=tmp_path, timeout=60, check=True)
    for i in (1, 2, 3, 4, 6):
        assert (tmp_path / f"out{i}").read_bytes() == data, i
    assert (tmp_path / "out5").read_bytes() == b""


def test_stop_with_sockets_in_use(make_daemon):
    """Books are checked at the end, and the daemon does not wait for who does not read."""
    d = make_daemon()
    with d.session() as c, Sockets() as s, Sockets() as t:
        s.run(c, 2, argv=[b"yes"], limits={"output_bytes": 16 << 20})
        t.run(c, 3, argv=[b"cat"])
        assert host.wait_until(lambda: is_stuck(s.stdout), 10)
        d.stop()
        read_all(s.stdout)
        assert is_at_end(t.stdout)


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
