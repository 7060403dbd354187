# SPDX-License-Identifier: Apache-2.0
"""Every claim about the sandbox, seen from inside it and compared with the host."""

import itertools
import json
import os
import re
import shutil
import stat
import subprocess
import time

import pytest

from lib import host
from lib.daemon import SOURCE

INSIDE = SOURCE / "tests" / "lib" / "inside.py"
PROFILES = ["default", "strict"]

# Host-wide files: what a job may read there is nothing, or not the host's.
HOST_WIDE = ["/proc/kallsyms", "/proc/keys", "/proc/key-users", "/proc/kcore", "/proc/kmsg",
             "/proc/cmdline", "/proc/timer_list", "/proc/sched_debug", "/proc/modules",
             "/proc/interrupts", "/proc/softirqs", "/proc/diskstats", "/proc/partitions",
             "/proc/swaps", "/proc/vmstat", "/proc/zoneinfo", "/proc/slabinfo", "/proc/iomem",
             "/proc/ioports", "/proc/locks", "/proc/config.gz", "/proc/version_signature",
             "/proc/buddyinfo", "/proc/pagetypeinfo", "/proc/schedstat", "/proc/crypto",
             "/proc/mdstat", "/proc/misc", "/proc/devices", "/proc/dma", "/proc/vmallocinfo",
             "/proc/kpageflags", "/proc/sysrq-trigger", "/proc/mtrr", "/proc/cgroups"]
SHOWN = ["/proc/meminfo", "/proc/cpuinfo", "/proc/stat", "/proc/loadavg", "/proc/uptime"]


@pytest.fixture(scope="module", params=PROFILES)
def inside(request, daemon):
    """(profile, what a job under it says of itself)."""
    r = daemon.run("--profile", request.param, "-m", "128M", "--cpus", "1", "-l", "python", INSIDE,
                   *HOST_WIDE, *SHOWN)
    assert r.status == "OK", r
    return request.param, json.loads(r.stdout)


@pytest.fixture(scope="module")
def outside(daemon):
    """What the host sees of a sleeping job: {process name: facts}."""
    out = {}
    with daemon.command("run", "--", "sleep", "60") as process:
        # Two: the child that made the user namespace is gone.
        assert host.wait_until(lambda: len(daemon.job_pids()) == 2 and any(
            host.status(p).get("Name") == "sleep" for p in daemon.payload_pids()), 10)
        for pid in daemon.job_pids():
            name = "payload" if pid in daemon.payload_pids() else "init"
            out[name] = host.status(pid) | {
                "namespaces": {n: host.namespace(pid, n) for n in os.listdir(f"/proc/{pid}/ns")},
                "fds": sorted(os.listdir(f"/proc/{pid}/fd"), key=int),
                "cmdline": host.read(f"/proc/{pid}/cmdline"),
                "environ": host.read(f"/proc/{pid}/environ"),
                "owner": (os.stat(f"/proc/{pid}/environ").st_uid, os.stat(f"/proc/{pid}/environ").st_gid),
                "pid": pid,
            }
        process.terminate()
        process.communicate(timeout=20)
    return out


def test_namespaces_differ_from_the_hosts(inside):
    _, seen = inside
    for name in ("user", "pid", "mnt", "net", "ipc", "uts", "cgroup"):
        link = seen["namespaces"][name]
        assert re.fullmatch(rf"{name}:\[\d+\]", link)
        assert link != host.namespace("self", name), f"the job shares the host's {name} namespace"


def test_namespaces_differ_between_jobs(daemon):
    code = "import os; {n: os.readlink('/proc/self/ns/' + n) for n in " \
           "('user', 'pid', 'mnt', 'net', 'ipc', 'uts', 'cgroup')}"
    processes = [daemon.command("run", "--json", "-l", "python", "-c", code + "\n") for _ in range(3)]
    held = []
    for p in processes:
        out, err = p.communicate(timeout=60)
        held.append(json.loads(out)["return_value"]["json"])
    # Numbers may be used again once a namespace is gone; live ones are compared on the host.
    assert all(len(h) == 7 for h in held)
    sleepers = [daemon.command("run", "--", "sleep", "60") for _ in range(2)]
    try:
        assert host.wait_until(lambda: len(daemon.payload_pids()) == 2, 10)
        first, second = daemon.payload_pids()
        for name in ("user", "pid", "mnt", "net", "ipc", "uts", "cgroup"):
            assert host.namespace(first, name) != host.namespace(second, name)
    finally:
        for p in sleepers:
            p.terminate()
            p.communicate(timeout=20)


