# SPDX-License-Identifier: Apache-2.0
"""A machine with systemd as PID 1 and an installed sandboxd: its units, its journal, their cgroups, and
sandboxctl as a user types it. For tests/system, which run inside such a machine."""

import json
import os
import pwd
import re
import subprocess
from pathlib import Path

from . import host, wire
from .daemon import Result

SOCKET_UNIT = "sandboxd.socket"
SERVICE_UNIT = "sandboxd.service"
BUS_UNIT = "sandboxd-bus.service"
SOCKET = Path("/run/sandboxd/sandboxd.sock")
WORLD = os.environ.get("SANDBOXD_TEST_WORLD", "")
BOOT = Path(__file__).resolve().parents[1] / "system/guest/container-boot"
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


def loaded(*patterns):
    """{name: ActiveState} of loaded units, also of those that are not active any more."""
    out = systemctl("list-units", "--all", "--output=json", "--", *patterns).stdout
    return {unit["unit"]: unit["active"] for unit in json.loads(out)}


def units(*patterns):
    """Their names."""
    return list(loaded(*patterns))


def failed_units(among=None):
    """Of those that loaded() tells, asked now or before."""
    return [name for name, active in (loaded() if among is None else among).items() if active == "failed"]


def scopes():
    """The scopes of jobs, parked ones too."""
    return units("sandbox-*.scope")


# As the monitor names those that it makes ahead of time (CHANNEL_ID_PARKED).
_AHEAD = re.compile(r"sandbox-[89a-f][0-9a-f]{15}\.scope")


def is_ahead(unit):
    """Whether a scope was made before there was a job for it, which it may have by now."""
    return bool(_AHEAD.fullmatch(unit))


def cold_scopes():
    """Those that were each made for their job, which they are named after."""
    return [unit for unit in scopes() if not is_ahead(unit)]


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
    """{controller: directory} of a unit's cgroup; "" is the unified hierarchy. None of a unit that has none any more."""
    path = get(unit, "ControlGroup").lstrip("/")
    if not path:
        return {}
    return {name: point / path for names, _, point in host.cgroup_mounts() for name in names
            if (point / path).is_dir()}


def group_pids(unit):
    """Every process in a unit's cgroup and below it, as the unified hierarchy has them."""
    top = group_dirs(unit).get("")
    # Groups may vanish meanwhile, which walk() does not mind.
    folders = sorted(folder for folder, _, _ in os.walk(top)) if top else []
    return [int(pid) for folder in folders for pid in (host.read(f"{folder}/cgroup.procs") or "").split()]


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
        # --after-cursor= passes over the first that matches, whatever the cursor's own entry is.
        out = call("journalctl", "--output=json", "--all", f"--cursor={self.cursor}", *matches).stdout
        found = [json.loads(line) for line in out.splitlines()]
        return [entry for entry in found if entry["__CURSOR"] != self.cursor]

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


def running_jobs():
    """All that run, as `sandboxctl ps --json` has them; not what is parked."""
    return [job for job in json.loads(ctl("ps", "--json").stdout) if job["state"] == "running"]


def uid_of(user):
    return pwd.getpwnam(user).pw_uid


def session(user=None, timeout=60):
    """A connection that has said Hello."""
    connection = wire.Connection(SOCKET, uid=uid_of(user) if user else 0, timeout=timeout)
    connection.hello()
    return connection


def ask(*argv, request=2):
    """What a job of one connection wrote, and the pid of the daemon that ran it."""
    with session() as c:
        c.send(wire.get_host(request))
        pid = c.expect("host")["pid"]
        response, out, _ = c.run(request + 1, argv=[a.encode() for a in argv])
        assert response.get("result", {}).get("status") == "OK", response
        return out.decode(), pid


# --- a machine in this machine

class Second:
    """Another machine like this one, as a container in it: for what only a boot or a shutdown shows. Its
    root is this one's, with changes of its own, and it keeps its journal. Its sandboxd has the same kernel
    uids, so let this one's have no job."""

    def __init__(self, folder):
        self.folder = Path(folder)
        self.root = self.folder / "root"
        self.process = None
        self.folder.mkdir()
        call("mount", "-t", "tmpfs", "-o", "mode=755", "second", self.folder)
        for name in ("root", "upper", "work"):
            (self.folder / name).mkdir()
        call("mount", "-t", "overlay", "-o",
             f"lowerdir=/,upperdir={self.folder / 'upper'},workdir={self.folder / 'work'}", "second", self.root)
        self.write("/etc/systemd/journald.conf.d/zz-second.conf", "[Journal]\nStorage=persistent\n")

    def write(self, path, text):
        """A file of its own, before or while it runs."""
        path = self.root / path.lstrip("/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    @property
    def init(self):
        return (host.read(self.folder / "pid") or "").strip()

    def start(self):
        """Starts it and waits for its PID 1 alone."""
        with open(self.folder / "console", "wb") as console:
            self.process = subprocess.Popen([BOOT, self.root, self.folder / "pid"], stdin=subprocess.DEVNULL,
                                            stdout=console, stderr=console)
        assert host.wait_until(lambda: self.init, 20), host.read(self.folder / "console")

    def boot(self, timeout=90):
        """Until it has started everything; what it could not start fails the test."""
        self.start()
        private = Path("/proc", self.init, "root/run/systemd/private")
        host.wait_until(private.exists, timeout)
        up = host.wait_until(lambda: self.call("systemctl", "is-system-running", "--wait",
                                               check=False).stdout.strip() in ("running", "degraded"), timeout)
        failed = self.call("systemctl", "list-units", "--failed", "--no-legend", check=False).stdout
        assert up and not failed, f"{failed}\n{host.read(self.folder / 'console')}"

    def enter(self, *argv):
        return ["nsenter", f"--target={self.init}", "--mount", "--uts", "--ipc", "--net", "--pid", "--cgroup",
                "--", *map(str, argv)]

    def call(self, *argv, **options):
        """A command in it to its end."""
        return call(*self.enter(*argv), **options)

    def spawn(self, *argv):
        """A command in it, started."""
        return subprocess.Popen(self.enter(*argv), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                stderr=subprocess.PIPE)

    def wait_end(self, timeout):
        """Until it has powered itself off."""
        try:
            self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"it still runs after {timeout} s:\n{self.journal()[-4000:]}") from None

    def journal(self, *options):
        """Its messages, also when it has ended."""
        return call("journalctl", f"--directory={self.root}/var/log/journal", "--output=short-precise",
                    "--no-pager", *options, check=False).stdout

    def dispose(self):
        """Whatever it does, it ends, and nothing is left of it."""
        if self.process and self.process.poll() is None:
            self.process.terminate()
            self.process.wait(60)
        call("umount", self.root, self.folder)
        self.folder.rmdir()
