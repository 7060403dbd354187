# SPDX-License-Identifier: Apache-2.0
"""sandboxctl as a person or a script uses it."""

import array
import contextlib
import fcntl
import json
import os
import re
import signal
import socket
import struct
import subprocess
import termios
import time

import pytest

from lib import host, standin, wire
from lib.stdio import STDERR, STDOUT


# More than a pipe holds, less than the limit for output.
CHATTER = ["--output-limit", "32M", "--", "sh", "-c", "head -c 16000000 /dev/zero; exec sleep 600"]


def fill_of(pipe):
    """The bytes that wait in a pipe."""
    size = array.array("i", [0])
    fcntl.ioctl(pipe, termios.FIONREAD, size)
    return size[0]


def written(daemon):
    """What jobs have written so far, in bytes: as much as went through, and as much as pipes and sockets hold."""
    counts = [re.search(r"^wchar: (\d+)", host.read(f"/proc/{pid}/io") or "", re.M) for pid in daemon.payload_pids()]
    return sum(int(count[1]) for count in counts if count)


def wait_stuck(daemon):
    """Until jobs have written all that there is room for."""
    seen = [0]

    def stuck():
        before, seen[0] = seen[0], written(daemon)
        return before == seen[0] > 0
    assert host.wait_until(stuck, 20, 0.3), seen


@contextlib.contextmanager
def ended(process):
    """A process that may be stuck when its test fails."""
    with process:
        try:
            yield process
        finally:
            process.kill()


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
    with daemon.command("run", "--", "cat", stdin=subprocess.PIPE) as p:
        for line in (b"one\n", b"two\n"):
            p.stdin.write(line)
            p.stdin.flush()
            assert p.stdout.readline() == line
        p.stdin.close()
        assert p.wait(20) == 0
        p.stdin = None


def test_stdin_can_be_opened_anew(daemon):
    r = daemon.ctl_run("run", "--", "sh", "-c", "cat /dev/stdin; cat /proc/self/fd/0", stdin=b"once")
    assert (r.returncode, r.stdout, r.stderr) == (0, b"once", b""), r


def test_stdin_that_nobody_reads(daemon):
    """The job has ended: what is left of stdin is not waited for."""
    with ended(daemon.command("run", "--", "true", stdin=subprocess.PIPE)) as p:
        assert p.wait(20) == 0
        p.stdin.close()
        p.stdin = None


@pytest.mark.parametrize("mode", ["wb", "ab"])
def test_from_file_to_file(daemon, tmp_path, mode):
    """More than any pipe holds, whole and in order, also to a file that is appended to."""
    data = b"".join(i.to_bytes(8, "big") for i in range(1 << 20))
    (tmp_path / "in").write_bytes(data)
    (tmp_path / "out").write_bytes(b"old")
    with open(tmp_path / "in", "rb") as source, open(tmp_path / "out", mode) as target:
        r = subprocess.run([daemon.ctl, "run", "--output-limit", "64M", "--", "cat"], stdin=source, stdout=target,
                           stderr=subprocess.PIPE, timeout=60, env={"SANDBOXD_SOCKET": str(daemon.socket)})
    assert (r.returncode, r.stderr) == (0, b"")
    assert (tmp_path / "out").read_bytes() == (b"old" if mode == "ab" else b"") + data


def test_from_socket_to_socket(daemon):
    """They are left as blocking as they were."""
    ours, theirs = socket.socketpair()
    with ours, theirs, ended(subprocess.Popen([daemon.ctl, "run", "--", "cat"], stdin=theirs, stdout=theirs,
                                              env={"SANDBOXD_SOCKET": str(daemon.socket)})) as p:
        ours.sendall(b"x" * 300_000)
        ours.shutdown(socket.SHUT_WR)
        received = 0
        while received < 300_000 and (piece := ours.recv(65536)):
            received += len(piece)
        assert received == 300_000 and p.wait(20) == 0
        assert not fcntl.fcntl(theirs, fcntl.F_GETFL) & os.O_NONBLOCK


