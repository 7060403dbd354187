# SPDX-License-Identifier: Apache-2.0
"""Attack corpus F, about jobs as objects: clients that leave, ask for what is not theirs, or ask for more than
can be kept. What a user may have is counted over all of his connections."""

import contextlib

import pytest

from lib import host, wire
from lib.daemon import NOBODY

ALICE = 65533


def start(c, number, **fields):
    c.send(wire.run(number, **fields))
    return c.expect("started")["job_id"]


def error_of(c, body):
    c.send(body)
    return c.expect("error")


def sleeper(c, number):
    return start(c, number, argv=[b"sleep", b"600"])


def end(c, number):
    c.send(wire.cancel(number))
    assert c.finish(number)[0]["result"]["status"] == "CANCELLED"


def outcomes(c, n):
    """What the next n responses are: the name of the body, or the code of an Error."""
    out = []
    while len(out) < n:
        r = c.receive()
        if "output" not in r:
            out.append(r["error"]["code"] if "error" in r else next(k for k in r if k != "id"))
    return out


# --- 52

def test_52_detached_jobs_are_not_touched(daemon):
    """Their clients leave as soon as they know the id; each job ends as it should."""
    ids = []
    for i in range(20):
        with daemon.session(uid=ALICE) as c:
            ids.append(start(c, 2, argv=[b"sh", b"-c", b"sleep 0.3; echo %d" % i], detach=True))
    with daemon.session(uid=ALICE) as c:
        for i, job in enumerate(ids):
            c.send(wire.wait_job(3, job))
            assert c.expect("result")["status"] == "OK"
            c.send(wire.read_output(4, job))
            assert c.expect("output")["data"] == b"%d\n" % i
            c.expect("output_end")


@pytest.mark.parametrize("detach", [False, True])
@pytest.mark.parametrize("cut", ["in the frame", "after it", "in the files"])
def test_52_vanishing_before_it_starts(daemon, detach, cut):
    """Of a job of which its client never heard nothing is left, or it was begun and ends as it should."""
    for _ in range(10):
        with daemon.session(uid=ALICE) as c:
            files = [wire.file_message("f", b"", size=3 << 20)] if cut == "in the files" else []
            frame = wire.frame(wire.run(2, argv=[b"sleep", b"0.2"], detach=detach, files=files))
            c.send_raw(frame[:-3] if cut == "in the frame" else frame)
            if files:
                c.send(wire.file_data(2, 0, bytes(1 << 20)))

    def nothing_runs():
        with daemon.session(uid=ALICE) as c:
            c.send(wire.list_jobs(2))
            return c.expect("jobs")["jobs"] == []
    assert host.wait_until(nothing_runs, 10)


def test_52_vanishing_readers(daemon):
    """More of them than may wait at one time: each that leaves makes room, and the job does not notice."""
    with daemon.session(uid=ALICE) as owner:
        job = start(owner, 2, argv=[b"sh", b"-c", b"yes & sleep 600"], limits={"output_bytes": 1 << 20})
        for _ in range(6):
            with daemon.session(uid=ALICE) as c:
                c.send(*[wire.wait_job(i, job) for i in range(1, 101)],
                       *[wire.read_output(i, job, follow=True, credit=1) for i in range(101, 201)],
                       *[wire.get_files(i, job) for i in range(201, 251)], wire.get_host(999))
                while c.receive().get("id") != 999:
                    pass
        with daemon.session(uid=ALICE) as c:
            c.send(*[wire.wait_job(i, job) for i in range(1, 1001)], wire.get_host(1001))
            assert c.expect("host")
        end(owner, 2)


# --- 53

VERBS = {
    "show": wire.get_job,
    "wait": wire.wait_job,
    "logs": wire.read_output,
    "one stream, from far behind": lambda n, job: wire.read_output(n, job, 1, 1 << 63, True, 1),
    "no stream": lambda n, job: wire.read_output(n, job, 7),
    "get": wire.get_files,
    "get, by bad names": lambda n, job: wire.get_files(n, job, [b"../x"]),
    "cancel": wire.cancel_job,
    "signal": lambda n, job: wire.signal_job(n, job, 9),
    "no signal": lambda n, job: wire.signal_job(n, job, 99),
}


