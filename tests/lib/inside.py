# SPDX-License-Identifier: Apache-2.0
"""Runs inside a sandbox, as a Python job without arguments: prints what it sees of itself as JSON. Used
as text, never imported by the tests."""

import ctypes
import errno
import json
import os
import resource
import socket
import stat
import sys

libc = ctypes.CDLL(None, use_errno=True)


def attempt(function, *args):
    """The value of a call, or the name of its error."""
    try:
        return function(*args)
    except OSError as e:
        return errno.errorcode.get(e.errno, str(e.errno))


def text(path):
    def read():
        with open(path, errors="replace") as f:
            return f.read()
    return attempt(read)


def status_table(path):
    value = text(path)
    return dict(x.split(":\t", 1) for x in value.splitlines() if ":\t" in x)


def threads():
    """The credentials of every thread of every process that can be seen."""
    wanted = ("Uid", "Gid", "Groups", "CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb", "NoNewPrivs",
              "Seccomp", "Seccomp_filters", "Umask")
    out = {}
    for pid in filter(str.isdigit, os.listdir("/proc")):
        for tid in os.listdir(f"/proc/{pid}/task"):
            s = status_table(f"/proc/{pid}/task/{tid}/status")
            out[f"{pid}/{tid}"] = {k: " ".join(s[k].split()) for k in wanted if k in s}
    return out


def tree(top, depth):
    """Every path below top with its type and target."""
    out = {}
    for name in sorted(attempt(os.listdir, top)) if isinstance(attempt(os.listdir, top), list) else []:
        path = os.path.join(top, name)
        s = os.lstat(path)
        kind = stat.S_IFMT(s.st_mode)
        if kind == stat.S_IFLNK:
            out[path] = "-> " + os.readlink(path)
        elif kind == stat.S_IFCHR:
            out[path] = f"c {os.major(s.st_rdev)}:{os.minor(s.st_rdev)} {stat.S_IMODE(s.st_mode):o}"
        elif kind == stat.S_IFDIR:
            out[path] = f"d {stat.S_IMODE(s.st_mode):o}"
            if depth > 1:
                out |= tree(path, depth - 1)
        else:
            out[path] = f"{'-' if kind == stat.S_IFREG else '?'} {stat.S_IMODE(s.st_mode):o}"
    return out


def mounts():
    out = []
    for line in text("/proc/self/mountinfo").splitlines():
        left, right = line.split(" - ", 1)
        f = left.split()
        fstype, source, options = right.split(" ", 2)
        out.append({"root": f[3], "point": f[4], "flags": f[5], "shared": " ".join(f[6:]),
                    "type": fstype, "source": source, "options": options})
    return out


def loopback():
    server = socket.socket()
    server.bind(("127.0.0.1", 0))
    server.listen()
    client = socket.create_connection(server.getsockname(), timeout=2)
    client.sendall(b"hello")
    return server.accept()[0].recv(5).decode()


def write_to(path):
    """Tries to create a file in a folder."""
    name = os.path.join(path, ".probe")
    fd = os.open(name, os.O_CREAT | os.O_WRONLY)
    os.close(fd)
    os.unlink(name)
    return "ok"


def append(path):
    os.close(os.open(path, os.O_WRONLY | os.O_APPEND))
    return "opened for writing"


NAMESPACES = ("user", "pid", "pid_for_children", "mnt", "net", "ipc", "uts", "cgroup", "time")
PROC_FILES = sys.argv[1:]

print(json.dumps({
    "uid": os.getresuid(), "gid": os.getresgid(), "groups": os.getgroups(), "pid": os.getpid(),
    "sid": os.getsid(0), "pgrp": os.getpgrp(), "ppid": os.getppid(),
    "namespaces": {n: attempt(os.readlink, f"/proc/self/ns/{n}") for n in NAMESPACES},
    "uid_map": text("/proc/self/uid_map"), "gid_map": text("/proc/self/gid_map"),
    "setgroups": text("/proc/self/setgroups"),
    "threads": threads(),
    "securebits": libc.prctl(27, 0, 0, 0, 0),
    "dumpable": libc.prctl(3, 0, 0, 0, 0),
    "pdeathsig_and_fds": sorted(int(x) for x in os.listdir("/proc/self/fd")),
    "fd_links": {n: attempt(os.readlink, f"/proc/self/fd/{n}") for n in "012"},
    "mounts": mounts(),
    "root": tree("/", 1), "etc": tree("/etc", 3), "dev": tree("/dev", 2),
    "private": tree("/.sandbox", 3),
    "write": {p: attempt(write_to, p) for p in (
        "/", "/usr", "/usr/bin", "/usr/local", "/etc", "/dev", "/proc", "/.sandbox", "/bin", "/lib",
        "/tmp", "/box", "/dev/shm")},
    "append": {p: attempt(append, p) for p in ("/usr/bin/env", "/etc/passwd", "/proc/meminfo",
                                              "/proc/cpuinfo", "/proc/stat", "/proc/loadavg",
                                              "/proc/sysrq-trigger", "/proc/self/oom_score_adj")},
    "proc_files": {p: (text(p) if isinstance(text(p), str) else "")[:4000] for p in PROC_FILES},
    "proc_list": sorted(x for x in os.listdir("/proc") if not x.isdigit()),
    "interfaces": [line.split(":")[0].strip() for line in text("/proc/net/dev").splitlines()[2:]],
    "loopback": attempt(loopback),
    "route": text("/proc/net/route"), "ipv6_route": text("/proc/net/ipv6_route"),
    "hostname": socket.gethostname(), "uname": list(os.uname()),
    "domainname": text("/proc/sys/kernel/domainname"),
    "cwd": os.getcwd(), "umask": os.umask(0o22), "environment": dict(os.environ),
    "cpu_count": os.cpu_count(), "affinity": len(os.sched_getaffinity(0)),
    "rlimits": {n: resource.getrlimit(getattr(resource, n)) for n in dir(resource)
                if n.startswith("RLIMIT_")},
    "statvfs": {p: [os.statvfs(p).f_blocks * os.statvfs(p).f_frsize, os.statvfs(p).f_files]
                for p in ("/tmp", "/box", "/dev/shm")},
    "nice": os.nice(0), "scheduler": os.sched_getscheduler(0),
    "oom_score_adj": text("/proc/self/oom_score_adj"),
    "cgroup": text("/proc/self/cgroup"),
    "signals": {k: v for k, v in status_table("/proc/self/status").items() if k.startswith("Sig")},
}))
