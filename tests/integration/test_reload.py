# SPDX-License-Identifier: Apache-2.0
"""SIGHUP: another policy while clients are connected and jobs run. Nothing that was begun changes, nothing
is lost, and a policy that is broken changes nothing (attack corpus 61)."""

import os
import re
import shutil
import signal
import subprocess
import threading
import time
from pathlib import Path

import pytest

from lib import host, wire
from lib.daemon import NOBODY

MIB = 1 << 20
EXTRA = """[Profile]
Description=For one test
[Limits]
WallTimeSec=60s
MaxWallTimeSec=60s
CPUTimeSec=
MaxCPUTimeSec=60s
Memory={memory}
MaxMemory={memory}
CPUQuota=100%
MaxCPUQuota=100%
Pids=64
MaxPids=64
Output=1M
MaxOutput=1M
TmpSize=16M
MaxTmpSize=16M
CodeSize=1M
FilesSize=16M
"""


@pytest.fixture
def d(make_daemon, policy_copy):
    """A daemon with a policy folder of its own."""
    return make_daemon(policy_dir=policy_copy)


def drop_in(folder, kind, name, text):
    """Writes a drop-in of a profile or runtime, which replaces the one of an earlier call."""
    path = folder / f"{kind}s" / f"{name}.{kind}.d" / "test.conf"
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)
    return path


def put_profile(folder, name, memory="64M"):
    (folder / "profiles" / f"{name}.profile").write_text(EXTRA.format(memory=memory))


def set_memory(folder, memory):
    drop_in(folder, "profile", "default", f"[Limits]\nMemory={memory}\n")


def memory_of(connection, request_id, **fields):
    """What a job sees as the host's memory, which is its limit."""
    response, out, _ = connection.run(request_id, argv=[b"grep", b"MemTotal", b"/proc/meminfo"], **fields)
    assert response["result"]["status"] == "OK", response
    return int(out.split()[1]) * 1024


def reloaded(d):
    line = d.reload()
    assert line.startswith("reloaded: "), line


def mapped_policies(pid):
    return (host.read(f"/proc/{pid}/maps") or "").count("memfd:policy")


def templates(pid):
    """The mount namespaces that a process holds by an fd."""
    found = set()
    for entry in Path(f"/proc/{pid}/fd").iterdir():
        try:
            found.add(os.readlink(entry))
        except FileNotFoundError:
            pass
    return {link for link in found if link.startswith("mnt:")}


# --- what changes

def test_new_limit(d, policy_copy):
    with d.session() as c:
        assert memory_of(c, 2) == 256 * MIB
        set_memory(policy_copy, "99M")
        assert memory_of(c, 3) == 256 * MIB
        reloaded(d)
        assert memory_of(c, 4) == 99 * MIB


def test_new_profile_and_its_end(d, policy_copy):
    with d.session() as c:
        assert c.run(2, argv=[b"true"], profile="extra")[0]["error"]["code"] == "UNKNOWN_PROFILE"
        put_profile(policy_copy, "extra")
        reloaded(d)
        assert memory_of(c, 3, profile="extra") == 64 * MIB
        (policy_copy / "profiles" / "extra.profile").unlink()
        reloaded(d)
        assert c.run(4, argv=[b"true"], profile="extra")[0]["error"]["code"] == "UNKNOWN_PROFILE"
        assert c.run(5, argv=[b"true"])[0]["result"]["status"] == "OK"


def test_new_filter(d, policy_copy):
    """Also where a file of the same name has other calls in it."""
    path = policy_copy / "seccomp" / "default.seccomp"
    with d.session() as c:
        assert c.run(2, argv=[b"mkdir", b"/tmp/x"])[0]["result"]["status"] == "OK"
        path.write_text(re.sub(r"(?m)^mkdir(at)?$", "", path.read_text()))
        reloaded(d)
        response, _, err = c.run(3, argv=[b"mkdir", b"/tmp/x"])
        assert response["result"]["status"] == "EXITED" and b"Function not implemented" in err, (response, err)


