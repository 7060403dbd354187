# SPDX-License-Identifier: Apache-2.0
"""Start, stop, and what is left of daemon and jobs afterwards, seen from outside."""

import itertools
import os
import re
import shutil
import signal
import socket
import stat
import subprocess
import time

import pytest

from lib import host, wire
from lib.daemon import Daemon


def test_stop_ends_jobs(make_daemon):
    """SIGTERM while jobs run: they end, clients are told, the exit code is 0 and nothing is left."""
    d = make_daemon()
    clients = [d.command("run", "--json", "--", "sh", "-c", "trap '' TERM; sleep 600") for _ in range(3)]
    assert host.wait_until(lambda: len(d.payload_pids()) >= 3, 10)
    d.note_cgroups()
    assert d.roots
    d.stop()
    for p in clients:
        out, err = p.communicate(timeout=20)
        assert p.returncode in (125, 143), (p.returncode, out, err)


def test_stop_without_jobs(make_daemon):
    make_daemon().stop()


def test_stop_while_starting(make_daemon):
    """SIGTERM at any moment of the start leaves nothing, too."""
    d = make_daemon()
    with d.command("run", "--", "sleep", "60") as p:
        assert host.wait_until(d.payload_pids, 10)
        d.note_cgroups()  # the same ones at each start from this folder
        d.process.terminate()
        p.communicate(timeout=20)
    assert d.process.wait(20) == 0 and d.roots
    for delay in (0, 0.002, 0.005, 0.01, 0.02, 0.04, 0.1, 0.2):
        d.spawn()
        time.sleep(delay)
        d.process.terminate()
        assert d.process.wait(20) in (0, -signal.SIGTERM)
        assert d.leftovers() == [], f"after {delay} s"


def test_programs_in_a_private_folder(build, tmp_path):
    """A clone in a home folder of mode 0700: the frontend's user cannot walk to its program there."""
    private = tmp_path / "home"
    private.mkdir(mode=0o700)
    for name in ("sandboxd", "sandboxd-frontend", "sandboxd-init", "sandboxctl"):
        shutil.copy(build / name, private)
    d = Daemon(private)
    try:
        d.start()
        assert d.run("--", "echo", "x").stdout == "x\n"
        d.stop()
    finally:
        d.kill()
        shutil.rmtree(d.home, ignore_errors=True)


def test_restart_on_the_same_socket(make_daemon):
    """The socket file of a daemon that was killed does not stand in the way of the next."""
    d = make_daemon()
    d.kill()
    assert host.wait_until(lambda: not d.job_pids(), 5)
    d.start()
    assert d.run("--", "true").status == "OK"


def test_second_daemon_on_a_live_socket(make_daemon):
    """It refuses to start, and the first one goes on."""
    d = make_daemon()
    before = sorted(p.name for p in d.runtime_dir.iterdir())
    for _ in range(2):
        second = subprocess.run([d.build / "sandboxd", "--standalone", "--socket", d.socket, "--config",
                                 d.config, "--policy-dir", d.policy_dir, "--runtime-dir", d.runtime_dir],
                                stdin=subprocess.DEVNULL, capture_output=True, timeout=30)
        assert second.returncode != 0
        assert b"another sandboxd runs in" in second.stderr
        assert sorted(p.name for p in d.runtime_dir.iterdir()) == before, "the lock is the first one's"
    assert d.run("--", "true").status == "OK"


@pytest.mark.parametrize("kind", [socket.SOCK_DGRAM, socket.SOCK_SEQPACKET])
def test_socket_of_another_kind_is_not_taken(make_daemon, kind):
    """Nobody can connect to it as a client would, and it is somebody's all the same."""
    d = make_daemon(start=False)
    d.runtime_dir.mkdir(mode=0o755, exist_ok=True)
    with socket.socket(socket.AF_UNIX, kind) as other:
        other.bind(str(d.socket))
        inode = d.socket.stat().st_ino
        d.spawn()
        assert d.process.wait(30) == 1, d.log()
        assert d.socket.stat().st_ino == inode
        d.socket.unlink()


def refuses_the_socket(d):
    """Exit 1, a sentence that names option and path, and nothing left of the try."""
    d.spawn()
    assert d.process.wait(30) == 1, d.log()
    assert f"--socket {d.socket}" in d.log(), d.log()
    assert d.leftovers() == []


def test_live_socket_of_another_daemon(make_daemon):
    """Also from another runtime directory and uid range: refused, and the first one goes on."""
    first, second = make_daemon(), make_daemon(start=False)
    second.socket = first.socket
    inode = os.stat(first.socket).st_ino
    refuses_the_socket(second)
    assert os.stat(first.socket).st_ino == inode
    assert first.run("--", "echo", "x").stdout == "x\n"


