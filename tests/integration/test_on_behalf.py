# SPDX-License-Identifier: Apache-2.0
"""Acting for another user, and the watch of all jobs: what sandboxd has for its bus service, and what of it
nobody else gets. Users of the tests need not exist."""

import json

import pytest

from lib import host, wire

BUS, ALICE, BOB, CAROL = 61100, 61101, 61102, 61103
STAFF = 61110


@pytest.fixture(scope="module")
def shared(build):
    from lib.daemon import Daemon
    d = Daemon(build, settings={"Bus": {"User": BUS}, "Access": {"DenyUsers": BOB},
                                "Server": {"MaxConnectionsPerUser": 4, "MaxJobsPerUser": 2, "MaxQueuedPerUser": 1,
                                           "MaxResultsPerUser": 3}})
    d.start()
    try:
        yield d
        d.stop()
    finally:
        d.kill()


def act_for(d, uid, gids=(), peer=BUS):
    c = d.connect(uid=peer)
    c.send(wire.hello(behalf=wire.on_behalf_of(uid, gids)))
    return c


def agent(d, uid, gids=()):
    """A connection of the bus service that is uid's."""
    c = act_for(d, uid, gids)
    c.expect("hello")
    return c


def refused(c, code):
    with c:
        return c.expect_error_and_close(code)["message"]


def ids(d, uid, *args):
    r = d.ctl_run("ps", "--json", *args, uid=uid)
    assert r.returncode == 0, r.stderr
    return {job["job_id"]: job for job in json.loads(r.stdout)}


class Watch:
    """A WatchJobs, and what is known of jobs by it."""

    def __init__(self, connection, request=70):
        self.connection, self.request = connection, request
        self.jobs, self.story, self.host, self.started = {}, {}, None, None
        connection.send(wire.watch_jobs(request))
        while self.step() != "CURRENT":
            pass

    def step(self, timeout=20):
        r = self.connection.receive(timeout)
        if r["id"] != self.request:
            assert "error" not in r, r
            self.started = r.get("started", self.started)
            return None
        event = r["job_event"]
        kind, job = event["kind"], event.get("job")
        if kind == "HOST":
            self.host = event["host"]
        if job:
            assert (kind == "ADDED") == (job["job_id"] not in self.jobs), event
            self.story.setdefault(job["job_id"], []).append((kind, job.get("state")))
            self.jobs[job["job_id"]] = job
        if kind == "REMOVED":
            assert set(job) <= {"job_id", "limits"}, "the id alone"
            del self.jobs[job["job_id"]]
        return kind

    def until(self, done, timeout=20):
        while not done():
            self.step(timeout)

    def until_started(self):
        """The id of a job that is run on the same connection, without reading on."""
        self.until(lambda: self.started)
        return self.started["job_id"]


def start(c, request, *argv, **fields):
    c.send(wire.run(request, argv=argv, detach=True, **fields))
    return c.expect("started")["job_id"]


# --- acting for others


def test_nobody_else_may(shared):
    for peer in (0, ALICE, 65534):
        message = refused(act_for(shared, ALICE, peer=peer), "DENIED")
        assert f"user {peer} " in message and "[Bus] User=" in message


def test_not_a_default(daemon):
    """Nor may that user, where no setting names it."""
    assert "may not act" in refused(act_for(daemon, ALICE), "DENIED")


def test_the_job_is_the_others(shared):
    with agent(shared, ALICE) as c:
        job = start(c, 2, b"sleep", b"60", label=b"of alice")
        assert ids(shared, ALICE)[job]["owner_uid"] == ALICE
        assert job not in ids(shared, CAROL)
        with agent(shared, CAROL) as other:
            other.send(wire.cancel_job(2, job))
            assert other.expect("error")["code"] == "NO_SUCH_JOB"
        r = shared.ctl_run("cancel", job, uid=ALICE)
        assert r.returncode == 0, r.stderr
        c.send(wire.wait_job(3, job))
        assert c.expect("result")["status"] == "CANCELLED"
        c.send(wire.drain(4))
        assert c.expect("error")["code"] == "DENIED"