def test_new_runtime(d, policy_copy):
    """With a launcher: those are in the template."""
    (policy_copy / "launchers" / "hello.sh").write_text("echo hello from one\n")
    (policy_copy / "runtimes" / "hello.runtime").write_text(
        "[Runtime]\nDescription=For one test\nInterpreter=/usr/bin/bash\nPackage=bash\nFileName=main.hello\n"
        "Launcher=hello.sh\nArguments=%l %f\n")
    with d.session() as c:
        assert c.run(2, runtime="hello", code=b"x")[0]["error"]["code"] == "UNKNOWN_RUNTIME"
        reloaded(d)
        assert c.run(3, runtime="hello", code=b"x")[1] == b"hello from one\n"
        (policy_copy / "launchers" / "hello.sh").write_text("echo hello from two\n")
        reloaded(d)
        assert c.run(4, runtime="hello", code=b"x")[1] == b"hello from two\n"


def test_new_settings(d):
    with d.session(uid=65534) as c:
        d.settings["Server"] = {"MaxJobsPerUser": 1, "MaxQueuedPerUser": 0}
        d.write_config()
        reloaded(d)
        c.send(wire.run(2, argv=[b"cat"], stdin=True))
        c.expect("started")
        error = c.run(3, argv=[b"true"])[0]["error"]
        assert error["code"] == "BUSY" and "MaxJobsPerUser=" in error["message"]
        del d.settings["Server"]
        d.write_config()
        reloaded(d)
        assert c.run(4, argv=[b"true"])[0]["result"]["status"] == "OK"
        c.send(wire.stdin_data(2, b"", eof=True))
        assert c.finish(2)[0]["result"]["status"] == "OK"


# --- what does not

def test_running_job(d, policy_copy):
    """It keeps its limits, and its profile to the result, also when that is gone from the policy."""
    put_profile(policy_copy, "extra", "64M")
    reloaded(d)
    with d.session() as c:
        c.send(wire.run(2, argv=[b"cat"], stdin=True, profile="extra"))
        c.expect("started")
        assert host.wait_until(d.payload_pids, 10)
        cgroup = host.Cgroup(d.payload_pids()[0])
        assert cgroup.memory_max() == 64 * MIB
        (policy_copy / "profiles" / "extra.profile").unlink()
        for memory in ("99M", "98M", "97M"):
            set_memory(policy_copy, memory)
            reloaded(d)
        assert cgroup.memory_max() == 64 * MIB
        assert memory_of(c, 3) == 97 * MIB
        # Of those between, nobody needs anything; of its own, the monitor does not.
        assert host.wait_until(lambda: mapped_policies(d.frontend) == 2, 5), mapped_policies(d.frontend)
        assert host.wait_until(lambda: mapped_policies(d.monitor) == 1, 5), mapped_policies(d.monitor)
        c.send(wire.stdin_data(2, b"still here\n", eof=True))
        response, out, _ = c.finish(2)
        assert (response["result"]["status"], out) == ("OK", b"still here\n")
        assert response["result"]["profile"] == "extra"
        assert host.wait_until(lambda: mapped_policies(d.frontend) == 1, 5)


def test_job_that_is_still_uploaded(d, policy_copy):
    """It was accepted under a policy, and runs under that one."""
    put_profile(policy_copy, "extra", "64M")
    reloaded(d)
    with d.session() as c:
        c.send(wire.run(2, argv=[b"sh", b"-c", b"cat a; grep MemTotal /proc/meminfo"], profile="extra",
                        files=[wire.file_message("a", size=6)]))
        c.send(wire.file_data(2, 0, b"be"))
        assert c.run(3, argv=[b"true"])[0]["result"]["status"] == "OK"
        (policy_copy / "profiles" / "extra.profile").unlink()
        (policy_copy / "profiles" / "strict.profile").unlink()
        reloaded(d)
        reloaded(d)
        assert c.run(4, argv=[b"true"], profile="extra")[0]["error"]["code"] == "UNKNOWN_PROFILE"
        assert len(templates(d.monitor)) == 2
        c.send(wire.file_data(2, 0, b"gun\n"))
        response, out, _ = c.finish(2)
        assert response["result"]["status"] == "OK", response
        assert response["result"]["profile"] == "extra"
        assert out.split()[:3] == [b"begun", b"MemTotal:", str(64 * 1024).encode()]
        assert host.wait_until(lambda: len(templates(d.monitor)) == 1, 5), "its policy is kept"