def test_cut_output_is_told(daemon):
    r = daemon.ctl_run("run", "--output-limit", "64K", "--", "head", "-c", "100000", "/dev/zero")
    assert (r.returncode, r.stdout) == (0, bytes(65536))
    assert b"stdout was cut at 64K of" in r.stderr, r.stderr


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


@pytest.mark.parametrize("language, code, json_text", [
    ("python", "2**63", str(2**63)), ("python", "{'id': 2**64}", '{"id":18446744073709551616}'),
    pytest.param("python", "-10**400", str(-10**400), id="beyond a double"), ("python", "[0.1, 1e300]", "[0.1,1e+300]"),
    ("python", "'\\x1b[31m\\0'", '"\\u001b[31m\\u0000"'), ("python", "float('nan')", "null"),
    ("javascript", "[0.1, 2**53]", "[0.1,9007199254740992]"),
])
def test_json_of_a_value_is_as_the_language_wrote_it(daemon, language, code, json_text):
    r = daemon.run("-l", language, "-c", code)
    assert r.status == "OK" and f'"json":{json_text}}}' in r.raw, r


@pytest.mark.parametrize("args", [
    ["run", "--file", "\x1b[31m\n\u009b", "true"], ["run", "--\x1b]0;\u200b", "true"], ["run", "-\x1b", "true"],
    ["run", "--timeout", "\x1b[2J\u2066", "true"], ["\x1b[31m"], ["doctor", "\x1b[31m"], ["runtimes", "\x1b[31m\r"],
    ["--socket", "/\x1b[31m", "version"], ["--socket", "/\x1b[31m", "doctor"], ["--socket", "/\x1b[31m", "run", "true"],
])
def test_the_callers_words_do_not_drive_the_terminal(daemon, args):
    r = daemon.ctl_run(*args)
    for out in r.stdout.decode(), r.stderr.decode():
        assert not re.search("[\0-\x09\x0b-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2066-\u2069]", out), r
    assert b"\\x1b" in r.stdout + r.stderr and r.stderr.count(b"\n") <= 1, r


def test_json_of_a_name_that_is_no_text(daemon):
    r = daemon.ctl_run("run", "--json", "--file", b"\xff\x1b".decode(errors="surrogateescape"), "true")
    assert r.returncode == 125 and "\\xff\\x1b" in json.loads(r.stdout)["error"]["message"], r


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


@pytest.mark.parametrize("together", [False, True])
def test_interrupted_while_nobody_reads(daemon, together):
    """The output that does not fit into the pipe is left out; the verdict still comes."""
    argv = [str(daemon.ctl), "run", *CHATTER]
    reader, writer = os.pipe()
    with ended(subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=writer,
                                stderr=writer if together else subprocess.PIPE,
                                env={"SANDBOXD_SOCKET": str(daemon.socket)})) as p:
        os.close(writer)
        assert host.wait_until(lambda: fill_of(reader) >= 32768, 10)
        time.sleep(0.3)
        started = time.monotonic()
        p.send_signal(signal.SIGINT)
        assert p.wait(20) == 143
        assert time.monotonic() - started < 5
        if not together:
            errors = p.stderr.read()
            assert b"CANCELLED" in errors and b"left out" in errors, errors
    os.close(reader)
    assert host.wait_until(lambda: not daemon.job_pids(), 5)


def test_interrupted_while_reader_is_slow(daemon):
    """Output that somebody reads comes also after the signal: all that was on its way."""
    with ended(daemon.command("run", *CHATTER)) as p:
        wait_stuck(daemon)
        p.send_signal(signal.SIGINT)
        time.sleep(0.3)
        out, err = p.communicate(timeout=20)
    assert p.returncode == 143 and b"left out" not in err and b"raise" not in err, err
    assert len(out) > 200_000 and out == bytes(len(out))


