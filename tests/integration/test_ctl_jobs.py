# SPDX-License-Identifier: Apache-2.0
"""Jobs by their id, as a person or a script has them from sandboxctl."""

import contextlib
import fcntl
import json
import os
import pty
import re
import signal
import subprocess
import termios

import pytest

from lib import host, standin, wire

ALICE, BOB = 65533, 65534
UNKNOWN = "00000000000000ff"


def detach(daemon, *args, uid=0):
    """The id of a job that was started detached; nothing else may be said."""
    r = daemon.ctl_run("run", "--detach", *args, uid=uid)
    assert r.returncode == 0 and re.fullmatch(rb"[0-9a-f]{16}\n", r.stdout) and r.stderr == b"", r
    return r.stdout.decode().strip()


def ctl_json(daemon, *args, uid=0):
    r = daemon.ctl_run(*args, "--json", uid=uid)
    assert r.returncode == 0, r
    return json.loads(r.stdout)


def state(daemon, job, uid=0):
    return ctl_json(daemon, "show", job, uid=uid)["state"]


def cancel(daemon, job):
    """Ends a job and waits for that, so that the next test finds nothing of it."""
    assert daemon.ctl_run("cancel", job).returncode == 0
    assert daemon.ctl_run("wait", job).returncode in (0, 143)


@contextlib.contextmanager
def running(daemon, *args, uid=0):
    """A detached job while it runs."""
    job = detach(daemon, *(args or ("--", "sleep", "600")), uid=uid)
    try:
        assert host.wait_until(lambda: state(daemon, job) == "running", 10)
        yield job
    finally:
        cancel(daemon, job)


@contextlib.contextmanager
def on_terminal(daemon, *args, streams=("stdout", "stderr")):
    """A sandboxctl whose `streams` are a terminal of its own; of the others, stdin is empty, and the rest
    are pipes."""
    ours, theirs = pty.openpty()
    fds = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}

    def control():
        """Ctrl-C is for this process."""
        os.setsid()
        fcntl.ioctl(theirs, termios.TIOCSCTTY, 0)

    process = subprocess.Popen([daemon.ctl, *args], **fds | dict.fromkeys(streams, theirs), cwd="/", preexec_fn=control,
                               pass_fds=[theirs], env={"PATH": "/usr/bin:/bin", "TERM": "xterm",
                                                       "SANDBOXD_SOCKET": str(daemon.socket)})
    os.close(theirs)
    with process:
        try:
            yield process, ours
        finally:
            process.kill()
            os.close(ours)


def read_terminal(ours, until=None):
    """What comes there to its end, or until that text is there."""
    shown = b""
    while until is None or until not in shown:
        try:
            data = os.read(ours, 65536)
        except OSError:
            break  # EIO: nobody holds the other side any more
        if not data:
            break
        shown += data
    return shown


# --- starting, waiting

def test_a_detached_job_outlives_its_client(daemon):
    job = detach(daemon, "--label", "mine", "--", "sh", "-c", "echo out; echo err >&2; exit 3")
    assert daemon.ctl_run("wait", job).returncode == 3
    r = daemon.ctl_run("logs", job)
    assert (r.returncode, r.stdout, r.stderr) == (0, b"out\n", b"err\n")
    shown = ctl_json(daemon, "show", job)
    assert (shown["state"], shown["label"], shown["detached"]) == ("finished", "mine", True)


@pytest.mark.parametrize("args, code", [
    (["--", "true"], 0), (["--", "sh", "-c", "exit 7"], 7), (["--", "sh", "-c", "kill -ABRT $$"], 134),
    (["-t", "200ms", "--", "sleep", "9"], 124), (["--", "no-such-program"], 127),
])
def test_wait_exits_as_run_does(daemon, args, code):
    run = daemon.ctl_run("run", *args)
    wait = daemon.ctl_run("wait", detach(daemon, *args))
    assert (run.returncode, wait.returncode) == (code, code)
    assert wait.stderr == run.stderr and wait.stdout == b""