def test_frame_size_of_a_connection(d):
    """What HelloReply said holds until the connection ends."""
    with d.session() as old:
        d.settings["Server"] = {"MaxFrameSize": "4K"}
        d.write_config()
        reloaded(d)
        assert old.run(2, runtime="bash", code=b"true #" + b"x" * 10000)[0]["result"]["status"] == "OK"
        with d.connect() as new:
            assert new.hello()["max_frame_bytes"] == 4096
            new.send(wire.run(2, runtime="bash", code=b"true #" + b"x" * 10000))
            assert "MaxFrameSize=" in new.expect_error_and_close("BAD_FRAME")["message"]


# --- a policy that is broken

def break_limit(d, folder):
    drop_in(folder, "profile", "default", "[Limits]\nMemory=99M\nMemory=much\n")


def break_filter(d, folder):
    (folder / "seccomp" / "strict.seccomp").write_text("[allow]\nread\nno_such_call\n")


def break_launcher(d, folder):
    (folder / "launchers" / "python.py").unlink()


def break_default(d, folder):
    (folder / "profiles" / "default.profile").unlink()


def break_config(d, folder):
    d.config.write_text("[Server]\nMaxJobz=1\n")


def break_config_away(d, folder):
    d.config.unlink()


def break_base(d, folder):
    d.settings["UserNamespaces"]["Base"] = hex(d.base + 16)
    d.write_config()


def break_size(d, folder):
    d.settings["UserNamespaces"]["Size"] = "0x1000"
    d.write_config()


@pytest.mark.parametrize("spoil,words", [
    (break_limit, ["test.conf:3", "Memory=much"]),
    (break_filter, ["profiles/strict.profile: SystemCallFilter=strict", "strict.seccomp:3", "no_such_call"]),
    (break_launcher, ["runtimes/python.runtime: Launcher=python.py"]),
    (break_default, ["profiles/default.profile.d: there is no profile"]),
    (break_config, ["sandboxd.conf:2", "MaxJobz"]),
    (break_config_away, ["sandboxd.conf"]),
    (break_base, ["[UserNamespaces] Base= and Size= were", "restart"]),
    (break_size, ["[UserNamespaces] Base= and Size= were", "restart"]),
], ids=lambda v: v.__name__ if callable(v) else "")
def test_broken_policy(d, policy_copy, spoil, words):
    """All of the old one stays, the log says in one line what is wrong, and the next reload is a new try."""
    kept = {path: path.read_text() for path in policy_copy.rglob("*") if path.is_file()}
    settings = {section: dict(keys) for section, keys in d.settings.items()}
    with d.session() as c:
        set_memory(policy_copy, "99M")
        spoil(d, policy_copy)
        line = d.reload()
        assert line.startswith("not reloaded, the policy stays as it was: "), line
        for word in words:
            assert word in line
        assert memory_of(c, 2) == 256 * MIB
        assert c.run(3, runtime="python", code=b"6*7")[0]["result"]["return_value"]["text"] == b"42"
        assert c.run(4, argv=[b"true"], profile="strict")[0]["result"]["status"] == "OK"
        assert len(templates(d.monitor)) == 1 and mapped_policies(d.frontend) == 1
        for path, text in kept.items():
            path.write_text(text)
        d.settings = settings
        d.write_config()
        set_memory(policy_copy, "98M")
        reloaded(d)
        assert memory_of(c, 5) == 98 * MIB


def test_more_jobs_than_open_files(make_daemon, policy_copy):
    d = make_daemon(policy_dir=policy_copy, settings={"Server": {"MaxJobs": 100}},
                    wrapper=["prlimit", "--nofile=8000:8000", "capsh", "--drop=cap_sys_resource", "--shell=/bin/sh",
                             "--", "-c", 'exec "$0" "$@"'])
    d.settings["Server"]["MaxJobs"] = 5000
    d.write_config()
    line = d.reload()
    assert "MaxJobs=5000 needs" in line and "ulimit -n" in line, line
    d.settings["Server"]["MaxJobs"] = 101
    d.write_config()
    reloaded(d)


# --- how many there may be

