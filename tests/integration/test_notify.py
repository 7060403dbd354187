# SPDX-License-Identifier: Apache-2.0
"""What systemd is told of the daemon's state, by a notification socket of the test's own."""

import os
import re
import signal

import pytest

from lib import host
from lib.datagram import Receiver


@pytest.fixture
def notified(make_daemon):
    """notified(environment={...}): a daemon with a notification socket, and that socket's other end."""
    receivers = []

    def make(environment=None):
        d = make_daemon(start=False, environment=environment)
        receivers.append(Receiver(d.home / "notify"))
        d.environment["NOTIFY_SOCKET"] = str(receivers[-1].path)
        d.start()
        return d, receivers[-1]
    yield make
    for receiver in receivers:
        receiver.socket.close()


def test_states(notified):
    d, systemd = notified()
    systemd.wait(lambda m: m == "READY=1\nSTATUS=0 jobs running, 0 done")
    assert [m for m in systemd.take() if "Starting" in m] == [
        "STATUS=Starting: reading the policy", "STATUS=Starting: ending what an earlier life left",
        "STATUS=Starting: compiling filters"]
    with d.command("run", "--", "sleep", "60") as client:
        systemd.wait(lambda m: m == "STATUS=1 jobs running, 0 done")
        client.terminate()
    systemd.wait(lambda m: m == "STATUS=0 jobs running, 1 done")
    d.stop()
    messages = systemd.take()
    assert messages[-1] == "STOPPING=1\nSTATUS=Stopping, 0 jobs to end"
    assert [m.partition("\n")[0] for m in messages if not m.startswith("STATUS=")] == ["READY=1", "STOPPING=1"]


def test_status_is_not_sent_for_each_job(notified):
    """Many jobs within a second are one message: what is told are sums."""
    d, systemd = notified()
    with d.session() as c:
        for number in range(1, 41):
            assert c.run(number, argv=[b"true"])[0]["result"]["status"] == "OK"
    systemd.wait(lambda m: m == "STATUS=0 jobs running, 40 done")
    assert len(systemd.take()) < 40


@pytest.mark.parametrize("broken", [False, True])
def test_reload(notified, broken):
    """Told around it, whatever comes of it: `systemctl reload` waits for the second."""
    d, systemd = notified()
    systemd.wait(lambda m: m.startswith("READY=1"))
    if broken:
        d.settings["Server"] = {"MaxJobz": 1}
        d.write_config()
    assert d.reload().startswith("not" if broken else "reloaded")

    def states():
        return [m for m in systemd.take() if not m.startswith("STATUS=")]
    assert host.wait_until(lambda: len(states()) == 3, 5), systemd.received
    assert [m.partition("\n")[0] for m in states()] == ["READY=1", "RELOADING=1", "READY=1"]
    assert re.match(r"RELOADING=1\nMONOTONIC_USEC=[0-9]+\n", states()[1])
    kept = states()[2].partition("policy kept: ")[2]
    assert kept.isprintable() and (("sandboxd.conf:" in kept and "MaxJobz" in kept) if broken else kept == "")
    if broken:
        del d.settings["Server"]
        d.write_config()
        assert d.reload().startswith("reloaded")
        assert host.wait_until(lambda: states()[-1] == "READY=1\nSTATUS=0 jobs running, 0 done", 5)


def test_nobody_inherits_it(notified):
    """Neither the frontend nor a job could tell systemd anything."""
    d, _ = notified(environment={"WATCHDOG_USEC": "60000000"})
    with d.command("run", "--", "sleep", "60") as client:
        assert host.wait_until(d.payload_pids, 10)
        pids = [d.frontend, *d.job_pids()]
        assert len(pids) >= 3
        for pid in pids:
            environment = host.read(f"/proc/{pid}/environ")
            assert "NOTIFY_SOCKET" not in environment and "WATCHDOG" not in environment, pid
        client.terminate()


def test_nobody_reads(notified):
    """A systemd that hangs holds up neither jobs nor the stop."""
    d, systemd = notified()
    systemd.fill()
    assert d.run("-t", "100ms", "--", "sleep", "60").status == "TIMEOUT"
    d.stop()


def test_bad_socket(make_daemon):
    d = make_daemon(start=False, environment={"NOTIFY_SOCKET": "run/notify"})
    d.spawn()
    assert d.process.wait(20) == 1
    assert re.search(r"NOTIFY_SOCKET is 'run/notify'", d.log())


def test_watchdog(notified):
    """The monitor shows that it lives, and a frontend that hangs is replaced."""
    d, systemd = notified(environment={"WATCHDOG_USEC": "1000000"})

    def wait_for_more(count):
        before = systemd.take().count("WATCHDOG=1")
        assert host.wait_until(lambda: systemd.take().count("WATCHDOG=1") >= before + count, 20), d.log()
    wait_for_more(4)
    hung = d.frontend
    os.kill(hung, signal.SIGSTOP)
    assert host.wait_until(lambda: d.frontend not in (None, hung), 20), d.log()
    assert "no answer within WatchdogSec= (1s)" in d.log()
    d.wait_ready()
    healthy = d.frontend
    wait_for_more(4)
    assert d.frontend == healthy and d.run("--", "true").status == "OK"


def test_watchdog_of_another_process(notified):
    """WATCHDOG_PID says whom it is for."""
    d, systemd = notified(environment={"WATCHDOG_USEC": "100000", "WATCHDOG_PID": "1"})
    with d.command("run", "--", "sleep", "60") as client:
        systemd.wait(lambda m: m == "STATUS=1 jobs running, 0 done")
        client.terminate()
    assert "WATCHDOG=1" not in systemd.take()