def test_wait_gives_the_object_of_run(daemon):
    args = ["-l", "python", "-c", "import sys; print('out'); sys.stderr.buffer.write(b'\\xff'); 2**64"]
    run = json.loads(daemon.ctl_run("run", "--json", *args).stdout)
    r = daemon.ctl_run("wait", "--json", detach(daemon, *args))
    waited = json.loads(r.stdout)
    assert r.returncode == 0 and r.stderr == b""
    assert set(waited) == set(run)
    for key in ("status", "exit_code", "stdout", "stderr_base64", "stdout_bytes", "return_value"):
        assert waited[key] == run[key], key
    assert b'"json":18446744073709551616' in r.stdout


def test_several_wait_for_one_job(daemon):
    with running(daemon) as job:
        waiting = [daemon.command("wait", job) for _ in range(3)]
        assert daemon.ctl_run("cancel", job).returncode == 0
        for process in waiting:
            with process:
                _, err = process.communicate(timeout=20)
                assert process.returncode == 143 and b"CANCELLED" in err


def catches_interrupts(pid):
    """Whether it has set up what it does on Ctrl-C, and waits."""
    status = host.status(pid)
    return int(status.get("SigCgt", "0"), 16) >> (signal.SIGINT - 1) & 1 and status["State"].startswith("S")


@pytest.mark.parametrize("verb", [["wait"], ["logs", "--follow"]], ids=" ".join)
def test_ctrl_c_leaves_a_job_that_is_watched(daemon, verb):
    with running(daemon) as job:
        with on_terminal(daemon, *verb, job) as (process, terminal):
            assert host.wait_until(lambda: catches_interrupts(process.pid), 10)
            os.write(terminal, b"\x03")
            said = read_terminal(terminal)
            assert process.wait(20) == -signal.SIGINT
        assert f"the job goes on: 'sandboxctl cancel {job}' ends it".encode() in said, said
        assert state(daemon, job) == "running"


# --- output

def test_logs_are_byte_for_byte(daemon):
    code = "import os; os.write(1, b'\\0\\xff\\x1b[31m'); os.write(2, b'\\r\\n')"
    job = detach(daemon, "-l", "python", "-c", code)
    assert daemon.ctl_run("wait", job).returncode == 0
    r = daemon.ctl_run("logs", job)
    assert (r.stdout, r.stderr) == (b"\0\xff\x1b[31m", b"\r\n")
    assert daemon.ctl_run("logs", "--stream", "stdout", job).stderr == b""
    r = daemon.ctl_run("logs", "--stream=stderr", job)
    assert (r.stdout, r.stderr) == (b"", b"\r\n")
    both = ctl_json(daemon, "logs", job)
    assert (both["stdout_base64"], both["stderr"], both["running"]) == ("AP8bWzMxbQ==", "\r\n", False)
    assert (both["stdout_bytes"], both["stdout_kept"]) == (7, 7)
    assert "stdout_base64" not in ctl_json(daemon, "logs", "--stream", "stderr", job)


def test_logs_follow_a_job_to_its_end(daemon):
    job = detach(daemon, "--", "sh", "-c", "trap 'echo last; exit 5' TERM; echo first; while :; do sleep 0.05; done")
    with daemon.command("logs", "-f", job) as p:
        assert p.stdout.readline() == b"first\n"
        assert daemon.ctl_run("logs", job).stdout == b"first\n"
        assert daemon.ctl_run("signal", job, "TERM").returncode == 0
        out, err = p.communicate(timeout=20)
        assert (p.returncode, out, err) == (0, b"last\n", b"")
    assert daemon.ctl_run("wait", job).returncode == 5


def test_what_is_not_kept_is_told(daemon):
    job = detach(daemon, "--output-limit", "1K", "--", "head", "-c", "5000", "/dev/zero")
    r = daemon.ctl_run("wait", job)
    assert (r.returncode, r.stderr) == (0, b"sandboxctl: stdout was cut, of 4.88K written: raise --output-limit\n")
    r = daemon.ctl_run("logs", job)
    assert r.stdout == bytes(1024)
    assert r.stderr == b"sandboxctl: of stdout only the first 1K are kept, of 4.88K that were written\n"
    waited = ctl_json(daemon, "wait", job)
    assert (waited["stdout_truncated"], waited["stdout"], waited["stdout_bytes"]) == (True, "\0" * 1024, 5000)


