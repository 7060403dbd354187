# SPDX-License-Identifier: Apache-2.0
"""Parked sandboxes: what takes one, what a job in one sees and is held to, and what becomes of them."""

import json
import os
import re
import signal
import socket
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from lib import host, machine
from lib.daemon import NOBODY, Result, descendants_of

MIB = 1 << 20


@pytest.fixture
def pool(make_daemon):
    """A daemon that keeps what it parked."""
    return make_daemon(settings={"Pool": {"IdleSec": "5min"}})


def await_parked(d, n=1):
    assert host.wait_until(lambda: len(d.parked_pids()) >= n, 20), d.log()
    time.sleep(0.1)  # until the monitor has heard it, too


def park(d, language="bash", n=1, **options):
    """Has so many of them wait for a job of the user's. He gets as many as he asks for in one moment, for which a slow
    machine may take several tries."""
    for _ in range(5):
        with ThreadPoolExecutor(n) as threads:
            for r in threads.map(lambda _: d.run("-l", language, "-c", "0", **options), range(n)):
                assert r.status in ("OK", "EXITED"), r
        if host.wait_until(lambda: len(d.parked_pids()) >= n, 5):
            break
    await_parked(d, n)


@pytest.mark.parametrize("language, code, out", [
    ("python", "print(42)", "42\n"), ("bash", "echo 42", "42\n"), ("javascript", "console.log(42)", "42\n"),
    ("javascript-bare", "console.log(42)", "42\n"),
], ids=["python", "bash", "javascript", "javascript-bare"])
def test_the_second_job_is_warm(pool, language, code, out):
    first = pool.run("-l", language, "-c", code)
    assert (first.status, first.stdout, first.warm) == ("OK", out, False), first
    await_parked(pool)
    second = pool.run("-l", language, "-c", code)
    assert (second.status, second.stdout, second.stderr, second.warm) == ("OK", out, "", True), second


def test_argv_environment_stdin_files_and_value(pool, tmp_path):
    park(pool, "python")
    (tmp_path / "in.txt").write_text("a file")
    (tmp_path / "large").write_bytes(b"x" * (3 * MIB))
    code = ("import sys, os\n"
            "print(sys.argv, os.environ['A'], sys.stdin.read(), open('in.txt').read(), os.path.getsize('large'))\n"
            "open('out', 'w').write('made')\n"
            "6*7")
    r = pool.run("-e", "A=b", "-f", tmp_path / "in.txt", "-f", tmp_path / "large",
                 "-o", f"out:{tmp_path}/out", "-l", "python", "-c", code, "x", "y z", stdin=b"read")
    assert r.warm and r.status == "OK", r
    assert r.stdout == "['/box/main.py', 'x', 'y z'] b read a file 3145728\n"
    assert r.return_value == {"text": "42", "json": 42}
    assert (tmp_path / "out").read_text() == "made"


def test_stdin_that_nobody_reads_and_none(pool):
    park(pool, n=2)
    r = pool.bash(":", stdin=b"x" * (1 << 20))
    assert r.warm and r.status == "OK", r
    r = pool.bash("readlink /proc/self/fd/0; wc -c", "--no-stdin")
    assert r.warm and r.stdout == "/dev/null\n0\n", r
    await_parked(pool)
    r = pool.bash("readlink /proc/self/fd/0", "--no-stdin", "-e", "A.B=x")  # which a bash must be started with
    assert r.warm and r.stdout == "/dev/null\n", r


@pytest.mark.parametrize("language, options", [
    ("python", ["-e", "PYTHONHASHSEED=0"]), ("python", ["-e", "LD_PRELOAD=x"]), ("python", ["-e", "LANG=C"]),
    ("bash", ["-e", "BASH_ENV=/dev/null"]), ("bash", ["-e", "IFS=x"]), ("bash", ["-e", "__sandboxd_command=x"]),
    ("bash", ["-w", "/tmp"]), ("bash", ["--tmp-size", "32M"]), ("bash", ["--cpus", "2"]),
    ("bash", ["--profile", "strict"]),
], ids=lambda v: "-".join(v) if isinstance(v, list) else v)
def test_what_must_start_with_the_job_is_cold(pool, language, options):
    park(pool, language)
    r = pool.run(*options, "-l", language, "-c", "1" if language == "python" else ":")
    assert r.status == "OK" and not r.warm, r
    r = pool.run("-l", language, "-c", "1" if language == "python" else ":")
    assert r.warm, r


