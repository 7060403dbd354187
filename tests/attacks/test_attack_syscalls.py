# SPDX-License-Identifier: Apache-2.0
"""Attack corpus B: namespaces and system calls."""

import re
import signal
import subprocess
import time
from pathlib import Path

import pytest

from lib import host
from lib.attempts import denied, tries

EXACT = {"clone3": {"ENOSYS"}, "unknown": {"ENOSYS"}, "ioctl-TIOCSTI": {"EPERM"},
         "ioctl-TIOCLINUX": {"EPERM"}, "ioctl-TIOCSETD": {"EPERM"}, "ioctl-TIOCSTI-high": {"EPERM"},
         "ioctl-TIOCLINUX-high": {"EPERM"}, "ioctl-TIOCSETD-high": {"EPERM"},
         "personality-READ_IMPLIES_EXEC": {"EPERM"}}


@pytest.mark.parametrize("profile", ["default", "strict"])
def test_16_to_21_forbidden_calls(daemon, helper, profile):
    """Called with bad pointers: an EFAULT, EBADF or EINVAL would mean that it got through."""
    r = daemon.run("--profile", profile, "-f", f"{helper('calls')}:calls", "--", "./calls")
    assert r.status == "OK", r
    seen = dict(line.split() for line in r.stdout.splitlines())
    assert len(seen) > 80
    wrong = {n: e for n, e in seen.items() if e not in EXACT.get(n, {"EPERM", "ENOSYS"})}
    assert wrong == {}


def test_16_setns(daemon):
    denied(tries(daemon, """
import ctypes
libc = ctypes.CDLL(None, use_errno=True)
def setns(fd, kind):
    if libc.setns(fd, kind) < 0: raise OSError(ctypes.get_errno(), '')
for n in ('user', 'mnt', 'pid', 'net', 'ipc', 'uts', 'cgroup'):
    out['own ' + n] = attempt(lambda: setns(os.open('/proc/self/ns/' + n, os.O_RDONLY), 0))
    out['init ' + n] = attempt(lambda: setns(os.open('/proc/1/ns/' + n, os.O_RDONLY), 0))
out['pidfd'] = attempt(lambda: setns(os.pidfd_open(os.getpid()), 0x10000000))
out['pidfd init'] = attempt(lambda: setns(os.pidfd_open(1), 0x10000000))
"""))


def test_17_maps_and_scores(daemon):
    out = tries(daemon, """
for n in ('uid_map', 'gid_map'):
    out[n] = attempt(write, '/proc/self/' + n, b'0 0 1')
out['setgroups'] = attempt(write, '/proc/self/setgroups', b'allow')
out['score'] = attempt(write, '/proc/self/oom_score_adj', b'-1000')
out['score of init'] = attempt(write, '/proc/1/oom_score_adj', b'1000')
out['setgroups(0)'] = attempt(os.setgroups, [0])
out['nice'] = attempt(lambda: os.nice(-1) and None)
out['realtime'] = attempt(os.sched_setscheduler, 0, os.SCHED_FIFO, os.sched_param(1))
out['setuid 1'] = attempt(os.setuid, 1)
unmapped = attempt(os.setuid, 0)
assert unmapped in ('EINVAL', 'EPERM'), unmapped
""")
    denied(out)


def test_19_other_processes(daemon):
    """ptrace and its kin on the job's own children are refused, too: a filter knows no owner."""
    denied(tries(daemon, """
import ctypes, time
libc = ctypes.CDLL(None, use_errno=True)
def call(*a):
    if libc.syscall(*a) < 0: raise OSError(ctypes.get_errno(), '')
child = os.fork()
if child == 0:
    time.sleep(30); os._exit(0)
buf = ctypes.create_string_buffer(64)
iov = (ctypes.c_void_p * 2)(ctypes.addressof(buf), 64)
for name, pid in (('child', child), ('init', 1)):
    out['ptrace ' + name] = attempt(call, 101, 16, pid, 0, 0)
    out['readv ' + name] = attempt(call, 310, pid, iov, 1, iov, 1, 0)
    out['writev ' + name] = attempt(call, 311, pid, iov, 1, iov, 1, 0)
    out['kcmp ' + name] = attempt(call, 312, pid, os.getpid(), 0, 0, 0)
pidfd = os.pidfd_open(child)
out['pidfd_getfd'] = attempt(call, 438, pidfd, 1, 0)
out['process_madvise'] = attempt(call, 440, pidfd, iov, 1, 20, 0)
os.kill(child, 9)
"""))


@pytest.mark.parametrize("abi", ["int80", "x32"])
@pytest.mark.parametrize("profile", ["default", "strict"])
def test_22_foreign_abis(daemon, helper, abi, profile):
    expected = "VIOLATION", 159
    # Some kernels under a hypervisor take no int 0x80 from anybody: there is nothing to filter then.
    if subprocess.run([helper("abi"), abi], capture_output=True).returncode == -signal.SIGSEGV:
        expected = "SIGNALED", 139
    r = daemon.run("--profile", profile, "-f", f"{helper('abi')}:abi", "--", "./abi", abi)
    assert (r.status, r.rc, r.stdout) == (*expected, "before\n"), r