def test_nobody_reads_the_logs(daemon):
    job = detach(daemon, "--", "head", "-c", "500000", "/dev/zero")
    assert daemon.ctl_run("wait", job).returncode == 0
    with daemon.command("logs", job) as p:
        p.stdout.close()
        p.stdout = None
        _, err = p.communicate(timeout=20)
        assert (p.returncode, err) == (141, b"")


# --- showing

def test_ps_lists_what_runs_and_on_request_what_has_ended(daemon):
    ended = detach(daemon, "--label", "a\x1b[31m\nb", "--", "sh", "-c", "exit 9")
    assert daemon.ctl_run("wait", ended).returncode == 9
    with running(daemon, "--profile", "default", "--", "sleep", "600") as job:
        r = daemon.ctl_run("ps")
        lines = r.stdout.decode().splitlines()
        assert lines[0].split() == ["ID", "STATE", "RUNTIME", "PROFILE", "USER", "AGE", "TIME", "STATUS", "LABEL"]
        mine, = [line for line in lines if line.startswith(job)]
        assert mine.split()[1:5] == ["running", "command", "default", "root"]
        assert ended not in r.stdout.decode()
        r = daemon.ctl_run("ps", "--all")
        mine, = [line for line in r.stdout.decode().splitlines() if line.startswith(ended)]
        assert "EXITED 9" in mine and mine.endswith("a\\x1b[31m\\x0ab")
        assert job in r.stdout.decode() and b"\x1b" not in r.stdout
        jobs = {j["job_id"]: j for j in ctl_json(daemon, "ps", "-a")}
        assert jobs[job]["state"] == "running" and jobs[job]["result"] is None
        assert jobs[ended]["result"]["exit_code"] == 9 and jobs[ended]["label"] == "a\x1b[31m\nb"


def test_ps_of_a_user_has_no_column_of_users(daemon):
    r = daemon.ctl_run("ps", uid=ALICE)
    assert r.returncode == 0 and b"USER" not in r.stdout and r.stdout.startswith(b"ID ")


def test_show_a_running_job(daemon):
    with running(daemon, "--memory", "77M", "--", "sh", "-c", "echo 12345; exec sleep 600") as job:
        host.wait_until(lambda: ctl_json(daemon, "show", job)["stdout_bytes"] == 6)
        shown = ctl_json(daemon, "show", job)
        assert shown["limits"]["memory_bytes"] == 77 << 20
        assert shown["usage"]["wall_usec"] > 0 and shown["usage"]["memory_bytes"] > 0 and shown["usage"]["pids"] > 0
        assert (shown["stdout_bytes"], shown["result"], shown["ended_at_usec"]) == (6, None, 0)
        page = daemon.ctl_run("show", job).stdout.decode()
        for line in (f"job           {job}", "state         running", "user          root (0)",
                     "written       6 bytes to stdout, 0 bytes to stderr", "--memory 77M"):
            assert line in page, page


def sandbox_line(daemon, sandbox):
    """What `show` says of where a job with that sandbox is."""
    has_scopes = b"driver scope " in daemon.ctl_run("doctor").stdout
    return f"\nscope         sandbox-{sandbox}.scope\n" if has_scopes else f"\nsandbox       {sandbox}\n"


def test_show_the_sandbox(daemon):
    """One that is made for the job has its name; a parked one would have less room for files."""
    job = detach(daemon, "--tmp-size", "33M", "--", "sh", "-c", "echo made; exec sleep 600")
    try:
        assert host.wait_until(lambda: ctl_json(daemon, "show", job)["stdout_bytes"] == 5)
        assert ctl_json(daemon, "show", job)["sandbox_id"] == job
        assert [j["sandbox_id"] for j in ctl_json(daemon, "ps") if j["job_id"] == job] == [job]
        assert sandbox_line(daemon, job) in daemon.ctl_run("show", job).stdout.decode()
        groups = [str(d) for p in daemon.payload_pids() for d in host.cgroups(p).values()]
        assert any(job in group for group in groups), groups
    finally:
        cancel(daemon, job)
    assert ctl_json(daemon, "show", job)["sandbox_id"] == job