def test_ids_inside(inside):
    _, seen = inside
    assert (seen["uid"], seen["gid"], seen["groups"]) == ([1000] * 3, [1000] * 3, [])


def test_ids_outside(daemon, outside):
    """Init is itself by its real and saved id, which is what others must match to get at it; by its
    effective one it is the payload, whose files it reads."""
    for kind in ("Uid", "Gid"):
        payload, init = (outside[name][kind].split() for name in ("payload", "init"))
        assert payload == [payload[0]] * 4
        assert init == [init[0], payload[0], init[0], payload[0]]
        assert init[0] != payload[0], "init and payload share a kernel id"
        for value in (init[0], payload[0]):
            assert daemon.base <= int(value) < daemon.base + 0x10000
    for process in outside.values():
        assert process["Groups"].strip() == ""


def test_groups_of_the_start_are_shed(make_daemon):
    """A daemon that was started with supplementary groups passes none of them on."""
    d = make_daemon(wrapper=["setpriv", "--groups", "4,27"])
    assert host.status(d.monitor)["Groups"].split() == ["4", "27"]
    assert host.status(d.frontend)["Groups"].split() == []
    with d.command("run", "-l", "bash", "-c", "id -G; exec sleep 60") as process:
        try:
            assert process.stdout.readline() == b"1000\n"
            # Two: the child that made the user namespace, which had them yet, is gone.
            assert host.wait_until(lambda: len(d.job_pids()) == 2, 5)
            groups = {p: host.status(p)["Groups"].split() for p in d.job_pids()}
        finally:
            process.terminate()
            process.communicate(timeout=20)
    assert len(groups) == 2 and not any(groups.values()), groups


def test_maps(daemon, inside):
    _, seen = inside
    for name in ("uid_map", "gid_map"):
        rows = sorted(tuple(map(int, line.split())) for line in seen[name].splitlines())
        assert [r[0] for r in rows] == [1, 1000] and [r[2] for r in rows] == [1, 1], rows
        kernel = [r[1] for r in rows]
        assert len(set(kernel)) == 2
        assert all(daemon.base <= k < daemon.base + 0x10000 for k in kernel)