@pytest.fixture
def bare(pool):
    """The same, with a sandbox in which no command waits."""
    assert not pool.run("--", "true").warm
    assert host.wait_until(pool.bare_pids, 20), pool.log()
    time.sleep(0.1)
    return pool


def test_a_command_finds_its_sandbox_made(bare, tmp_path):
    (tmp_path / "in").write_text("a file")
    r = bare.run("-f", tmp_path / "in", "-o", f"out:{tmp_path}/out", "-e", "A=b", "-w", "/tmp", "-m", "96M", "--pids", "7",
                 "--", "sh", "-c", "cat; cat /box/in; echo $A $PWD; grep MemTotal /proc/meminfo; cp /box/in /box/out; exit 3",
                 stdin=b"read ")
    assert r.warm and (r.status, r.exit_code) == ("EXITED", 3), r
    assert r.stdout == "read a fileb /tmp\nMemTotal:          98304 kB\n"
    assert (tmp_path / "out").read_text() == "a file"


def test_a_command_is_held_to_its_own_limits(bare):
    r = bare.run("-m", "48M", "--", "python3", "-c", "x = bytearray(100 << 20)")
    assert r.warm and r.status == "MEMORY_LIMIT", r
    assert r.usage["memory_peak_bytes"] <= 48 * MIB


def test_a_command_uses_what_it_uses(bare):
    r = bare.run("--", "true")
    assert r.warm and r.usage["pids_peak"] == 1 and r.usage["memory_peak_bytes"] < 4 * MIB, r
    assert r.usage["cpu_user_usec"] + r.usage["cpu_system_usec"] < 1_000_000


@pytest.mark.parametrize("options", [["--tmp-size", "32M"], ["--cpus", "2"], ["--profile", "strict"]], ids=" ".join)
def test_a_command_that_needs_another_sandbox_is_cold(bare, options):
    r = bare.run(*options, "--", "true")
    assert r.status == "OK" and not r.warm, r


def test_a_command_that_cannot_be_run_says_so_in_one_made_before(bare):
    r = bare.run("--", "/no/such/program")
    assert r.warm and (r.status, r.step) == ("SETUP_ERROR", "exec"), r


@pytest.mark.parametrize("who", [0, 1], ids=["init", "payload"])
def test_a_bare_sandbox_that_dies_is_no_matter(bare, who):
    (members,) = bare.bare_pids()
    os.kill(members[who], signal.SIGKILL)
    r = bare.run("--", "true")
    assert r.status == "OK", r
    assert host.wait_until(lambda: any(p not in members for pair in bare.bare_pids() for p in pair), 20), bare.log()


@pytest.mark.parametrize("options", [[], ["-o", "out:{}/out"]], ids=["plain", "files"])
def test_a_command_returns_a_value(make_daemon, policy_copy, tmp_path, options):
    """Init, which was there before the job, is told that there may be one."""
    file = policy_copy / "runtimes/command.runtime"
    file.write_text(file.read_text().replace("ReturnsValue=no", "ReturnsValue=yes"))
    d = make_daemon(settings={"Pool": {"IdleSec": "5min"}}, policy_dir=policy_copy)
    command = [*(o.format(tmp_path) for o in options), "--", "sh", "-c", "echo x > /box/out; printf '2 2\\n4242' > /.sandbox/return"]
    cold = d.run(*command)
    assert host.wait_until(d.bare_pids, 20), d.log()
    time.sleep(0.1)
    r = d.run(*command)
    assert r.warm and not cold.warm and r.return_value == cold.return_value == {"text": "42", "json": 42}, (cold, r)