def test_show_a_finished_job(daemon):
    job = detach(daemon, "-l", "python", "-c", "print(1)\n{'a': 2**64}")
    assert daemon.ctl_run("wait", job).returncode == 0
    r = daemon.ctl_run("show", "--json", job)
    shown = json.loads(r.stdout)
    assert r.returncode == 0 and b'"json":{"a":18446744073709551616}' in r.stdout
    assert shown["result"]["status"] == "OK" and shown["ended_at_usec"] >= shown["started_at_usec"] > 0
    page = daemon.ctl_run("show", job).stdout.decode()
    assert re.search(r"^status +OK$", page, re.M) and "{'a': 18446744073709551616}" in page, page


# --- whose they are, and what they are called

VERBS = [["show"], ["wait"], ["logs"], ["logs", "--follow"], ["cancel"], ["get"]]


@pytest.mark.parametrize("verb", [*VERBS, ["signal"]], ids=" ".join)
def test_another_users_job_is_like_none(daemon, verb):
    more = ["TERM"] if verb == ["signal"] else []
    with running(daemon, uid=ALICE) as job:
        theirs = daemon.ctl_run(*verb, job, *more, uid=BOB)
        none = daemon.ctl_run(*verb, UNKNOWN, *more, uid=BOB)
        assert (theirs.returncode, none.returncode) == (125, 125)
        assert theirs.stderr.replace(job.encode(), b"ID") == none.stderr.replace(UNKNOWN.encode(), b"ID")
        assert theirs.stdout == none.stdout == b""
        assert daemon.ctl_run(*verb, job[:15], *more, uid=BOB).returncode == 125
        assert all(j["job_id"] != job for j in ctl_json(daemon, "ps", "--all", uid=BOB))
        assert state(daemon, job, uid=ALICE) == "running"


def test_an_unknown_job_as_json(daemon):
    r = daemon.ctl_run("show", "--json", UNKNOWN)
    error = json.loads(r.stdout)["error"]
    assert r.returncode == 125 and error["code"] == "NO_SUCH_JOB" and error["field"] == "job_id"
    assert r.stderr == b"sandboxctl: " + error["message"].encode() + b"\n"


def test_the_beginning_of_an_id_is_enough(daemon):
    job = detach(daemon, "--", "true")
    assert daemon.ctl_run("wait", job[:12]).returncode == 0
    assert ctl_json(daemon, "show", job[:12].upper())["job_id"] == job
    r = daemon.ctl_run("show", "0" * 12)
    assert r.returncode == 125 and b"no job of yours has an id that begins with '000000000000'" in r.stderr
    for text in ("x", "", "../1", job + "0"):
        r = daemon.ctl_run("show", text)
        assert r.returncode == 125 and b"is no id of a job" in r.stderr, r


def test_the_beginning_of_two_ids_is_not_enough(make_daemon):
    d = make_daemon()
    jobs = [detach(d, "--", "true") for _ in range(2)]
    while len({job[0] for job in jobs}) == len(jobs):
        jobs.append(detach(d, "--", "true"))
    first, = [c for c in {job[0] for job in jobs} if sum(job[0] == c for job in jobs) > 1]
    r = d.ctl_run("cancel", first)
    assert r.returncode == 125 and b"the ids of several jobs begin with" in r.stderr


# --- ending

def test_cancel_goes_on_after_a_failure(daemon):
    with running(daemon) as one, running(daemon) as two:
        r = daemon.ctl_run("cancel", "--json", one, UNKNOWN, "zz", two)
        said = json.loads(r.stdout)
        assert r.returncode == 125 and r.stderr.count(b"\n") == 2
        assert [j["job_id"] for j in said] == [one, UNKNOWN, "zz", two]
        assert [j["error"] and j["error"]["code"] for j in said] == [None, "NO_SUCH_JOB", "INVALID_ARGUMENT", None]
        assert [daemon.ctl_run("wait", job).returncode for job in (one, two)] == [143, 143]
        r = daemon.ctl_run("cancel", one)
        assert (r.returncode, r.stdout, r.stderr) == (0, b"", b""), "one that has ended stays as it is"