@pytest.mark.parametrize("verb", VERBS)
def test_53_anothers_job(daemon, verb):
    """Byte for byte as for a job that is not there: while it receives its files, runs, has ended, or was
    kept with files; and it does not notice."""
    with daemon.session(uid=ALICE) as alice, daemon.session(uid=NOBODY) as mallory:
        ended = alice.run(2, argv=[b"true"])[0]["result"]["job_id"]
        kept = start(alice, 3, argv=[b"sh", b"-c", b"echo x > f"], get=[b"f"], detach=True)
        alice.send(wire.wait_job(4, kept))
        assert alice.expect("result")["files"] == 1
        runs = sleeper(alice, 5)

        def answer(job):
            mallory.send(VERBS[verb](7, job))
            return mallory.receive_raw()
        expected = answer("0" * 16)
        assert "error" in wire.decode(expected)
        assert {answer(job) for job in (ended, kept, runs)} == {expected}
        alice.send(wire.get_job(6, runs))
        assert alice.expect("job")["state"] == "RUNNING"
        end(alice, 5)


def test_53_anothers_requests(daemon):
    """Ids of requests are of one connection: those of another reach nothing."""
    with daemon.session(uid=ALICE) as alice, daemon.session(uid=NOBODY) as mallory, \
            daemon.session(uid=ALICE) as again:
        job = start(alice, 5, argv=[b"cat"], stdin=True, output_credit=1)
        for c in (mallory, again):
            c.send(wire.cancel(5), wire.stdin_data(5, b"evil"), wire.stdin_data(5, b"", eof=True),
                   wire.output_credit(5, 1, 1000), wire.forget(5), wire.file_data(5, 0, b"evil"), wire.get_host(6))
            assert c.expect("host")
        alice.send(wire.stdin_data(5, b"good", eof=True), wire.output_credit(5, 1, 1000))
        r, out, _ = alice.finish(5)
        assert (r["result"]["status"], out, r["result"]["job_id"]) == ("OK", b"good", job)


def test_53_lists_show_ones_own(daemon):
    with daemon.session(uid=ALICE) as alice, daemon.session(uid=NOBODY) as mallory:
        job = sleeper(alice, 2)
        mallory.send(wire.list_jobs(3, all=True))
        while True:
            part = mallory.expect("jobs")
            assert all(j["owner_uid"] == NOBODY and j["job_id"] != job for j in part["jobs"])
            if not part.get("more"):
                break
        for order in (wire.drain, wire.resume, wire.stop_all):
            assert error_of(mallory, order(4))["code"] == "DENIED"
        end(alice, 2)


# --- 55