def test_policies_in_use_are_bounded(make_daemon, policy_copy):
    """Each upload that is not complete holds the policy that it began under, but keeps no reload from
    being done: when there are too many, the oldest has been under way for too long."""
    d = make_daemon(policy_dir=policy_copy, settings={"Server": {"FrameTimeoutSec": "10min"}})
    with d.session() as c:
        assert c.run(98, argv=[b"true"])[0]["result"]["status"] == "OK"
        reloaded(d)
        assert host.wait_until(lambda: not d.job_pids() and len(templates(d.monitor)) == 1, 5)
        fds = host.fd_count(d.monitor)
        for i in range(2, 18):
            c.send(wire.run(i, argv=[b"cat", b"a"], files=[wire.file_message("a", size=1)]), wire.get_host(100))
            c.expect("host")
            reloaded(d)
        assert len(templates(d.monitor)) == 16
        assert c.run(99, argv=[b"true"])[0]["result"]["status"] == "OK"
        for i in range(2, 18):
            c.send(wire.file_data(i, 0, b"x"))
            response, out, _ = c.finish(i)
            result = response["result"]
            if i == 2:
                assert result["status"] == "SETUP_ERROR" and "send the job again" in result["message"], result
            else:
                assert (result["status"], out) == ("OK", b"x"), result
        assert host.wait_until(lambda: len(templates(d.monitor)) == 1, 5)
        reloaded(d)
        assert host.wait_until(lambda: host.fd_count(d.monitor) <= fds, 5)


def test_frontend_killed(d, policy_copy):
    """The next one gets the policy in force, and nobody keeps what the dead one had planned."""
    with d.session() as c:
        c.send(wire.run(2, argv=[b"true"], files=[wire.file_message("a", size=1)]), wire.get_host(100))
        c.expect("host")
        set_memory(policy_copy, "99M")
        reloaded(d)
        assert len(templates(d.monitor)) == 2
        frontend = d.frontend
        os.kill(frontend, signal.SIGKILL)
    assert host.wait_until(lambda: d.frontend not in (None, frontend), 10)
    d.wait_ready()
    with d.session() as c:
        assert memory_of(c, 2) == 99 * MIB
        assert len(templates(d.monitor)) == 1
        reloaded(d)
        assert memory_of(c, 3) == 99 * MIB


# --- at a bad moment

def test_under_load(d, policy_copy, sanitized):
    """Eighty reloads while four clients run jobs: none is lost or refused, and nothing is left."""
    over = threading.Event()
    ended, wrong = [0] * 4, []

    def client(number):
        with d.session(timeout=60) as c:
            request = 1
            while not over.is_set():
                request += 1
                c.send(wire.run(request, argv=[b"cat", b"a"], files=[wire.file_message("a", size=4)],
                                profile=("default", "strict")[request % 2]))
                c.send(wire.file_data(request, 0, b"ab"))
                c.send(wire.file_data(request, 0, b"cd"))
                response, out, _ = c.finish(request)
                if response.get("result", {}).get("status") != "OK" or out != b"abcd":
                    wrong.append(response)
                ended[number] += 1

    def held():
        """With one client that is known to be connected: when the frontend closes another is its affair."""
        with d.session() as c:
            assert c.run(2, argv=[b"true"])[0]["result"]["status"] == "OK"
            assert host.wait_until(lambda: not d.job_pids(), 5)
            return [(host.fd_count(p), mapped_policies(p)) for p in (d.monitor, d.frontend)]

    reloaded(d)
    before, mounts = held(), host.mounts()
    memory = [host.rss_bytes(p) for p in (d.monitor, d.frontend)]
    threads = [threading.Thread(target=client, args=(n,)) for n in range(4)]
    for t in threads:
        t.start()
    try:
        for i in range(80):
            set_memory(policy_copy, ("99M", "98M")[i % 2])
            reloaded(d)
    finally:
        over.set()
        for t in threads:
            t.join(60)
    assert not wrong, wrong[:3]
    assert min(ended) > 0
    assert host.wait_until(lambda: held() == before, 10), (held(), before)
    assert host.wait_until(lambda: not host.mounts_below(d.home), 5)
    assert host.mounts() == mounts
    assert host.wait_until(lambda: len(host.children(d.monitor)) == 1, 5), "a reload's process is left"
    if not sanitized:
        after = [host.rss_bytes(p) for p in (d.monitor, d.frontend)]
        assert all(a - b < 4 * MIB for a, b in zip(after, memory)), (memory, after)


