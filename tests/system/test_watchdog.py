# SPDX-License-Identifier: Apache-2.0
"""A process of the daemon that hangs: systemd ends the monitor, the monitor ends the frontend, and clients
hear of it."""

import os
import signal

import pytest

from lib import host, machine

FRONTEND_DIED = "746aaf5927b1415eb8ebf766ab44c0e9"
SECONDS = 2 if machine.WORLD == "uml" else 1


@pytest.fixture
def watched(drop_in):
    """The daemon runs with a short WatchdogSec=; its main pid and its frontend's."""
    machine.systemctl("stop", machine.SERVICE_UNIT)
    drop_in(machine.SERVICE_UNIT, f"[Service]\nWatchdogSec={SECONDS}s\n")
    machine.ask("true")
    yield machine.main_pid(), machine.frontend_pid()
    machine.systemctl("stop", machine.SERVICE_UNIT)


def test_healthy_daemon_is_left_alone(watched, running_job):
    """Also one that has a job to run, and one that has nothing to do."""
    process, _ = running_job()
    assert not host.wait_until(lambda: machine.main_pid() != watched[0], 2 * SECONDS, 0.2)
    assert machine.frontend_pid() == watched[1] and process.poll() is None
    assert machine.get(machine.SERVICE_UNIT, "WatchdogUSec") == f"{SECONDS}s"


def test_hung_monitor(watched, running_job, journal):
    """systemd kills it and all that was its, and starts another."""
    process, scope = running_job("--json", user="alice")
    group = machine.group_dirs(scope)
    payloads = machine.group_pids(scope)
    assert group and payloads
    os.kill(watched[0], signal.SIGSTOP)
    with machine.session() as c:
        assert host.wait_until(lambda: machine.main_pid() not in (0, watched[0]), 60, 0.05), \
            machine.status(machine.SERVICE_UNIT)
        try:
            c.expect_closed(timeout=60)
        except AssertionError as e:
            assert "error" in str(e)
    out, err = process.communicate(timeout=20)
    assert process.returncode == 125 and err.startswith(b"sandboxctl: "), (process.returncode, out, err)
    assert host.wait_until(lambda: not any(d.exists() for d in group.values()), 20)
    assert not any(host.status(pid).get("Uid") for pid in payloads)
    assert host.status(watched[1]) == {}, "the frontend went with it"
    machine.wait_state(machine.SERVICE_UNIT, "active")
    assert machine.get(machine.SERVICE_UNIT, "NRestarts") == "1"
    assert "Watchdog timeout" in journal.text(UNIT=machine.SERVICE_UNIT)
    assert machine.ask("echo", "x")[0] == "x\n"


def test_hung_frontend(watched, running_job, journal):
    """The monitor does to it what systemd would do to the monitor."""
    process, scope = running_job("--json", user="alice")
    group = machine.group_dirs(scope)
    os.kill(watched[1], signal.SIGSTOP)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 125 and err.startswith(b"sandboxctl: "), (process.returncode, out, err)
    assert host.wait_until(lambda: not any(d.exists() for d in group.values()), 20)
    assert host.wait_until(lambda: machine.frontend_pid() not in (None, watched[1]), 20)
    assert machine.ask("echo", "x")[0] == "x\n"
    assert machine.main_pid() == watched[0], "the monitor has gone on"
    text = journal.wait(MESSAGE_ID=FRONTEND_DIED)["MESSAGE"]
    assert "signal 9" in text
    assert f"no answer within WatchdogSec= ({SECONDS}s)" in journal.text(_PID=watched[0])
