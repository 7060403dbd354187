# SPDX-License-Identifier: Apache-2.0
"""Attack corpus D: exhaustion. The result names the limit; the oracle shows that neither the daemon nor
the bystander noticed."""

import subprocess
import threading
import time

import pytest

from lib import host, wire

MIB = 1 << 20


@pytest.mark.parametrize("language,code", [
    ("bash", "b() { b | b & }; b; sleep 60"),
    ("python", "import os\nwhile True:\n    try: os.fork()\n    except OSError: pass"),
    ("javascript", "const {spawn} = require('child_process');"
                   "for (;;) { try { spawn('sleep', ['60']).on('error', () => 0) } catch (e) {} }"),
])
def test_29_fork_bomb(daemon, language, code):
    r = daemon.run("-t", "8s", "--pids", "40", "-l", language, "-c", code)
    assert r.status in ("TIMEOUT", "EXITED", "OK", "MEMORY_LIMIT"), r
    assert r.pids_limit_hit and r.usage["pids_peak"] <= 40, r


def test_29_fork_bomb_in_c(daemon, helper):
    r = daemon.run("-t", "2s", "-f", f"{helper('bomb')}:bomb", "--", "./bomb", "fork")
    assert (r.status, r.stdout, r.pids_limit_hit) == ("TIMEOUT", "begun\n", True), r
    assert r.usage["pids_peak"] <= 64


def test_29_zombie_flood(daemon, helper):
    """Orphans are init's to reap: 2,000 of them fit under a limit of 16."""
    r = daemon.run("-t", "60s", "--pids", "16", "-f", f"{helper('bomb')}:bomb", "--", "./bomb", "zombies")
    assert (r.status, r.stdout) == ("OK", "begun\nall\n"), r


GRABS = {
    "heap": "l = []\nwhile True: l.append(bytearray(1 << 20))",
    "mmap": "import mmap\nl = []\nwhile True:\n    m = mmap.mmap(-1, 1 << 20); m.write(b'x' * (1 << 20)); l.append(m)",
    "tmpfs": "import os\nf = [open('/%s/x' % d, 'wb') for d in ('tmp', 'box', 'dev/shm')]\n"
             "while True:\n    for x in f: x.write(bytes(1 << 20)); x.flush()",
    "memfd": "import os\nl = []\nwhile True:\n    m = os.memfd_create('x'); l.append(m)\n"
             "    for i in range(64): os.write(m, bytes(1 << 20))",
    "pipes": "import os, fcntl\nl = []\nwhile True:\n    r, w = os.pipe(); l += [r, w]; os.set_blocking(w, False)\n"
             "    try:\n        while os.write(w, bytes(65536)): pass\n    except BlockingIOError: pass",
    "sockets": "import socket\nl = []\nwhile True:\n    a, b = socket.socketpair(); l += [a, b]; a.setblocking(False)\n"
               "    try:\n        while a.send(bytes(65536)): pass\n    except BlockingIOError: pass",
    "shared": "import mmap, os\nf = os.open('/dev/shm/y', os.O_CREAT | os.O_RDWR)\nos.ftruncate(f, 48 << 20)\n"
              "m = mmap.mmap(f, 48 << 20)\nfor i in range(0, 48 << 20, 4096): m[i] = 1\n"
              "l = []\nwhile True: l.append(bytearray(1 << 20))",
    "recursion": "import sys\nsys.setrecursionlimit(10**9)\nl = []\ndef f(): l.append(bytes(9000)); f()\nf()",
    "sysv": "import ctypes\nc = ctypes.CDLL(None, use_errno=True)\nc.shmat.restype = ctypes.c_void_p\n"
            "for i in range(100):\n    n = c.shmget(0, 4 << 20, 0o1600)\n    if n < 0: raise OSError(ctypes.get_errno(), 'shm')\n"
            "    p = c.shmat(n, None, 0); ctypes.memset(p, 1, 4 << 20)",
}