def test_22_in_a_child(daemon, helper):
    """The job's own process goes on; the call was not made all the same."""
    r = daemon.run("-f", f"{helper('abi')}:abi", "--", "sh", "-c", "./abi x32; echo $?")
    assert "let through" not in r.stdout and "159" in r.stdout, r


def test_23_a_weaker_filter(daemon, helper):
    r = daemon.run("-f", f"{helper('weaken')}:weaken", "--", "./weaken")
    seen = dict(line.split() for line in r.stdout.splitlines())
    seen.pop("install")  # allowed: it can only be added to
    assert len(seen) == 10
    assert set(seen.values()) <= {"EPERM", "ENOSYS", "EINVAL"}, seen


POSTURE = {
    "CapInh": "0" * 16, "CapPrm": "0" * 16, "CapEff": "0" * 16, "CapBnd": "0" * 16,
    "CapAmb": "0" * 16, "NoNewPrivs": "1", "Seccomp": "2", "Groups": "", "Umask": "0022",
}
KINDS = ("user", "pid", "mnt", "net", "ipc", "uts", "cgroup")
LIMITS = {
    "Max core file size": ["1", "1"], "Max stack size": ["8388608", "67108864"],
    "Max locked memory": ["65536", "65536"],
}
WAITING = {
    "python": "import threading, subprocess, time\n"
              "[threading.Thread(target=time.sleep, args=(60,)).start() for _ in range(3)]\n"
              "subprocess.Popen(['sleep', '60'])\nprint('ready', flush=True)\ntime.sleep(60)",
    "javascript": "require('child_process').spawn('sleep', ['60']);"
                  "new (require('worker_threads').Worker)('setTimeout(() => 0, 60000)', {eval: true});"
                  "console.log('ready'); setTimeout(() => 0, 60000)",
    "javascript-bare": "console.log('ready'); for (;;);",
    "bash": "sleep 60 & (setsid sleep 60 &) ; echo ready; wait",
}


@pytest.mark.parametrize("profile", ["default", "strict"])
@pytest.mark.parametrize("language", WAITING)
def test_24_posture(daemon, language, profile):
    """Every thread of every process of the job, in full, as the host's kernel has it."""
    others = set(daemon.job_pids())
    seconds = int(host.status("self").get("Seccomp_filters", "0"))
    with daemon.command("run", "--profile", profile, "-t", "30s", "-l", language, "-c",
                        WAITING[language]) as p:
        try:
            assert p.stdout.readline() == b"ready\n", p.stderr.read()
            time.sleep(0.2)

            def look():
                """(all processes, the payload's) once the child that made the user namespace is gone."""
                pids = [x for x in daemon.job_pids() if x not in others]
                payload = [x for x in pids if x in daemon.payload_pids()]
                return payload and len(pids) == len(payload) + 1 and (pids, payload)
            pids, payload = host.wait_until(look, 5)
            table, wanted = {}, {}
            uid = {host.status(x)["Uid"].split()[0] for x in payload}
            assert len(uid) == 1, "the job's processes have several kernel uids"
            uid = uid.pop()
            for pid in pids:
                tasks = Path(f"/proc/{pid}/task").iterdir()
                for task in tasks:
                    s = dict(line.split(":\t", 1) for line in (task / "status").read_text().splitlines()
                             if ":\t" in line)
                    key = f"{s['Name']}/{task.name}"
                    table[key] = {k: s[k].strip() for k in POSTURE}
                    wanted[key] = dict(POSTURE)
                    table[key]["filters"] = s.get("Seccomp_filters", "").strip()
                    wanted[key]["filters"] = str(seconds + 1) if "Seccomp_filters" in s else ""
                    own = s["Uid"].split()[0]
                    table[key]["ids"] = s["Uid"].split() + s["Gid"].split()
                    wanted[key]["ids"] = [own] * 8
                    if pid not in payload:
                        # init: the same rights, an id of its own but where the job's files are
                        # concerned, and no say in the job's umask. Its priority cannot be raised by
                        # whoever has that id: down is all there is.
                        assert own != uid
                        wanted[key]["ids"] = [own, uid, own, uid] * 2
                        limits = (task / "limits").read_text()
                        table[key]["limits"] = re.findall(r"(?m)^Max (?:nice|realtime) priority +(\d+) +(\d+)",
                                                          limits)
                        wanted[key]["limits"] = [("0", "0")] * 2
                        table[key].pop("Umask"), wanted[key].pop("Umask")
                        continue
                    assert own == uid
                    limits = {m[0]: m[1:] for m in re.findall(
                        r"(?m)^(.*?)\s{2,}(\S+)\s+(\S+)", (task / "limits").read_text())}
                    table[key]["limits"] = {k: list(limits[k]) for k in LIMITS}
                    wanted[key]["limits"] = LIMITS
                    spaces = {k: host.namespace(f"{pid}/task/{task.name}", k) for k in KINDS}
                    table[key]["namespaces"] = spaces
                    wanted[key]["namespaces"] = {k: host.namespace(payload[0], k) for k in KINDS}
                    assert not set(spaces.values()) & {host.namespace("self", k) for k in KINDS}
            assert table == wanted
        finally:
            p.terminate()
            p.communicate(timeout=20)
