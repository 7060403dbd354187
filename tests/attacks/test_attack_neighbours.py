# SPDX-License-Identifier: Apache-2.0
"""Attack corpus E: jobs against each other."""

import json
import os
import subprocess
import threading
import time

import pytest

from lib import host, wire
from lib.attempts import tries


def sleeper(daemon, *command):
    before = set(daemon.payload_pids())
    process = daemon.command("run", "--", *(command or ("sleep", "60")))
    assert host.wait_until(lambda: set(daemon.payload_pids()) - before, 10)
    return process


def finish(process):
    process.terminate()
    process.communicate(timeout=20)


def test_40_signals_and_proc(daemon):
    """A sweep over pids finds the job's own processes alone."""
    neighbour = sleeper(daemon)
    try:
        r = daemon.python("import os\nfound = []\n"
                          "for p in range(1, 40000):\n"
                          "    try: os.kill(p, 0); found.append(p)\n"
                          "    except ProcessLookupError: pass\n"
                          "    except PermissionError: found.append(-p)\n"
                          "[found, os.getpid(), sorted(int(x) for x in os.listdir('/proc') if x.isdigit())]")
        found, own, listed = r.return_value["json"]
        assert set(found) <= {own, -1} and listed == [own], r
    finally:
        finish(neighbour)


def test_40_by_kernel_uid(daemon):
    """Not even the host's kernel would let one job signal the other: their uids differ."""
    first, second = sleeper(daemon), sleeper(daemon)
    try:
        uids = [host.status(p)["Uid"] for p in daemon.payload_pids()]
        assert len(uids) == len(set(uids)) == 3
    finally:
        finish(first)
        finish(second)


WATCH = """
import ctypes, os, sys
c = ctypes.CDLL(None, use_errno=True)
fd = c.inotify_init1(0o4000)
names = {}
for p in sys.argv[1:]:
    w = c.inotify_add_watch(fd, p.encode(), 0xfff)
    if w >= 0: names[w] = p
print('watching', len(names), flush=True)
sys.stdin.readline()
seen = set()
try:
    while True:
        data = os.read(fd, 65536)
        while data:
            w, mask, _, size = (int.from_bytes(data[i:i + 4], 'little') for i in (0, 4, 8, 12))
            if w in names: seen.add(names[w])
            data = data[16 + size:]
except BlockingIOError: print(sorted(seen))
"""


def events(daemon, paths):
    """The paths on which a job sees events while neighbours and the host go about their business."""
    with daemon.command("run", "-l", "python", "-c", WATCH, *paths, stdin=subprocess.PIPE) as p:
        assert p.stdout.readline() == b"watching %d\n" % len(paths)
        for language, text in (("python", "open('/dev/null'); 1"), ("javascript", "1"),
                               ("bash", "env; cat /etc/passwd /proc/cpuinfo; ls / /usr/lib; : </dev/null")):
            assert daemon.run("-l", language, "-c", text).status == "OK"
        subprocess.run(["/usr/bin/env", "true"], check=True)
        out, _ = p.communicate(b"\n", timeout=20)
    return out


def test_41_inotify_on_usr(daemon):
    """What a neighbour runs causes no event."""
    assert events(daemon, ["/usr/bin", "/usr/bin/env", "/usr/bin/python3", "/usr/bin/bash",
                           "/usr/bin/node", "/usr/lib"]) == b"[]\n"


def test_41_inotify_on_the_rest(daemon):
    """Neither do the small trees around it."""
    assert events(daemon, ["/", "/etc", "/etc/passwd", "/dev", "/dev/null", "/dev/urandom",
                           "/proc/cpuinfo", "/.sandbox/launchers/python.py"]) == b"[]\n"


def test_41_locks(daemon):
    """A lock is no signal between jobs, whatever file it is on."""
    code = """
import fcntl, os, sys
for p in ('/usr/bin/env', '/etc/passwd', '/dev/null', '/proc/cpuinfo', '/proc/meminfo', '/', '/dev', '/etc'):
    fd = os.open(p, os.O_RDONLY)
    try: fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError: print('held', p)
print('done', flush=True)
sys.stdin.readline()
"""
    with daemon.command("run", "-l", "python", "-c", code, stdin=subprocess.PIPE) as first:
        assert first.stdout.readline() == b"done\n"
        r = daemon.python(code)
        first.communicate(b"\n", timeout=20)
    assert r.stdout == "done\n", r


MARK = """
import ctypes, os
c = ctypes.CDLL(None, use_errno=True)
seen = []
for d in ('/tmp', '/box', '/dev/shm'):
    p = d + '/marker'
    if os.path.exists(p): seen.append(p)
    open(p, 'w').write('mark')
if c.msgget(4242, 0) >= 0: seen.append('queue')
c.msgget(4242, 0o1666)
if c.shmget(4242, 4096, 0) >= 0: seen.append('shm')
c.shmget(4242, 4096, 0o1666)
if c.mq_open(b'/marker', 0) >= 0: seen.append('mq')
c.mq_open(b'/marker', 0o100, 0o666, None)
if 'MARKER' in os.environ: seen.append('environment')
if c.syscall(249, b'user', b'marker', None, -3) >= 0: seen.append('keyring')
c.syscall(248, b'user', b'marker', b'x', 1, -3)
print(seen)
"""


