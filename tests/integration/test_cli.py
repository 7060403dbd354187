# SPDX-License-Identifier: Apache-2.0
"""sandboxctl as a person or a script uses it."""

import json
import re
import signal
import time

import pytest

from lib import host


def test_output_passes_through(daemon):
    r = daemon.ctl_run("run", "--", "sh", "-c", "printf 'a\\nb'; printf oops >&2; exit 3")
    assert (r.returncode, r.stdout) == (3, b"a\nb")
    assert b"oops" in r.stderr


def test_output_comes_as_it_is_written(daemon):
    with daemon.command("run", "--", "sh", "-c", "echo first; sleep 30") as p:
        started = time.monotonic()
        assert p.stdout.readline() == b"first\n"
        assert time.monotonic() - started < 15
        p.terminate()
        p.communicate(timeout=20)


def test_stdin_is_forwarded_as_it_comes(daemon):
    import subprocess
    with daemon.command("run", "--", "cat", stdin=subprocess.PIPE) as p:
        for line in (b"one\n", b"two\n"):
            p.stdin.write(line)
            p.stdin.flush()
            assert p.stdout.readline() == line
        p.stdin.close()
        assert p.wait(20) == 0
        p.stdin = None


def test_value_and_usage_on_request(daemon):
    """Without --summary the output is the program's alone."""
    r = daemon.ctl_run("run", "-l", "python", "-c", "print('out'); 6*7")
    assert (r.returncode, r.stdout, r.stderr) == (0, b"out\n", b"")
    r = daemon.ctl_run("run", "--summary", "-l", "python", "-c", "print('out'); 6*7")
    assert (r.returncode, r.stdout) == (0, b"out\n")
    for word in (b"42", b"OK", b"memory", b"time"):
        assert word in r.stderr, r.stderr


def test_limit_is_told_to_a_person(daemon):
    r = daemon.ctl_run("run", "-t", "300ms", "--", "sleep", "9")
    assert r.returncode == 124
    assert b"time" in r.stderr.lower() and b"300ms" in r.stderr or b"0.3" in r.stderr, r.stderr


def test_no_colour_off_a_terminal(daemon):
    for args in (["run", "-t", "300ms", "--", "sleep", "9"], ["runtimes"], ["profiles"], ["doctor"]):
        r = daemon.ctl_run(*args)
        assert b"\x1b" not in r.stdout + r.stderr


def test_json_is_one_object(daemon):
    r = daemon.ctl_run("run", "--json", "--", "sh", "-c", "echo '{\"not\": \"ours\"}'")
    assert json.loads(r.stdout)["stdout"] == '{"not": "ours"}\n'
    assert r.stderr == b""


def test_json_of_a_refusal(daemon):
    r = daemon.ctl_run("run", "--json", "-l", "cobol", "-c", "x")
    assert r.returncode == 125
    assert "cobol" in json.dumps(json.loads(r.stdout)) and r.stderr.startswith(b"sandboxctl: ")


@pytest.mark.parametrize("args, exit_code", [
    (["runtimes", "--frob", "--json"], 2), (["doctor", "extra", "--json"], 2),
    (["profiles", "--json", "--color=red"], 2), (["--json", "dance"], 2), (["run", "--frob", "--json", "true"], 125),
])
def test_json_of_a_wrong_command_line(daemon, args, exit_code):
    r = daemon.ctl_run(*args)
    error = json.loads(r.stdout)["error"]
    assert (r.returncode, error["code"]) == (exit_code, "INVALID_ARGUMENT"), r
    assert r.stderr == f"sandboxctl: {error['message']}\n".encode()


def test_empty_language(daemon):
    r = daemon.ctl_run("run", "-l", "", "-c", "1")
    assert r.returncode == 125 and b"--language is empty" in r.stderr, r


