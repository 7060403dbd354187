# SPDX-License-Identifier: Apache-2.0
"""Every limit by its effect, seen from inside the job and from outside on the host."""

import errno
import json
import os
import time

import pytest

from lib import host

MIB = 1 << 20


def running(daemon, *args, **options):
    """A started `sandboxctl run --json`, once its payload is there; gives (process, cgroup)."""
    before = set(daemon.payload_pids())
    process = daemon.command("run", "--json", *args, **options)

    def payload():
        return [p for p in daemon.payload_pids() if p not in before]
    assert host.wait_until(payload, 10), daemon.log()
    return process, host.Cgroup(payload()[0])


def finish(process):
    process.terminate()
    process.communicate(timeout=20)


def test_limits_as_the_kernel_has_them(daemon):
    """What was asked for is what the job's own cgroup says."""
    process, cgroup = running(daemon, "-m", "80M", "--cpus", "0.3", "--pids", "17", "--", "sleep", "60")
    try:
        assert cgroup.memory_max() == 80 * MIB
        assert cgroup.pids_max() == 17
        assert cgroup.cpu_percent() == 30
    finally:
        finish(process)


def test_default_limits_as_the_kernel_has_them(daemon):
    process, cgroup = running(daemon, "--", "sleep", "60")
    try:
        assert cgroup.memory_max() == 256 * MIB
        assert cgroup.pids_max() == 64
        assert cgroup.cpu_percent() == 100
    finally:
        finish(process)


def test_init_and_job_are_apart(daemon):
    """The OOM killer in `job` cannot reach the process that reports: init is in a leaf of its own, or on
    v1 in the scope that the job's leaf is in."""
    process, _ = running(daemon, "--", "sleep", "60")
    try:
        leaves = {}
        for pid in daemon.job_pids():
            name = "job" if pid in daemon.payload_pids() else "init"
            cgroup = host.Cgroup(pid)
            leaves[name] = cgroup.v2.get("memory") or cgroup.dirs["memory"]
        assert leaves["job"] != leaves["init"]
        assert leaves["job"].name.endswith("job") and \
            (leaves["init"].name.endswith("init") or leaves["init"] == leaves["job"].parent)
    finally:
        finish(process)


def test_memory_is_capped(daemon):
    """Written as fast as it can: the host never sees more than the limit."""
    code = "import time\nl = []\n" \
           "for i in range(40): l.append(bytearray(1 << 20)); time.sleep(0.02)\n" \
           "time.sleep(0.3)\nwhile True: l.append(bytearray(1 << 20))"
    process, cgroup = running(daemon, "-m", "64M", "-l", "python", "-c", code)
    seen = 0
    while process.poll() is None:
        try:
            seen = max(seen, cgroup.memory_current())
        except (TypeError, OSError):
            break
        time.sleep(0.01)
    out, _ = process.communicate(timeout=30)
    assert process.returncode == 137, out
    usage = json.loads(out)["usage"]
    assert 40 * MIB < seen <= 64 * MIB
    assert 60 * MIB < usage["memory_peak_bytes"] <= 64 * MIB


@pytest.mark.parametrize("grab", [
    "m = mmap.mmap(-1, 400 << 20)\nfor i in range(0, 400 << 20, 4096): m[i] = 1",
    "f = open('/tmp/x', 'wb')\nfor i in range(400): f.write(bytes(1 << 20)); f.flush()",
    "f = open('/dev/shm/x', 'wb')\nfor i in range(400): f.write(bytes(1 << 20)); f.flush()",
    "fd = os.memfd_create('x')\nfor i in range(400): os.write(fd, bytes(1 << 20))",
], ids=["mmap", "tmp", "shm", "memfd"])
def test_memory_counts_all_kinds(daemon, grab):
    r = daemon.python(f"import mmap, os\n{grab}\nprint('got it')", "-m", "64M", "--tmp-size", "512M",
                      "-t", "60s")
    assert r.status == "MEMORY_LIMIT" and r.stdout == "", r
    assert r.usage["memory_peak_bytes"] <= 64 * MIB


def test_swap_as_the_kernel_has_it(daemon):
    """None beyond the memory limit; on cgroup2 none at all."""
    process, cgroup = running(daemon, "-m", "80M", "--", "sleep", "60")
    try:
        if cgroup.swap_max() is None:
            pytest.skip("this kernel does not account swap")
        assert cgroup.swap_max() == 0
    finally:
        finish(process)


def test_no_swap(daemon):
    """The memory limit is no limit where the rest goes to swap."""
    if len(open("/proc/swaps").readlines()) < 2:
        code = "print([l for l in open('/proc/meminfo') if l.startswith('SwapTotal')])"
        assert "0 kB" in daemon.python(code).stdout
        return
    r = daemon.python("x = bytearray(500 << 20)", "-m", "64M")
    assert r.status == "MEMORY_LIMIT", r


def test_cpu_is_throttled(daemon):
    """A fifth of a CPU, by the clock of the host."""
    r = daemon.python("import time\nend = time.monotonic() + 2\nwhile time.monotonic() < end: pass",
                      "--cpus", "0.2", "-t", "60s")
    assert r.status == "OK" and r.cpu_throttled is True, r
    used = r.usage["cpu_user_usec"] + r.usage["cpu_system_usec"]
    assert 0 < used <= 0.5 * r.usage["wall_usec"], r


