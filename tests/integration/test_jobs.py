# SPDX-License-Identifier: Apache-2.0
"""Jobs as objects: they outlive the connection, are found by id from any other of the same user, and are
remembered for a while; who waits for a slot waits in turn; root may see and stop all."""

import itertools
import os
import signal

import pytest

from lib import host, wire
from lib.activation import ActivatedDaemon, Supervisor

ALICE, BOB = 65533, 65534


def start(c, number, **fields):
    """A job that runs; its id."""
    c.send(wire.run(number, **fields))
    return c.expect("started")["job_id"]


def bash(code):
    return {"argv": [b"bash", b"-c", code.encode()]}


def wait(c, number, job_id):
    c.send(wire.wait_job(number, job_id))
    return c.expect("result")


def jobs(c, number, all=True):
    """The list, put together again."""
    c.send(wire.list_jobs(number, all=all))
    out = []
    while True:
        part = c.expect("jobs")
        out += part["jobs"]
        if not part.get("more"):
            return out


def logs(c, number, job_id, **options):
    """(stdout, stderr, OutputEnd)"""
    c.send(wire.read_output(number, job_id, **options))
    out = {wire.STDOUT: b"", wire.STDERR: b""}
    while True:
        r = c.receive()
        assert r["id"] == number, r
        if "output_end" in r:
            return out[wire.STDOUT], out[wire.STDERR], r["output_end"]
        out[r["output"]["stream"]] += r["output"]["data"]


def output(c):
    """The next output; credit for stdin comes in between."""
    while "output" not in (r := c.receive()):
        assert "stdin_credit" in r, r
    return r["output"]["data"]


def error_of(c, body):
    c.send(body)
    return c.expect("error")


def facts(c, number=900):
    c.send(wire.get_host(number))
    return c.expect("host")


# --- detached

def test_detached_job_outlives_its_client(daemon):
    with daemon.session(uid=ALICE) as c:
        job = start(c, 2, detach=True, label=b"nightly \xff",
                    **bash("echo one; sleep 0.2; echo two >&2; exit 3"))
    with daemon.session(uid=ALICE) as c:
        r = wait(c, 2, job)
        assert (r["job_id"], r["status"], r["exit_code"]) == (job, "EXITED", 3)
        assert r["label"] == b"nightly \xff" and r["runtime"] == "command" and r["profile"] == "default"
        assert r["started_at_usec"] <= r["ended_at_usec"]
        assert r["usage"]["wall_usec"] > 0
        assert logs(c, 3, job)[:2] == (b"one\n", b"two\n")
        # Not only once.
        assert wait(c, 4, job) == r
        c.send(wire.get_job(5, job))
        shown = c.expect("job")
        assert shown["state"] == "FINISHED" and shown["detached"] and shown["owner_uid"] == ALICE
        assert shown["result"] == r
        limits = {entry["key"]: entry.get("value", 0) for entry in shown["limits"]}
        assert limits["memory_bytes"] == 256 << 20 and limits["pids"] == 64


def test_started_is_the_last_response(daemon):
    """Its output goes to nobody who did not ask; the request's id can be used again at once."""
    with daemon.session() as c:
        job = start(c, 2, detach=True, **bash("echo x"))
        assert wait(c, 2, job)["status"] == "OK"
        assert c.run(2, argv=[b"echo", b"y"])[1] == b"y\n"


def test_value_of_a_detached_job(daemon):
    with daemon.session() as c:
        job = start(c, 2, runtime="python", code=b"6 * 7", detach=True)
        r = wait(c, 3, job)
        assert r["return_value"]["json"] == b"42"
        assert "return_value" not in [j for j in jobs(c, 4) if j["job_id"] == job][0]["result"]


@pytest.mark.parametrize("fields,name", [({"stdin": True}, "stdin"), ({"stream_sockets": 2}, "stream_sockets")])
def test_detached_with_what_needs_a_client(daemon, fields, name):
    with daemon.session() as c:
        c.send(wire.run(2, argv=[b"true"], detach=True, **fields))
        error = c.finish(2)[0]["error"]
        assert (error["code"], error["field"]) == ("INVALID_ARGUMENT", name)
        assert name in error["message"]