def test_many_signals(d, policy_copy):
    """As many as come while the files are read make one more reload, which sees the last change."""
    for memory in range(90, 100):
        set_memory(policy_copy, f"{memory}M")
        d.process.send_signal(signal.SIGHUP)
    with d.session() as c:
        request = iter(range(2, 1000))
        assert host.wait_until(lambda: memory_of(c, next(request)) == 99 * MIB, 10)
    assert 1 <= len(d.reloads()) <= 10
    assert all(line.startswith("reloaded") for line in d.reloads()), d.reloads()


@pytest.fixture
def stuck(d, policy_copy):
    """A reload that does not come to its end: one of its files is a FIFO without a writer."""
    path = policy_copy / "seccomp" / "strict.seccomp"
    path.unlink()
    os.mkfifo(path)
    d.process.send_signal(signal.SIGHUP)
    assert host.wait_until(lambda: len(host.children(d.monitor)) == 2, 10), "nobody reads"
    return path


def test_jobs_while_files_are_read(d, stuck):
    """The loop does not wait for them."""
    with d.session() as c:
        assert c.run(2, argv=[b"true"], profile="strict")[0]["result"]["status"] == "OK"
        assert c.run(3, argv=[b"sleep", b"60"], limits={"wall_time_usec": 200000})[0]["result"]["status"] == "TIMEOUT"
    assert d.reloads() == []
    with open(stuck, "w") as writer:
        writer.write("[allow]\n")
    assert host.wait_until(d.reloads, 10)
    assert d.reloads()[0].startswith("reloaded")


def test_stop_while_files_are_read(d, stuck):
    """The daemon does not wait for that, nor begins anew, also when the frontend is slow to end."""
    frontend = d.frontend
    os.kill(frontend, signal.SIGSTOP)
    d.process.send_signal(signal.SIGHUP)
    d.process.send_signal(signal.SIGTERM)
    assert host.wait_until(lambda: host.children(d.monitor) == [frontend], 4), "the reader is still there"
    os.kill(frontend, signal.SIGCONT)
    assert d.process.wait(20) == 0
    given_up = d.log().split("the reload that was under way is given up")
    assert len(given_up) == 2 and "reloading" not in given_up[1], given_up
    d.stop()


def test_death_while_files_are_read(d, stuck):
    """The process that reads ends with the monitor, and with it the last hold on the locks."""
    reader = [p for p in host.children(d.monitor) if p != d.frontend]
    d.process.kill()
    d.process.wait(10)
    assert host.wait_until(lambda: all(host.status(p).get("State", "Z")[0] == "Z" for p in reader), 5)
    stuck.unlink()
    stuck.write_text("[allow]\n")
    d.start()


def test_reader_killed(d, stuck):
    reader = [p for p in host.children(d.monitor) if p != d.frontend]
    os.kill(reader[0], signal.SIGKILL)
    assert host.wait_until(d.reloads, 10)
    assert "died" in d.reloads()[0]
    stuck.unlink()
    stuck.write_text("[allow]\n")
    reloaded(d)


@pytest.mark.parametrize("delay", [None, 0, 0.002, 0.01, 0.05])
def test_signal_while_stopping(make_daemon, policy_copy, delay):
    """SIGHUP around SIGTERM, or in the same turn of the loop: it stops, clean, with exit code 0."""
    d = make_daemon(policy_dir=policy_copy)
    clients = [d.command("run", "--", "sh", "-c", "trap '' TERM; sleep 600") for _ in range(3)]
    assert host.wait_until(lambda: len(d.payload_pids()) >= 3, 10)
    d.note_cgroups()
    if delay is None:
        d.process.send_signal(signal.SIGSTOP)
    d.process.send_signal(signal.SIGHUP)
    time.sleep(delay or 0)
    d.process.send_signal(signal.SIGTERM)
    if delay is None:
        d.process.send_signal(signal.SIGCONT)
    try:
        for _ in range(20):
            d.process.send_signal(signal.SIGHUP)
            time.sleep(0.001)
    except ProcessLookupError:
        pass
    d.stop()
    for p in clients:
        p.communicate(timeout=20)