@pytest.mark.parametrize("options", [[], ["-o", "out:{}/out"]], ids=["plain", "files"])
def test_a_bare_sandbox_whose_payload_is_dead_gets_no_job(bare, tmp_path, options):
    """Also while its init has not come to say so: the job is another one's, and so is what becomes of its files."""
    ((init, payload),) = bare.bare_pids()
    os.kill(init, signal.SIGSTOP)
    os.kill(payload, signal.SIGKILL)
    assert host.wait_until(lambda: host.status(payload).get("State", "Z").startswith("Z"), 5)
    r = bare.run(*(o.format(tmp_path) for o in options), "--", "sh", "-c", "echo made > /box/out", timeout=20)
    assert r.status == "OK" and not r.warm, r
    assert not options or (tmp_path / "out").read_text() == "made\n"


def step_init_to_its_fork(d):
    """The pids of a bare sandbox's init, stopped before it has shed, and of the payload's process, which waits; None when
    it was too fast."""
    def is_payload(pid):
        return d.owns(pid) and host.status(pid).get("Seccomp") == "2"

    deadline = time.monotonic() + 0.7
    while time.monotonic() < deadline:
        for init in host.children(d.monitor):
            try:
                if init == d.frontend or host.status(init)["Seccomp"] != "0":
                    continue
                os.kill(init, signal.SIGSTOP)
                if host.wait_until(lambda: any(map(is_payload, host.children(init))), 0.001, 0.0005):
                    payload = next(filter(is_payload, host.children(init)))
                    if host.status(init)["Seccomp"] == "0":
                        return init, payload
                os.kill(init, signal.SIGCONT)
            except (OSError, KeyError):
                pass  # it has ended
    return None


def test_an_init_that_comes_late_still_hands_files_over(pool, tmp_path):
    """The payload had its job, and ended, before init came to read that there are files to be fetched."""
    for _ in range(60):
        pool.run("--", "true")
        found = step_init_to_its_fork(pool)
        if found:
            break
    assert found, "init was never caught"
    init, payload = found
    time.sleep(0.2)  # until the monitor knows that it waits
    with pool.command("run", "--json", "-o", f"out:{tmp_path}/out", "--", "sh", "-c", "echo made > /box/out") as process:
        assert host.wait_until(lambda: host.status(payload).get("State", "Z").startswith("Z"), 10), pool.log()
        os.kill(init, signal.SIGCONT)
        out, err = process.communicate(timeout=20)
    assert json.loads(out)["warm"] and json.loads(out)["status"] == "OK", (out, err)
    assert (tmp_path / "out").read_text() == "made\n"


@pytest.mark.parametrize("call, mode", [(None, "2"), ("recvmsg", "0"), ("close_range", "0")], ids=str)
def test_a_filter_that_would_keep_the_job_out_comes_after_it(make_daemon, policy_copy, call, mode):
    """What waits for a command is under the profile's filter already, if that allows what it takes to wait."""
    file = policy_copy / "seccomp/default.seccomp"
    text = file.read_text()
    assert call is None or f"\n{call}\n" in text
    file.write_text(text.replace(f"\n{call}\n", "\n"))
    d = make_daemon(settings={"Pool": {"IdleSec": "5min"}}, policy_dir=policy_copy)
    d.run("--", "true")
    assert host.wait_until(d.bare_pids, 20), d.log()
    time.sleep(0.1)
    ((init, payload),) = d.bare_pids()
    assert host.status(init)["Seccomp"] == "2" and host.status(payload)["Seccomp"] == mode
    r = d.run("--", "grep", "-E", "^Seccomp", "/proc/self/status")
    assert r.warm and r.stdout == "Seccomp:\t2\nSeccomp_filters:\t1\n", r


@pytest.mark.parametrize("settings", [{"Maximum": 0}, {"MaximumPerUser": 0}, {"MaxMemory": 0}], ids=str)
def test_no_pool(make_daemon, settings):
    d = make_daemon(settings={"Pool": settings})
    for _ in range(2):
        r = d.bash("echo x")
        assert (r.stdout, r.warm) == ("x\n", False), r
        time.sleep(0.2)
    assert not d.sandbox_pids()


