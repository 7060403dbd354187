# SPDX-License-Identifier: Apache-2.0
"""A machine with systemd as PID 1 and an installed sandboxd: its units, its journal, their cgroups, and
sandboxctl as a user types it. For tests/system, which run inside such a machine."""

import json
import os
import subprocess
from pathlib import Path

from . import host
from .daemon import Result

SOCKET_UNIT = "sandboxd.socket"
SERVICE_UNIT = "sandboxd.service"
SOCKET = Path("/run/sandboxd/sandboxd.sock")
WORLD = os.environ.get("SANDBOXD_TEST_WORLD", "")
UNIFIED = not Path("/sys/fs/cgroup/unified").exists()


def call(*argv, timeout=60, check=True, **options):
    """A command to its end; its output as text."""
    options.setdefault("stdin", subprocess.DEVNULL)
    p = subprocess.run([str(a) for a in argv], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                       timeout=timeout, **options)
    if check and p.returncode:
        raise AssertionError(f"{' '.join(map(str, argv))} exited with {p.returncode}: {p.stderr}{p.stdout}")
    return p


# --- units

def systemctl(*args, **options):
    return call("systemctl", "--no-pager", "--no-ask-password", *args, **options)


def show(unit, *names):
    """Properties of a unit as a dict, all when none is named; those of a unit that is not loaded too."""
    wanted = [f"--property={name}" for name in names]
    lines = systemctl("show", *wanted, "--", unit).stdout.splitlines()
    return dict(line.split("=", 1) for line in lines if "=" in line)


def get(unit, name):
    return show(unit, name).get(name)


def state(unit):
    """"active", "inactive", "failed", "activating" ..."""
    return get(unit, "ActiveState")


def wait_state(unit, wanted, timeout=20):
    """Until a unit is in a state; what it is in instead fails the test."""
    assert host.wait_until(lambda: state(unit) == wanted, timeout), \
        f"{unit} is {state(unit)}, not {wanted}:\n{status(unit)}"


def status(unit):
    """What `systemctl status` shows, for messages."""
    return systemctl("status", "--lines=30", "--full", "--", unit, check=False).stdout


def units(*patterns, states=None):
    """The names of loaded units, also of those that are not active any more."""
    options = [f"--state={states}"] if states else []
    out = systemctl("list-units", "--all", "--output=json", *options, "--", *patterns).stdout
    return [unit["unit"] for unit in json.loads(out)]


def failed_units():
    return units(states="failed")


def scopes():
    """The scopes of jobs, parked ones too."""
    return units("sandbox-*.scope")


def main_pid(unit=SERVICE_UNIT):
    return int(get(unit, "MainPID"))


def frontend_pid():
    """The frontend of the installed daemon, or None."""
    for pid in host.children(main_pid()) if main_pid() else []:
        if host.status(pid).get("Name", "").startswith("sandboxd-fronte"):
            return pid
    return None


# --- cgroups

def group_dirs(unit):
    """{controller: directory} of a unit's cgroup; "" is the unified hierarchy."""
    path = get(unit, "ControlGroup").lstrip("/")
    return {name: point / path for names, _, point in host.cgroup_mounts() for name in names
            if (point / path).is_dir()}


def group_pids(unit):
    """Every process in a unit's cgroup and below it, as the unified hierarchy has them."""
    top = group_dirs(unit).get("")
    files = sorted(top.rglob("cgroup.procs")) if top else []
    return [int(pid) for file in files for pid in (host.read(file) or "").split()]


# --- the journal

class Journal:
    """The entries that come after the moment it is made, as dicts of their fields."""

    def __init__(self):
        call("journalctl", "--sync")
        lines = call("journalctl", "--lines=1", "--output=json", "--show-cursor").stdout
        self.cursor = json.loads(lines.splitlines()[0])["__CURSOR"]

    def entries(self, **fields):
        """All that match: entries(MESSAGE_ID=..., SANDBOX_JOB=...)."""
        call("journalctl", "--sync")
        matches = [f"{name}={value}" for name, value in fields.items()]
        out = call("journalctl", "--output=json", "--all", f"--after-cursor={self.cursor}", *matches).stdout
        return [json.loads(line) for line in out.splitlines()]

    def wait(self, timeout=10, **fields):
        """The first that matches, when it comes."""
        found = host.wait_until(lambda: self.entries(**fields), timeout, 0.1)
        assert found, f"the journal has nothing with {fields}:\n{self.text()}"
        return found[0]

    def text(self, **fields):
        """The messages alone."""
        return "\n".join(str(entry.get("MESSAGE")) for entry in self.entries(**fields))


# --- sandboxctl

def command(*args, user=None, **options):
    """A started sandboxctl, run by root or another user of the machine, by name."""
    argv = ["sandboxctl", *map(str, args)]
    if user:
        argv = ["setpriv", f"--reuid={user}", f"--regid={user}", "--init-groups", *argv]
    options.setdefault("stdin", subprocess.DEVNULL)
    environment = {"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8"} | options.pop("env", {})
    return subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment, cwd="/",
                            **options)


def ctl(*args, stdin=None, user=None, timeout=60, env=None):
    """A finished sandboxctl, as subprocess.CompletedProcess of bytes."""
    options = {"stdin": subprocess.PIPE} if stdin is not None else {}
    with command(*args, user=user, env=env or {}, **options) as process:
        try:
            out, err = process.communicate(stdin, timeout)
        except subprocess.TimeoutExpired:
            process.kill()
            raise AssertionError(f"sandboxctl {args} did not end in {timeout} s:\n"
                                 f"{status(SERVICE_UNIT)}") from None
    return subprocess.CompletedProcess(args, process.returncode, out, err)


def run(*args, **options):
    """`sandboxctl run --json ARGS` to its end, as lib.daemon.Result."""
    return Result(ctl("run", "--json", *args, **options))
