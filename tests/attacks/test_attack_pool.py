# SPDX-License-Identifier: Apache-2.0
"""Group E of the corpus against parked sandboxes: nothing of one job reaches another, nothing is the same in
two, and one user's demand is not another's loss. Also the posture of case 24: that of a job in a parked
sandbox is that of any other."""

import os
import re
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from lib import host, machine
from lib.daemon import NOBODY, space_of

JOBS = 4 if machine.WORLD == "uml" else 50
LANGUAGES = ["bash", "python", "javascript"]
COMMANDS = {"bash": "bash", "python": "python3", "javascript": "node"}

# Whatever a job can leave behind, each of which the next is asked for.
MARK = {
    "bash": "for d in /tmp /box /dev/shm; do echo mark > $d/mark; mkfifo $d/fifo; done; export MARK=mark; "
            "exec 9<>/tmp/fifo; echo mark > /proc/self/comm; sleep 60 & disown; "
            "find /tmp /box /dev/shm -mindepth 1 ! -name main.sh | wc -l",
    "python": "import os, sys, tempfile\n"
              "for d in ('/tmp', '/box', '/dev/shm'):\n    open(d + '/mark', 'w').write('mark')\n"
              "os.environ['MARK'] = 'mark'; sys.mark = 1; import builtins; builtins.mark = 1\n"
              "if os.fork() == 0:\n    os.close(1); os.close(2); os.setsid(); os.execvp('sleep', ['sleep', '60'])\n"
              "print(3)",
}
LOOK = {
    "bash": "echo $(find /tmp /box /dev/shm -mindepth 1 ! -name main.sh | wc -l) ${MARK-none} $(ls /proc | grep -c '^[0-9]') "
            "$(ls /proc/self/fd | wc -l) $(ipcs -q 2>/dev/null | grep -c 0x)",
    "python": "import os, sys, builtins\n"
              "left = [f for d in ('/tmp', '/box', '/dev/shm') for f in os.listdir(d) if f != 'main.py']\n"
              "print(left, os.environ.get('MARK'), hasattr(sys, 'mark'), hasattr(builtins, 'mark'),\n"
              "      len([p for p in os.listdir('/proc') if p.isdigit()]), len(os.listdir('/proc/self/fd')))",
}
CLEAN = {"bash": r"0 none [1-6] 4 0\n", "python": r"\[\] None False False 1 4\n"}

RANDOM = {
    "bash": "echo $RANDOM$RANDOM$RANDOM $SRANDOM $(cat /proc/sys/kernel/random/uuid) $(mktemp -u)",
    "python": "import random, secrets, uuid, os, tempfile\n"
              "print(random.random(), hash('x'), secrets.token_hex(8), uuid.uuid4(), os.urandom(8).hex(), "
              "next(tempfile._get_candidate_names()))",
    "javascript": "const c = require('crypto'); console.log(Math.random(), c.randomUUID(), "
                  "c.randomBytes(8).toString('hex'), crypto.randomUUID())",
}

# Of each thread of each process in the job: credentials, what is allowed, namespaces, limits.
POSTURE = r"""
import os, re
KEYS = ("Uid", "Gid", "Groups", "CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb", "NoNewPrivs", "Seccomp",
        "Seccomp_filters", "Umask", "NSpid", "SigBlk", "SigIgn", "SigCgt", "ShdPnd", "Cpus_allowed", "THP_enabled")
for pid in sorted(int(p) for p in os.listdir("/proc") if p.isdigit()):
    for task in os.listdir(f"/proc/{pid}/task"):
        text = open(f"/proc/{pid}/task/{task}/status").read()
        fields = dict(line.split(":", 1) for line in text.splitlines())
        print({k: re.sub(r"\d+", "N", v) if k == "NSpid" else v.strip() for k, v in fields.items() if k in KEYS})
    print(open(f"/proc/{pid}/limits").read())
    print(open(f"/proc/{pid}/cgroup").read(), os.getsid(pid) == pid, os.getpriority(os.PRIO_PROCESS, pid),
          os.sched_getscheduler(pid), open(f"/proc/{pid}/oom_score_adj").read())
print(sorted(os.listdir("/proc/self/ns")), sorted(os.listdir("/proc/self/fd")), dict(sorted(os.environ.items())))
print(re.sub(r"[0-9]+", "N", open("/proc/self/mountinfo").read()))
print(os.getcwd(), os.stat("/box").st_uid, open("/proc/sys/kernel/hostname").read(), open("/proc/meminfo").read())
print(open("/proc/cpuinfo").read(), open("/proc/loadavg").read(), os.cpu_count(), open("/proc/self/comm").read())
"""