def test_detached_upload_dies_with_its_client(daemon):
    with daemon.session(uid=BOB) as c, daemon.session(uid=BOB) as other:
        c.send(wire.run(2, argv=[b"true"], detach=True, files=[wire.file_message("a", b"", size=10)]))
        assert host.wait_until(lambda: [j["state"] for j in jobs(other, 2, all=False)] == ["RECEIVING"])
        c.close()
        assert host.wait_until(lambda: not jobs(other, 3, all=False))
        assert not [j for j in jobs(other, 4) if j["state"] != "FINISHED"]


def test_attached_job_is_cancelled_and_remembered(daemon):
    with daemon.session(uid=ALICE) as c, daemon.session(uid=ALICE) as other:
        job = start(c, 2, argv=[b"sleep", b"600"])
        c.close()
        assert wait(other, 2, job)["status"] == "CANCELLED"
    assert host.wait_until(lambda: not daemon.job_pids(), 5)


# --- asking

def test_wait_from_many_connections(daemon):
    with daemon.session() as c, daemon.session() as one, daemon.session() as two:
        job = start(c, 2, argv=[b"cat"], stdin=True)
        one.send(wire.wait_job(5, job), wire.wait_job(6, job))
        two.send(wire.wait_job(5, job))
        # The answer to a later request shows that those before are waiting.
        assert facts(one)["running_jobs"] >= 1 and facts(two)["running_jobs"] >= 1
        c.send(wire.stdin_data(2, b"abc", eof=True))
        mine = c.finish(2)[0]["result"]
        assert mine["status"] == "OK"
        seen = [one.receive(), one.receive(), two.receive()]
        assert sorted(r["id"] for r in seen) == [5, 5, 6]
        assert all(r["result"] == mine for r in seen)


def test_follow(daemon):
    """What was written before it was asked for, and what is written then, in order; to the end."""
    with daemon.session() as c, daemon.session() as other:
        job = start(c, 2, argv=[b"cat"], stdin=True)
        c.send(wire.stdin_data(2, b"before "))
        assert output(c) == b"before "
        out, _, end = logs(other, 2, job)
        assert out == b"before " and end["running"]
        other.send(wire.read_output(3, job, follow=True))
        assert output(other) == b"before "
        c.send(wire.stdin_data(2, b"then"))
        assert other.expect("output")["data"] == b"then"
        c.send(wire.stdin_data(2, b" end", eof=True))
        assert other.expect("output")["data"] == b" end"
        end = other.expect("output_end")
        assert not end.get("running") and end["stdout_bytes"] == end["stdout_kept"] == 15
        assert c.finish(2)[0]["result"]["status"] == "OK"
        # And after, the same.
        assert logs(other, 4, job, follow=True)[0] == b"before then end"
        assert logs(other, 5, job, offset=7, stream=wire.STDOUT)[0] == b"then end"
        assert logs(other, 6, job, stream=wire.STDERR)[:2] == (b"", b"")


def test_order_of_streams_is_kept(daemon):
    with daemon.session() as c:
        job = start(c, 2, detach=True,
                    **bash("for i in 1 2 3; do echo $i; sleep 0.1; echo -$i >&2; sleep 0.1; done"))
        c.send(wire.read_output(3, job, follow=True))
        seen = []
        while "output_end" not in (r := c.receive()):
            seen.append((r["output"]["stream"], r["output"]["data"]))
    assert seen == [(1, b"1\n"), (2, b"-1\n"), (1, b"2\n"), (2, b"-2\n"), (1, b"3\n"), (2, b"-3\n")]


def test_credit_of_a_reader(daemon):
    """Nothing beyond it, and another request on the connection is not held up."""
    with daemon.session() as c:
        job = start(c, 2, detach=True, **bash("head -c 300000 /dev/zero"))
        wait(c, 3, job)
        c.send(wire.read_output(4, job, credit=1000))
        assert len(c.expect("output")["data"]) == 1000
        assert facts(c)["pid"]
        got = 1000
        while got < 300000:
            c.send(wire.output_credit(4, 1, 100000))
            step = min(100000, 300000 - got)
            while step:
                part = len(c.expect("output")["data"])
                got += part
                step -= part
        c.expect("output_end")