@pytest.mark.parametrize("make", [
    lambda path: path.write_text("not yours"),
    lambda path: path.symlink_to("elsewhere"),
    os.mkfifo,
    lambda path: path.mkdir(),
], ids=["file", "symlink", "fifo", "folder"])
def test_socket_path_that_is_no_socket(make_daemon, make):
    """Whatever it is, it is not the daemon's to delete."""
    d = make_daemon(start=False)
    d.socket = d.home / "taken"
    make(d.socket)
    before = os.lstat(d.socket)
    refuses_the_socket(d)
    after = os.lstat(d.socket)
    assert (after.st_ino, after.st_mode, after.st_size) == (before.st_ino, before.st_mode, before.st_size)


def test_stale_socket_is_replaced(make_daemon):
    d = make_daemon(start=False)
    d.socket = d.home / "stale"
    with socket.socket(socket.AF_UNIX) as s:
        s.bind(str(d.socket))
        s.listen()
    d.start()
    assert d.run("--", "echo", "x").stdout == "x\n"
    d.process.terminate()
    assert d.process.wait(30) == 0 and not d.socket.exists()


def test_only_the_own_socket_is_unlinked(make_daemon):
    """Somebody put another one at the path while the daemon ran: that one stays."""
    d = make_daemon(start=False)
    d.socket = d.home / "swapped"
    d.start()
    d.socket.unlink()
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(str(d.socket))
        other.listen()
        d.process.terminate()
        assert d.process.wait(30) == 0
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(str(d.socket))


def test_socket_is_for_all_users(daemon):
    s = os.stat(daemon.socket)
    assert stat.S_ISSOCK(s.st_mode) and stat.S_IMODE(s.st_mode) == 0o666