def test_maximum(make_daemon):
    d = make_daemon(settings={"Pool": {"Maximum": 2, "IdleSec": "5min"}})
    park(d, n=2)
    park(d, n=2, uid=NOBODY)
    time.sleep(0.5)
    assert len(d.parked_pids()) == 2


def test_numbers_of_a_runtime(make_daemon, policy_copy):
    for name, key in ("bash", "ParkMinimum=3"), ("python", "ParkMaximum=0"):
        path = policy_copy / "runtimes" / f"{name}.runtime"
        path.write_text(path.read_text() + key + "\n")
    d = make_daemon(settings={"Pool": {"IdleSec": "5min"}}, policy_dir=policy_copy)
    assert not d.python("0").warm
    park(d, "bash")
    await_parked(d, 3)
    time.sleep(0.3)
    assert [host.status(p)["Name"] for p in d.parked_pids()] == ["bash"] * 3
    assert not d.python("0").warm


def test_users(make_daemon):
    """Those of [Pool] Users= find one from the first."""
    d = make_daemon(settings={"Pool": {"Users": "root"}})
    assert host.wait_until(lambda: {"bash", "python3", "node"} <= {host.status(p).get("Name")
                                                                  for p in d.parked_pids()}, 30), d.log()
    await_parked(d, 3)
    r = d.python("print(1)")
    assert r.warm and r.stdout == "1\n", r


def test_idle_ones_are_given_back(make_daemon):
    d = make_daemon(settings={"Pool": {"IdleSec": "1s"}})
    park(d)
    d.note_cgroups()
    assert host.wait_until(lambda: not d.sandbox_pids(), 10)
    assert host.wait_until(lambda: d.cgroup_directories() == [], 5)
    r = d.bash("echo x")
    assert (r.stdout, r.warm) == ("x\n", False), r


def test_they_wait_at_idle_priority_and_within_limits(pool):
    park(pool)
    group = host.Cgroup(pool.parked_pids()[0])
    assert group.sandbox_is_idle()
    assert group.memory_max() == 256 * MIB and group.pids_max() == 64
    with pool.command("run", "-m", "64M", "--pids", "20", "--cpus", "0.5", "-l", "bash", "-c",
                      "echo go; read x", stdin=subprocess.PIPE) as process:
        assert process.stdout.readline() == b"go\n"
        assert host.wait_until(pool.payload_pids, 5)
        group = host.Cgroup(pool.payload_pids()[0])
        assert not group.sandbox_is_idle()
        assert (group.memory_max(), group.pids_max(), group.cpu_percent()) == (64 * MIB, 20, 50)
        process.terminate()
        process.communicate()


@pytest.mark.parametrize("options, code, status", [
    (["-m", "48M"], "x = bytearray(100 << 20)", "MEMORY_LIMIT"),
    (["-t", "300ms"], "import time; time.sleep(30)", "TIMEOUT"),
    (["--cpu-time", "200ms"], "while True: pass", "CPU_LIMIT"),
    (["--output-limit", "1K"], "print('x' * 200000)", "OUTPUT_LIMIT"),
    ([], "import os, signal; os.kill(os.getpid(), signal.SIGTERM)", "SIGNALED"),
    ([], "import sys; sys.exit(3)", "EXITED"),
], ids=lambda v: v if isinstance(v, str) and v.isupper() else "")
def test_limits_hold(pool, options, code, status):
    park(pool, "python")
    r = pool.python(code, *options)
    assert r.warm and r.status == status, r


def test_limit_of_processes(pool):
    park(pool)
    r = pool.bash("ulimit -u; for i in 1 2 3 4 5 6; do sleep 1 & done; wait", "--pids", "4")
    assert r.warm and r.pids_limit_hit and r.stdout.startswith("5\n"), r
    # One that has as many as it needs, from the first moment on.
    park(pool)
    r = pool.bash("(:)", "--pids", "2")
    assert r.warm and (r.status, r.pids_limit_hit) == ("OK", False), r