def test_signals_by_name_and_number(daemon):
    trap = "trap 'echo usr1' USR1; trap 'exit 4' TERM; echo ready; while :; do sleep 0.05; done"
    job = detach(daemon, "--", "sh", "-c", trap)
    with daemon.command("logs", "-f", job) as p:
        assert p.stdout.readline() == b"ready\n"
        for name in ("USR1", "sigusr1", str(signal.SIGUSR1.value)):
            assert daemon.ctl_run("signal", job, name).returncode == 0
            assert p.stdout.readline() == b"usr1\n"
        assert ctl_json(daemon, "signal", job, "TERM") == {"job_id": job, "signal": 15}
        p.communicate(timeout=20)
    assert daemon.ctl_run("wait", job).returncode == 4
    r = daemon.ctl_run("signal", job, "TERM")
    assert r.returncode == 125 and r.stderr, "it has ended"
    r = daemon.ctl_run("signal", job, "SIGFOO")
    assert r.returncode == 2 and b"'SIGFOO' is no signal" in r.stderr


def test_drain_resume_and_stop_all(make_daemon):
    d = make_daemon()
    with running(d, uid=ALICE) as one, running(d) as two:
        for verb in ("drain", "resume", "stop-all"):
            r = d.ctl_run(verb, uid=ALICE)
            assert r.returncode == 125 and r.stderr.count(b"\n") == 1, r
        assert ctl_json(d, "drain") == {"draining": True}
        r = d.ctl_run("run", "--json", "--", "true")
        assert r.returncode == 125 and json.loads(r.stdout)["error"]["code"] == "DRAINING"
        assert [state(d, job) for job in (one, two)] == ["running", "running"]
        r = d.ctl_run("resume")
        assert (r.returncode, r.stdout, r.stderr) == (0, b"", b"")
        assert d.ctl_run("run", "--", "true").returncode == 0
        assert ctl_json(d, "stop-all") == {"stopped": True}
        assert [d.ctl_run("wait", job).returncode for job in (one, two)] == [143, 143]


def test_a_detached_job_that_waits_for_others_to_end(make_daemon, tmp_path):
    """It is left to wait, unless there are large files to be sent when its turn has come."""
    d = make_daemon(settings={"Server": {"MaxJobsPerUser": 1}})
    (tmp_path / "large").write_bytes(bytes(3 << 20))
    with running(d) as first:
        job = detach(d, "-f", __file__, "--", "sh", "-c", "cat *.py | wc -c")
        assert state(d, job) == "queued" and b"queued" in d.ctl_run("ps").stdout
        with d.command("run", "--detach", "-f", tmp_path / "large", "--", "wc", "-c", "large") as p:
            assert host.wait_until(lambda: len(ctl_json(d, "ps")) == 3, 10)
            assert d.ctl_run("cancel", first).returncode == 0
            assert d.ctl_run("wait", job).returncode == 0
            out, err = p.communicate(timeout=20)
        assert (p.returncode, err) == (0, b"")
        assert d.ctl_run("logs", job).stdout == b"%d\n" % os.stat(__file__).st_size
        assert d.ctl_run("wait", out.decode().strip()).returncode == 0
        assert d.ctl_run("logs", out.decode().strip()).stdout == b"3145728 large\n"


# --- files

MAKE_FILES = ("mkdir -p out/deep; echo 1 > out/a.png; echo 2 > out/deep/b.txt; printf '#!/bin/sh\\n' > tool; "
              "chmod 750 tool; ln -s /etc/passwd link")


@pytest.fixture
def folder(tmp_path):
    """A folder that is the current one of a sandboxctl."""
    return tmp_path


