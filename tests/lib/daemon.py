# SPDX-License-Identifier: Apache-2.0
"""A sandboxd of the tests' own: started, asked, stopped, and looked after for what it leaves behind."""

import base64
import itertools
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
from pathlib import Path

from . import host, wire

SOURCE = Path(__file__).resolve().parents[2]
POLICY = SOURCE / "policy"
NOBODY = 65534

RANGE_FIRST = 0x72000000
RANGE_SIZE = 0x10000
RANGE_COUNT = 0xE00

_PARKED_ID = re.compile(r"\b(?:sandbox-)?([89a-f][0-9a-f]{15})(?=-job|-init|\.scope|/|\s|$)")
_instances = itertools.count()
_held = []  # the sockets whose names say that a range is in use, until this process ends
_BAD_LOG = re.compile(r"AddressSanitizer|LeakSanitizer|runtime error:|Assertion|assertion failed")


def _used_uids():
    return [int(host.status(p).get("Uid", "0").split()[0]) for p in host.pids()]


def _claim(slot):
    """Whether no other test run on this host has it. The name of an abstract socket ends with its process."""
    claim = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    try:
        claim.bind(f"\0sandboxd-test-range-{slot}")
    except OSError:
        claim.close()
        return False
    _held.append(claim)
    return True


def _free_range():
    """A uid range that no process of this host uses, nor the daemon of another test run."""
    used = _used_uids()
    while True:
        slot = (os.getpid() * 16 + next(_instances)) % RANGE_COUNT
        base = RANGE_FIRST + slot * RANGE_SIZE
        if not any(base <= uid < base + RANGE_SIZE for uid in used) and _claim(slot):
            return base


class Result:
    """What `sandboxctl run --json` said: the object's fields as attributes, and how it exited."""

    def __init__(self, process):
        self.rc = process.returncode
        self.errors = process.stderr.decode(errors="replace")
        self.raw = process.stdout.decode(errors="replace")
        self.object = json.loads(self.raw) if self.raw.strip() else None

    def __getattr__(self, name):
        if "status" not in (self.object or {}):
            raise AssertionError(f"the job was refused: exit {self.rc}: {self.errors}")
        if name in ("stdout", "stderr") and name not in self.object:
            return base64.b64decode(self.object[name + "_base64"]).decode(errors="surrogateescape")
        try:
            return self.object[name]
        except KeyError:
            raise AttributeError(f"no field {name} in {self.raw}") from None

    def __repr__(self):
        return f"exit {self.rc}, stderr {self.errors!r}, {self.raw}"