def test_large_output_is_kept_whole(daemon):
    """Of a detached job up to its output limit, more than a connection's queue holds."""
    size = 5 << 20
    with daemon.session(uid=BOB) as c:
        job = start(c, 2, detach=True, limits={"output_bytes": size},
                    **bash(f"head -c {size + 1000} /dev/zero | tr '\\0' x"))
        r = wait(c, 3, job)
        assert r["stdout_bytes"] == size + 1000 and r["stdout_truncated"]
        out, _, end = logs(c, 4, job)
        assert out == b"x" * size and end["stdout_kept"] == size


def test_attached_output_is_kept_in_part(daemon):
    with daemon.session(uid=BOB) as c:
        r, out, _ = c.run(2, limits={"output_bytes": 3 << 20}, **bash("head -c 2000000 /dev/zero"))
        assert len(out) == 2000000 and not r["result"].get("stdout_truncated")
        out, _, end = logs(c, 3, r["result"]["job_id"])
        assert len(out) == end["stdout_kept"] == 1 << 20 and end["stdout_bytes"] == 2000000


def test_list(daemon):
    with daemon.session(uid=ALICE) as c, daemon.session(uid=BOB) as other, daemon.session() as root:
        ended = c.run(2, argv=[b"true"])[0]["result"]["job_id"]
        runs = start(c, 3, argv=[b"sleep", b"600"], label=b"mine")
        assert [j["job_id"] for j in jobs(c, 4, all=False)] == [runs]
        listed = jobs(c, 5)
        assert [j["job_id"] for j in listed][-2:] == [ended, runs]
        assert [j["state"] for j in listed][-2:] == ["FINISHED", "RUNNING"]
        assert listed[-1]["label"] == b"mine" and "result" not in listed[-1]
        assert listed[-2]["result"]["status"] == "OK"
        assert not {ended, runs} & {j["job_id"] for j in jobs(other, 2)}
        seen = {j["job_id"]: j.get("owner_uid", 0) for j in jobs(root, 2)}
        assert seen[ended] == seen[runs] == ALICE


def test_long_list(daemon):
    """In parts, each of which fits a frame; oldest first."""
    with daemon.session(uid=BOB) as c:
        made = [c.run(i + 2, argv=[b"true"], label=b"x" * 256)[0]["result"]["job_id"] for i in range(40)]
        assert [j["job_id"] for j in jobs(c, 900)][-40:] == made


def test_usage_of_a_running_job(daemon):
    with daemon.session() as c, daemon.session() as other:
        job = start(c, 2, **bash("while :; do :; done"))

        def used():
            other.send(wire.get_job(2, job))
            shown = other.expect("job")
            assert shown["state"] == "RUNNING" and "result" not in shown
            usage = shown.get("usage", {})
            return usage.get("wall_usec", 0) > 0 and usage.get("cpu_user_usec", 0) > 0
        assert host.wait_until(used, 10)
        c.send(wire.cancel(2))
        c.finish(2)
        other.send(wire.get_job(3, job))
        assert other.expect("job")["result"]["status"] == "CANCELLED"


# --- acting

def test_cancel_by_id(daemon):
    with daemon.session() as c, daemon.session() as other:
        job = start(c, 2, argv=[b"sleep", b"600"])
        for number in (2, 3):
            other.send(wire.cancel_job(number, job))
            other.expect("done")
        assert c.finish(2)[0]["result"]["status"] == "CANCELLED"
        ended = c.run(3, argv=[b"true"])[0]["result"]["job_id"]
        other.send(wire.cancel_job(4, ended))
        other.expect("done")
        assert wait(other, 5, ended)["status"] == "OK", "one that has ended does not change"