def test_42_markers(daemon):
    for i in range(20):
        extra = ["-e", "MARKER=1"] if i == 0 else []
        r = daemon.python(MARK, *extra)
        assert r.stdout == ("['environment']\n" if i == 0 else "[]\n"), (i, r)


def test_43_kernel_uids_are_never_shared(daemon):
    """Under churn, two sandboxes that live at the same time have no uid in common."""
    stop, clashes, seen = threading.Event(), [], set()

    def watch():
        while not stop.is_set():
            owner = {}
            for pid in daemon.job_pids():
                try:
                    born, space = host.start_time(pid), host.namespace(pid, "pid")
                except OSError:
                    continue
                uids = set(host.status(pid).get("Uid", "0").split()) - {"0"}  # root, while it is made
                # The number may have gone to another process between two looks.
                if not daemon.owns(pid) or born is None or host.start_time(pid) != born:
                    continue
                seen.update(uids)
                clashes.extend((u, space, owner[u]) for u in uids
                               if owner.setdefault(u, space) != space)
            time.sleep(0.005)

    def work(first):
        with daemon.session(timeout=60) as c:
            for i in range(50):
                r, _, _ = c.run(first + i, argv=[b"sleep", b"0.02"], timeout=60)
                assert r["result"]["status"] == "OK", r
                done.append(i)

    done = []
    watcher = threading.Thread(target=watch)
    watcher.start()
    workers = [threading.Thread(target=work, args=(1000 * n + 1,)) for n in range(4)]
    for w in workers:
        w.start()
    for w in workers:
        w.join()
    stop.set()
    watcher.join()
    assert len(done) == 200
    # One sandbox may end and its uids be given out again during one look at /proc, though ids are
    # used oldest first: a clash must be seen twice to be one.
    assert len(clashes) <= 1, clashes
    assert len(seen) > 20


def test_44_randomness(daemon):
    """No two jobs start from the same state."""
    python, javascript = set(), set()
    for _ in range(10):
        r = daemon.python("import random, secrets, uuid, os, tempfile\n"
                          "[random.random(), hash('x'), secrets.token_hex(8), str(uuid.uuid4()),"
                          " os.urandom(8).hex(), tempfile.mktemp(), id(object())]")
        python.add(tuple(r.return_value["json"][:6]))
        r = daemon.run("-l", "js", "-c", "[Math.random(), require('crypto').randomUUID()].join()")
        javascript.add(r.return_value["json"])
    for column in zip(*python):
        assert len(set(column)) == 10, column
    assert len(javascript) == 10


def test_44_uuid_of_the_kernel(daemon):
    r = daemon.run("--", "sh", "-c", "cat /proc/sys/kernel/random/uuid /proc/sys/kernel/random/uuid")
    first, second = r.stdout.split()
    assert first != second


def test_cancel_of_anothers_job(daemon):
    """Ids are a connection's own: the same number elsewhere is another job, or none."""
    with daemon.session() as a, daemon.session(uid=65534) as b:
        from lib import wire
        a.send(wire.run(1, argv=[b"sh", b"-c", b"sleep 1; echo mine"]))
        a.expect("started")
        b.send(wire.cancel(1), wire.stdin_data(1, b"x"))
        r, out, _ = a.finish(1)
        assert (r["result"]["status"], out) == ("OK", b"mine\n"), r


def test_a_job_cannot_find_another_ones_output(daemon):
    """Pipes of neighbours cannot be opened by way of /proc."""
    neighbour = sleeper(daemon, "sh", "-c", "while :; do echo secret; sleep 0.2; done")
    try:
        out = tries(daemon, """
for p in os.listdir('/proc'):
    if p.isdigit() and int(p) not in (os.getpid(),):
        for n in '012': out[p + '/' + n] = attempt(read, '/proc/%s/fd/%s' % (p, n))
out['self'] = attempt(os.listdir, '/proc/self/fdinfo')
""")
        assert [k for k, v in out.items() if v == "READ"] == [], json.dumps(out)
    finally:
        finish(neighbour)


@pytest.mark.parametrize("files", [(), [wire.file_message("f", size=2 << 20)]], ids=["running", "without files"])
def test_40_places_at_the_monitor(daemon, files):
    """Only so many sandboxes are made at one time; those that run, or whose client does not send their
    files, are none of them."""
    n = max(8, 2 * len(os.sched_getaffinity(0))) + 2
    with daemon.session(uid=65533) as alice, daemon.session(uid=65534) as bob:
        for i in range(n):
            alice.send(wire.run(10 + i, argv=["sleep", "60"], files=files))
        assert host.wait_until(lambda: len(daemon.payload_pids()) >= n, 30)
        result, _, _ = bob.run(2, argv=["true"])
        assert result["result"]["status"] == "OK"