def test_signal_while_starting(make_daemon, policy_copy):
    """It waits for the loop, and is a reload there."""
    d = make_daemon(start=False, policy_dir=policy_copy)
    d.spawn()
    assert host.wait_until(lambda: "SigBlk" in host.status(d.monitor)
                           and int(host.status(d.monitor)["SigBlk"], 16) & 1, 5)
    d.process.send_signal(signal.SIGHUP)
    d.wait_ready()
    assert host.wait_until(d.reloads, 10)
    assert d.run("--", "true").status == "OK"


# --- sandboxd --reload, which waits

def command(d, uid=0):
    argv = [d.build / "sandboxd", "--reload", "--runtime-dir", d.runtime_dir]
    if uid:
        shutil.copy(argv[0], d.home / "sandboxd")
        argv = ["setpriv", f"--reuid={uid}", f"--regid={uid}", "--clear-groups", d.home / "sandboxd", *argv[1:]]
    return subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                            stdin=subprocess.DEVNULL)


def ended(process, timeout=30):
    """Its exit status and what it said."""
    out, err = process.communicate(timeout=timeout)
    return process.returncode, out + err


def test_command(d, policy_copy):
    """When it has ended, the new policy is in force."""
    with d.session() as c:
        for number in range(2, 12):
            set_memory(policy_copy, f"{90 + number}M")
            assert ended(command(d)) == (0, "")
            assert memory_of(c, number) == (90 + number) * MIB
    assert len(d.reloads()) == 10


def test_command_with_a_broken_policy(d, policy_copy):
    """It fails and says why, and the daemon goes on."""
    path = drop_in(policy_copy, "profile", "default", "[Limits]\nMemory=much\n")
    code, text = ended(command(d))
    assert code == 1 and re.search(rf"not reloaded, the policy stays as it was: {path}:2: .*Memory=much", text), text
    with d.session() as c:
        assert memory_of(c, 2) == 256 * MIB
    path.unlink()
    assert ended(command(d)) == (0, "")


def test_commands_at_once(d, policy_copy):
    """Each is told of what was read after it was started."""
    set_memory(policy_copy, "99M")
    processes = [command(d) for _ in range(40)]
    assert [ended(p) for p in processes] == [(0, "")] * 40
    with d.session() as c:
        assert memory_of(c, 2) == 99 * MIB
    assert len(d.reloads()) <= 40


def is_waiting(pid):
    """Whether it has asked, and hears nothing."""
    links = [os.readlink(entry) for entry in Path(f"/proc/{pid}/fd").iterdir()]
    return any(link.startswith("socket:") for link in links) and host.status(pid)["State"][0] == "S"


def test_command_in_the_middle_of_a_reload(d, stuck):
    """Of which nobody knows what it has read already: another one follows it."""
    process = command(d)
    assert host.wait_until(lambda: is_waiting(process.pid), 10)
    with open(stuck, "w") as writer:
        stuck.unlink()
        stuck.write_text("[allow]\nno_such_call\n")
        writer.write("[allow]\n")
    code, text = ended(process)
    assert code == 1 and "no_such_call" in text, text
    assert [line.split()[0] for line in d.reloads()] == ["reloaded:", "not"]


def test_command_and_a_stop(d, stuck):
    process = command(d)
    assert host.wait_until(lambda: is_waiting(process.pid), 10)
    d.process.send_signal(signal.SIGTERM)
    code, text = ended(process)
    assert code == 1 and "stopped before the policy was read" in text, text
    d.stop()
    code, text = ended(command(d))
    assert code == 1, text


def test_command_after_a_crash(d, policy_copy):
    d.process.kill()
    d.process.wait(10)
    code, text = ended(command(d))
    assert code == 1 and f"no sandboxd runs in {d.runtime_dir}" in text, text
    d.start()
    assert ended(command(d)) == (0, "")


def test_command_of_a_user(d):
    """Who is not root neither reloads nor holds up who is."""
    code, text = ended(command(d, uid=NOBODY))
    assert code == 1 and "be root" in text, text
    assert d.reloads() == []
    mode = (d.runtime_dir / "control").stat()
    assert (mode.st_uid, mode.st_mode & 0o777) == (0, 0o600)