def test_signal(daemon):
    with daemon.session() as c:
        job = start(c, 2, detach=True,
                    **bash("trap 'echo got it; exit 7' USR1; echo ready; while :; do sleep 0.05; done"))
        c.send(wire.read_output(3, job, follow=True))
        assert c.expect("output")["data"] == b"ready\n"
        c.send(wire.signal_job(4, job, signal.SIGUSR1))
        c.expect("done")
        assert c.expect("output")["data"] == b"got it\n"
        c.expect("output_end")
        r = wait(c, 5, job)
        assert (r["status"], r["exit_code"]) == ("EXITED", 7)
        error = error_of(c, wire.signal_job(6, job, signal.SIGUSR1))
        assert error["code"] == "NOT_RUNNING"


@pytest.mark.parametrize("number", [0, 65, 1 << 31])
def test_signals_that_are_none(daemon, number):
    with daemon.session() as c:
        job = start(c, 2, argv=[b"sleep", b"600"])
        error = error_of(c, wire.signal_job(3, job, number))
        assert error["code"] == "INVALID_ARGUMENT" and error["field"] == "signal"
        c.send(wire.cancel(2))
        assert c.finish(2)[0]["result"]["status"] == "CANCELLED"


# --- whose job it is

VERBS = {
    "show": wire.get_job,
    "wait": wire.wait_job,
    "logs": wire.read_output,
    "follow": lambda n, job: wire.read_output(n, job, follow=True),
    "cancel": wire.cancel_job,
    "signal": lambda n, job: wire.signal_job(n, job, 15),
}


@pytest.mark.parametrize("verb", VERBS)
def test_another_users_job_is_not_there(daemon, verb):
    """Byte for byte the same answer as for one that never was, whether it runs or has ended."""
    def answer(job):
        with daemon.session(uid=BOB) as c:
            c.send(VERBS[verb](7, job))
            return c.receive_raw()
    with daemon.session(uid=ALICE) as c:
        ended = c.run(2, argv=[b"true"])[0]["result"]["job_id"]
        runs = start(c, 3, argv=[b"sleep", b"600"])
        none = f"{int(runs, 16) ^ 1:016x}"
        expected = answer(none)
        assert wire.decode(expected)["error"]["code"] == "NO_SUCH_JOB"
        for job in (ended, runs, "", "x", "0" * 16, runs.upper(), runs + "\0"):
            assert answer(job) == expected, job
        assert [j["job_id"] for j in jobs(c, 4, all=False)] == [runs], "it was not touched"
        c.send(wire.cancel(3))
        c.finish(3)


def test_root_may_all(daemon):
    with daemon.session(uid=ALICE) as c, daemon.session() as root:
        job = start(c, 2, **bash("echo x; sleep 600"))
        assert c.expect("output")["data"] == b"x\n"
        assert logs(root, 2, job)[0] == b"x\n"
        root.send(wire.wait_job(3, job), wire.cancel_job(4, job))
        assert sorted((r["id"], *(k for k in ("done", "result") if k in r))
                      for r in (root.receive(), root.receive())) == [(3, "result"), (4, "done")]
        assert c.finish(2)[0]["result"]["status"] == "CANCELLED"


# --- how long it is remembered

def test_retention_by_count(make_daemon):
    d = make_daemon(settings={"Server": {"MaxResultsPerUser": "3"}})
    with d.session(uid=ALICE) as c, d.session(uid=BOB) as other:
        others = other.run(2, argv=[b"true"])[0]["result"]["job_id"]
        made = [c.run(i + 2, argv=[b"true"])[0]["result"]["job_id"] for i in range(5)]
        assert [j["job_id"] for j in jobs(c, 50)] == made[2:]
        assert error_of(c, wire.wait_job(51, made[0]))["code"] == "NO_SUCH_JOB"
        assert wait(other, 3, others)["status"] == "OK", "another user's are not counted"


def test_retention_by_time(make_daemon):
    d = make_daemon(settings={"Server": {"ResultRetentionSec": "300ms"}})
    with d.session() as c:
        job = start(c, 2, detach=True, **bash("echo x"))
        assert wait(c, 3, job)["status"] == "OK"
        ids = itertools.count(4)
        assert host.wait_until(lambda: not jobs(c, next(ids)), 10)
        assert error_of(c, wire.read_output(900, job))["code"] == "NO_SUCH_JOB"
        held = facts(c)
        assert (held.get("kept_results", 0), held.get("kept_bytes", 0)) == (0, 0)