@pytest.fixture(autouse=True)
def oracle(canary):
    """Other than that of the other files, which a daemon that parks nothing is for: here each test says itself what its
    daemon may hold. With scopes this file's daemons come one after the other, so that each can make them."""
    canary.check()
    yield
    canary.check()


def test_45_one_user_does_not_drain_what_another_has(build):
    from lib.daemon import Daemon
    d = Daemon(build, settings={"Pool": {"IdleSec": "5min", "Maximum": "4"}})
    d.start()
    try:
        with ThreadPoolExecutor(16) as threads:
            flood = [threads.submit(d.bash, "sleep 0.1") for _ in range(120)]
            other = [d.bash("echo x", uid=NOBODY) for _ in range(10)]
            assert all(r.stdout == "x\n" for r in other)
            assert all(j.result().status == "OK" for j in flood)
        # And where the first one has taken all places, the second gets its share of them.
        assert d.bash("echo x", uid=NOBODY).status == "OK"
        assert host.wait_until(lambda: d.bash("echo x", uid=NOBODY).warm, 20), d.log()
    finally:
        d.note_cgroups()
        d.stop()
        left = d.leftovers()
        d.kill()
    assert left == []


@pytest.fixture(scope="module")
def pool(build):
    """A daemon of this file's own, whose parked sandboxes stay."""
    from lib.daemon import Daemon
    d = Daemon(build, settings={"Pool": {"IdleSec": "5min", "Minimum": "2"}})
    d.start()
    yield d
    d.note_cgroups()
    d.stop()
    left = d.leftovers()
    d.kill()
    assert left == []


def parked(d, language):
    """Those that wait for a job in it."""
    return [p for p in d.parked_pids() if host.status(p).get("Name") == COMMANDS[language]]


def warm(d, language, code, *options, **more):
    """The result of a job in a parked sandbox."""
    for _ in range(20):
        r = d.run(*options, "-l", language, "-c", code, **more)
        if r.warm:
            return r
        assert host.wait_until(lambda: parked(d, language), 20), d.log()
        time.sleep(0.1)
    raise AssertionError(f"no job was warm:\n{d.log()[-2000:]}")


@pytest.mark.parametrize("language", ["bash", "python"])
def test_42_a_marker_is_not_found(pool, language):
    r = warm(pool, language, MARK[language])
    assert r.status == "OK", r
    for i in range(JOBS):
        r = pool.run("-l", language, "-c", LOOK[language])
        assert re.fullmatch(CLEAN[language], r.stdout), (i, r.warm, r.stdout, r.stderr)


@pytest.mark.parametrize("language", LANGUAGES)
def test_44_everything_random_differs(pool, language):
    """Also between those that were primed at the same time."""
    columns = None
    n = 0
    while n < JOBS:
        with ThreadPoolExecutor(4) as threads:
            results = [r for r in threads.map(lambda _: pool.run("-l", language, "-c", RANDOM[language]), range(4))
                       if r.warm]
        host.wait_until(lambda: len(parked(pool, language)) >= 2, 10)
        for r in results:
            values = r.stdout.split()
            columns = columns or [set() for _ in values]
            for column, value in zip(columns, values, strict=True):
                assert value not in column, (language, value)
                column.add(value)
            n += 1


