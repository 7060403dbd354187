# SPDX-License-Identifier: Apache-2.0
"""RunWithFds and a file system that does not answer: only the relay waits for it."""

import pytest

from lib import host
from lib.bus import ALICE, JOB, NAME
from lib.fuse import READ, SleepingFiles


@pytest.fixture
def sleeping(bus, tmp_path):
    """At its end the relays that wait for it go."""
    folder = tmp_path / "sleeping"
    folder.mkdir()
    with SleepingFiles(folder) as files:
        yield files
    assert host.wait_until(lambda: not bus.service.relays())


@pytest.fixture
def null():
    with open("/dev/null", "r+") as f:
        yield f.fileno()


def waits(pid):
    """Whether a process is where no signal reaches it."""
    return (host.status(pid).get("State") or "")[:1] == "D"


def test_stdin_never_comes(bus, sleeping, null):
    """The job ends, and its result is there; the service goes on."""
    alice = bus.caller(ALICE)
    with open(f"{sleeping.folder}/x", "rb", 0) as stdin:
        path = alice.run_with_fds(["sleep", "60"], [stdin.fileno(), null, null])
        assert host.wait_until(lambda: READ in sleeping.waiting())
        alice.call(NAME, path, JOB, "Cancel")
        assert alice.wait(path)["status"] == "CANCELLED"
        assert host.wait_until(lambda: [waits(p) for p in bus.service.relays()] == [True]), "it was not killed"
        assert alice.bash("echo there")["stdout"] == "there\n"