def test_retention_by_bytes(make_daemon):
    """Within MaxKeptPerUser= the oldest make room; what has none is not kept, and that is said."""
    d = make_daemon(settings={"Server": {"MaxKeptPerUser": "3M"}})
    with d.session() as c:
        def write(number, size):
            job = start(c, number, detach=True, limits={"output_bytes": 8 << 20},
                        **bash(f"head -c {size} /dev/zero"))
            return job, wait(c, number, job)
        first, second = (write(n, 1 << 20)[0] for n in (2, 3))
        third, r = write(4, 1 << 20)
        assert not r.get("stdout_truncated")
        assert [j["job_id"] for j in jobs(c, 5)] == [second, third]
        assert len(logs(c, 6, second)[0]) == 1 << 20
        last, r = write(7, 5 << 20)
        assert r["status"] == "OK" and r["stdout_truncated"] and r["stdout_bytes"] == 5 << 20
        assert "MaxKeptPerUser=" in r["message"]
        kept = len(logs(c, 8, last)[0])
        assert 1 << 20 < kept <= 3 << 20
        assert facts(c)["kept_bytes"] <= 3 << 20
        # What the client of an attached job was sent is not cut by it.
        r, out, _ = c.run(9, limits={"output_bytes": 8 << 20}, **bash("head -c 5000000 /dev/zero"))
        assert len(out) == 5000000 and not r["result"].get("stdout_truncated")


def test_retention_after_a_reload(make_daemon):
    d = make_daemon()
    with d.session() as c:
        made = [c.run(i + 2, argv=[b"true"])[0]["result"]["job_id"] for i in range(3)]
        d.settings["Server"] = {"MaxResultsPerUser": 1}
        d.write_config()
        assert d.reload().startswith("reloaded: ")
        ids = itertools.count(10)
        assert host.wait_until(lambda: [j["job_id"] for j in jobs(c, next(ids))] == made[2:], 5)


def test_restart_forgets(make_daemon):
    """Results live in memory: a frontend that was killed knows none, and its jobs are gone."""
    d = make_daemon()
    with d.session() as c:
        ended = c.run(2, argv=[b"true"])[0]["result"]["job_id"]
        runs = start(c, 3, detach=True, argv=[b"sleep", b"600"])
    os.kill(d.frontend, signal.SIGKILL)
    assert host.wait_until(lambda: not d.job_pids(), 10)
    assert host.wait_until(lambda: d.run("--", "true").rc == 0, 10)
    with d.session() as c:
        for number, job in enumerate((ended, runs), start=2):
            assert error_of(c, wire.wait_job(number, job))["code"] == "NO_SUCH_JOB"


def test_detached_result_keeps_the_daemon_up(make_daemon):
    d = make_daemon(kind=ActivatedDaemon, start=False,
                    settings={"Server": {"IdleExitSec": "50ms", "ResultRetentionSec": "1500ms"}})
    with Supervisor(d):
        with d.session() as c:
            job = start(c, 2, detach=True, argv=[b"true"])
        with d.session() as c:
            assert wait(c, 2, job)["status"] == "OK"
            pid = facts(c)["pid"]
        with d.session() as c:
            assert facts(c)["pid"] == pid and wait(c, 2, job)["status"] == "OK"
        assert host.wait_until(lambda: d.codes == [0], 20), d.log()


# --- the queue

@pytest.fixture
def one_slot(make_daemon):
    """A daemon that runs one job at a time, and a connection of root that holds the slot."""
    d = make_daemon(settings={"Server": {"MaxJobs": "1", "MaxJobsPerUser": "1", "MaxQueued": "8",
                                         "MaxQueuedPerUser": "5"}})
    with d.session() as c:
        start(c, 2, argv=[b"sleep", b"600"])
        c.release = lambda: (c.send(wire.cancel(2)), c.finish(2))
        d.holder = c
        yield d


def queue(c, number, **fields):
    c.send(wire.run(number, **{"argv": [b"true"], **fields}))
    return c.expect("queued")