def test_frontend_has_nothing(daemon):
    """The process that reads hostile bytes: another user, no capability, a filter of its own."""
    s = host.status(daemon.frontend)
    assert "0" not in s["Uid"].split() and "0" not in s["Gid"].split()
    assert s["Groups"].strip() == ""
    caps = {k: int(s[k], 16) for k in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")}
    assert caps == dict.fromkeys(caps, 0)
    assert s["NoNewPrivs"].strip() == "1" and s["Seccomp"].strip() == "2"


def test_frontend_fds(daemon):
    """Explicitly: the log, the channel, the listener, its loop; no file, no directory."""
    links = {n: os.readlink(f"/proc/{daemon.frontend}/fd/{n}")
             for n in os.listdir(f"/proc/{daemon.frontend}/fd")}
    for number, link in links.items():
        if int(number) <= 2:
            continue
        assert link.startswith(("socket:", "anon_inode:", "/memfd:", "pipe:")), links


def test_monitor_capabilities_are_bounded(daemon):
    """Whoever takes over the monitor does not get all of root."""
    effective = int(host.status(daemon.monitor)["CapEff"], 16)
    for name, bit in (("NET_ADMIN", 12), ("NET_RAW", 13), ("SYS_MODULE", 16), ("SYS_RAWIO", 17),
                      ("SYS_BOOT", 22), ("SYS_TIME", 25), ("MAC_ADMIN", 33), ("SYSLOG", 34),
                      ("BPF", 39)):
        assert not effective & 1 << bit, f"the monitor holds CAP_{name}"


def test_monitor_links_no_protobuf(build):
    """Not dynamically, and not by a symbol of the generated code."""
    data = (build / "sandboxd").read_bytes()
    assert b"libprotobuf-c" not in data and b"sandboxd__v1__" not in data


def test_init_is_static(build):
    out = subprocess.run(["readelf", "-h", "-d", "-l", build / "sandboxd-init"], capture_output=True,
                         text=True, check=True).stdout
    assert "NEEDED" not in out and "INTERP" not in out
    assert re.search(r"Type:\s+DYN ", out), "it is at another address each time"


def test_nothing_is_left_after_jobs(daemon):
    """Fds, children, cgroups and mounts of the daemon are as before, after jobs of every kind."""
    def facts():
        return (host.fd_count(daemon.monitor), host.fd_count(daemon.frontend),
                len(host.children(daemon.monitor)), len(daemon.cgroup_directories()),
                host.mounts(daemon.monitor))
    daemon.run("--", "true")
    host.wait_until(lambda: not daemon.job_pids() and len(host.all_children(daemon.monitor)) == 1, 5)
    time.sleep(0.3)
    before = facts()
    for _ in range(10):
        daemon.run("--", "true")
        daemon.run("-t", "100ms", "--", "sleep", "9")
        daemon.run("-m", "32M", "-l", "python", "-c", "x = bytearray(1 << 30)")
        daemon.run("--", "/no/such")
        daemon.run("-l", "none", "-c", "x")
    assert host.wait_until(lambda: facts() == before, 5), (before, facts())


def test_hundreds_of_jobs_on_one_connection(daemon):
    with daemon.session() as c:
        for i in range(300):
            r, _, _ = c.run(i + 1, argv=[b"true"])
            assert r["result"]["status"] == "OK", (i, r)
    assert host.wait_until(lambda: not daemon.job_pids() and not daemon.cgroup_directories(), 5)


@pytest.mark.parametrize("restart", [False, True], ids=["same frontend", "another frontend"])
def test_new_jobs_wait_for_the_tear_down(make_daemon, restart):
    """Ended sandboxes that cannot be taken down are counted, and new jobs wait; but not for ever."""
    many = 64 + 16 * os.sysconf("SC_NPROCESSORS_ONLN") + 40
    d = make_daemon(settings={"Server": {"MaxJobsPerUser": many, "MaxJobs": many}})
    with d.session() as c:
        c.send(*[wire.run(i, argv=[b"sleep", b"600"]) for i in range(1, many + 1)])
        for _ in range(many):
            c.expect("started")
        d.note_cgroups()
        # A cgroup that somebody made in theirs keeps the kernel from removing it.
        held = [os.path.join(path, "held") for path in d.cgroup_directories()]
        for path in held:
            os.mkdir(path)
        try:
            c.send(*[wire.cancel(i) for i in range(1, many + 1)])
            assert [c.expect("result")["status"] for _ in range(many)] == ["CANCELLED"] * many
            assert host.wait_until(lambda: "sandboxes are being taken down: new jobs wait" in d.log(), 5), d.log()
            if restart:
                os.kill(d.frontend, signal.SIGKILL)
            with d.session() as other:
                other.send(wire.run(2, argv=[b"true"]), wire.list_jobs(3))
                assert [job["state"] for job in other.expect("jobs")["jobs"]] == ["QUEUED"]
                assert other.finish(2)[0]["result"]["status"] == "OK"
            assert [path for path in held if os.path.exists(path)] == held
        finally:
            for path in held:
                os.rmdir(path)
    assert host.wait_until(lambda: not d.cgroup_directories(), 10), d.cgroup_directories()
    assert d.run("--", "echo", "y").stdout == "y\n"


def test_ids_of_jobs_differ(daemon):
    with daemon.session() as c:
        seen = {c.run(i + 1, argv=[b"true"])[0]["result"]["job_id"] for i in range(20)}
    assert len(seen) == 20


def test_silent_client_costs_nobody(daemon):
    """Connections that never say anything do not keep others waiting."""
    quiet = [socket.socket(socket.AF_UNIX) for _ in range(8)]
    try:
        for s in quiet:
            s.connect(str(daemon.socket))
        assert daemon.run("--", "echo", "x").stdout == "x\n"
    finally:
        for s in quiet:
            s.close()


def test_too_many_jobs_of_a_user(make_daemon):
    """Without a queue, over the cap a request is refused as BUSY; it never takes another user's turn."""
    d = make_daemon(settings={"Server": {"MaxJobsPerUser": "2", "MaxQueuedPerUser": "0"}})
    with d.session() as c:
        c.send(*[wire.run(i, argv=[b"sleep", b"600"]) for i in range(1, 5)])
        seen = [c.receive(timeout=10) for _ in range(2)]
        assert all("started" in r or r["error"]["code"] == "BUSY" for r in seen), seen
        time.sleep(0.5)
        assert len(d.payload_pids()) == 2
        assert d.run("--", "echo", "other", uid=65534).stdout == "other\n"
    assert host.wait_until(lambda: not d.job_pids(), 5)


def test_too_many_jobs_of_all_users(make_daemon):
    """MaxJobs= counts every user's; who is over it is told so, and served once there is room."""
    d = make_daemon(settings={"Server": {"MaxJobs": "2", "MaxJobsPerUser": "2", "MaxQueuedPerUser": "0"}})
    sleeper = wire.run(1, argv=[b"sleep", b"600"])
    with d.session(uid=65534) as one, d.session(uid=65533) as two, d.session(uid=65532) as three:
        for c in (one, two):
            c.send(sleeper)
            c.expect("started")
        for number, c in enumerate((three, one), start=2):
            c.send(wire.run(number, argv=[b"true"]))
            error = c.expect("error")
            assert error["code"] == "BUSY" and "MaxJobs=" in error["message"], error
        two.send(wire.cancel(1))
        assert two.finish(1)[0]["result"]["status"] == "CANCELLED"

        def served():
            r, _, _ = three.run(next(ids), argv=[b"true"])
            return r.get("result", {}).get("status") == "OK"
        ids = itertools.count(10)
        assert host.wait_until(served, 5)


def test_too_many_connections_of_all_users(make_daemon):
    d = make_daemon(settings={"Server": {"MaxConnections": "3", "MaxConnectionsPerUser": "3"}})

    def connects(uid):
        """None, or the Error that ended it."""
        c = d.connect(uid)
        try:
            c.send(wire.hello())
        except BrokenPipeError:
            pass  # turned away at once; the reason is there to be read
        response = c.receive()
        held.append(c)
        return response.get("error")
    held = []
    try:
        # The connection that asked whether the daemon is up may not be closed yet.
        assert host.wait_until(lambda: connects(65534) is None, 5)
        for uid in (65534, 65533):
            assert connects(uid) is None
        for uid in (65532, 65534):
            error = connects(uid)
            assert error and error["code"] == "BUSY" and "MaxConnections=" in error["message"], error
    finally:
        for c in held:
            c.close()
    assert host.wait_until(lambda: d.run("--", "true").rc == 0, 5)
