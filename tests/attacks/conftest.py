# SPDX-License-Identifier: Apache-2.0
"""The oracle: whatever an attack did, these things hold afterwards."""

import os
import subprocess

import pytest

from lib import host
from lib.daemon import NOBODY

MIB = 1 << 20
RSS_TOLERANCE = 12 * MIB


class Canary:
    """A file and a process of the host that no job may touch."""

    def __init__(self, folder):
        self.file = folder / "canary"
        self.file.write_text("alive\n")
        self.file.chmod(0o666)
        self.process = subprocess.Popen(["sleep", "86400"], stdin=subprocess.DEVNULL,
                                        user=NOBODY, group=NOBODY, extra_groups=[])
        self.facts = self.look()

    def look(self):
        s = os.stat(self.file)
        with open(f"/proc/{self.process.pid}/cmdline") as f:
            return (self.file.read_text(), s.st_mode, s.st_mtime_ns, s.st_uid, s.st_ino,
                    host.start_time(self.process.pid), f.read())

    def check(self):
        assert self.process.poll() is None, "the canary process died"
        assert self.look() == self.facts, "the canary was touched"


@pytest.fixture(scope="session")
def canary(tmp_path_factory):
    c = Canary(tmp_path_factory.mktemp("canary"))
    yield c
    c.process.kill()
    c.process.wait()


class Books:
    """What the daemon holds on the host."""

    def __init__(self, daemon):
        self.daemon = daemon

    def counts(self):
        d = self.daemon
        return {
            "processes of the uid range": len(d.sandbox_pids()),
            "cgroups": len(d.cgroup_directories()),
            "children of the monitor": len(host.children(d.monitor)),
            "fds of the monitor": host.fd_count(d.monitor),
            "fds of the frontend": host.fd_count(d.frontend),
            "mounts of the host": host.mounts(),
            "pids of the daemon": (d.monitor, d.frontend),
        }

    def counts_at_rest(self):
        """Once there is no sandbox. One that is being made has root's id at first; beside them the monitor has the frontend
        as a child, and now and then who makes namespaces, with two fds to that."""
        counts = self.counts()
        at_rest = not counts["processes of the uid range"] and not counts["cgroups"]
        return counts if at_rest and len(host.all_children(self.daemon.monitor)) == 1 else None

    def rss(self):
        return {"monitor": host.rss_bytes(self.daemon.monitor),
                "frontend": host.rss_bytes(self.daemon.frontend)}


class Bystander:
    """Another user's job, which waits for a number while the attack runs."""

    def __init__(self, daemon):
        self.process = daemon.command("run", "-t", "5min", "-l", "bash", "-c",
                                      "echo ready; read n; echo $((n * 2))",
                                      uid=NOBODY, stdin=subprocess.PIPE)
        assert self.process.stdout.readline() == b"ready\n", self.process.stderr.read()
        # Its init may take its own id only after the payload is at work: a test counts whom it sees.
        assert host.wait_until(lambda: any(host.status(p).get("NSpid", "").split()[-1:] == ["1"]
                                           for p in daemon.job_pids()), 5)

    def finish(self):
        try:
            out, err = self.process.communicate(b"21\n", timeout=30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.communicate()
            raise AssertionError("the bystander does not finish") from None
        assert (self.process.returncode, out) == (0, b"42\n"), (out, err)


@pytest.fixture(autouse=True)
def oracle(daemon, canary, sanitized):
    books = Books(daemon)
    before = host.wait_until(books.counts_at_rest, 20, 0.05)
    assert before, books.counts()
    rss = books.rss()
    canary.check()
    bystander = Bystander(daemon)
    yield
    assert daemon.process.poll() is None, "the monitor died"
    bystander.finish()
    canary.check()
    if not host.wait_until(lambda: books.counts() == before, 5, 0.05):
        after = books.counts()
        raise AssertionError({k: (before[k], after[k]) for k in before if before[k] != after[k]})
    if sanitized:
        return
    grown = {k: v - rss[k] for k, v in books.rss().items() if v - rss[k] > RSS_TOLERANCE}
    assert not grown, f"memory has grown by {grown}"