def ctl_in(daemon, folder, *args):
    return subprocess.run([daemon.ctl, *args], cwd=folder, stdin=subprocess.DEVNULL, capture_output=True, timeout=60,
                          env={"PATH": "/usr/bin:/bin", "SANDBOXD_SOCKET": str(daemon.socket)})


def files_in(folder):
    return sorted(str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file())


def test_run_gets_files(daemon, folder):
    r = ctl_in(daemon, folder, "run", "--get", "out/*.png", "--get", "tool:renamed", "--get", "out/deep:new",
               "--", "sh", "-c", MAKE_FILES)
    assert (r.returncode, r.stdout, r.stderr) == (0, b"", b"")
    assert files_in(folder) == ["new/out/deep/b.txt", "out/a.png", "renamed"]
    assert (folder / "out/a.png").read_text() == "1\n"
    assert (folder / "renamed").stat().st_mode & 0o777 == 0o750


def test_files_that_do_not_come_are_named(daemon, folder):
    args = ["run", "--get", "tool", "--get", "link", "--get", "gone", "--get", "*.none", "--"]
    r = ctl_in(daemon, folder, *args, "sh", "-c", MAKE_FILES)
    assert r.returncode == 1 and r.stderr.count(b"\n") == 3
    for name in (b"link", b"gone", b"*.none"):
        assert b"sandboxctl: " + name + b" was not fetched: " in r.stderr, r.stderr
    assert files_in(folder) == ["tool"]
    # A job that failed has its own code.
    assert ctl_in(daemon, folder, *args, "sh", "-c", "exit 5").returncode == 5


def test_files_as_json(daemon, folder):
    r = ctl_in(daemon, folder, "run", "--json", "--get", "tool:x/", "--get", "gone", "--", "sh", "-c", MAKE_FILES)
    said = json.loads(r.stdout)
    assert r.returncode == 1 and said["status"] == "OK"
    assert said["fetched"] == [{"name": "tool", "path": "x/tool", "size": 10}]
    assert [f["name"] for f in said["not_fetched"]] == ["gone"] and said["not_fetched"][0]["message"]


def test_a_place_that_cannot_be_is_told_before_the_job_runs(daemon, folder):
    r = ctl_in(daemon, folder, "run", "--get", "x:no/such/place", "--", "touch", "/box/x")
    assert r.returncode == 125 and b"cannot put files into no/such/" in r.stderr
    assert ctl_in(daemon, folder, "wait", "--get", "x:no/such/place", UNKNOWN).returncode == 125


def test_get_of_a_detached_job(daemon, folder):
    job = detach(daemon, "--get", "out", "--get", "tool", "--get", "link", "--", "sh", "-c", MAKE_FILES)
    assert ctl_in(daemon, folder, "wait", "-o", "tool", job).returncode == 0
    assert files_in(folder) == ["tool"]
    r = ctl_in(daemon, folder, "get", job, "out/*.png:there")
    assert (r.returncode, r.stdout, r.stderr) == (0, b"there/out/a.png\n", b"")
    r = ctl_in(daemon, folder, "get", job, "out/nothing")
    assert r.returncode == 1 and b"out/nothing was not fetched: " in r.stderr
    r = ctl_in(daemon, folder, "get", "--json", job)
    said = json.loads(r.stdout)
    assert r.returncode == 1, "link cannot be fetched"
    assert sorted(f["path"] for f in said["fetched"]) == ["out/a.png", "out/deep/b.txt", "tool"]
    assert [f["name"] for f in said["not_fetched"]] == ["link"]


def test_names_that_a_job_chose_do_not_drive_the_terminal(daemon, folder):
    make = "printf x > \"$(printf 'a\\033[31m')\"; ln -s x \"$(printf 'l\\033[31m')\""
    job = detach(daemon, "--get", "*", "--", "sh", "-c", make)
    assert daemon.ctl_run("wait", job).returncode == 0
    r = ctl_in(daemon, folder, "get", job)
    assert r.returncode == 1 and r.stdout == b"a\\x1b[31m\n"
    assert b"l\\x1b[31m was not fetched: " in r.stderr and b"\x1b" not in r.stderr
    assert files_in(folder) == ["a\x1b[31m"]