@pytest.mark.parametrize("kind", GRABS)
def test_30_memory(daemon, kind):
    """By whatever way: the memory limit, or an error inside; never more than the limit outside."""
    r = daemon.python(GRABS[kind], "-m", "64M", "--tmp-size", "48M", "-t", "60s")
    assert r.status == "MEMORY_LIMIT" or \
        (r.status in ("EXITED", "SIGNALED") and ("Error" in r.stderr or r.signal)), r
    assert r.usage["memory_peak_bytes"] <= 64 * MIB, r


def test_30_page_cache(daemon):
    """Reading files is not held against the job as if it were its own memory: it goes on."""
    r = daemon.run("-m", "64M", "-t", "60s", "--", "sh", "-c",
                   "cat /usr/lib/x86_64-linux-gnu/*.so* > /dev/null; echo read")
    assert (r.status, r.stdout) == ("OK", "read\n"), r


def test_31_spinning_threads(daemon, helper):
    r = daemon.run("-t", "3s", "--cpus", "0.5", "--pids", "256", "-f", f"{helper('bomb')}:bomb", "--",
                   "./bomb", "threads", "200")
    assert r.status == "TIMEOUT" and r.cpu_throttled, r
    used = r.usage["cpu_user_usec"] + r.usage["cpu_system_usec"]
    assert used <= 0.8 * r.usage["wall_usec"], r


def test_31_sleeping_past_the_wall(daemon):
    assert daemon.run("-t", "500ms", "--", "sleep", "60").status == "TIMEOUT"


def test_31_busy_past_the_cpu_time(daemon, helper):
    r = daemon.run("--cpu-time", "500ms", "-f", f"{helper('bomb')}:bomb", "--", "./bomb", "threads", "8")
    assert r.status == "CPU_LIMIT", r


@pytest.mark.parametrize("target", ["", ">&2", "both"])
def test_32_endless_output(daemon, sanitized, target):
    """The job is ended at 64 times; what it wrote is counted and not kept."""
    command = "yes & yes >&2" if target == "both" else f"yes {target}"
    before = host.rss_bytes(daemon.frontend)
    highest, stop = [before], threading.Event()

    def watch():
        while not stop.wait(0.01):
            highest.append(host.rss_bytes(daemon.frontend))
    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        r = daemon.run("--output-limit", "1M", "-t", "60s", "--", "sh", "-c", command)
    finally:
        stop.set()
        watcher.join()
    assert r.status == "OUTPUT_LIMIT" and (r.stdout_truncated or r.stderr_truncated), r
    if not sanitized:
        assert max(highest) - before < 16 * MIB


def test_33_sparse_file(daemon):
    r = daemon.run("--", "truncate", "-s", "1T", "/tmp/x")
    assert r.status in ("EXITED", "SIGNALED"), r
    r = daemon.run("--", "fallocate", "-l", "1T", "/box/x")
    assert r.status in ("EXITED", "SIGNALED"), r


def test_33_empty_files(daemon):
    r = daemon.python("import os\nn = 0\ntry:\n    for i in range(10**6): os.mknod('/tmp/%d' % i); n += 1\n"
                      "except OSError as e: print(e.strerror)\nassert n < 10**6", "-t", "60s",
                      "-m", "512M")
    assert r.stdout == "No space left on device\n", r


def test_33_deep_folders_and_long_names(daemon):
    """Whatever a job builds, taking it down does not stall the next."""
    r = daemon.python("import os\nos.chdir('/tmp')\ntry:\n    for i in range(20000):\n"
                      "        os.mkdir('d' * 200); os.chdir('d' * 200)\nexcept OSError as e: print(e.errno)",
                      "-t", "30s")
    assert r.status == "OK", r
    started = time.monotonic()
    assert daemon.run("--", "true").status == "OK"
    assert time.monotonic() - started < 10