class Daemon:
    """One `sandboxd --standalone` with its own uid range, socket, configuration and log."""

    with_scopes = []  # the one that may make scopes: a second on one host is refused

    def __init__(self, build, settings=None, policy_dir=None, environment=None, wrapper=()):
        self.build = Path(build)
        self.wrapper = list(wrapper)  # a command that ends by exec of what follows it
        self.base = _free_range()
        # Without parked sandboxes, which others' tests would count with their own, unless a test is about them or all are
        # to have them; they are given back soon, so that it can wait for there to be none.
        parks = "Pool" in (settings or {}) or "SANDBOXD_TEST_POOL" in os.environ
        self.settings = {"UserNamespaces": {"Base": hex(self.base), "Size": hex(RANGE_SIZE)},
                         "Pool": {"Maximum": 64 if parks else 0, "IdleSec": "400ms"}}
        for section, keys in (settings or {}).items():
            self.settings.setdefault(section, {}).update(keys)
        self.policy_dir = Path(policy_dir or POLICY)
        self.environment = environment or {}
        # Other users' clients must reach the socket and the programs: pytest's own folders are 0700.
        self.home = Path(tempfile.mkdtemp(prefix=host.OWN_DAEMON_HOME))
        self.home.chmod(0o755)
        self.socket = self.home / "run" / "sandboxd.sock"
        self.runtime_dir = self.home / "run"
        self.config = self.home / "sandboxd.conf"
        self.log_path = self.home / "log"
        self.ctl = self.home / "sandboxctl"
        self.process = None
        self.roots = set()
        self.makes_scopes = False
        self.stopped = False

    # --- starting and stopping

    def write_config(self):
        lines = []
        for section, keys in self.settings.items():
            lines.append(f"[{section}]")
            lines += [f"{key}={value}" for key, value in keys.items()]
        self.config.write_text("\n".join(lines) + "\n")

    def prepare(self):
        """What must be there before the program is started. Returns its environment."""
        self.write_config()
        self.runtime_dir.mkdir(mode=0o755, exist_ok=True)
        if not self.ctl.exists():
            shutil.copy(self.build / "sandboxctl", self.ctl)
        environment = {k: v for k, v in os.environ.items() if not k.startswith("SANDBOXD_")}
        environment |= {"ASAN_OPTIONS": os.environ.get("ASAN_OPTIONS", "abort_on_error=1")}
        return environment | self.environment

    def arguments(self):
        """The command line, apart from where it listens."""
        return [self.build / "sandboxd", *self.mode(), "--config", self.config, "--policy-dir", self.policy_dir,
                "--runtime-dir", self.runtime_dir]

    def spawn(self):
        """Starts the program and does not wait for it to listen."""
        environment = self.prepare()
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(
                [*self.wrapper, *self.arguments(), "--socket", self.socket],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment, cwd="/")
        return self

    def mode(self):
        """--standalone, but for one daemon at a time where the tests are to run with scopes."""
        if os.environ.get("SANDBOXD_TEST_DRIVER") != "scope":
            return ["--standalone"]
        Daemon.with_scopes = [d for d in Daemon.with_scopes if d.process and d.process.poll() is None]
        if Daemon.with_scopes:
            return ["--standalone"]
        Daemon.with_scopes.append(self)
        self.makes_scopes = True
        return []

    def start(self):
        self.spawn()
        self.wait_ready()
        return self

    def wait_ready(self, timeout=20):
        def answers():
            if self.process.poll() is not None:
                raise AssertionError(f"sandboxd exited with {self.process.returncode}:\n{self.log()}")
            try:
                with self.connect(timeout=5) as connection:
                    return connection.hello()
            except (OSError, wire.Closed, TimeoutError):
                return None
        assert host.wait_until(answers, timeout), f"sandboxd does not answer:\n{self.log()}"

    def stop(self):
        """SIGTERM; everything must be gone, and the exit code 0. Once: what stopped is stopped."""
        if self.stopped:
            return
        self.stopped = True
        self.note_cgroups()
        self.process.send_signal(signal.SIGTERM)
        try:
            code = self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"sandboxd did not stop within 30 s:\n{self.log()}") from None
        problems = [] if code == 0 else [f"it exited with {code}"]
        problems += self.leftovers()
        bad = _BAD_LOG.search(self.log())
        if bad:
            problems.append(f"its log speaks of {bad.group(0)}")
        assert not problems, f"after SIGTERM: {'; '.join(problems)}\n{self.log()}"
        shutil.rmtree(self.home)

    def reloads(self):
        """What came of the reloads so far, as the log says."""
        return re.findall(r"(?:not reloaded|reloaded: ).*", self.log())

    def reload(self, timeout=20):
        """SIGHUP, and the line that says what came of it."""
        before = len(self.reloads())
        self.process.send_signal(signal.SIGHUP)
        assert host.wait_until(lambda: len(self.reloads()) > before, timeout), \
            f"nothing came of SIGHUP:\n{self.log()[-4000:]}"
        return self.reloads()[before]

    def kill(self):
        """The end of a daemon whose test does not ask how it ends."""
        if self.process and self.process.poll() is None:
            self.process.kill()
            self.process.wait(10)
        host.wait_until(lambda: not self.sandbox_pids(), 5)
        self.remove_cgroups()

    def remove_cgroups(self):
        """What a daemon that was killed could not remove itself."""
        for root in self.roots:
            for top, _, _ in os.walk(root, topdown=False):
                try:
                    os.rmdir(top)
                except OSError:
                    pass

    def leftovers(self):
        """What is left of a daemon that has ended, as sentences."""
        out = []
        if not host.wait_until(lambda: not self.sandbox_pids(), 5):
            out.append(f"processes are left: {[host.status(p).get('Name') for p in self.sandbox_pids()]}")
        # Its own cgroups are gone before it is; scopes PID 1 removes when it comes to that.
        host.wait_until(lambda: not any(root.exists() for root in self.roots), 5 if self.makes_scopes else 0)
        left = [str(root) for root in self.roots if root.exists()]
        if left:
            out.append(f"cgroups are left: {left}")
        mounts = host.mounts_below(self.home)
        if mounts:
            out.append(f"mounts are left: {mounts}")
        files = [str(p) for p in self.runtime_dir.rglob("*")] if self.runtime_dir.exists() else []
        if files:
            out.append(f"files are left: {files}")
        return out

    def log(self):
        return self.log_path.read_text(errors="replace") if self.log_path.exists() else ""

    # --- what the host sees of it

    @property
    def monitor(self):
        return self.process.pid

    @property
    def frontend(self):
        for pid in host.children(self.monitor):
            if host.status(pid).get("Name", "").startswith("sandboxd-fronte"):
                return pid
        return None

    def owns(self, pid):
        """By its real uid: who makes a sandbox's namespaces, maybe ahead of time, has but the effective one for a moment."""
        return self.base <= int(host.status(pid).get("Uid", "0").split()[0]) < self.base + RANGE_SIZE

    def sandbox_pids(self):
        """Every process with a kernel uid of this daemon's range."""
        return [p for p in host.pids() if self.owns(p)]

    def is_parked(self, directories):
        """Whether these cgroups are of a sandbox that has no job: those are made with a name that no job has, and
        idle until they get one."""
        found = _PARKED_ID.search(" ".join(map(str, directories)))
        if not found:
            return False
        groups = [p for d in directories for p in (d, *d.parents) if found[1] in p.name]
        groups += [root / name for root in self.roots for name in (found[1], found[1] + "-job")]
        return any((host.read(g / "cpu.idle") or "").strip() == "1" for g in groups)

    def job_pids(self):
        """The same without the sandboxes that have no job."""
        spaces = {p: space for p in self.sandbox_pids() if (space := space_of(p))}
        # Where init has no cgroup of its own in a hierarchy, only who is with it there tells.
        parked = {space for p, space in spaces.items() if self.is_parked(host.cgroups(p).values())}
        return [p for p, space in spaces.items() if space not in parked]

    def parked_pids(self):
        """The commands that wait for a job: they have said so, and read a pipe that they close when they have it."""
        return [p for p in self.sandbox_pids()
                if os.path.exists(f"/proc/{p}/fd/60") and not os.path.exists(f"/proc/{p}/fd/61")]

    def bare_pids(self):
        """Of each sandbox that waits for a job which brings its command: pid 1, and the process that will be the job's."""
        spaces = {}
        for p in self.sandbox_pids():
            numbers = host.status(p).get("NSpid", "").split()
            if numbers:
                spaces.setdefault(space_of(p), {})[int(numbers[-1])] = p
        pairs = [tuple(members[n] for n in sorted(members)) for members in spaces.values() if len(members) == 2]
        return [(init, payload) for init, payload in pairs if self.is_parked(host.cgroups(payload).values())]

    def payload_pids(self):
        """The processes of jobs; not a sandbox's pid 1."""
        return [p for p in self.job_pids() if host.status(p).get("NSpid", "").split()[-1:] != ["1"]]

    def note_cgroups(self):
        """Remembers where this daemon's cgroups are, so that their absence can be asserted."""
        for pid in descendants_of(self.monitor) + self.sandbox_pids():
            for directory in host.cgroups(pid).values():
                root = host.instance_root(directory)
                if root:
                    self.roots.add(root)

    def cgroup_directories(self):
        """All cgroup directories of this daemon's jobs, in every hierarchy."""
        return sorted(os.path.join(top, name) for root in self.roots
                      for top, names, _ in os.walk(root) for name in names
                      if not self.is_parked([Path(top, name)]))

    # --- asking it

    def connect(self, uid=0, timeout=20):
        return wire.Connection(self.socket, uid=uid, timeout=timeout)

    def session(self, uid=0, timeout=20):
        """A connection that has said Hello."""
        connection = self.connect(uid, timeout)
        connection.hello()
        return connection

    def command(self, *args, uid=0, groups=(), **options):
        """A started sandboxctl; groups are those of a uid that is not 0, besides one of its number."""
        argv = [str(self.ctl), *map(str, args)]
        if uid:
            more = f"--groups={','.join(map(str, groups))}" if groups else "--clear-groups"
            argv = ["setpriv", f"--reuid={uid}", f"--regid={uid}", more, *argv]
        environment = {"PATH": "/usr/bin:/bin", "SANDBOXD_SOCKET": str(self.socket), "LANG": "C.UTF-8"}
        options.setdefault("stdin", subprocess.DEVNULL)
        return subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                env=environment | options.pop("env", {}), cwd="/", **options)

    def ctl_run(self, *args, stdin=None, uid=0, groups=(), timeout=60, env=None):
        """A finished sandboxctl, as subprocess.CompletedProcess."""
        options = {"stdin": subprocess.PIPE} if stdin is not None else {}
        with self.command(*args, uid=uid, groups=groups, env=env or {}, **options) as process:
            try:
                out, err = process.communicate(stdin, timeout)
            except subprocess.TimeoutExpired:
                process.kill()
                raise AssertionError(f"sandboxctl {args} did not end in {timeout} s:\n"
                                     f"{self.log()[-4000:]}") from None
        return subprocess.CompletedProcess(args, process.returncode, out, err)

    def run(self, *args, **options):
        """`sandboxctl run --json ARGS` to its end."""
        return Result(self.ctl_run("run", "--json", *args, **options))

    def python(self, code, *args, **options):
        return self.run(*args, "-l", "python", "-c", code, **options)

    def bash(self, code, *args, **options):
        return self.run(*args, "-l", "bash", "-c", code, **options)


def space_of(pid):
    """Its pid namespace; nothing of one that is gone, as those of jobs before soon are."""
    try:
        return host.namespace(pid, "pid")
    except OSError:
        return None


def descendants_of(pid):
    return host.descendants(pid) if Path(f"/proc/{pid}").exists() else []
