# SPDX-License-Identifier: Apache-2.0
"""Every row of the table of statuses: the status, the exit code of sandboxctl, and what came back of
the output. The first cause wins."""

import shutil
import signal
import time

import pytest

from lib import host, wire

EAT = "l = []\nwhile True: l.append(bytearray(4 << 20))"
EAT_LOUDLY = "print('before', flush=True)\n" + EAT


def test_ok(daemon):
    r = daemon.run("--", "true")
    assert (r.status, r.rc, r.exit_code, r.signal, r.message) == ("OK", 0, 0, 0, "")


@pytest.mark.parametrize("code", [1, 2, 42, 124, 125, 137, 255])
def test_exited(daemon, code):
    r = daemon.bash(f"exit {code}")
    assert (r.status, r.rc, r.exit_code, r.signal) == ("EXITED", code, code, 0)
    assert r.message


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL, signal.SIGSEGV, signal.SIGABRT,
                                    signal.SIGHUP, signal.SIGUSR1])
def test_signaled(daemon, number):
    """A job that kills itself died of its own signal: SIGKILL is no verdict of ours."""
    r = daemon.run("--", "sh", "-c", f"echo before; kill -{int(number)} $$")
    assert (r.status, r.rc, r.signal) == ("SIGNALED", 128 + number, number), r
    assert r.stdout == "before\n" and r.message


def test_timeout(daemon):
    started = time.monotonic()
    r = daemon.run("-t", "0.5s", "--", "sh", "-c", "echo partial; echo oops >&2; sleep 60")
    assert (r.status, r.rc) == ("TIMEOUT", 124), r
    assert (r.stdout, r.stderr) == ("partial\n", "oops\n")
    assert r.message and r.usage["wall_usec"] >= 450_000
    assert time.monotonic() - started < 20


@pytest.mark.parametrize("language,code", [
    ("python", "print('partial')\nwhile True: pass"),
    ("javascript", "console.log('partial'); for (;;);"),
    ("bash", "echo partial; while :; do :; done"),
])
def test_timeout_keeps_output(daemon, language, code):
    r = daemon.run("-t", "3s", "-l", language, "-c", code)
    assert (r.status, r.stdout) == ("TIMEOUT", "partial\n"), r


def test_timeout_of_a_job_that_ignores_signals(daemon):
    r = daemon.run("-t", "500ms", "--", "sh", "-c", "trap '' TERM INT HUP; echo armed; "
                   "while :; do sleep 1; done")
    assert (r.status, r.stdout) == ("TIMEOUT", "armed\n")


def test_cpu_limit(daemon):
    r = daemon.python("print('spin', flush=True)\nwhile True: pass", "--cpu-time", "1s")
    assert (r.status, r.rc, r.stdout) == ("CPU_LIMIT", 152, "spin\n"), r
    used = r.usage["cpu_user_usec"] + r.usage["cpu_system_usec"]
    assert 900_000 <= used <= 4_000_000


def test_cpu_limit_counts_all_processes(daemon):
    r = daemon.bash("for i in 1 2 3 4; do (while :; do :; done) & done; wait", "--cpu-time", "800ms",
                    "--cpus", "2")
    assert r.status == "CPU_LIMIT", r


def test_cpu_limit_does_not_count_sleep(daemon):
    r = daemon.run("--cpu-time", "500ms", "--", "sleep", "1.5")
    assert r.status == "OK", r


@pytest.mark.parametrize("language,code", [
    ("python", EAT_LOUDLY),
    ("javascript", "console.log('before'); const l = [];"
                   "for (;;) l.push(Buffer.alloc(4 << 20, 1));"),
    ("bash", "echo before; x=$(tr '\\0' x < /dev/zero); echo $x"),
])
def test_memory_limit(daemon, language, code):
    r = daemon.run("-m", "96M", "-t", "60s", "-l", language, "-c", code)
    assert (r.status, r.rc, r.stdout) == ("MEMORY_LIMIT", 137, "before\n"), r
    assert r.message


def test_memory_limit_of_a_child(daemon):
    """The kernel killed a child and the job went on to exit 0: the verdict still tells of it."""
    r = daemon.run("-m", "64M", "--", "sh", "-c",
                   "/usr/bin/python3 -c 'x = bytearray(500 << 20)'; echo after; exit 0")
    assert r.status == "MEMORY_LIMIT", r