KERNEL_OBJECTS = {
    "inotify": "import ctypes\nc = ctypes.CDLL(None, use_errno=True)\nn = 0\n"
               "while n < 5000 and c.inotify_init1(0) >= 0: n += 1",
    "epoll": "import select\nl = []\nwhile len(l) < 5000: l.append(select.epoll())",
    "timers": "import ctypes\nc = ctypes.CDLL(None, use_errno=True)\nt = ctypes.c_void_p()\nn = 0\n"
              "while n < 10**5 and c.timer_create(0, None, ctypes.byref(t)) == 0: n += 1",
    "queues": "import ctypes\nc = ctypes.CDLL(None, use_errno=True)\nn = 0\n"
              "small = (ctypes.c_long * 8)(0, 1, 64)\n"
              "while n < 10**5 and c.mq_open(b'/q%d' % n, 0o102, 0o600, small) >= 0: n += 1",
    "semaphores": "import ctypes\nc = ctypes.CDLL(None, use_errno=True)\nn = 0\n"
                  "while n < 40000 and c.semget(0, 200, 0o1600) >= 0: n += 1",
    "signals": "import os, signal\nsignal.pthread_sigmask(signal.SIG_BLOCK, range(1, 65))\nn = 0\n"
               "import ctypes\nc = ctypes.CDLL(None)\n"
               "while n < 200000 and c.sigqueue(os.getpid(), 40, None) == 0: n += 1",
}


# One of each, as another job or a program of the host would want it.
WANTED = """
import ctypes, os, signal
c = ctypes.CDLL(None, use_errno=True)
t, small = ctypes.c_void_p(), (ctypes.c_long * 8)(0, 1, 64)
signal.pthread_sigmask(signal.SIG_BLOCK, range(34, 65))
out = {
    'inotify': c.inotify_init1(0) >= 0,
    'timers': c.timer_create(0, None, ctypes.byref(t)) == 0,
    'queues': c.mq_open(b'/wanted', 0o102, 0o600, small) >= 0,
    'semaphores': c.semget(0, 1, 0o1600) >= 0,
    'signals': c.sigqueue(os.getpid(), 40, None) == 0,
}
c.mq_unlink(b'/wanted')
print(sorted(k for k, v in out.items() if not v))
"""


@pytest.mark.parametrize("kind", KERNEL_OBJECTS)
def test_34_kernel_objects(daemon, kind):
    """Used up by one job: another job, and root on the host, can still have one of each."""
    code = "try:\n" + "\n".join("    " + x for x in KERNEL_OBJECTS[kind].splitlines()) + \
        "\nexcept OSError: pass\nprint('full', flush=True)\nimport time; time.sleep(60)"
    with daemon.command("run", "-m", "256M", "-l", "python", "-c", code) as p:
        line = p.stdout.readline()
        neighbour = daemon.python(WANTED)
        root = subprocess.run(["/usr/bin/python3", "-c", WANTED], capture_output=True, text=True,
                              check=True)
        p.terminate()
        p.communicate(timeout=20)
    assert line in (b"full\n", b""), line
    assert (neighbour.stdout, root.stdout) == ("[]\n", "[]\n"), "what one job used up, these lack"


def test_35_client_that_never_reads(daemon, sanitized):
    """Its job waits or is cut short; others are served meanwhile."""
    with daemon.session() as c:
        c.send(wire.run(1, argv=[b"yes"], limits={"output_bytes": 64 * MIB, "wall_time_usec": 5_000_000}),
               wire.run(2, argv=[b"yes"], limits={"output_bytes": 64 * MIB, "wall_time_usec": 5_000_000}))
        time.sleep(0.5)
        for _ in range(3):
            assert daemon.run("--", "echo", "x").stdout == "x\n"
        assert sanitized or host.rss_bytes(daemon.frontend) < 100 * MIB
    assert host.wait_until(lambda: len(daemon.payload_pids()) == 1, 5)  # the bystander


def test_35_job_that_never_reads_its_input(daemon):
    data = b"x" * (8 * MIB)
    r = daemon.run("--", "sleep", "1", stdin=data)
    assert r.status == "OK", r


