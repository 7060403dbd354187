# SPDX-License-Identifier: Apache-2.0
"""IdleExitSec=: the daemon goes when nothing is to do, and no client is lost by it."""

import random
import threading
import time

import pytest

from lib import host, wire
from lib.activation import ActivatedDaemon, Supervisor


@pytest.fixture
def make(make_daemon):
    def make_activated(idle, **options):
        return make_daemon(kind=ActivatedDaemon, start=False, settings={"Server": {"IdleExitSec": idle}},
                           **options)
    return make_activated


def test_goes_and_comes_back(make):
    d = make("100ms")
    with Supervisor(d):
        for life in range(1, 4):
            assert d.run("--", "echo", life).stdout == f"{life}\n"
            d.note_cgroups()
            assert host.wait_until(lambda: len(d.codes) == life, 20), d.log()
            assert d.leftovers() == []
    assert d.codes == [0, 0, 0]
    assert "nothing to do" in d.log()


def test_parked_sandboxes_do_not_keep_it_up(make):
    d = make("500ms")
    d.settings["Pool"] = {"Maximum": 64, "IdleSec": "1h", "Users": "root"}
    with Supervisor(d):
        assert d.bash("echo x").stdout == "x\n"
        d.note_cgroups()
        assert host.wait_until(d.parked_pids, 20), d.log()
        assert host.wait_until(lambda: d.codes, 20), d.log()
        assert d.leftovers() == []
    assert set(d.codes) == {0}


def test_goes_when_nobody_ever_speaks(make):
    """Started for a client that is gone again."""
    d = make("50ms")
    with Supervisor(d):
        d.connect().close()
        assert host.wait_until(lambda: d.codes == [0], 20), d.log()


def test_stays_while_there_is_work(make):
    """Neither a job that runs longer nor a client that only holds its connection is cut off."""
    d = make("20ms")
    with Supervisor(d):
        with d.session() as quiet:
            assert d.run("--", "sleep", "0.5").status == "OK"
            time.sleep(0.5)
            assert d.codes == []
            assert quiet.run(2, argv=[b"true"])[0]["result"]["status"] == "OK"
        with d.session() as c:
            r, _, _ = c.run(2, argv=[b"sleep", b"0.5"])
            assert r["result"]["status"] == "OK"
        assert host.wait_until(lambda: d.codes, 20)
    assert set(d.codes) == {0}


def test_refused_clients_do_not_keep_it_up(make):
    d = make("300ms")
    d.settings["Access"] = {"DenyUsers": "65534"}
    with Supervisor(d):
        d.run("--", "true")
        deadline = time.monotonic() + 20
        while not d.codes:
            assert time.monotonic() < deadline, "refused clients keep it up"
            with d.connect(uid=65534) as c:
                assert c.expect("error", timeout=20)["code"] == "DENIED"
            time.sleep(0.01)
    assert set(d.codes) == {0}


def test_not_with_a_socket_of_its_own(make_daemon):
    """Nobody would start it again."""
    d = make_daemon(settings={"Server": {"IdleExitSec": "10ms"}})
    time.sleep(1)
    assert d.process.poll() is None
    assert d.run("--", "echo", "x").stdout == "x\n"


@pytest.mark.parametrize("never", ["0", "infinity"])
def test_never(make, never):
    d = make(never)
    with Supervisor(d):
        assert d.run("--", "true").rc == 0
        time.sleep(1)
        assert d.codes == []


def test_reload(make):
    """Another time counts at once, also where there was none."""
    d = make("infinity")
    with Supervisor(d):
        assert d.run("--", "true").rc == 0
        d.settings["Server"]["IdleExitSec"] = "50ms"
        d.write_config()
        assert d.reload().startswith("reloaded: ")
        assert host.wait_until(lambda: d.codes == [0], 20), d.log()


class Clients:
    """Threads that have jobs run until the daemon has had its lives, each after a pause of its own."""

    def __init__(self, d, lives):
        self.d = d
        self.lives = lives
        self.idle = 0.0  # IdleExitSec= of this life
        self.jobs = 0
        self.failures = []

    def vary(self, d):
        """Before each life: another time."""
        self.idle = random.choice((1, 1, 2, 5, 10, 20, 50)) / 1000
        d.settings["Server"]["IdleExitSec"] = f"{self.idle * 1000:.0f}ms"

    def ask(self, text):
        with self.d.connect(timeout=60) as c:
            c.send(wire.hello())
            c.expect("hello")
            r, out, _ = c.run(2, argv=[b"echo", text])
        assert r["result"]["status"] == "OK" and out == text + b"\n", (r, out)

    def work(self, number, pause):
        while len(self.d.codes) < self.lives and not self.failures:
            try:
                self.ask(b"%d-%d" % (number, self.jobs))
            except Exception as e:
                self.failures.append(f"client {number}, life {len(self.d.codes)}: {e!r}")
            self.jobs += 1
            time.sleep(pause(self.idle))

    def run(self, count, pause):
        threads = [threading.Thread(target=self.work, args=(n, pause)) for n in range(count)]
        with Supervisor(self.d, self.vary):
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join(300)
        assert self.failures == [], self.d.log()[-2000:]
        assert "frontend: " not in self.d.log(), "the monitor did not believe that it was idle"
        assert len(self.d.codes) >= self.lives and set(self.d.codes) == {0}, self.d.codes
        assert self.jobs >= self.lives


def test_no_client_is_lost(make):
    """Clients that come at random moments, and a daemon that goes when it can: every connection is
    served, every job ends right."""
    Clients(make("1ms"), 40).run(3, lambda idle: random.uniform(0, 0.12))


def test_no_client_is_lost_at_the_last_moment(make):
    """One that comes just when the daemon has made up its mind."""
    Clients(make("1ms"), 60).run(1, lambda idle: max(0.0, idle + random.uniform(-0.0002, 0.0004)))