def test_output_limit_strict(daemon):
    r = daemon.run("--strict-output", "--output-limit", "1000", "--", "sh", "-c",
                   "yes | head -c 5000; sleep 60")
    assert (r.status, r.rc) == ("OUTPUT_LIMIT", 153), r
    assert r.stdout_truncated and len(r.stdout) == 1000


def test_output_limit_strict_is_not_passed_by_reaching_it(daemon):
    r = daemon.run("--strict-output", "--output-limit", "1000", "--", "sh", "-c", "yes | head -c 1000")
    assert (r.status, r.stdout_truncated, len(r.stdout)) == ("OK", False, 1000), r


@pytest.mark.parametrize("target", ["", ">&2"])
def test_output_limit_at_64_times(daemon, target):
    r = daemon.run("--output-limit", "4K", "-t", "60s", "--", "sh", "-c", f"yes {target}")
    assert (r.status, r.rc) == ("OUTPUT_LIMIT", 153), r
    stream = "stderr" if target else "stdout"
    assert r.object[stream + "_truncated"] is True
    assert len(getattr(r, stream)) == 4096
    assert r.object[stream + "_bytes"] >= 64 * 4096


@pytest.mark.parametrize("stream,target", [("stdout", ""), ("stderr", ">&2")])
def test_truncation_is_no_end(daemon, stream, target):
    """Over the limit, under 64 times: drained and counted, and the job goes on."""
    r = daemon.run("--output-limit", "4K", "--", "sh", "-c",
                   f"yes | head -c 100000 {target}; exit 9")
    assert (r.status, r.rc) == ("EXITED", 9), r
    other = "stderr" if stream == "stdout" else "stdout"
    assert r.object[stream + "_truncated"] is True and r.object[other + "_truncated"] is False
    assert r.object[stream + "_bytes"] == 100000
    assert getattr(r, stream) == "y\n" * 2048


def test_violation(daemon, helper):
    r = daemon.run("-f", f"{helper('abi')}:abi", "--", "./abi", "x32")
    assert (r.status, r.rc, r.stdout) == ("VIOLATION", 159, "before\n"), r


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_cancelled_by_the_user(daemon, number):
    """sandboxctl takes the job with it."""
    with daemon.command("run", "--json", "--", "sh", "-c", "echo begun; exec sleep 60") as process:
        assert host.wait_until(daemon.payload_pids, 10)
        time.sleep(0.2)
        process.send_signal(number)
        process.communicate(timeout=20)
        assert process.returncode == 143 or process.returncode == 128 + number
    assert host.wait_until(lambda: not daemon.job_pids(), 5)


def test_cancelled_by_request(daemon):
    with daemon.session() as c:
        c.send(wire.run(7, argv=[b"sh", b"-c", b"echo begun; exec sleep 60"]))
        c.expect("started")
        assert c.expect("output")["data"] == b"begun\n"
        c.send(wire.cancel(7))
        r, _, _ = c.finish(7)
        assert r["result"]["status"] == "CANCELLED", r
    assert host.wait_until(lambda: not daemon.job_pids(), 5)


@pytest.mark.parametrize("command,code,errno", [
    (["/usr/bin/no-such-program"], 127, 2), (["no-such-program"], 127, 2), (["/usr"], 126, 13),
    (["/box/plain"], 126, 13), (["/box/garbage"], 126, 8), (["/box/orphan"], 127, 2),
])
def test_setup_error_of_the_exec(daemon, tmp_path, command, code, errno):
    (tmp_path / "plain").write_text("not executable")
    (tmp_path / "garbage").write_bytes(b"\x7fELF garbage")
    (tmp_path / "garbage").chmod(0o755)
    (tmp_path / "orphan").write_text("#!/no/such/interpreter\n")
    (tmp_path / "orphan").chmod(0o755)
    files = [x for n in ("plain", "garbage", "orphan") for x in ("-f", tmp_path / n)]
    r = daemon.run(*files, "--", *command)
    assert (r.status, r.rc, r.step) == ("SETUP_ERROR", code, "exec"), r
    assert command[0] in r.message, r.message
    if "errno" in r.object or "error" in r.object:
        assert r.object.get("errno", r.object.get("error")) == errno


def test_setup_error_of_the_workdir(daemon):
    r = daemon.run("-w", "/tmp/no/such/folder", "--", "true")
    assert (r.status, r.rc) == ("SETUP_ERROR", 125), r
    assert r.step == "files" and r.message


