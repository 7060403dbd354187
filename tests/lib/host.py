# SPDX-License-Identifier: Apache-2.0
"""What the host sees: processes, cgroups and mounts, read from /proc and the cgroup file systems."""

import ctypes
import os
import re
import time
from contextlib import contextmanager
from pathlib import Path

_libc = ctypes.CDLL(None, use_errno=True)

# How the names of the folders begin in which daemons of tests live; the second of this process's.
DAEMON_HOME = "sandboxd-test-"
OWN_DAEMON_HOME = f"{DAEMON_HOME}{os.getpid()}-"


def wait_until(condition, timeout=5.0, step=0.02):
    """Polls until condition() is true; returns its last value."""
    deadline = time.monotonic() + timeout
    while True:
        value = condition()
        if value or time.monotonic() >= deadline:
            return value
        time.sleep(step)


def is_sanitized(program):
    """Whether it was built with sanitizers."""
    return b"__asan_init" in Path(program).read_bytes()


def read(path):
    """The text of a file, or None when it or its process is gone."""
    try:
        return Path(path).read_text(errors="replace")
    except (FileNotFoundError, ProcessLookupError, OSError):
        return None


def status(pid):
    """/proc/<pid>/status as a dict, empty when the process is gone."""
    text = read(f"/proc/{pid}/status") or ""
    return dict(line.split(":\t", 1) for line in text.splitlines() if ":\t" in line)


def pids():
    return [int(p) for p in os.listdir("/proc") if p.isdigit()]


def start_time(pid):
    text = read(f"/proc/{pid}/stat")
    return text.rsplit(")", 1)[1].split()[19] if text else None


def makes_namespaces(pid):
    """Whether it is what a monitor starts now and then to make some ahead of time, which is about no job."""
    return read(f"/proc/{pid}/cmdline") == "namespaces\0"


def all_children(pid):
    out = []
    try:
        for task in Path(f"/proc/{pid}/task").glob("*/children"):
            out += [int(c) for c in (read(task) or "").split()]
    except (FileNotFoundError, ProcessLookupError):
        pass  # it ended while it was looked at
    return out


def children(pid):
    """The maker of namespaces, which comes and goes, is not among them."""
    return [c for c in all_children(pid) if not makes_namespaces(c)]


def descendants(pid):
    out, todo = [], [pid]
    while todo:
        for child in children(todo.pop()):
            out.append(child)
            todo.append(child)
    return out


def fds(pid):
    """What they are of, as /proc shows it."""
    found = []
    for fd in os.listdir(f"/proc/{pid}/fd"):
        try:
            found.append(os.readlink(f"/proc/{pid}/fd/{fd}"))
        except FileNotFoundError:
            pass  # it was closed meanwhile
    return found


def fd_count(pid):
    """Namespaces that wait for a sandbox are not counted: that varies, and has tests of its own."""
    return sum(not re.match(r"(user|net):\[", target) for target in fds(pid))


@contextmanager
def fd_of(pid, number):
    """Another process's fd, as one of our own."""
    pidfd = os.pidfd_open(pid)
    try:
        fd = _libc.syscall(438, pidfd, number, 0)  # pidfd_getfd
        if fd < 0:
            raise OSError(ctypes.get_errno(), "pidfd_getfd")
        try:
            yield fd
        finally:
            os.close(fd)
    finally:
        os.close(pidfd)


def rss_bytes(pid):
    return int(status(pid)["VmRSS"].split()[0]) * 1024


def namespace(pid, kind):
    return os.readlink(f"/proc/{pid}/ns/{kind}")


def cgroup_mounts():
    """[(controllers, root of the mount in its hierarchy, mount point)]; "" is the unified hierarchy."""
    out = []
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        left, right = line.split(" - ", 1)
        root, point = left.split()[3:5]
        fstype, _, options = right.split(" ", 2)
        if fstype == "cgroup2":
            out.append(({""}, root, Path(point)))
        elif fstype == "cgroup":
            out.append((set(options.split(",")), root, Path(point)))
    return out


def cgroups(pid):
    """{controller: directory} of a process; "" is the unified hierarchy."""
    out = {}
    mounts = cgroup_mounts()
    for line in (read(f"/proc/{pid}/cgroup") or "").splitlines():
        _, controllers, path = line.split(":", 2)
        wanted = set(controllers.split(","))
        for have, root, point in mounts:
            if wanted & have:
                relative = os.path.relpath(path, root) if path.startswith(root) else path.lstrip("/")
                for name in wanted:
                    out[name] = point / relative
                break
    return out


class Cgroup:
    """The files of one cgroup, the same for v1 and v2."""

    def __init__(self, pid):
        self.dirs = cgroups(pid)
        self.v2 = {}
        unified = self.dirs.get("")
        if unified:
            for name in (read(unified / "cgroup.controllers") or "").split():
                self.v2[name] = unified

    def _file(self, controller, v2, v1):
        if controller in self.v2:
            return self.v2[controller] / v2
        return self.dirs[controller] / v1

    def memory_max(self):
        return int(read(self._file("memory", "memory.max", "memory.limit_in_bytes")))

    def memory_current(self):
        return int(read(self._file("memory", "memory.current", "memory.usage_in_bytes")))

    def pids_max(self):
        return int(read(self._file("pids", "pids.max", "pids.max")))

    def pids_current(self):
        return int(read(self._file("pids", "pids.current", "pids.current")))

    def cpu_percent(self):
        if "cpu" in self.v2:
            quota, period = read(self.v2["cpu"] / "cpu.max").split()
        else:
            quota = read(self.dirs["cpu"] / "cpu.cfs_quota_us")
            period = read(self.dirs["cpu"] / "cpu.cfs_period_us")
        return 100 * int(quota) / int(period)

    def sandbox_is_idle(self):
        """Whether a job's sandbox has the CPU only when nobody else wants it. The sandbox's group is the one above the
        leaf, but where the leaves of v1 lie side by side."""
        leaf = self.v2.get("cpu") or self.dirs["cpu"]
        return int(read((leaf.parent if leaf.name == "job" else leaf) / "cpu.idle")) == 1

    def swap_max(self):
        """The bytes that may be swapped out; None where the kernel does not account swap."""
        if "memory" in self.v2:
            value = read(self.v2["memory"] / "memory.swap.max")
            return value and (float("inf") if value.strip() == "max" else int(value))
        value = read(self.dirs["memory"] / "memory.memsw.limit_in_bytes")
        return value and int(value) - self.memory_max()

    def has(self, controller, name):
        """Whether the kernel gives the controller a file of this name."""
        return self._file(controller, name, name).exists()

    def directories(self):
        return sorted(set(self.dirs.values()))


def instance_root(directory):
    """The topmost cgroup directory, on the way to this one, that is the daemon's: its own tree, or the
    scope of a job."""
    found = None
    path = Path(directory)
    while path != path.parent:
        if re.search(r"sandboxd|sandbox-[0-9a-f]{16}\.scope", path.name):
            found = path
        path = path.parent
    return found


def mounts(pid="self"):
    """What a process sees mounted, without what other test runs and workers mount at the same time: for their daemons, or a
    test for itself in a folder of pytest's."""
    return [line for line in Path(f"/proc/{pid}/mountinfo").read_text().splitlines()
            if OWN_DAEMON_HOME in line or (DAEMON_HOME not in line and "/pytest-of-" not in line)]


def mounts_below(path):
    prefix = str(path)
    return [line for line in mounts() if line.split()[4].startswith(prefix)]