def test_interrupted_while_daemon_hangs(daemon):
    with ended(daemon.command("run", "sleep", "600")) as p:
        assert host.wait_until(daemon.payload_pids, 10)
        os.kill(daemon.frontend, signal.SIGSTOP)
        try:
            p.send_signal(signal.SIGINT)
            _, err = p.communicate(timeout=20)
        finally:
            os.kill(daemon.frontend, signal.SIGCONT)
    assert p.returncode == 143 and b"cancelled" in err, err


def test_interrupted_while_json_is_not_read(daemon):
    """The object is larger than the pipe: one signal is enough to leave."""
    with ended(daemon.command("run", "--json", "sh", "-c", "head -c 300000 /dev/zero | tr '\\0' x")) as p:
        assert host.wait_until(lambda: fill_of(p.stdout) >= 65536, 10)
        p.send_signal(signal.SIGINT)
        assert p.wait(5) == 143


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


@pytest.fixture
def folder(tmp_path):
    """sub/deep/file, run and big, with modes."""
    top = tmp_path / "top"
    (top / "sub/deep").mkdir(parents=True)
    (top / "sub/deep/file").write_text("deep")
    (top / "sub/deep/file").chmod(0o600)
    (top / "run").write_text("#!/bin/sh\necho ran\n")
    (top / "run").chmod(0o755)
    (top / "big").write_bytes(b"b" * 300_000)
    return top


def test_folder(daemon, folder):
    """All that is in it, streamed where it is large, with its modes."""
    (folder / "link").symlink_to("sub/deep/file")
    r = daemon.run("-f", f"{folder}/", "-f", f"{folder}:other/name", "--", "sh", "-c",
                   "top/run; cat top/link; wc -c <top/big; stat -c %a top/run top/sub/deep/file; find other | sort")
    assert r.stdout.split() == ["ran", "deep300000", "755", "600", "other", "other/name", "other/name/big",
                                "other/name/link", "other/name/run", "other/name/sub", "other/name/sub/deep",
                                "other/name/sub/deep/file"], r


def test_folder_into_the_box_itself(daemon, folder):
    r = daemon.ctl_run("run", "-f", f"{folder}/.", "--", "sh", "-c", "./run; cat sub/deep/file")
    assert (r.returncode, r.stdout) == (0, b"ran\ndeep"), r


@pytest.mark.parametrize("what", ["link", "fifo"])
def test_folder_with_what_cannot_travel(daemon, folder, what):
    if what == "link":
        (folder / "sub/x").symlink_to("deep")
    else:
        os.mkfifo(folder / "sub/x")
    r = daemon.ctl_run("run", "-f", folder, "--", "true")
    assert r.returncode == 125 and f"{folder}/sub/x is".encode() in r.stderr, r


def unread(sock):
    return struct.unpack("i", fcntl.ioctl(sock, termios.TIOCOUTQ, bytes(4)))[0]


@pytest.mark.parametrize("closes", [True, False], ids=["closed", "open"])
def test_the_daemon_dies_with_streams_open(daemon, tmp_path, closes):
    """What is in the sockets is shown, and the end is not waited for: whoever holds them may be what hangs."""
    pairs = [socket.socketpair() for _ in range(2)]

    def answer(c):
        request = standin.receive(c)
        assert dict(wire.fields(request[3]))[15] == STDOUT | STDERR
        pairs[0][0].sendall(b"so far\n")
        started = wire.text(1, "0" * 16) + wire.text(2, "command") + wire.text(3, "default")
        c.sendmsg([wire.frame(wire.request(request[1], wire.data(3, started)))],
                  [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [p[1].fileno() for p in pairs]))])
        assert host.wait_until(lambda: unread(pairs[0][0]) == 0, 10)
        for ours, theirs in pairs:
            theirs.close()
            if closes:
                ours.close()

    with standin.serving(tmp_path / "sock", ["stream-sockets"], answer):
        r = daemon.ctl_run("--socket", tmp_path / "sock", "run", "--no-stdin", "--", "true", timeout=20)
    assert (r.returncode, r.stdout) == (125, b"so far\n"), r
    assert r.stderr.count(b"\n") == 1, r.stderr
    for ours, _ in pairs:
        ours.close()