@pytest.mark.parametrize("value", [1 << 63, (1 << 64) - 1, ((1 << 64) // 10**6) + 1])
@pytest.mark.parametrize("field", ["wall_time_usec", "cpu_time_usec", "memory_bytes", "cpu_quota_percent", "pids",
                                   "output_bytes", "tmp_size_bytes"])
def test_55_every_limit(daemon, field, value):
    with daemon.session() as c:
        error = error_of(c, wire.run(1, argv=[b"true"], limits={field: value}))
        assert error["code"] == "OVER_LIMIT" and error["field"] == field, error


@pytest.mark.parametrize("field", ["code_size_bytes", "files_size_bytes", "", "memory_bytes\n", "MEMORY_BYTES", "x" * 5000])
def test_55_limits_that_cannot_be_asked_for(daemon, field):
    with daemon.session() as c:
        error = error_of(c, wire.run(1, argv=[b"true"], limits={field: 1000}))
        assert error["code"] == "INVALID_ARGUMENT" and error["field"] == "limits", error


@pytest.mark.parametrize("size", [(1 << 64) - 1, 1 << 63, 1 << 40])
def test_55_sizes_of_files(daemon, size):
    """Also where their sum would be small again."""
    with daemon.session() as c:
        files = [wire.file_message("a", size=size), wire.file_message("b", size=(1 << 64) - size + 1)]
        assert error_of(c, wire.run(1, argv=[b"true"], files=files))["code"] == "OVER_LIMIT"
        assert c.run(2, argv=[b"true"])[0]["result"]["status"] == "OK"


def test_55_credit_without_end(daemon):
    with daemon.session() as c:
        c.send(wire.run(1, argv=[b"sh", b"-c", b"sleep 0.2; echo x"], output_credit=(1 << 64) - 1))
        c.send(*[wire.output_credit(1, of, (1 << 64) - 1) for of in (1, 2, 3, 4, 1 << 31) for _ in range(3)])
        r, out, _ = c.finish(1)
        assert r["result"]["status"] == "OK" and out == b"x\n"


# --- 56

def test_56_jobs_over_many_connections(make_daemon):
    d = make_daemon(settings={"Server": {"MaxJobsPerUser": 3, "MaxQueuedPerUser": 2, "MaxConnectionsPerUser": 12}})
    with contextlib.ExitStack() as stack:
        connections = [stack.enter_context(d.session(uid=ALICE)) for _ in range(12)]
        got = []
        for c in connections:
            c.send(wire.run(2, argv=[b"sleep", b"600"]))
            got += outcomes(c, 1)
        assert got == ["started"] * 3 + ["queued"] * 2 + ["BUSY"] * 7
        with d.connect(uid=ALICE) as c:
            assert c.expect("error")["code"] == "BUSY"
        with d.session(uid=NOBODY) as other:
            assert other.run(2, argv=[b"true"])[0]["result"]["status"] == "OK"


def test_56_uploads_over_many_connections(make_daemon):
    """What is declared is counted, whoever waits for it to come."""
    d = make_daemon(settings={"Server": {"MaxUploadPerUser": "1M"}})
    with contextlib.ExitStack() as stack:
        got = []
        for _ in range(8):
            c = stack.enter_context(d.session(uid=ALICE))
            c.send(wire.run(2, argv=[b"true"], files=[wire.file_message("f", size=300 << 10)]), wire.get_host(3))
            got.append(outcomes(c, 1)[0])
        assert got == ["host"] * 3 + ["BUSY"] * 5
        with d.session(uid=NOBODY) as other:
            assert other.run(2, argv=[b"true"], files=[wire.file_message("f", b"x")])[0]["result"]["status"] == "OK"


def test_56_waiting_requests_over_many_connections(daemon):
    with contextlib.ExitStack() as stack:
        owner = stack.enter_context(daemon.session(uid=ALICE))
        job = sleeper(owner, 2)
        busy = 0
        for _ in range(4):
            c = stack.enter_context(daemon.session(uid=ALICE))
            c.send(*[wire.wait_job(i, job) for i in range(1, 301)], wire.get_host(999))
            while (r := c.receive())["id"] != 999:
                assert r["error"]["code"] == "BUSY", r
                busy += 1
        assert busy == 4 * 300 - 1024
        with daemon.session(uid=NOBODY) as other:
            number = sleeper(other, 2)
            other.send(wire.wait_job(3, number))
            other.send(wire.cancel(2))
            assert sorted(outcomes(other, 2)) == ["result", "result"]
        end(owner, 2)


# --- in numbers

def test_a_flood_of_requests_that_wait(daemon, sanitized):
    """Each is forgotten at once: nothing adds up, on one connection or in the books."""
    with daemon.session(uid=ALICE) as owner, daemon.session(uid=ALICE, timeout=60) as c:
        job = sleeper(owner, 2)
        for _ in range(50):
            c.send(*[body for i in range(1, 101) for body in
                     (wire.wait_job(i, job), wire.forget(i), wire.read_output(i, job, follow=True), wire.forget(i),
                      wire.get_files(i, job, [b"*"] * 20), wire.forget(i))])
        c.send(wire.get_host(999))
        assert c.expect("host")
        assert sanitized or host.rss_bytes(daemon.frontend) < 100 << 20
        end(owner, 2)


@pytest.mark.parametrize("body, field", [(3, 3), (3, 4), (3, 6), (3, 8), (3, 14), (14, 2)],
                         ids=["argv", "env", "files", "limits", "get", "names"])
def test_47_a_million_repeated_fields(daemon, sanitized, body, field):
    c = daemon.session(timeout=60)
    with c:
        c.send(wire.request(1, wire.data(body, (wire.varint(field << 3 | 2) + b"\0") * 10**6)))
        assert c.receive()["error"]["code"] in ("BAD_FRAME", "INVALID_ARGUMENT", "NO_SUCH_JOB")
    assert sanitized or host.rss_bytes(daemon.frontend) < 200 << 20


def test_patterns_that_are_costly_to_match(daemon):
    """Against many long names, from many requests at once: others are served meanwhile, and it ends."""
    pattern = b"*a" * 60 + b"*b"
    with daemon.session(uid=ALICE, timeout=120) as c:
        job = start(c, 2, runtime="python", code=b"for i in range(2000): open('a' * 240 + str(i), 'w')",
                    get=[b"a*"], detach=True)
        c.send(wire.wait_job(3, job))
        assert c.expect("result")["files"] == 2000
        c.send(*[wire.get_files(i, job, [pattern + b"%d" % k for k in range(30)]) for i in range(10, 20)])
        with daemon.session(uid=NOBODY) as other:
            assert other.run(2, argv=[b"true"])[0]["result"]["status"] == "OK"
        failed = done = 0
        while done < 10:
            r = c.receive()
            failed += "file_out" in r
            done += "done" in r
        assert failed == 10 * 30
        error = error_of(c, wire.get_files(30, job, [b"*" * 250] * 17))
        assert error["code"] == "INVALID_ARGUMENT" and "patterns" in error["message"]
