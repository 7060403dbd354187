# SPDX-License-Identifier: Apache-2.0
"""`systemctl stop sandboxd.service` with clients of every kind: each hears what became of its request, and
nothing is left."""

import json
import threading

import pytest

from lib import host, jobs, machine, wire

JOB_ENDED = "f2de1a6bc0524c9fb14eabf72442647c"

STUBBORN = "trap '' TERM INT HUP; setsid sh -c 'trap \"\" TERM; sleep 301' & sleep 302; sleep 303"
USERS = (None, "alice", "bob")


@pytest.fixture
def clients():
    """Six running jobs of three users; half of them ignore every signal that can be, and have left their
    session."""
    started = []
    for user in USERS:
        for code in "echo begun; sleep 300", f"echo begun; {STUBBORN}":
            started.append(machine.command("run", "--json", "-t", "5min", "-l", "bash", "-c", code, user=user))
    assert host.wait_until(lambda: len(machine.running_jobs()) == 6 and all(map(machine.group_pids, machine.scopes())),
                           30), machine.scopes()
    yield started
    for process in started:
        process.kill()
        process.communicate()


@pytest.fixture
def groups(clients):
    """Every cgroup directory of theirs, in every hierarchy."""
    return {d for scope in machine.scopes() for d in machine.group_dirs(scope).values()}


def cancelled(process):
    out, err = process.communicate(timeout=30)
    result = json.loads(out)
    assert (process.returncode, result["status"]) == (143, "CANCELLED"), (result, err)
    return result["job_id"]


def test_running_jobs(clients, groups, journal):
    pids = [pid for scope in machine.scopes() for pid in machine.group_pids(scope)]
    assert len(groups) >= 6 and len(pids) > 12
    machine.systemctl("stop", machine.SERVICE_UNIT)
    assert {cancelled(p) for p in clients} == {e["SANDBOX_JOB"] for e in journal.entries(MESSAGE_ID=JOB_ENDED)}
    assert machine.scopes() == []
    assert not any(d.exists() for d in groups)
    assert not any(host.status(pid) for pid in pids)
    assert machine.show(machine.SERVICE_UNIT, "ActiveState", "Result", "NRestarts") == {
        "ActiveState": "inactive", "Result": "success", "NRestarts": "0"}
    text = journal.text()
    assert "timed out" not in text and "SIGKILL" not in text, text[-3000:]


def test_requests_that_are_no_job_yet():
    """An upload that is not complete is an Error; who only holds a connection is told, too."""
    with machine.session() as upload, machine.session() as quiet:
        upload.send(wire.run(2, argv=[b"cat", b"a"], files=[wire.file_message("a", size=10)]), wire.get_host(3))
        upload.expect("host")
        machine.systemctl("stop", machine.SERVICE_UNIT)
        error = upload.receive()
        assert error["id"] == 2 and error["error"]["code"] == "DRAINING" and error["error"]["message"], error
        for c in upload, quiet:
            assert "sandboxd is stopping" in c.expect_error_and_close("DRAINING")["message"]


def test_command_line_without_json():
    """What a person sees: the output so far, a sentence, and 143."""
    with machine.command("run", "-t", "5min", "--", "sh", "-c", "echo begun; sleep 300") as process:
        assert process.stdout.readline() == b"begun\n"
        machine.systemctl("stop", machine.SERVICE_UNIT)
        out, err = process.communicate(timeout=30)
    assert (process.returncode, out) == (143, b"")
    assert err.startswith(b"sandboxctl: ") and err.count(b"\n") == 1 and b"CANCELLED" in err, err


@pytest.fixture
def load():
    """Clients that have more jobs started than systemd makes scopes for, all the time."""
    over = threading.Event()

    def client():
        while not over.wait(0.02):
            try:
                with jobs.Batch() as batch:
                    while not over.is_set():
                        for job in [batch.start("sleep", "0.05") for _ in range(6)]:
                            batch.result(job)
            except (wire.Closed, OSError):
                pass  # the daemon has ended; the next connection starts it
    threads = [threading.Thread(target=client) for _ in range(4)]
    for thread in threads:
        thread.start()
    yield
    over.set()
    for thread in threads:
        thread.join(120)


@pytest.mark.parametrize("verb", ["stop", "restart"])
def test_with_scopes_on_their_way(load, journal, verb):
    """A scope is ordered after the service: while that has a job to stop, systemd makes none, and says so
    only when the daemon has ended. The daemon must not wait for it."""
    for _ in range(3):
        assert host.wait_until(lambda: len(machine.scopes()) > 1, 60)
        machine.systemctl(verb, machine.SERVICE_UNIT)
    texts = [e.get("MESSAGE", "") for e in journal.entries()]
    bad = [t for t in texts if isinstance(t, str)
           and ("in time" in t or "No PIDs left" in t or "Failed with result" in t)]
    assert not bad, bad[:5]