def test_setup_error_of_a_file_in_the_way(daemon, tmp_path):
    """A file where another one needs a folder shows only when they are written."""
    (tmp_path / "f").write_text("x")
    r = daemon.run("-f", f"{tmp_path}/f:a", "-f", f"{tmp_path}/f:a/b", "--", "true")
    assert r.rc == 125 and ((r.object or {}).get("step") == "files" or "files[1]" in r.errors), r


# --- the first cause wins

def test_cancel_after_the_memory_limit(daemon):
    """The kernel's kill came first; the cancel that follows changes nothing."""
    code = b"import subprocess, sys, time\n" \
           b"subprocess.run([sys.executable, '-c', 'x = bytearray(900 << 20)'])\n" \
           b"print('survived', flush=True)\ntime.sleep(60)"
    with daemon.session() as c:
        c.send(wire.run(3, runtime="python", code=code, limits={"memory_bytes": 64 << 20}))
        c.expect("started")
        r = c.receive()
        if "output" in r:  # where an OOM in the job leaf leaves its other processes alive
            c.send(wire.cancel(3))
            r, _, _ = c.finish(3)
        assert r["result"]["status"] == "MEMORY_LIMIT", r


def test_timeout_after_the_memory_limit(daemon):
    r = daemon.run("-m", "24M", "-t", "6s", "--", "sh", "-c",
                   "/usr/bin/python3 -c 'x = bytearray(500 << 20)'; sleep 60")
    assert r.status == "MEMORY_LIMIT", r


def test_cancel_before_the_timeout(daemon):
    with daemon.session() as c:
        c.send(wire.run(4, argv=[b"sleep", b"60"], limits={"wall_time_usec": 3_000_000}))
        c.expect("started")
        c.send(wire.cancel(4))
        r, _, _ = c.finish(4)
        assert r["result"]["status"] == "CANCELLED", r


def test_cancel_after_the_end(daemon):
    """A cancel that crosses the result is not misuse: the connection goes on."""
    with daemon.session() as c:
        r, _, _ = c.run(5, argv=[b"true"])
        assert r["result"]["status"] == "OK"
        c.send(wire.cancel(5))
        r, out, _ = c.run(6, argv=[b"echo", b"next"])
        if "error" in r and r.get("id", 0) == 5:
            r, out, _ = c.finish(6)
        assert out == b"next\n", r


def test_cancelled_ten_times(daemon):
    with daemon.session() as c:
        c.send(wire.run(8, argv=[b"sleep", b"60"]), *[wire.cancel(8)] * 10)
        r, _, _ = c.finish(8)
        assert r.get("result", {}).get("status") == "CANCELLED" or \
            r.get("error", {}).get("code") == "INVALID_ARGUMENT", r
    assert host.wait_until(lambda: not daemon.job_pids(), 5)


def test_sigkill_of_a_child_is_not_the_jobs_end(daemon):
    r = daemon.run("--", "sh", "-c", "sleep 60 & kill -9 $!; wait $!; exit 5")
    assert (r.status, r.rc) == ("EXITED", 5), r


def test_what_runs_on_after_the_main_process_dies_with_it(daemon):
    r = daemon.run("--", "sh", "-c", "setsid sleep 300 & (sleep 300 &) ; exit 0", timeout=30)
    assert r.status == "OK", r
    assert host.wait_until(lambda: not daemon.job_pids(), 5)


@pytest.mark.skipif(not shutil.which("strace"), reason="needs strace")
def test_a_step_that_fails_early_is_named_each_time(make_daemon):
    """Init then has not read all its orders, and the kernel tells the monitor of that first."""
    d = make_daemon(wrapper=["strace", "-D", "-f", "-qq", "-o", "/dev/null", "--seccomp-bpf", "-e",
                             "trace=sethostname", "-e", "inject=sethostname:error=EPERM"],
                    environment={"ASAN_OPTIONS": "detect_leaks=0"})  # it cannot, under a tracer
    ends = []
    with d.session() as c:
        for i in range(30):
            c.send(wire.run(i + 1, argv=[b"true"]))
        while len(ends) < 30:
            response = c.receive()
            assert "error" not in response, response
            if "result" in response:
                ends.append((response["result"]["status"], response["result"]["step"]))
    assert set(ends) == {("SETUP_ERROR", "hostname")}, ends