def test_limit_below_the_threads_of_the_interpreter(pool):
    """What a job with such a limit meets is what it would in an interpreter that was started under it."""
    park(pool, "javascript")
    held = host.Cgroup(pool.parked_pids()[0]).pids_current()
    code = "console.log(require('child_process').spawnSync('true').status)"
    r = pool.run("--pids", held - 1, "-l", "javascript", "-c", code)
    assert not r.warm, r
    await_parked(pool)
    r = pool.run("--pids", held, "-l", "javascript", "-c", code)
    assert r.warm and r.stdout == "0\n", r


def test_usage_is_the_job_s(pool):
    """Not what the interpreter took to start, which is ten times as much."""
    park(pool, "python")
    counts_pids = host.Cgroup(pool.parked_pids()[0]).has("pids", "pids.peak")
    r = pool.python("0")
    assert r.warm
    used = r.usage["cpu_user_usec"] + r.usage["cpu_system_usec"]
    assert r.usage["memory_peak_bytes"] > 1 * MIB
    await_parked(pool)
    busy = pool.python("import time\nwhile time.process_time() < .5: pass")
    assert busy.warm
    assert busy.usage["cpu_user_usec"] + busy.usage["cpu_system_usec"] < 500_000 + used + 100_000
    if counts_pids:
        assert r.usage["pids_peak"] == 1, r.usage
        park(pool)
        assert pool.bash("(exec sleep 0.1) & wait").usage["pids_peak"] == 2


def test_meminfo_shows_the_job_s_memory(pool):
    park(pool)
    r = pool.bash("head -1 /proc/meminfo", "-m", "100M")
    assert r.warm and r.stdout.split()[1] == str(100 << 10), r


def test_users_do_not_share(pool):
    park(pool)
    r = pool.bash("echo x", uid=NOBODY)
    assert (r.stdout, r.warm) == ("x\n", False), r
    r = pool.bash("echo x")
    assert r.warm


def members_of_parked(d):
    """Of the one that is parked: the command, who is to bring it its job, and their pid 1."""
    command, = d.parked_pids()
    others = [p for p in d.sandbox_pids() if p != command]
    init, = [p for p in others if host.status(p)["NSpid"].split()[-1] == "1"]
    handover, = [p for p in others if p != init]
    return command, handover, init


@pytest.mark.parametrize("who", ["command", "handover", "init"])
def test_one_that_is_killed(pool, who):
    """It is missed by nobody: the next job is made, and later there is another one."""
    park(pool)
    os.kill(members_of_parked(pool)[["command", "handover", "init"].index(who)], signal.SIGKILL)
    assert host.wait_until(lambda: not pool.sandbox_pids(), 5), pool.log()
    assert "died" in pool.log()
    r = pool.bash("echo x")
    assert (r.stdout, r.warm) == ("x\n", False), r
    await_parked(pool)
    assert pool.bash("echo x").warm


def test_one_that_is_let_go(pool):
    """Who would bring the job ends because there will be none: that is not as if it had brought it."""
    park(pool)
    _, handover, _ = members_of_parked(pool)
    names = {n: os.readlink(f"/proc/{handover}/fd/{n}") for n in os.listdir(f"/proc/{handover}/fd")}
    claims, = [int(n) for n, target in names.items() if target.startswith("socket:") and n != "3"]
    with host.fd_of(handover, claims) as fd, socket.socket(fileno=os.dup(fd)) as end:
        end.shutdown(socket.SHUT_RDWR)
    assert host.wait_until(lambda: "died (step files" in pool.log(), 5), pool.log()
    assert "out of order" not in pool.log()
    r = pool.bash("echo x")
    assert (r.stdout, r.warm) == ("x\n", False), r