def test_init_ends_with_nothing(outside):
    init = outside["init"]
    caps = {k: int(init[k], 16) for k in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")}
    assert caps == dict.fromkeys(caps, 0)
    assert init["NoNewPrivs"].strip() == "1" and init["Seccomp"].strip() == "2"
    # /proc/1/cmdline and environ would show the host's paths and environment.
    assert str(SOURCE) not in init["cmdline"] and "/" not in init["cmdline"]
    assert init["environ"].strip("\0") == ""


@pytest.mark.skipif(not shutil.which("strace"), reason="needs strace")
def test_init_has_a_filter_of_its_own(make_daemon, tmp_path):
    """A small one, and the same whatever the job's profile is."""
    trace = tmp_path / "trace"
    d = make_daemon(wrapper=["strace", "-D", "-f", "-qq", "-o", trace, "-e", "trace=setresuid,seccomp"],
                    environment={"ASAN_OPTIONS": "detect_leaks=0"})  # it cannot, under a tracer
    for profile in ("default", "strict"):
        assert d.run("--profile", profile, "--", "true").status == "OK"
    d.stop()
    calls = {}
    for line in trace.read_text(errors="replace").splitlines():
        pid, call = line.split(None, 1)
        calls.setdefault(pid, []).append(call)
    lengths = {1: [], 1000: []}
    for of_process in calls.values():
        loaded = [int(m[1]) for c in of_process if (m := re.match(r"seccomp\(SECCOMP_SET_MODE_FILTER, 0, {len=(\d+)", c))]
        for id_, seen in lengths.items():
            if any(c.startswith(f"setresuid({id_}, 1000, {id_}") for c in of_process):
                seen.extend(loaded)
    init, payload = lengths[1], lengths[1000]
    assert len(init) == len(payload) == 2 and init[0] == init[1] < 100 < min(payload), lengths
    assert payload[0] != payload[1], "each profile's own"


def test_init_is_not_dumpable(outside):
    """The kernel then gives its files in /proc to root, so that nobody of its id can open them."""
    assert outside["init"]["owner"] == (0, 0)
    uid, gid = (int(outside["payload"][k].split()[0]) for k in ("Uid", "Gid"))
    assert outside["payload"]["owner"] == (uid, gid), "the payload's own are its own"


@pytest.mark.skipif(not shutil.which("strace"), reason="needs strace")
def test_nobody_is_dumpable_before_exec(make_daemon, tmp_path):
    """Init and the payload's process forbid it after their last change of ids, which resets it to the
    host's fs.suid_dumpable; the payload's exec allows it again."""
    trace = tmp_path / "trace"
    d = make_daemon(wrapper=["strace", "-D", "-f", "-qq", "-o", trace, "-e",
                             "trace=prctl,setresuid,execve,execveat"],
                    environment={"ASAN_OPTIONS": "detect_leaks=0"})  # it cannot, under a tracer
    assert d.run("--", "true").status == "OK"
    d.stop()
    calls = {}
    for line in trace.read_text(errors="replace").splitlines():
        pid, call = line.split(None, 1)
        calls.setdefault(pid, []).append(call)
    dumpable = {}
    for id_ in (1, 1000):
        for of_process in calls.values():
            before_exec = itertools.dropwhile(lambda c: f"setresuid({id_}, 1000, {id_}" not in c, of_process)
            before_exec = itertools.takewhile(lambda c: not c.startswith("exec"), before_exec)
            values = [c.split()[1].strip(",)") for c in before_exec if "PR_SET_DUMPABLE" in c]
            if values:
                dumpable[id_] = values
    assert dumpable == {1: ["SUID_DUMP_DISABLE"], 1000: ["SUID_DUMP_DISABLE"]}


def test_securebits(inside):
    assert inside[1]["securebits"] == 0b11101111


def test_no_nested_user_namespaces(daemon):
    """The filter refuses them; and without the filter, entered as root from the host, so does the
    count of zero that the sandbox's own namespace was given."""
    r = daemon.run("--", "unshare", "-U", "true")
    assert r.status == "EXITED" and "unshare failed" in r.stderr, r
    with daemon.command("run", "--", "sleep", "60") as process:
        assert host.wait_until(daemon.payload_pids, 10)
        enter = ["nsenter", "-t", str(daemon.payload_pids()[0]), "-U", "--preserve-credentials"]
        nested = subprocess.run([*enter, "unshare", "-U", "true"], capture_output=True, text=True)
        assert subprocess.run([*enter, "true"]).returncode == 0
        process.terminate()
        process.communicate(timeout=20)
    assert nested.returncode != 0 and "No space left on device" in nested.stderr, nested


def test_fds(inside):
    """0, 1 and 2, and the one that listing the folder opens."""
    _, seen = inside
    assert seen["pdeathsig_and_fds"] == [0, 1, 2, 3]
    assert seen["fd_links"]["0"] == "/dev/null"
    assert seen["fd_links"]["1"].startswith("pipe:") and seen["fd_links"]["2"].startswith("pipe:")


def test_fds_from_outside(outside):
    assert outside["payload"]["fds"] == ["0", "1", "2"]


# Point: (type, flags). The masks of /proc are added by what the host's /proc has.
MOUNTS = {
    "/": ("overlay", "ro,nosuid,nodev,noexec"),
    "/dev": ("overlay", "ro,nosuid,noexec"),
    "/usr": ("overlay", "ro,nosuid,nodev"),
    "/proc": ("proc", "rw,nosuid,nodev,noexec"),
    "/tmp": ("tmpfs", "rw,nosuid,nodev"),
    "/dev/shm": ("tmpfs", "rw,nosuid,nodev"),
    "/box": ("tmpfs", "rw,nosuid,nodev"),
    "/.sandbox/return": ("tmpfs", "rw,nosuid,nodev,noexec"),
    "/proc/meminfo": ("tmpfs", "ro,nosuid,nodev,noexec"),
    "/proc/cpuinfo": ("overlay", "ro,nosuid,nodev,noexec"),
    "/proc/stat": ("overlay", "ro,nosuid,nodev,noexec"),
    "/proc/loadavg": ("overlay", "ro,nosuid,nodev,noexec"),
    "/proc/sys": ("overlay", "ro,nosuid,nodev,noexec"),
    "/proc/sys/kernel/random/uuid": ("proc", "rw,nosuid,nodev,noexec"),  # the file itself is 0444
}
# At the top of /proc, what is about the reader, or what uname(2) and sysinfo(2) tell anyway.
PROC_SHOWN = {"self", "thread-self", "mounts", "net", "sysvipc", "filesystems", "version", "uptime",
              "cpuinfo", "meminfo", "stat", "loadavg", "sys"}


def masked_names():
    """Entries of the host's /proc that are there for everyone and that a job must not see."""
    for name in os.listdir("/proc"):
        if name.isdigit() or name in PROC_SHOWN:
            continue
        mode = os.lstat(f"/proc/{name}").st_mode
        if (stat.S_ISREG(mode) or stat.S_ISDIR(mode)) and mode & 0o007:
            yield f"/proc/{name}"


def test_mounts_are_exactly_these(inside):
    _, seen = inside
    table = {m["point"]: (m["type"], m["flags"].replace(",relatime", "")) for m in seen["mounts"]}
    assert len(table) == len(seen["mounts"]), "a mount point is covered twice"
    assert table == MOUNTS | {path: ("overlay", "ro,nosuid,nodev,noexec") for path in masked_names()}


def test_mounts_do_not_propagate(inside):
    assert [m["point"] for m in inside[1]["mounts"] if "shared:" in m["shared"]] == []


def test_mounts_show_nothing_of_the_host(daemon, inside):
    text = json.dumps(inside[1]["mounts"])
    for word in ("/dev/vd", "/dev/sd", "/dev/nvme", "/dev/mapper", str(daemon.home), "/sys/fs/cgroup",
                 str(SOURCE), "upperdir", "sysfs"):
        assert word not in text
    assert {m["type"] for m in inside[1]["mounts"]} == {"tmpfs", "overlay", "proc"}


WRITE = {
    "/": "EROFS", "/usr": "EROFS", "/usr/bin": "EROFS", "/usr/local": "EROFS", "/etc": "EROFS",
    "/dev": "EROFS", "/proc": "ENOENT", "/.sandbox": "EROFS", "/bin": "EROFS", "/lib": "EROFS",
    "/tmp": "ok", "/box": "ok", "/dev/shm": "ok",
}


def test_writable_folders_are_exactly_these(inside):
    seen = dict(inside[1]["write"])
    # Read-only mounts and missing rights both refuse; which comes first is the kernel's choice.
    for path, result in seen.items():
        if WRITE[path] == "EROFS" and result == "EACCES":
            seen[path] = "EROFS"
        if path == "/proc" and result in ("EACCES", "EPERM"):
            seen[path] = "ENOENT"
    assert seen == WRITE


def test_files_are_not_writable(inside):
    seen = dict(inside[1]["append"])
    score = seen.pop("/proc/self/oom_score_adj")
    assert score == "opened for writing"  # writing less than its own is refused: see the attacks
    assert all(v in ("EROFS", "EACCES", "EPERM", "ENOENT") for v in seen.values()), seen


ROOT = {"/.sandbox": "d 755", "/bin": "-> usr/bin", "/box": "d 755", "/dev": "d 755",
        "/etc": "d 755", "/lib": "-> usr/lib", "/lib64": "-> usr/lib64", "/proc": "d 555",
        "/sbin": "-> usr/sbin", "/tmp": "d 1777", "/usr": "d 755"}


def test_root_is_exactly_this(inside):
    seen = inside[1]["root"]
    for extra in ("/lib32", "/libx32"):
        seen.pop(extra, None)
    assert seen == ROOT


DEV = {
    "/dev/fd": "-> /proc/self/fd", "/dev/full": "c 1:7 666", "/dev/null": "c 1:3 666",
    "/dev/random": "c 1:8 666", "/dev/shm": "d 1777", "/dev/stderr": "-> /proc/self/fd/2",
    "/dev/stdin": "-> /proc/self/fd/0", "/dev/stdout": "-> /proc/self/fd/1",
    "/dev/urandom": "c 1:9 666", "/dev/zero": "c 1:5 666",
}


def test_dev_is_exactly_this(inside):
    assert inside[1]["dev"] == DEV


ETC_ALLOWED = {"/etc/passwd", "/etc/group", "/etc/nsswitch.conf", "/etc/hosts", "/etc/hostname",
               "/etc/resolv.conf", "/etc/host.conf", "/etc/localtime", "/etc/timezone",
               "/etc/ld.so.cache", "/etc/ld.so.conf", "/etc/alternatives", "/etc/mime.types",
               "/etc/protocols", "/etc/services", "/etc/shells", "/etc/ssl", "/etc/mtab",
               "/etc/os-release", "/etc/locale.alias", "/etc/bash.bashrc", "/etc/profile"}


def test_etc_is_minimal(inside):
    seen = inside[1]["etc"]
    top = {p for p in seen if p.count("/") == 2}
    assert {"/etc/passwd", "/etc/group"} <= top
    assert top <= ETC_ALLOWED, top - ETC_ALLOWED


def test_etc_is_not_the_hosts(daemon):
    r = daemon.run("--", "cat", "/etc/passwd", "/etc/group", "/etc/hosts")
    assert "1000" in r.stdout
    for word in ("daemon", "www-data", "_apt", os.uname().nodename):
        assert word not in r.stdout.split(":"), r.stdout


@pytest.mark.parametrize("path", ["/sys", "/run", "/home", "/root", "/var", "/boot", "/mnt", "/media",
                                  "/opt", "/srv", "/etc/shadow", "/etc/machine-id", "/etc/sudoers",
                                  "/etc/ssh", "/var/lib", "/sys/fs/cgroup", "/dev/mem", "/dev/kmsg",
                                  "/dev/tty", "/dev/ptmx", "/dev/pts", "/dev/fuse", "/dev/net/tun",
                                  "/dev/kvm", "/dev/console", "/dev/mqueue", "/oldroot", "/.old"])
def test_absent(daemon, path):
    r = daemon.run("--", "stat", path)
    assert r.rc == 1 and "No such file or directory" in r.stderr, r


def test_host_wide_files_say_nothing(inside):
    """Absent, unreadable or empty."""
    seen = {p: v for p, v in inside[1]["proc_files"].items() if p in HOST_WIDE}
    shown = {p: v for p, v in seen.items() if v.strip() and not re.fullmatch(r"E[A-Z]+", v)}
    assert shown == {}


def test_proc_names_nothing_of_the_host(inside):
    """A file of /proc's top level that this list does not know is looked at by a person first."""
    _, seen = inside
    assert {"self", "thread-self", "meminfo", "cpuinfo", "stat", "mounts"} <= set(seen["proc_list"])


def test_meminfo_shows_the_limit(inside):
    text = inside[1]["proc_files"]["/proc/meminfo"]
    assert f"{128 * 1024} kB" in re.search(r"MemTotal:.*", text).group(0)


@pytest.mark.parametrize("cpus,count", [("0.5", 1), ("1", 1), ("2", 2)])
def test_cpus_show_the_quota(daemon, cpus, count):
    host_count = os.cpu_count()
    r = daemon.python("import re\nt = open('/proc/cpuinfo').read()\n"
                      "s = open('/proc/stat').read()\n"
                      "[len(re.findall('^processor', t, re.M)), len(re.findall('^cpu\\\\d', s, re.M))]",
                      "--cpus", cpus)
    wanted = min(count, host_count)
    assert r.return_value["json"] == [wanted, wanted], r
    r = daemon.run("--cpus", cpus, "-l", "javascript", "-c", "require('os').cpus().length")
    assert r.return_value["json"] == wanted, r


def test_network_is_loopback_alone(inside):
    profile, seen = inside
    assert seen["interfaces"] == ["lo"]
    assert len((seen["route"] or "").splitlines()) <= 1
    if profile == "default":
        assert seen["loopback"] == "hello"
    else:
        assert seen["loopback"] in ("ENETUNREACH", "EADDRNOTAVAIL", "EAFNOSUPPORT", "EPERM", "EACCES",
                                    "EINVAL"), seen["loopback"]


def test_hostname(inside):
    _, seen = inside
    assert seen["hostname"] == "sandbox" and seen["uname"][1] == "sandbox"


def test_process_basics(inside):
    _, seen = inside
    assert seen["cwd"] == "/box" and seen["umask"] == 0o22
    assert seen["sid"] == seen["pid"] == seen["pgrp"], "the payload leads a session of its own"
    assert seen["nice"] == 0 and seen["scheduler"] == 0
    assert int(seen["signals"]["SigBlk"], 16) == 0
    # Python itself ignores SIGPIPE and SIGXFSZ, and nothing else is inherited as ignored.
    assert int(seen["signals"]["SigIgn"], 16) == 1 << 12 | 1 << 24


IGNORING = """
import ctypes, os, signal, sys
for number in {signal.SIGHUP, signal.SIGINT, signal.SIGUSR2, signal.SIGRTMAX}:
    signal.signal(number, signal.SIG_IGN)
for number in 32, 33:  # libc's own, which signal() refuses; the 13th call is rt_sigaction
    assert ctypes.CDLL(None).syscall(13, number, (ctypes.c_ulong * 4)(1), None, 8) == 0
os.execv(sys.argv[1], sys.argv[1:])
"""


def test_signals_are_not_inherited(make_daemon):
    """Whatever the one who started the daemon ignored, as nohup and a shell's background do."""
    d = make_daemon(wrapper=["/usr/bin/python3", "-c", IGNORING])
    assert int(host.status(d.monitor)["SigIgn"], 16) & 3 << 31, "libc's own are ignored in the monitor"
    r = d.run("--", "grep", "-E", "^Sig(Blk|Ign)", "/proc/self/status")
    assert r.stdout == "SigBlk:\t0000000000000000\nSigIgn:\t0000000000000000\n"


@pytest.mark.parametrize("args", [
    ["--", "env", "-0"],
    ["-l", "bash", "-c", "env -0 | grep -zvE '^(_|PWD|SHLVL|OLDPWD)='"],
    ["-l", "python", "-c", "import os, sys\n"
     "sys.stdout.write(''.join(f'{k}={v}\\0' for k, v in os.environ.items()))\nNone"],
    ["-l", "javascript", "-c",
     "process.stdout.write(Object.entries(process.env).map(([k, v]) => `${k}=${v}\\0`).join('')); 0"],
], ids=["command", "bash", "python", "javascript"])
def test_environment_is_exactly_this(daemon, args):
    r = daemon.run(*args)
    assert sorted(r.stdout.split("\0")) == ["", "HOME=/box", "LANG=C.UTF-8",
                                            "PATH=/usr/local/bin:/usr/bin:/bin", "TMPDIR=/tmp"], r


KIB, MIB = 1 << 10, 1 << 20
# Soft and hard are the same but for the stack; what is not here is unlimited or the kernel's own.
RLIMITS = {
    "default": {"CORE": 1, "MEMLOCK": 64 * KIB, "NICE": 0, "RTPRIO": 0, "SIGPENDING": 1024,
                "MSGQUEUE": 800 * KIB, "NOFILE": 1024, "FSIZE": 64 * MIB + 4096, "NPROC": 65},
    "strict": {"CORE": 1, "MEMLOCK": 64 * KIB, "NICE": 0, "RTPRIO": 0, "SIGPENDING": 1024,
               "MSGQUEUE": 800 * KIB, "NOFILE": 256, "FSIZE": 16 * MIB + 4096, "NPROC": 17},
}


def test_rlimits(inside):
    profile, seen = inside
    wanted = {f"RLIMIT_{n}": [v, v] for n, v in RLIMITS[profile].items()}
    wanted["RLIMIT_STACK"] = [8 * MIB, 64 * MIB]
    assert {n: seen["rlimits"][n] for n in wanted} == wanted


def test_cgroup_shows_as_the_root(inside):
    """A cgroup namespace rooted at the job's own leaf, in every hierarchy it was moved in."""
    seen = inside[1]["cgroup"]
    for line in seen.splitlines():
        _, controllers, path = line.split(":", 2)
        if set(controllers.split(",")) & {"memory", "pids", "cpu", ""}:
            assert path == "/", line


def test_alternatives_work(daemon):
    r = daemon.run("--", "sh", "-c", "echo 1 2 | awk '{print $2}'")
    assert (r.status, r.stdout) == ("OK", "2\n"), r


def test_standard_streams_as_files(daemon):
    r = daemon.bash("echo a > /dev/stdout; echo b > /dev/stderr; echo c > /dev/fd/1; cat < /dev/stdin")
    assert (r.status, r.stdout, r.stderr) == ("OK", "a\nc\n", "b\n"), r


def test_ordinary_programs_work(daemon):
    r = daemon.bash("id -un; whoami; date +%Z >/dev/null; ls / >/dev/null; mktemp >/dev/null; "
                    "sort <<< 'b\na' | head -1; perl -e 'print 1+1, \"\\n\"'; ps ax >/dev/null || true; "
                    "mkfifo p && rm p; ln -s a b && rm b; find . >/dev/null && echo fine")
    assert r.status == "OK" and r.stdout.splitlines()[-3:] == ["a", "2", "fine"], r


def test_init_is_out_of_sight(daemon):
    """pid 1 belongs to another uid and does not even show."""
    r = daemon.bash("ls -d /proc/[0-9]*; cat /proc/1/cmdline /proc/1/status; kill -0 1")
    assert "/proc/1\n" not in r.stdout.replace("/proc/1/", ""), r
    assert "Name:" not in r.stdout


def test_overlay_is_the_jobs_own(daemon):
    """A lock taken on a file of /usr in one job is not seen by another."""
    code = "import fcntl, time\nf = open('/usr/bin/env')\nfcntl.flock(f, fcntl.LOCK_EX | fcntl.LOCK_NB)\n" \
           "print('locked', flush=True)\n"
    with daemon.command("run", "-l", "python", "-c", code + "time.sleep(60)") as first:
        assert first.stdout.readline() == b"locked\n"
        r = daemon.python(code)
        first.terminate()
        first.communicate(timeout=20)
    assert (r.status, r.stdout) == ("OK", "locked\n"), r


def test_jobs_do_not_see_each_other(daemon):
    with daemon.command("run", "--", "sleep", "61") as first:
        assert host.wait_until(daemon.payload_pids, 10)
        time.sleep(0.1)
        r = daemon.bash("for p in /proc/[0-9]*; do tr '\\0' ' ' < $p/cmdline; echo; done")
        first.terminate()
        first.communicate(timeout=20)
    assert r.status == "OK" and "sleep 61" not in r.stdout


def test_tmp_is_fresh_every_time(daemon):
    for _ in range(3):
        r = daemon.bash("ls -A /tmp /dev/shm | grep -v : ; touch /tmp/mark /dev/shm/mark /box/mark")
        assert "mark" not in r.stdout, r
