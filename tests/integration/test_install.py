# SPDX-License-Identifier: Apache-2.0
"""What `make install` does beside copying files, where it installs into the system that runs. systemd's
programs are the test's own here, and so is /run."""

import os
import shutil
import subprocess
import sys

import pytest

PROGRAMS = ("systemd-sysusers", "systemd-tmpfiles", "journalctl", "systemctl", "busctl")
LISTEN = 'import socket; socket.socket(socket.AF_UNIX).bind("/run/dbus/system_bus_socket")'
RELOAD = "busctl --system --quiet call org.freedesktop.DBus /org/freedesktop/DBus org.freedesktop.DBus ReloadConfig"
UNITS = "/usr/lib/systemd/system"


@pytest.fixture
def hook(tmp_path, build):
    """hook(systemd=True, bus=True, fails=None, **variables) runs the hook of a `make install`, and gives its exit
    status and the commands that it called."""
    if not shutil.which("make") or not (build / "Makefile").exists():
        pytest.skip("needs make, and the folder that it was built in")
    programs, calls = tmp_path / "programs", tmp_path / "calls"
    programs.mkdir()

    def run(systemd=True, bus=True, fails=None, **variables):
        calls.write_text("")
        for name in PROGRAMS:
            (programs / name).write_text(f'#!/bin/sh\necho "{name} $*" >>{calls}\nexit {int(name == fails)}\n')
            (programs / name).chmod(0o755)
        folder = "mkdir -p /run/systemd/system /run/dbus && " if systemd else ""
        if bus and systemd:
            folder += f"{sys.executable} -c '{LISTEN}' && "
        values = {"systemdsystemunitdir": UNITS, "sysusersdir": "/usr/lib/sysusers.d",
                  "tmpfilesdir": "/usr/lib/tmpfiles.d"} | variables
        p = subprocess.run(
            ["unshare", "--mount", "sh", "-ec", f'mount -t tmpfs tmpfs /run; {folder}exec "$@"', "sh",
             "make", "-C", build, "install-data-hook", *(f"{k}={v}" for k, v in values.items())],
            env={**os.environ, "PATH": f"{programs}:{os.environ['PATH']}"}, capture_output=True, text=True)
        return p.returncode, calls.read_text().splitlines()
    return run


def test_into_the_system_that_runs(hook):
    """Users, directory, explanations and units are there at once, and the bus knows who may own the name. Nothing is
    enabled or started."""
    assert hook() == (0, ["systemd-sysusers /usr/lib/sysusers.d/sandboxd.conf",
                          "systemd-tmpfiles --create /usr/lib/tmpfiles.d/sandboxd.conf",
                          "journalctl --update-catalog",
                          "systemctl daemon-reload", RELOAD])


def test_without_a_bus(hook):
    status, calls = hook(bus=False)
    assert status == 0 and calls[-1] == "systemctl daemon-reload"


@pytest.mark.parametrize("elsewhere", [{"DESTDIR": "/somewhere"}, {"systemdsystemunitdir": "/opt/x/lib/systemd/system"},
                                       {"systemd": False}])
def test_elsewhere(hook, elsewhere):
    """A package is made, a prefix that systemd does not look into, a system that another init runs."""
    assert hook(**elsewhere) == (0, [])


@pytest.mark.parametrize("program", PROGRAMS)
def test_what_fails_is_told(hook, program):
    status, calls = hook(fails=program)
    assert status != 0 and calls[-1].startswith(program)
