# SPDX-License-Identifier: Apache-2.0
"""The machine itself, and the way of one job in it."""

import os
from pathlib import Path

import pytest

from lib import host, machine


def test_world_has_booted():
    assert Path("/proc/1/comm").read_text() == "systemd\n"
    state = machine.systemctl("is-system-running", check=False).stdout.strip()
    assert state == "running", machine.failed_units()


def test_cgroups_are_those_of_the_world():
    """Unified in user-mode-linux; elsewhere those of the machine outside."""
    kinds = {bool(names - {""}) for names, _, _ in host.cgroup_mounts()}
    if machine.WORLD == "uml":
        assert kinds == {False}, "only cgroup2"
        controllers = Path("/sys/fs/cgroup/cgroup.controllers").read_text().split()
        assert {"cpu", "memory", "pids"} <= set(controllers)
    elif not machine.UNIFIED:
        assert kinds == {True, False}, "version 1 and cgroup2"
        for name in ("cpu", "memory", "pids", "systemd"):
            assert Path("/sys/fs/cgroup", name, "cgroup.procs").exists(), name


def test_machine_in_the_machine(second_machine):
    """Boots, runs something and powers off, for tests of that; of its cgroups nothing is left."""
    second_machine.boot()
    assert second_machine.call("cat", "/proc/1/comm").stdout == "systemd\n"
    assert "/init.scope" in second_machine.call("cat", "/proc/1/cgroup").stdout
    groups = [d for d in host.cgroups(int(second_machine.init)).values() if "sandboxd-test-" in str(d)]
    assert groups
    second_machine.call("systemctl", "poweroff")
    second_machine.wait_end(60)
    assert "Reached target" in second_machine.journal()
    assert not any(d.exists() for d in groups)


def test_users_of_the_machine():
    """Others than root can be clients."""
    for user, groups in ("alice", {"alice"}), ("bob", {"bob", "judges"}):
        assert set(machine.call("id", "-nG", user).stdout.split()) == groups


def test_socket_listens_and_nothing_else_runs():
    """`systemctl enable sandboxd.socket` is all that an administrator does."""
    machine.systemctl("stop", machine.SERVICE_UNIT)
    assert machine.state(machine.SOCKET_UNIT) == "active"
    assert machine.SOCKET.is_socket()
    assert os.stat(machine.SOCKET).st_mode & 0o777 == 0o666
    assert machine.get(machine.SOCKET_UNIT, "Result") == "success"


@pytest.mark.parametrize("user", [None, "alice"])
def test_first_job_starts_the_daemon(user):
    machine.systemctl("stop", machine.SERVICE_UNIT)
    r = machine.run("-l", "python", "-c", "print(6*7)", user=user)
    assert (r.rc, r.status, r.stdout) == (0, "OK", "42\n"), r
    assert machine.state(machine.SERVICE_UNIT) == "active"


@pytest.mark.parametrize("language, code", [
    ("python", "print(6*7)"), ("javascript", "console.log(6*7)"), ("bash", "echo $((6*7))")])
def test_languages_run_under_the_hardened_unit(language, code):
    """What the unit's own filter and mounts forbid, every job inherits."""
    r = machine.run("-l", language, "-c", code)
    assert (r.rc, r.status, r.stdout) == (0, "OK", "42\n"), r


def test_job_is_a_unit_while_it_runs(running_job):
    process, scope = running_job(user="alice")
    p = machine.show(scope, "ActiveState", "Slice", "Description", "ControlGroup")
    assert p["ActiveState"] == "active"
    assert p["Slice"] == f"sandbox-u{machine.call('id', '-u', 'alice').stdout.strip()}.slice"
    assert scope in machine.call("systemd-cgls", "--no-pager", "--unit", "sandbox.slice").stdout
    assert host.wait_until(lambda: "sleep" in {host.status(pid).get("Name")
                                               for pid in machine.group_pids(scope)}, 10)
    process.terminate()
    process.communicate(timeout=20)
    assert host.wait_until(lambda: scope not in machine.scopes(), 10), machine.status(scope)