class Claimed:
    """A parked sandbox with a job that it cannot begin, since who would bring it does not run."""

    def __init__(self, d, *options, stdin=b""):
        self.command, self.handover, self.init = members_of_parked(d)
        os.kill(self.handover, signal.SIGSTOP)
        group = host.Cgroup(self.command)
        self.job = d.command("run", "--json", "-m", "64M", *options, stdin=subprocess.PIPE)
        self.job.stdin.write(stdin)
        self.job.stdin.flush()
        assert host.wait_until(lambda: group.memory_max() == 64 * MIB, 5), d.log()
        time.sleep(0.05)

    def result(self):
        out, err = self.job.communicate(timeout=20)
        assert not err, err
        return Result(subprocess.CompletedProcess([], self.job.returncode, out, err))


@pytest.mark.parametrize("who", ["command", "handover", "init"])
def test_one_that_is_killed_with_a_job(pool, tmp_path, who):
    """Nothing of the job ran: it is made, and its client does not notice."""
    park(pool)
    (tmp_path / "in").write_text("a file")
    job = Claimed(pool, "-e", "A=b", "-f", tmp_path / "in", "-o", f"out:{tmp_path}/out", "-l", "bash",
                  "-c", "echo $A $1; cat; cat in >&2; echo made > out; exit 3", "x", stdin=b"read")
    os.kill(getattr(job, who), signal.SIGKILL)
    r = job.result()
    assert (r.status, r.exit_code, r.stdout, r.stderr) == ("EXITED", 3, "b x\nread", "a file"), (r, pool.log())
    assert not r.warm and (tmp_path / "out").read_text() == "made\n"
    assert "making another one" in pool.log()
    await_parked(pool)
    assert pool.bash("echo x").warm


def test_one_that_is_killed_with_a_job_that_is_cancelled(pool):
    """There is no second start for who does not want one."""
    park(pool)
    job = Claimed(pool, "-l", "bash", "-c", "echo x")
    job.job.terminate()
    assert job.result().status == "CANCELLED"
    assert "making another one" not in pool.log()


def test_kills_at_any_moment(pool):
    """A job ends well, cold or warm, or says that its sandbox was lost; none hangs."""
    seen = set()
    for i in range(30):
        job = pool.command("run", "--json", "-l", "bash", "-c", "echo x")
        time.sleep(i * 0.0005)
        for pid in pool.sandbox_pids():
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        out, err = job.communicate(timeout=20)
        seen.add(re.search(rb'"status":"(\w+)"', out)[1])
        assert not err, err
    assert seen <= {b"OK", b"SETUP_ERROR", b"SIGNALED"}, seen
    assert pool.bash("echo x").stdout == "x\n"


def test_reload(make_daemon, policy_copy):
    """What was made under another policy is of no use any more."""
    d = make_daemon(settings={"Pool": {"IdleSec": "5min"}}, policy_dir=policy_copy)
    park(d)
    before = set(d.parked_pids())
    d.reload()
    assert host.wait_until(lambda: not before & set(d.parked_pids()), 10), d.log()
    await_parked(d)
    assert d.bash("echo x").warm
    runtime = policy_copy / "runtimes" / "bash.runtime"
    runtime.write_text(runtime.read_text().replace("Park=yes", "Park=no"))
    d.reload()
    assert host.wait_until(lambda: not d.sandbox_pids(), 10), d.log()
    r = d.bash("echo x")
    assert (r.stdout, r.warm) == ("x\n", False), r


@pytest.mark.parametrize("command", [["-l", "bash", "-c", "echo go; read x"], ["--", "sh", "-c", "echo go; read x"]],
                         ids=["launcher", "command"])