def test_turns(one_slot):
    """One user's many do not hold up another's few."""
    with one_slot.session(uid=ALICE) as a, one_slot.session(uid=BOB) as b:
        for number in range(2, 7):
            assert queue(a, number)["position"] == number - 1
        for number in range(2, 4):
            assert queue(b, number)["position"] == number - 1
        held = facts(one_slot.holder)
        assert held["queued_jobs"] == 7 and held["running_jobs"] == 1
        one_slot.holder.release()
        ended = []
        for c, numbers in ((a, range(2, 7)), (b, range(2, 4))):
            for number in numbers:
                r = c.finish(number)[0]["result"]
                assert r["status"] == "OK" and r["queued_usec"] > 0
                ended.append((r["started_at_usec"], "a" if c is a else "b", number))
        assert "".join(who for _, who, _ in sorted(ended)) == "ababaaa"
        for who in "ab":
            order = [n for _, w, n in sorted(ended) if w == who]
            assert order == sorted(order), "of one user, who came first"


def test_queue_is_bounded(one_slot):
    with one_slot.session(uid=ALICE) as a, one_slot.session(uid=BOB) as b:
        for number in range(2, 7):
            queue(a, number)
        error = a.run(7, argv=[b"true"])[0]["error"]
        assert error["code"] == "BUSY" and "MaxQueuedPerUser=" in error["message"]
        assert error["retry_after_usec"] > 0
        for number in range(2, 5):
            queue(b, number)
        error = b.run(5, argv=[b"true"])[0]["error"]
        assert error["code"] == "BUSY" and "MaxQueued=" in error["message"]
        one_slot.holder.release()
        assert a.finish(6)[0]["result"]["status"] == "OK"


def test_queued_job_is_an_object(one_slot):
    with one_slot.session(uid=ALICE) as a, one_slot.session(uid=ALICE) as other:
        first, second = (queue(a, n)["job_id"] for n in (2, 3))
        assert [(j["job_id"], j["state"]) for j in jobs(other, 2)] == [(first, "QUEUED"), (second, "QUEUED")]
        assert error_of(other, wire.signal_job(3, first, 15))["code"] == "NOT_RUNNING"
        other.send(wire.cancel_job(4, first))
        other.expect("done")
        assert a.finish(2)[0]["result"]["status"] == "CANCELLED"
        a.send(wire.cancel(3))
        assert a.finish(3)[0]["result"]["status"] == "CANCELLED"
        assert wait(other, 5, second)["status"] == "CANCELLED"
        assert facts(other).get("queued_jobs", 0) == 0


def test_client_that_leaves_the_queue(one_slot):
    with one_slot.session(uid=ALICE) as a, one_slot.session(uid=ALICE) as other:
        attached = queue(a, 2)["job_id"]
        detached = queue(a, 3, argv=[b"echo", b"x"], detach=True)["job_id"]
        a.close()
        assert wait(other, 2, attached)["status"] == "CANCELLED"
        assert [(j["job_id"], j["state"]) for j in jobs(other, 3, all=False)] == [(detached, "QUEUED")]
        one_slot.holder.release()
        assert wait(other, 4, detached)["status"] == "OK"
        assert logs(other, 5, detached)[0] == b"x\n"


def test_queued_files(one_slot):
    """They are there when its turn comes."""
    with one_slot.session(uid=ALICE) as a:
        queue(a, 2, argv=[b"cat", b"data"], files=[wire.file_message("data", b"content")])
        one_slot.holder.release()
        assert a.finish(2)[1] == b"content"


def test_no_queue(make_daemon):
    d = make_daemon(settings={"Server": {"MaxJobsPerUser": "1", "MaxQueuedPerUser": "0"}})
    with d.session(uid=ALICE) as c:
        start(c, 2, argv=[b"sleep", b"600"])
        error = c.run(3, argv=[b"true"])[0]["error"]
        assert error["code"] == "BUSY" and "MaxJobsPerUser=" in error["message"]
        c.send(wire.cancel(2))
        c.finish(2)


def test_more_slots_after_a_reload(one_slot):
    with one_slot.session(uid=ALICE) as a:
        queue(a, 2)
        one_slot.settings["Server"]["MaxJobs"] = 2
        one_slot.write_config()
        assert one_slot.reload().startswith("reloaded: ")
        assert a.finish(2)[0]["result"]["status"] == "OK"