def test_35_job_that_closes_its_streams(daemon):
    r = daemon.bash("exec >&- 2>&- <&-; sleep 0.5; exit 6")
    assert (r.status, r.rc) == ("EXITED", 6), r


def test_36_double_fork(daemon):
    """Daemonized grandchildren are gone at the job's end."""
    r = daemon.python("import os, time, signal\n"
                      "for i in range(5):\n"
                      "    if os.fork() == 0:\n"
                      "        os.setsid()\n"
                      "        if os.fork() == 0:\n"
                      "            for s in range(1, 32):\n"
                      "                if s not in (9, 19): signal.signal(s, signal.SIG_IGN)\n"
                      "            for f in range(3): os.close(f)\n"
                      "            time.sleep(600)\n"
                      "        os._exit(0)\n"
                      "print('parent ends')\n")
    assert (r.status, r.stdout) == ("OK", "parent ends\n"), r
    # The bystander's own two processes remain.
    assert host.wait_until(lambda: len(daemon.job_pids()) == 2, 5)


def test_36_output_held_open_by_a_grandchild(daemon):
    """The job ends with its main process, though a child still holds stdout."""
    started = time.monotonic()
    r = daemon.run("-t", "60s", "--", "sh", "-c", "(trap '' HUP TERM; sleep 50) & echo main")
    assert (r.status, r.stdout) == ("OK", "main\n"), r
    assert time.monotonic() - started < 20


@pytest.mark.parametrize("command", ["trap '' TERM INT HUP QUIT; while :; do sleep 1; done",
                                     "kill -STOP $$", "./bomb vfork", "kill -STOP -1; sleep 60"])
def test_36_stubborn(daemon, helper, command):
    r = daemon.run("-t", "700ms", "-f", f"{helper('bomb')}:bomb", "--", "sh", "-c", command, timeout=30)
    assert r.status == "TIMEOUT", r


@pytest.mark.parametrize("command,statuses", [
    ("kill -9 1; kill -TERM 1; echo alive", {"OK"}),
    ("kill -9 -1; echo alive", {"OK", "SIGNALED"}),
    ("kill -9 0; echo alive", {"SIGNALED"}),
    ("sleep 50 & kill -STOP 1; kill -9 $!; echo alive", {"OK"}),
])
def test_37_kill_everything(daemon, command, statuses):
    r = daemon.bash(command, timeout=30)
    assert r.status in statuses, r


def test_38_cancel_during_oom(daemon):
    """A job in OOM that is cancelled: one right status each time."""
    code = b"l = []\nwhile True: l.append(bytearray(1 << 20))"
    seen = set()
    with daemon.session() as c:
        for i in range(1, 26):
            c.send(wire.run(i, runtime="python", code=code, limits={"memory_bytes": 32 * MIB}))
            assert "started" in c.receive()
            time.sleep(0.02 + 0.004 * i)
            c.send(wire.cancel(i))
            r, _, _ = c.finish(i)
            seen.add(r["result"]["status"])
    assert seen <= {"MEMORY_LIMIT", "CANCELLED"}, seen


def test_39_joining_another_cgroup(daemon):
    """There is no cgroup file system inside to write to, and none can be mounted."""
    r = daemon.bash("find / -name cgroup.procs -o -name tasks -path '*cgroup*' 2>/dev/null; "
                    "mkdir m; mount -t cgroup2 none m; mount -t cgroup -o memory none m; ls -A m")
    assert r.stdout == "", r


def test_36_stopped_by_itself_and_cancelled(daemon):
    with daemon.session() as c:
        c.send(wire.run(1, argv=[b"sh", b"-c", b"echo x; kill -STOP $$"]))
        while "output" not in c.receive():
            pass
        c.send(wire.cancel(1))
        r, _, _ = c.finish(1)
        assert r["result"]["status"] == "CANCELLED", r