# --- on a terminal, and with other daemons

def test_detach_says_more_to_a_person(daemon):
    with on_terminal(daemon, "run", "--detach", "--", "true", streams=["stderr"]) as (process, terminal):
        out, _ = process.communicate(timeout=20)
        said = read_terminal(terminal)
    job = out.decode().strip()
    assert re.fullmatch("[0-9a-f]{16}", job) and f"sandboxctl logs --follow {job}".encode() in said, said


PROGRESS = rb"\rrunning 0:0\d: CPU .*, memory "


def test_progress_on_a_terminal_and_nowhere_else(daemon):
    """A line that says how far a long job is, taken away before anything else is written. One that may wait
    for somebody who types gets it only while it computes."""
    sleeps = ["--", "sh", "-c", "trap 'echo done; exit 0' TERM; sleep 600 & wait"]
    everything = ["stdin", "stdout", "stderr"]
    # Those that must not show it begin first, and would have shown it when the last does.
    with on_terminal(daemon, "run", "--label", "progress", "--no-progress", *sleeps) as (_, without), \
            on_terminal(daemon, "run", "--label", "progress", *sleeps, streams=everything) as (_, typed), \
            daemon.command("run", "--label", "progress", *sleeps, env={"TERM": "xterm"}) as piped, \
            on_terminal(daemon, "run", "--label", "progress", *sleeps) as (process, terminal):
        shown = read_terminal(terminal, b", memory ")
        jobs = [j["job_id"] for j in ctl_json(daemon, "ps") if j["label"] == "progress"]
        assert len(jobs) == 4
        for job in jobs:
            assert daemon.ctl_run("signal", job, "TERM").returncode == 0
        shown += read_terminal(terminal)
        assert process.wait(20) == 0
        assert (read_terminal(without), read_terminal(typed)) == (b"done\r\n", b"done\r\n")
        assert piped.communicate(timeout=20) == (b"done\n", b"")
    assert re.search(PROGRESS, shown), shown
    assert re.search(rb"\r +\rdone\r\n$", shown), shown
    assert b"\x1b" not in shown


def test_progress_of_a_job_that_computes(daemon):
    with on_terminal(daemon, "run", "--", "sh", "-c", "while :; do :; done",
                     streams=["stdin", "stdout", "stderr"]) as (process, terminal):
        assert re.search(PROGRESS, read_terminal(terminal, b", memory "))
        os.write(terminal, b"\x03")
        said = read_terminal(terminal)
        assert process.wait(20) == 143 and re.search(rb"\r +\rsandboxctl: .*CANCELLED", said), said


@pytest.mark.parametrize("args, code", [
    (["show"], 2), (["ps", "x"], 2), (["cancel"], 2), (["get"], 2), (["signal", UNKNOWN], 2), (["drain", "now"], 2),
    (["logs", "--stream", "stdin", UNKNOWN], 2), (["show", UNKNOWN, UNKNOWN], 2),
    # Those that exit as a job does keep away from its codes.
    (["wait"], 125), (["run", "--detach", "--summary", "true"], 125), (["run", "-d", "--get", "a:b", "true"], 125),
], ids=lambda value: " ".join(value) if isinstance(value, list) else "")
def test_a_wrong_command_line(daemon, args, code):
    r = daemon.ctl_run(*args)
    assert r.returncode == code and r.stderr.count(b"\n") == 1 and r.stdout == b"", r


@pytest.mark.parametrize("args", [["ps"], ["show", UNKNOWN], ["drain"], ["run", "--detach", "true"],
                                  ["run", "--get", "x", "true"]], ids=" ".join)
def test_a_daemon_that_keeps_no_jobs(daemon, tmp_path, args):
    with standin.serving(tmp_path / "sock"):
        r = daemon.ctl_run("--socket", tmp_path / "sock", *args)
    assert r.returncode == 125 and r.stderr.count(b"\n") == 1, r
    assert b"install sandboxd and sandboxctl of one version" in r.stderr