def test_cpu_quota_is_for_the_whole_job(daemon):
    code = "import multiprocessing, time\n" \
           "def spin():\n    end = time.monotonic() + 1.5\n    while time.monotonic() < end: pass\n" \
           "ps = [multiprocessing.Process(target=spin) for _ in range(6)]\n" \
           "[p.start() for p in ps]\n[p.join() for p in ps]"
    r = daemon.python(code, "--cpus", "0.2", "-t", "60s")
    assert r.status == "OK" and r.cpu_throttled, r
    used = r.usage["cpu_user_usec"] + r.usage["cpu_system_usec"]
    assert used <= 0.5 * r.usage["wall_usec"], r


def test_not_throttled_without_need(daemon):
    assert daemon.run("--", "sleep", "0.2").cpu_throttled is False


def test_pids_are_refused(daemon, counts_pids):
    code = "import os, time\nn = 0\n" \
           "try:\n    while True:\n        if os.fork() == 0: time.sleep(60)\n        n += 1\n" \
           "except OSError as e: print(n, e.errno)"
    r = daemon.python(code, "--pids", "10")
    assert r.status == "OK" and r.pids_limit_hit is True, r
    assert r.stdout.split() == ["9", str(errno.EAGAIN)]
    assert r.usage["pids_peak"] == (10 if counts_pids else 0)


def test_threads_are_pids(daemon):
    code = "import threading, time\nn = 0\n" \
           "try:\n    while True:\n" \
           "        threading.Thread(target=time.sleep, args=(60,), daemon=True).start(); n += 1\n" \
           "except RuntimeError: print(n)"
    r = daemon.python(code, "--pids", "12")
    assert (r.status, r.stdout, r.pids_limit_hit) == ("OK", "11\n", True), r


def test_pids_flag_is_clear_without_need(daemon):
    assert daemon.run("--pids", "10", "--", "true").pids_limit_hit is False


@pytest.mark.parametrize("folder", ["/tmp", "/box", "/dev/shm"])
def test_tmp_size(daemon, folder):
    code = f"import os\nf = os.open('{folder}/x', os.O_CREAT | os.O_WRONLY)\nn = 0\n" \
           "try:\n    while True: n += os.write(f, bytes(65536))\n" \
           "except OSError as e: print(e.errno, n)"
    r = daemon.python(code, "--tmp-size", "4M")
    assert r.status == "OK", r
    number, written = map(int, r.stdout.split())
    assert number == errno.ENOSPC
    assert 3.5 * MIB < written <= 4 * MIB


@pytest.mark.parametrize("folder", ["/tmp", "/box", "/dev/shm"])
def test_inodes(daemon, folder):
    code = f"n = 0\ntry:\n    while n < 10**6: open('{folder}/%d' % n, 'x').close(); n += 1\n" \
           "except OSError as e: print(e.errno, n)"
    r = daemon.python(code, "-t", "60s", "-m", "512M")
    number, made = map(int, r.stdout.split())
    assert number == errno.ENOSPC and 100 < made < 200_000, r


def test_file_size(daemon):
    """A sparse file of a TiB is refused: EFBIG, or SIGXFSZ for whoever does not ignore it."""
    code = "import os\nf = os.open('/tmp/x', os.O_CREAT | os.O_RDWR)\n" \
           "try: os.ftruncate(f, 1 << 40); print('made')\nexcept OSError as e: print(e.errno)"
    r = daemon.python(code)
    assert r.status == "OK" and r.stdout == f"{errno.EFBIG}\n", r


def test_open_files(daemon):
    code = "import os, resource\nn = 0\n" \
           "try:\n    while True: os.dup(0); n += 1\n" \
           "except OSError as e: print(e.errno, n, *resource.getrlimit(resource.RLIMIT_NOFILE))"
    r = daemon.python(code)
    number, count, soft, hard = map(int, r.stdout.split())
    assert number == errno.EMFILE and soft == hard, r
    assert soft - 8 <= count + 3 <= soft


def test_rlimits_cannot_be_raised(daemon):
    code = "import resource as r\n" \
           "for n in ('NOFILE', 'CORE', 'FSIZE', 'NPROC', 'MEMLOCK'):\n" \
           "    w = getattr(r, 'RLIMIT_' + n); s, h = r.getrlimit(w)\n" \
           "    if h == r.RLIM_INFINITY: print(n, 'unlimited'); continue\n" \
           "    try: r.setrlimit(w, (h + 1, h + 1)); print(n, 'raised')\n" \
           "    except (ValueError, PermissionError): pass\n"
    r = daemon.python(code)
    assert (r.status, r.stdout) == ("OK", ""), r


def test_wall_time_is_measured(daemon):
    r = daemon.run("--", "sleep", "0.5")
    assert 500_000 <= r.usage["wall_usec"] < 10_000_000


def test_maximums_are_enforced_per_profile(daemon):
    """strict has tighter maximums than default, and they hold."""
    profiles = {p["name"]: p["limits"] for p in json.loads(daemon.ctl_run("profiles", "--json").stdout)}
    tighter = [f for f, x in profiles["strict"].items()
               if 0 < x["maximum"] < profiles["default"][f]["maximum"]]
    assert "memory_bytes" in tighter and "wall_time_usec" in tighter
    for option, field in (("-m", "memory_bytes"), ("--pids", "pids")):
        most = profiles["strict"][field]["maximum"]
        r = daemon.run("--profile", "strict", option, most + 1, "--", "true")
        assert r.rc == 125 and field in r.errors, r
        r = daemon.run("--profile", "strict", option, most, "--", "true")
        assert r.status == "OK", r


def test_host_is_not_used_up_by_a_full_job(daemon):
    """What a job fills is gone with it."""
    before = os.statvfs("/tmp").f_bavail
    r = daemon.run("--", "sh", "-c", "head -c 50000000 /dev/zero > /tmp/x; wc -c < /tmp/x")
    assert r.stdout == "50000000\n"
    assert os.statvfs("/tmp").f_bavail > before - 20000
