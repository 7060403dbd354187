# SPDX-License-Identifier: Apache-2.0
"""Fixtures of the integration and attack tests. They need root, and SANDBOXD_BUILD_DIR set to the
folder that holds the built programs (the source folder itself when it is not set)."""

import contextlib
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest

from lib import bus as bus_lib
from lib import host
from lib.daemon import SOURCE, Daemon

HELPERS = Path(__file__).resolve().parent / "attacks" / "helpers"


@pytest.fixture(scope="session")
def build():
    folder = Path(os.environ.get("SANDBOXD_BUILD_DIR", SOURCE))
    if os.geteuid() != 0:
        pytest.skip("needs root: real namespaces, uids and cgroups")
    if not (folder / "sandboxd").exists():
        pytest.fail(f"no sandboxd in {folder}: build it, or set SANDBOXD_BUILD_DIR")
    return folder


@pytest.fixture(scope="session")
def sanitized(build):
    """Whether the daemon is a sanitizer build: its memory use says nothing then."""
    return host.is_sanitized(build / "sandboxd")


def dispose(d):
    """Stops a daemon that still runs, which must end clean; whatever comes of it, nothing is left."""
    try:
        if d.process and d.process.poll() is None:
            d.stop()
    finally:
        d.kill()
        shutil.rmtree(d.home, ignore_errors=True)


def warm_up(d):
    """A first job, which shows where the daemon's cgroups are."""
    with d.command("run", "--", "sleep", "60") as warm:
        try:
            assert host.wait_until(d.payload_pids, 10), d.log()
            d.note_cgroups()
        finally:
            warm.terminate()
            warm.communicate()
    assert host.wait_until(lambda: not d.job_pids(), 5), "a cancelled job is still there"


@pytest.fixture(scope="session")
def daemon(build):
    """The daemon that most tests share. It must end clean."""
    with contextlib.ExitStack() as cleanup:
        d = Daemon(build, settings={"Bus": {"User": bus_lib.USER}})
        cleanup.callback(dispose, d)
        d.start()
        warm_up(d)
        yield d


@pytest.fixture
def make_daemon(build):
    """Makes further daemons: make_daemon(settings={section: {key: value}}, policy_dir=...). Each must
    end clean, unless the test stopped or killed it itself. kind is the class of a special one."""
    with contextlib.ExitStack() as cleanup:
        def make(start=True, kind=Daemon, **options):
            d = kind(build, **options)
            cleanup.callback(dispose, d)
            if start:
                d.start()
            return d
        yield make


@pytest.fixture(scope="module")
def bus_world(build, daemon):
    """sandboxd-bus for the daemon that most tests share, on a bus of its own, which would not start another when it
    has gone for want of calls: so it stays, however long the tests between those that call it take."""
    world = bus_lib.World(build, daemon, ["--idle-timeout", "0"])
    try:
        yield world.start()
    finally:
        world.dispose()


@pytest.fixture
def bus(bus_world):
    """The same, with polkit as every test finds it; whatever a test did, sandboxd-bus is still the same process."""
    bus_world.polkit.reset()
    pid = bus_world.service.pid
    yield bus_world
    bus_world.leave()
    assert not bus_world.service.ended() and bus_world.service.pid == pid, bus_world.service.log()


@pytest.fixture
def make_bus(build):
    """make_bus(daemon, arguments) is another, which the test may break."""
    with contextlib.ExitStack() as cleanup:
        def make(daemon, arguments=()):
            world = bus_lib.World(build, daemon, arguments)
            cleanup.callback(world.dispose)
            return world.start()
        yield make


@pytest.fixture(scope="session")
def counts_pids(daemon):
    """Whether the kernel keeps pids.peak (since 6.1): where it does not, usage says 0."""
    def sleepers():
        """Not what a job of the test before has left, which is about to go."""
        return [p for p in daemon.payload_pids() if host.status(p).get("Name") == "sleep"]

    with daemon.command("run", "--", "sleep", "60") as process:
        try:
            found = host.wait_until(sleepers, 10)
            assert found, daemon.log()
            return host.Cgroup(found[0]).has("pids", "pids.peak")
        finally:
            process.terminate()
            process.communicate()


@pytest.fixture
def policy_copy(tmp_path):
    """A policy folder of the test's own, to break."""
    folder = tmp_path / "policy"
    shutil.copytree(SOURCE / "policy", folder)
    return folder


@pytest.fixture(scope="session")
def helper():
    """helper("calls") is the path of tests/attacks/helpers/calls.c, compiled: now, or in advance for a
    machine that has no compiler, which SANDBOXD_TEST_HELPERS says."""
    ready = os.environ.get("SANDBOXD_TEST_HELPERS")
    folder = Path(ready or tempfile.mkdtemp(prefix="sandboxd-helpers-"))

    def build_helper(name):
        if not (folder / name).exists():
            subprocess.run([HELPERS / "compile", folder, name], check=True)
        return folder / name
    yield build_helper
    if not ready:
        shutil.rmtree(folder)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    """Shows the end of each daemon's log with a failure."""
    outcome = yield
    report = outcome.get_result()
    if not report.failed:
        return
    for name, value in getattr(item, "funcargs", {}).items():
        if isinstance(value, Daemon):
            report.sections.append((f"log of {name}", value.log()[-6000:]))
        if isinstance(value, bus_lib.World):
            report.sections.append((f"log of sandboxd-bus of {name}", value.service.log()[-6000:]))