def test_one_quota(shared):
    """However a user comes, it is the same one."""
    with agent(shared, ALICE) as c, shared.session(uid=ALICE) as own:
        jobs = [start(c, 2, b"sleep", b"60"), start(own, 2, b"sleep", b"60")]
        own.send(wire.run(3, argv=[b"true"], detach=True))
        own.expect("queued")
        c.send(wire.run(3, argv=[b"true"]))
        error = c.expect("error")
        assert error["code"] == "BUSY" and "MaxQueuedPerUser=" in error["message"]
        for job in jobs:
            own.send(wire.cancel_job(4, job))
        while "started" not in own.receive():
            pass


def test_for_root(shared):
    with agent(shared, 0) as c:
        c.send(wire.drain(2), wire.resume(3))
        c.expect("done"), c.expect("done")


def test_access(shared, make_daemon):
    assert "DenyUsers=" in refused(act_for(shared, BOB), "DENIED")
    assert "jobs cannot start jobs" in refused(act_for(shared, shared.base + 1), "DENIED")
    assert "no user" in refused(act_for(shared, 0xFFFFFFFF), "BAD_REQUEST")
    d = make_daemon(settings={"Bus": {"User": BUS}, "Access": {"AllowGroups": STAFF}})
    with agent(d, ALICE, [7, STAFF]) as c:
        r, out, _ = c.run(2, argv=[b"echo", b"for alice"])
        assert r["result"]["status"] == "OK" and out == b"for alice\n"
    assert "AllowGroups=" in refused(act_for(d, ALICE, [7]), "DENIED")


def test_connections_of_the_user_are_no_obstacle(shared):
    with shared.session(uid=ALICE), shared.session(uid=ALICE), shared.session(uid=ALICE), \
            shared.session(uid=ALICE):
        with shared.connect(uid=ALICE) as c:
            assert "MaxConnectionsPerUser=" in c.expect_error_and_close("BUSY")["message"]
        agents = [agent(shared, ALICE) for _ in range(4)]
        assert "act for user" in refused(act_for(shared, ALICE), "BUSY")
        own = [shared.session(uid=BUS) for _ in range(8)]
        for c in agents + own:
            c.close()


def test_in_its_own_name(shared):
    with shared.session(uid=BUS) as c:
        for body in (wire.run(2, argv=[b"true"]), wire.list_jobs(2), wire.stop_all(2), wire.drain(2),
                     wire.cancel_job(2, "0" * 16)):
            c.send(body)
            assert c.expect("error")["code"] == "DENIED"
        c.send(wire.list_runtimes(3), wire.list_profiles(4), wire.get_host(5))
        c.expect("runtimes"), c.expect("profiles"), c.expect("host")


# --- the watch of all jobs


@pytest.mark.parametrize("uid", [BUS, 0])
def test_watch_everybodys(shared, uid):
    with shared.session(uid=uid) as c, shared.session(uid=ALICE) as alice, agent(shared, CAROL) as carol:
        before = start(alice, 2, b"sleep", b"60")
        w = Watch(c)
        assert w.story[before] == [("ADDED", "RUNNING")] and w.jobs[before]["owner_uid"] == ALICE
        assert not w.host.get("draining")
        job = start(carol, 2, b"sh", b"-c", b"sleep 0.3; echo out; exit 3", label=b"carol's")
        w.until(lambda: w.jobs.get(job, {}).get("state") == "FINISHED")
        assert w.story[job][0][0] == "ADDED" and w.story[job][-1] == ("CHANGED", "FINISHED")
        told = w.jobs[job]
        assert told["owner_uid"] == CAROL and told["label"] == b"carol's"
        assert told["result"]["status"] == "EXITED" and told["result"]["exit_code"] == 3
        assert told["result"]["stdout_bytes"] == 4 and "return_value" not in told["result"]
        alice.send(wire.cancel_job(3, before))
        w.until(lambda: w.jobs[before].get("state") == "FINISHED")
        assert w.jobs[before]["result"]["status"] == "CANCELLED"
        # MaxResultsPerUser= later ones push it out.
        for request in range(10, 13):
            carol.run(request, argv=[b"true"])
        w.until(lambda: job not in w.jobs)
        assert w.story[job][-1] == ("REMOVED", None)
        with shared.session() as root:
            root.send(wire.drain(2))
            root.expect("done")
            w.until(lambda: w.host.get("draining"))
            root.send(wire.resume(3))
            root.expect("done")
            w.until(lambda: not w.host.get("draining"))