def test_43_no_two_share_an_id(pool):
    """Live sandboxes, with and without a job: each has its own pair of ids."""
    held = {}

    def look():
        for pid in pool.sandbox_pids():
            status = host.status(pid)
            uids = {int(u) for u in status.get("Uid", "").split()} - {0}
            spaces = os.readlink(f"/proc/{pid}/ns/pid") if os.path.exists(f"/proc/{pid}") else None
            for uid in uids:
                if spaces and pool.base <= uid < pool.base + (1 << 16):
                    held.setdefault((uid - pool.base) // 2, {})[spaces] = time.monotonic()

    with ThreadPoolExecutor(8) as threads:
        jobs = [threads.submit(pool.bash, "sleep 0.05") for _ in range(100)]
        while not all(j.done() for j in jobs):
            try:
                look()
            except OSError:
                pass
    assert all(len(spaces) == 1 for spaces in held.values()), \
        {k: v for k, v in held.items() if len(v) > 1}


@pytest.mark.parametrize("profile", ["default", "strict"])
def test_24_posture_is_that_of_any_job(pool, profile):
    w = warm(pool, "python", POSTURE, "--profile", profile)
    cold = pool.run("-e", "PYTHONWARM=no", "--profile", profile, "-l", "python", "-c", POSTURE)
    assert not cold.warm and w.status == cold.status == "OK", (w, cold)
    assert w.stdout == cold.stdout.replace("'PYTHONWARM': 'no', ", "")


def test_24_posture_of_a_command_is_that_of_any(pool):
    """In a sandbox that was made before, as in one that was made for it."""
    argv = ["--", "/usr/bin/python3", "-I", "-c", POSTURE]
    cold = pool.run(*argv, uid=65533)
    assert not cold.warm and cold.status == "OK", cold
    assert host.wait_until(lambda: (w := pool.run(*argv, uid=65533)).warm and w.stdout == cold.stdout, 20, 0.2)


def look_at(d, command):
    """What is seen of one that waits: its processes, and what the command has open. None when it is given back meanwhile."""
    space = space_of(command)
    members = [host.status(p) for p in d.sandbox_pids() if space and space_of(p) == space]
    try:
        names = os.listdir(f"/proc/{command}/fd")
    except OSError:
        return None
    return (members, names) if command in d.parked_pids() else None


def test_what_waits_has_no_privilege(pool):
    """Before there is a job: no capability, no way to any, its filter on, and nobody's id but its own."""
    warm(pool, "python", "0")
    assert host.wait_until(lambda: parked(pool, "python"), 20)
    time.sleep(0.1)
    looks = [look_at(pool, command) for command in pool.parked_pids()]
    assert any(looks)
    for members, names in filter(None, looks):
        assert len(members) == 3, [status.get("Name") for status in members]
        for status in members:
            assert {status[f"Cap{k}"] for k in ("Inh", "Prm", "Eff", "Bnd", "Amb")} == {"0" * 16}, status
            assert (status["NoNewPrivs"], status["Seccomp"], status["Groups"].strip()) == ("1", "2", ""), status
            assert all(pool.base <= int(u) < pool.base + (1 << 16) for u in status["Uid"].split()), status
        assert sorted(map(int, names)) in ([0, 1, 2, 60, 62], [*range(len(names) - 2), 60, 62]), names


def bare_pairs(d, uid):
    """Sandboxes in which no command waits, of a user who has just had some."""
    assert d.run("--", "true", uid=uid).status == "OK"
    assert host.wait_until(d.bare_pids, 20), d.log()
    time.sleep(0.1)
    return d.bare_pids()


def test_what_waits_for_a_command_has_no_privilege(pool):
    """Nor have the two processes of a sandbox to which the job brings its own program: they have shed all that they will,
    in the job's leaf and out of it, and hold their ways to the monitor and what shows the job's memory."""
    for init, payload in bare_pairs(pool, 65532):
        statuses = [host.status(p) for p in (init, payload)]
        for status in statuses:
            assert {status[f"Cap{k}"] for k in ("Inh", "Prm", "Eff", "Bnd", "Amb")} == {"0" * 16}, status
            assert (status["NoNewPrivs"], status["Seccomp"], status["Groups"].strip()) == ("1", "2", ""), status
        ids = [[int(u) for u in status["Uid"].split()] for status in statuses]
        assert ids[1] == [ids[1][0]] * 4 and ids[0] == [ids[0][0], ids[1][0], ids[0][0], ids[1][0]] and ids[0][0] != ids[1][0]
        assert all(pool.base <= u < pool.base + (1 << 16) for u in ids[0] + ids[1])
        assert statuses[1]["Umask"].strip() == "0022"
        assert [os.stat(f"/proc/{p}/environ").st_uid for p in (init, payload)] == [0, 0], "not dumpable"
        assert os.getsid(payload) == payload and os.getsid(init) != payload
        for kind in ("cgroup", "user", "pid", "net", "mnt", "ipc", "uts"):
            assert (host.namespace(payload, kind) == host.namespace(init, kind)) == (kind != "cgroup"), kind
        groups = {str(path) for path in host.cgroups(payload).values()} - {str(path) for path in host.cgroups(init).values()}
        assert groups and all("job" in os.path.basename(path) for path in groups), groups
        names = sorted(os.readlink(f"/proc/{payload}/fd/{n}") for n in os.listdir(f"/proc/{payload}/fd"))
        assert [re.sub(r"\d+", "N", name) for name in names] == \
            ["/dev/null"] * 3 + ["/dev/shm/.meminfo (deleted)"] + ["socket:[N]"] * 2, names


def test_what_waits_for_a_command_ends_with_its_init(pool):
    """And init with it: neither is left alone."""
    for victim in (0, 1):
        members = bare_pairs(pool, 65531)[0]
        os.kill(members[victim], 9)
        assert host.wait_until(lambda: not any(host.status(p) for p in members), 5), pool.log()