def test_show_says_whose_cgroups_they_are(pool, command):
    """Made ahead of time, they have not the job's name."""
    assert not pool.run(*command, stdin=b"").warm
    assert host.wait_until(lambda: pool.parked_pids() if "-l" in command else
                           pool.bare_pids(), 20), pool.log()
    time.sleep(0.1)
    with pool.command("run", *command, stdin=subprocess.PIPE) as process:
        assert process.stdout.readline() == b"go\n"
        job, = json.loads(pool.ctl_run("ps", "--json").stdout)
        sandbox = job["sandbox_id"]
        assert sandbox != job["job_id"] and sandbox[0] in "89abcdef"
        groups = [str(d) for p in pool.payload_pids() for d in host.cgroups(p).values()]
        assert groups and any(sandbox in group for group in groups), groups
        assert not any(job["job_id"] in group for group in groups)
        assert sandbox in pool.ctl_run("show", job["job_id"]).stdout.decode()
        process.communicate(b"x")
    after = json.loads(pool.ctl_run("show", "--json", job["job_id"]).stdout)
    assert (after["sandbox_id"], after["result"]["warm"]) == (sandbox, True)


def test_the_frontend_s_death_does_not_touch_them(pool):
    park(pool)
    before, frontend = pool.parked_pids(), pool.frontend
    os.kill(frontend, signal.SIGKILL)
    assert host.wait_until(lambda: pool.frontend not in (None, frontend), 10)
    assert pool.parked_pids() == before
    r = pool.bash("echo x")
    assert r.warm and r.stdout == "x\n", r


def test_nothing_is_left_after_a_stop(pool):
    park(pool, "python", n=1 if machine.WORLD == "uml" else 3)
    pool.note_cgroups()
    pool.stop()
    assert pool.leftovers() == []


@pytest.mark.parametrize("call, step", [("recvmsg", "receive"), ("pwrite64", "files"), ("ftruncate", "files")])
def test_a_filter_without_the_calls(make_daemon, policy_copy, call, step):
    """It cannot be parked, and so its jobs are made."""
    path = policy_copy / "seccomp" / "default.seccomp"
    text, n = re.subn(rf"^{call}\n", "", path.read_text(), flags=re.M)
    assert n == 1
    path.write_text(text)
    d = make_daemon(settings={"Pool": {"IdleSec": "5min"}}, policy_dir=policy_copy)
    assert d.bash("echo x").stdout == "x\n"
    assert host.wait_until(lambda: f"died (step {step}" in d.log(), 10), d.log()
    r = d.bash("echo x")
    assert (r.stdout, r.warm) == ("x\n", False), r


def test_a_launcher_that_does_not_wait(make_daemon, policy_copy):
    """Its sandboxes are made later and later, and not in a loop."""
    (policy_copy / "launchers" / "bash.sh").write_text("[ $SANDBOXD_PARK ] && exit 3\n:\n")
    d = make_daemon(settings={"Pool": {"IdleSec": "5min"}}, policy_dir=policy_copy)
    assert d.bash("echo x").stdout == "x\n"
    time.sleep(2)
    assert 1 <= d.log().count("died") <= 3, d.log()
    r = d.bash("echo x")
    assert (r.stdout, r.warm) == ("x\n", False), r


def test_a_launcher_that_cannot_take_over(make_daemon, policy_copy):
    (policy_copy / "launchers" / "bash.sh").write_text(
        "[ $SANDBOXD_PARK ] || return 0\necho -n P >&61\nexec 61>&-\ncat <&60 >/dev/null\n"
        "printf '\\x07' >&62\nexit 1\n")
    d = make_daemon(settings={"Pool": {"IdleSec": "5min"}}, policy_dir=policy_copy)
    park(d)
    r = d.bash("echo x")
    assert (r.status, r.step, r.rc) == ("SETUP_ERROR", "exec", 126), r


def test_many_at_once_are_all_served(pool):
    """Warm as long as there are some, cold then, none lost."""
    park(pool, n=8)
    with ThreadPoolExecutor(24) as threads:
        results = list(threads.map(lambda i: pool.bash(f"echo {i}"), range(48)))
    assert [r.stdout for r in results] == [f"{i}\n" for i in range(48)]
    assert any(r.warm for r in results)


def test_doctor(pool):
    park(pool)
    pool.bash(":")
    out = pool.ctl_run("doctor").stdout.decode()
    # Fewer than 64 where it may not open as many files.
    assert re.search(r"pool +ok +up to [1-9]\d* parked sandboxes; they took [1-9]\d* jobs, and were missing for [1-9]", out), out