@pytest.mark.parametrize("frame", ["4K", "16K"])
def test_small_frames(make_daemon, tmp_path, frame):
    """Input is cut to what the daemon takes in one request; what cannot be cut is refused by its name."""
    daemon = make_daemon(settings={"Server": {"MaxFrameSize": frame}})
    big = tmp_path / "big"
    big.write_bytes(b"x" * 1_000_000)
    small = tmp_path / "small"
    small.write_bytes(b"y" * 3900)
    r = daemon.run("-f", big, "-f", small, "-f", f"{small}:again", "--", "wc", "-c", "big", "small", "again")
    assert re.findall(r"\d+", r.stdout) == ["1000000", "3900", "3900", "1007800"], r
    r = daemon.run("--", "wc", "-c", stdin=b"z" * 1_000_000)
    assert r.stdout.strip() == "1000000", r
    r = daemon.run("--", "true", "a" * 20000)
    assert r.rc == 125 and "larger than" in r.errors and "MaxFrameSize=" in r.errors, r


def test_options_after_the_command_are_its_own(daemon):
    r = daemon.run("sh", "-c", "echo $0 $1", "-t", "--json")
    assert r.stdout == "-t --json\n", r


def test_runtimes(daemon):
    r = daemon.ctl_run("runtimes")
    for name in (b"python", b"javascript", b"javascript-bare", b"bash", b"command"):
        assert name in r.stdout
    listing = json.loads(daemon.ctl_run("runtimes", "--json").stdout)
    listing = listing["runtimes"] if isinstance(listing, dict) else listing
    assert {x["name"]: x["interpreter"] for x in listing}["python"].startswith("/usr/")


def test_profiles(daemon):
    r = daemon.ctl_run("profiles")
    assert r.returncode == 0 and b"default" in r.stdout and b"strict" in r.stdout
    assert b"256M" in r.stdout and b"2G" in r.stdout
    # The profile has no default for the CPU time, so its maximum holds.
    assert re.search(rb"cpu_time_usec +--cpu-time +10min +10min", r.stdout), r.stdout
    listing = {p["name"]: p["limits"] for p in json.loads(daemon.ctl_run("profiles", "--json").stdout)}
    assert listing["default"]["cpu_time_usec"] == {"default": 600_000_000, "maximum": 600_000_000}


def test_cpus_as_profiles_show_them(daemon):
    assert daemon.run("--cpus", "150%", "--", "true").rc == 0
    r = daemon.ctl_run("run", "--cpus", "300%", "--", "true")
    assert r.returncode == 125 and b"ask for at most 200%" in r.stderr, r


def test_doctor(daemon):
    r = daemon.ctl_run("doctor")
    assert r.returncode == 0, r
    for word in (b"memory", b"cpu", b"pids", b"python", b"cgroupfs"):
        assert word in r.stdout, r.stdout
    assert isinstance(json.loads(daemon.ctl_run("doctor", "--json").stdout), (dict, list))


def test_version(daemon):
    r = daemon.ctl_run("version")
    assert r.returncode == 0 and re.search(rb"\d+\.\d+", r.stdout)


@pytest.mark.parametrize("args", [[], ["help"], ["--help"], ["run", "--help"]])
def test_help(daemon, args):
    r = daemon.ctl_run(*args)
    assert b"run" in r.stdout + r.stderr
    assert r.returncode == (0 if args else 2)


def test_unknown_verb(daemon):
    r = daemon.ctl_run("dance")
    assert r.returncode == 2 and b"dance" in r.stderr


def test_reader_that_goes(daemon):
    """`sandboxctl run yes | head -1` ends, and the job with it."""
    with daemon.command("run", "--", "yes") as p:
        p.stdout.readline()
        p.stdout.close()
        p.stdout = None
        assert p.wait(20) != 0
    assert host.wait_until(lambda: not daemon.job_pids(), 5)


def test_killed_client(daemon):
    with daemon.command("run", "--", "sleep", "600") as p:
        assert host.wait_until(daemon.payload_pids, 10)
        p.send_signal(signal.SIGKILL)
        p.communicate(timeout=20)
    assert host.wait_until(lambda: not daemon.job_pids(), 5)


def test_many_at_a_time(daemon):
    """Twelve clients on two cores: each gets its own answer."""
    processes = [daemon.command("run", "--json", "-l", "python", "-c", f"{i} * {i}") for i in range(12)]
    for i, p in enumerate(processes):
        out, err = p.communicate(timeout=60)
        assert json.loads(out)["return_value"]["json"] == i * i, err


def test_as_another_user(daemon):
    r = daemon.run("-l", "python", "-c", "6*7", uid=65534)
    assert (r.rc, r.return_value["json"]) == (0, 42), r