def test_watch_own(shared):
    with shared.session(uid=ALICE) as c, shared.session(uid=CAROL) as carol, agent(shared, ALICE) as alice, \
            agent(shared, ALICE) as second:
        watches = [Watch(c), Watch(second)]
        carols = carol.run(2, argv=[b"true"])[0]["result"]["job_id"]
        job = alice.run(2, argv=[b"true"])[0]["result"]["job_id"]
        for w in watches:
            w.until(lambda: w.jobs.get(job, {}).get("state") == "FINISHED")
            assert carols not in w.story and all(j["owner_uid"] == ALICE for j in w.jobs.values())


def test_watch_is_forgotten(shared):
    with shared.session(uid=BUS) as c, shared.session(uid=CAROL) as carol:
        Watch(c)
        c.send(wire.forget(70), wire.get_host(71))
        c.expect("host")
        carol.run(2, argv=[b"true"])
        c.send(wire.get_host(72))
        c.expect("host")
        Watch(c)


def test_watch_that_is_not_read(shared):
    """It holds up nobody. What became of each job meanwhile is one event, its end among it, and that it is gone
    another one."""
    with shared.session() as c, shared.session(uid=CAROL) as carol, shared.session() as other:
        w = Watch(c)
        held = start(carol, 2, b"sleep", b"60")
        w.until(lambda: held in w.jobs)
        # Output that is not read either, until its connection takes no more.
        c.send(wire.run(80, argv=[b"head", b"-c", b"4000000", b"/dev/zero"], limits={"output_bytes": 8 << 20}))
        noisy = w.until_started()

        def written():
            other.send(wire.get_job(2, noisy))
            return other.expect("job").get("stdout_bytes", 0)

        def is_full():
            before = written()
            return before > 1 << 20 and not host.wait_until(lambda: written() > before, 0.3)
        assert host.wait_until(is_full, 20)
        jobs = [carol.run(3, argv=[b"true"])[0]["result"]["job_id"] for _ in range(8)]
        carol.send(wire.cancel_job(4, held))
        carol.expect("done")
        last = carol.run(5, argv=[b"true"])[0]["result"]["job_id"]
        w.until(lambda: w.jobs.get(last, {}).get("state") == "FINISHED" and
                w.jobs.get(noisy, {}).get("state") == "FINISHED")
        for job in jobs[:-3]:
            assert w.story[job] == [("ADDED", "FINISHED"), ("REMOVED", None)]
        assert w.story[held][:2] == [("ADDED", "RUNNING"), ("CHANGED", "FINISHED")]


def test_the_end_is_told(make_daemon):
    """A daemon that stops says of each job how it ended, and then that it stops."""
    d = make_daemon(settings={"Bus": {"User": BUS}})
    with d.session(uid=BUS) as c, d.session(uid=ALICE) as alice:
        w = Watch(c)
        job = start(alice, 2, b"sleep", b"60")
        w.until(lambda: job in w.jobs)
        d.process.terminate()
        w.until(lambda: w.jobs[job].get("state") == "FINISHED")
        while "error" not in (r := c.receive()):
            pass
        assert r.get("id", 0) == 0 and r["error"]["code"] == "DRAINING"
        c.expect_closed()
    assert host.wait_until(lambda: d.process.poll() is not None, 20)