def test_stop_with_a_queue(one_slot):
    """Who waits is told, and is not waited for."""
    with one_slot.session(uid=ALICE) as a:
        queue(a, 2)
        one_slot.process.send_signal(signal.SIGTERM)
        error = a.finish(2)[0]["error"]
        assert error["code"] == "DRAINING"
        assert one_slot.process.wait(20) == 0
    assert one_slot.leftovers() == []


def test_pipelined(make_daemon):
    """Many more than may run, sent without waiting: all right, none lost, none doubled."""
    count = 150
    d = make_daemon(settings={"Server": {"MaxJobsPerUser": "8"}})
    with d.session(uid=ALICE, timeout=60) as c:
        c.send(*[wire.run(i, argv=[b"echo", str(i).encode()]) for i in range(1, count + 1)])
        out, ended = {}, {}
        while len(ended) < count:
            r = c.receive()
            number = r["id"]
            assert number not in ended, "something came after the result"
            if "output" in r:
                out[number] = out.get(number, b"") + r["output"]["data"]
            elif "result" in r:
                ended[number] = r["result"]
            else:
                assert "started" in r or "queued" in r, r
        assert out == {i: b"%d\n" % i for i in range(1, count + 1)}
        assert {r["status"] for r in ended.values()} == {"OK"}
        assert len({r["job_id"] for r in ended.values()}) == count
    assert host.wait_until(lambda: not d.job_pids() and not d.cgroup_directories(), 10)


# --- what root may do to all

@pytest.mark.parametrize("what", [wire.drain, wire.resume, wire.stop_all])
def test_orders_of_root_alone(daemon, what):
    with daemon.session(uid=ALICE) as c:
        error = error_of(c, what(2))
        assert error["code"] == "DENIED" and "root" in error["message"]
        assert c.run(3, argv=[b"true"])[0]["result"]["status"] == "OK"


def test_drain_and_resume(one_slot):
    with one_slot.session(uid=ALICE) as a:
        queue(a, 2)
        one_slot.holder.send(wire.drain(5))
        one_slot.holder.expect("done")
        assert facts(a)["draining"]
        error = a.run(3, argv=[b"true"])[0]["error"]
        assert error["code"] == "DRAINING" and "sandboxctl resume" in error["message"]
        one_slot.holder.release()
        assert a.finish(2)[0]["result"]["status"] == "OK", "what waits goes on"
        with one_slot.session() as root:
            root.send(wire.resume(2))
            root.expect("done")
        assert a.run(4, argv=[b"true"])[0]["result"]["status"] == "OK"


def test_stop_all(one_slot):
    with one_slot.session(uid=ALICE) as a, one_slot.session() as root:
        queued = queue(a, 2)["job_id"]
        detached = queue(a, 3, detach=True)["job_id"]
        root.send(wire.stop_all(2))
        root.expect("done")
        assert a.finish(2)[0]["result"]["status"] == "CANCELLED"
        assert one_slot.holder.finish(2)[0]["result"]["status"] == "CANCELLED"
        for number, job in enumerate((queued, detached), start=3):
            assert wait(root, number, job)["status"] == "CANCELLED"
        assert a.run(4, argv=[b"true"])[0]["result"]["status"] == "OK", "it goes on"


def test_queued_detached_upload_dies_with_its_client(make_daemon):
    """It has its place in the queue, but nobody else has the files that it still waits for."""
    d = make_daemon(settings={"Server": {"MaxJobsPerUser": 1}})
    with d.session() as c:
        c.send(wire.run(2, argv=[b"sleep", b"60"]))
        c.expect("started")
        with d.session() as other:
            other.send(wire.run(2, argv=[b"true"], detach=True,
                                files=[wire.file_message("a", b"", size=2 << 20)]))
            job = other.expect("queued")["job_id"]

        def state():
            return [j["state"] for j in jobs(c, 3) if j["job_id"] == job]
        assert host.wait_until(lambda: state() == ["FINISHED"], 5), state()
        assert wait(c, 4, job)["status"] == "CANCELLED"
