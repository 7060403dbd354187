# SPDX-License-Identifier: Apache-2.0
"""`systemctl reload`, and what `systemctl status` says."""

import os
import re
import shutil
import subprocess
import threading
from pathlib import Path

import pytest

from lib import host, machine

RELOADED = "bfca6b502d8042b3b518c9aa414f99a0"
KEPT = "6642ce05ad7c4ee0b15e79a8b1d23685"
FOLDER = Path("/etc/sandboxd/profiles/default.profile.d")
FILTER = Path("/etc/sandboxd/seccomp/strict.seccomp")
RELOADS = 2 if machine.WORLD == "uml" else 20


@pytest.fixture
def policy(order):
    """policy(TEXT) is a drop-in of the default profile; the daemon runs, and has not read it."""
    machine.ask("true")
    FOLDER.mkdir(parents=True)

    def write(text):
        (FOLDER / "test.conf").write_text(text)
    yield write
    shutil.rmtree(FOLDER)
    machine.systemctl("stop", machine.SERVICE_UNIT)


def limit(memory):
    return f"[Limits]\nMemory={memory}\n"


def memory():
    """What a job has, in MiB."""
    out, _ = machine.ask("grep", "MemTotal", "/proc/meminfo")
    return int(out.split()[1]) >> 10


def reload():
    """`systemctl reload` to its end: then it is done."""
    machine.systemctl("reload", machine.SERVICE_UNIT)


def test_new_limit(policy, journal):
    pid = machine.main_pid()
    assert memory() == 256
    policy(limit("99M"))
    assert memory() == 256
    reload()
    entry, = journal.entries(MESSAGE_ID=RELOADED)
    assert entry["_SYSTEMD_UNIT"] == machine.SERVICE_UNIT and entry["PRIORITY"] == "5"
    assert memory() == 99
    assert machine.main_pid() == pid


def test_each_reload_is_waited_for(policy, journal):
    """The next job goes by it, without a look at the log."""
    with machine.session() as c:
        for number in range(2, 2 + RELOADS):
            policy(limit(f"{90 + number}M"))
            reload()
            response, out, _ = c.run(number, argv=[b"grep", b"MemTotal", b"/proc/meminfo"])
            assert response["result"]["status"] == "OK" and int(out.split()[1]) >> 10 == 90 + number
    assert len(journal.entries(MESSAGE_ID=RELOADED)) == RELOADS


def test_reloads_at_once(policy, journal):
    """Each caller's own change is in force when its call ends."""
    policy(limit("99M"))
    calls = [subprocess.Popen(["systemctl", "reload", machine.SERVICE_UNIT], stderr=subprocess.PIPE) for _ in range(10)]
    ends = [(p.communicate(timeout=30)[1], p.returncode) for p in calls]
    assert ends == [(b"", 0)] * 10
    assert memory() == 99
    policy("[Limits]\nMemory=much\n")
    calls = [subprocess.Popen(["systemctl", "reload", machine.SERVICE_UNIT], stderr=subprocess.DEVNULL) for _ in range(10)]
    assert all(p.wait(30) != 0 for p in calls)
    assert memory() == 99


def test_broken_policy_keeps_the_old_one(policy, journal):
    """And whoever had it read hears of that."""
    pid = machine.main_pid()
    policy("[Limits]\nMemory=99M\nMemory=much\n")
    p = machine.systemctl("reload", machine.SERVICE_UNIT, check=False)
    assert p.returncode != 0 and "systemctl status sandboxd.service" in p.stderr, p
    assert f"{FOLDER}/test.conf:3: " in machine.status(machine.SERVICE_UNIT)
    entry, = journal.entries(MESSAGE_ID=KEPT)
    assert entry["PRIORITY"] == "3"
    assert re.search(rf"{FOLDER}/test.conf:3: .*Memory=much", entry["MESSAGE"]), entry["MESSAGE"]
    assert machine.show(machine.SERVICE_UNIT, "ActiveState", "SubState", "Result") == {
        "ActiveState": "active", "SubState": "running", "Result": "success"}
    assert machine.main_pid() == pid and memory() == 256
    policy(limit("98M"))
    reload()
    assert memory() == 98


@pytest.fixture
def stuck():
    """A file that is not read to its end before the writer that this returns is called."""
    FILTER.parent.mkdir(parents=True)
    os.mkfifo(FILTER)
    yield lambda: FILTER.write_text("[allow]\nread\n")
    shutil.rmtree(FILTER.parent)


def test_reload_takes_its_time(policy, journal, stuck):
    """systemd knows that it goes on."""
    policy(limit("99M"))
    machine.systemctl("reload", "--no-block", machine.SERVICE_UNIT)
    machine.wait_state(machine.SERVICE_UNIT, "reloading")
    stuck()
    journal.wait(MESSAGE_ID=RELOADED)
    machine.wait_state(machine.SERVICE_UNIT, "active")
    assert memory() == 99


def test_jobs_outlast_a_reload_that_hangs(policy, journal, stuck):
    """systemd makes no scope while its job for the service is running, which has to end in time for those
    who wait."""
    caller = subprocess.Popen(["systemctl", "reload", machine.SERVICE_UNIT], stderr=subprocess.PIPE)
    machine.wait_state(machine.SERVICE_UNIT, "reloading")
    assert memory() == 256
    caller.communicate(timeout=20)
    assert caller.returncode != 0
    assert "could not be read in time" in journal.wait(MESSAGE_ID=KEPT)["MESSAGE"]
    machine.wait_state(machine.SERVICE_UNIT, "active")


def test_reload_under_load(policy, journal):
    """Jobs that run, start or wait to meanwhile all end right."""
    pid = machine.main_pid()
    over = threading.Event()
    wrong, done = [], [0] * 4

    def client(number):
        while not over.is_set():
            try:
                out, _ = machine.ask("echo", str(done[number]))
                if out != f"{done[number]}\n":
                    wrong.append(out)
            except Exception as e:
                wrong.append(repr(e))
            done[number] += 1
    threads = [threading.Thread(target=client, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    try:
        for i in range(RELOADS):
            policy(limit(f"{90 + i % 2}M"))
            reload()
    finally:
        over.set()
        for thread in threads:
            thread.join(60)
    assert wrong == [] and min(done) > 0
    assert machine.main_pid() == pid
    assert memory() == 90 + (RELOADS - 1) % 2
    assert not journal.entries(MESSAGE_ID=KEPT)


# --- systemctl status

def says(text):
    """It is told at most once a second."""
    return host.wait_until(lambda: machine.get(machine.SERVICE_UNIT, "StatusText") == text, 10, 0.1)


def test_status_text(running_job):
    machine.systemctl("stop", machine.SERVICE_UNIT)
    process, _ = running_job()
    assert says("1 jobs running, 0 done"), machine.status(machine.SERVICE_UNIT)
    machine.ask("true")
    assert says("1 jobs running, 1 done"), machine.status(machine.SERVICE_UNIT)
    process.terminate()
    process.communicate(timeout=20)
    assert says("0 jobs running, 2 done"), machine.status(machine.SERVICE_UNIT)
    assert 'Status: "0 jobs running, 2 done"' in machine.status(machine.SERVICE_UNIT)
