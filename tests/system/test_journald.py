# SPDX-License-Identifier: Apache-2.0
"""What journald keeps of sandboxd: entries that scripts can look for, the explanations of journalctl -x,
and a journald that goes and comes back."""

import json
import re
from pathlib import Path

import pytest

from lib import host, machine

# For ever: scripts look for them.
STARTED = "f3c4a78ae5ae4b21929e9591f5665c03"
STOPPED = "5b601e03af3042e286c165299d23f33c"
JOB_STARTED = "f048e59f8b9e41879ba68772325b91ca"
JOB_ENDED = "f2de1a6bc0524c9fb14eabf72442647c"
REFUSED = "b77fed8c2e844ecebc47720b4ac209f7"

CATALOG = Path("/usr/lib/systemd/catalog/sandboxd.catalog")
JOURNALD = "systemd-journald.service"
JOURNALD_SOCKETS = ("systemd-journald.socket", "systemd-journald-dev-log.socket")


def ours(entry):
    """The fields that sandboxd gave it, without the sentence."""
    return {name: value for name, value in entry.items() if name.startswith("SANDBOX_")}


def test_life_of_the_daemon(journal):
    machine.systemctl("stop", machine.SERVICE_UNIT)
    machine.ask("true")
    pid = machine.main_pid()
    machine.systemctl("stop", machine.SERVICE_UNIT)
    for message_id, words in (STARTED, str(machine.SOCKET)), (STOPPED, "after 1 jobs"):
        entry = journal.wait(MESSAGE_ID=message_id, _PID=pid)
        assert words in entry["MESSAGE"]
        assert (entry["_SYSTEMD_UNIT"], entry["SYSLOG_IDENTIFIER"], entry["PRIORITY"], entry["_TRANSPORT"]) == (
            machine.SERVICE_UNIT, "sandboxd", "5", "journal")


@pytest.mark.parametrize("status, args", [
    ("OK", ["-l", "python", "-c", "pass"]),
    ("EXITED", ["-l", "bash", "-c", "exit 3"]),
    ("MEMORY_LIMIT", ["-m", "16M", "-l", "python", "-c", "bytearray(64 << 20)"]),
    ("SETUP_ERROR", ["--", "/no/such"]),
])
def test_life_of_a_job(journal, status, args):
    """Told by the frontend, which journald knows to be of the unit and no root."""
    r = machine.run(*args, user="alice")
    assert r.status == status, r
    about = {"SANDBOX_JOB": r.job_id, "SANDBOX_UID": str(machine.uid_of("alice")),
             "SANDBOX_RUNTIME": r.runtime, "SANDBOX_PROFILE": "default"}
    start, end = (journal.wait(MESSAGE_ID=i, SANDBOX_JOB=r.job_id) for i in (JOB_STARTED, JOB_ENDED))
    assert ours(start) == about
    assert ours(end) == about | {"SANDBOX_STATUS": status}
    for entry in start, end:
        assert r.job_id in entry["MESSAGE"] and entry["PRIORITY"] == "6"
        assert entry["_SYSTEMD_UNIT"] == machine.SERVICE_UNIT
        assert entry["_UID"] == str(machine.uid_of("sandboxd"))
    assert f"ended: {status}" in end["MESSAGE"]
    everything = journal.entries(SANDBOX_JOB=r.job_id)
    assert [e["MESSAGE_ID"] for e in everything] == [JOB_STARTED, JOB_ENDED]


def test_refusal(journal):
    p = machine.ctl("run", "--memory", "900G", "--", "true", user="bob")
    assert p.returncode == 125
    entry = journal.wait(MESSAGE_ID=REFUSED)
    assert ours(entry) == {"SANDBOX_UID": str(machine.uid_of("bob")), "SANDBOX_ERROR": "OVER_LIMIT"}
    assert "memory" in entry["MESSAGE"] and entry["PRIORITY"] == "5"


def fields_of_catalog(message_id):
    """Those that an explanation mentions: journalctl -x leaves a hole for one that the entry does not have."""
    catalog = CATALOG.read_text().split(f"-- {message_id}\n")[1].split("\n-- ")[0]
    return set(re.findall(r"@(\w+)@", catalog))


def explained(message_id, **fields):
    matches = [f"{k}={v}" for k, v in fields.items()]
    return machine.call("journalctl", "-x", "--no-pager", f"MESSAGE_ID={message_id}",
                        *matches).stdout


def test_catalog(journal):
    """journalctl -x explains an entry, with its own fields filled in."""
    r = machine.run("-l", "bash", "-c", "exit 3", user="alice")
    assert machine.ctl("run", "--memory", "900G", "--", "true", user="bob").returncode == 125
    machine.systemctl("stop", machine.SERVICE_UNIT)
    journal.wait(MESSAGE_ID=STOPPED)
    alice, bob = machine.uid_of("alice"), machine.uid_of("bob")
    for message_id in STARTED, STOPPED, JOB_STARTED, JOB_ENDED, REFUSED:
        for entry in journal.entries(MESSAGE_ID=message_id):
            assert fields_of_catalog(message_id) <= set(entry), entry
    assert "SANDBOX_RUNTIME" in fields_of_catalog(JOB_ENDED)
    cases = [
        (explained(STARTED), "Subject: sandboxd takes jobs"),
        (explained(STOPPED), "Subject: sandboxd has stopped"),
        (explained(JOB_STARTED, SANDBOX_JOB=r.job_id), f"Subject: Job {r.job_id} has started"),
        (explained(JOB_STARTED, SANDBOX_JOB=r.job_id), f"User {alice} runs a job of runtime bash"),
        (explained(JOB_STARTED, SANDBOX_JOB=r.job_id), f"journalctl -t sandboxd SANDBOX_JOB={r.job_id}"),
        (explained(JOB_ENDED, SANDBOX_JOB=r.job_id), f"Subject: Job {r.job_id} has ended: EXITED"),
        (explained(REFUSED, SANDBOX_UID=bob), f"Subject: User {bob} was refused: OVER_LIMIT"),
    ]
    for text, words in cases:
        assert words in text, text
        assert "Defined-By: sandboxd" in text and "man:" in text


def test_what_the_entry_of_a_start_advises(journal):
    """The command of the catalog gives the job's own entries, and its scope's."""
    r = machine.run("--", "true")
    journal.wait(MESSAGE_ID=JOB_ENDED, SANDBOX_JOB=r.job_id)
    out = machine.call("journalctl", "-o", "json", "-t", "sandboxd", f"SANDBOX_JOB={r.job_id}").stdout
    assert [json.loads(line)["MESSAGE_ID"] for line in out.splitlines()] == [JOB_STARTED, JOB_ENDED]


# --- journald goes and comes back

def stop_journald():
    machine.systemctl("stop", *JOURNALD_SOCKETS, JOURNALD)


def start_journald():
    """However often that was in a while."""
    machine.systemctl("reset-failed", JOURNALD)
    machine.systemctl("start", *JOURNALD_SOCKETS, JOURNALD)


@pytest.fixture
def journald():
    """Runs when the test has ended."""
    yield
    start_journald()


def test_restart_of_journald(journal, journald):
    """Its socket is there all the time: nothing is lost."""
    r = machine.run("--", "true")
    with machine.session() as c:
        for number in range(2, 4):
            machine.systemctl("reset-failed", JOURNALD)
            machine.systemctl("restart", JOURNALD)
            assert c.run(number, argv=[b"true"])[0]["result"]["status"] == "OK"
    assert host.wait_until(lambda: len(journal.entries(MESSAGE_ID=JOB_ENDED)) == 3, 10, 0.1)
    assert len(journal.entries(MESSAGE_ID=JOB_STARTED)) == 3
    assert r.job_id in journal.text() and "messages were lost" not in journal.text()


def test_without_journald(journal, journald):
    """Jobs go on. When it is back, both processes find it, and say how much it has missed."""
    with machine.session() as c:
        pid = machine.main_pid()
        stop_journald()
        for number in range(2, 5):
            assert c.run(number, argv=[b"true"])[0]["result"]["status"] == "OK"
        start_journald()
        response, _, _ = c.run(5, argv=[b"true"])
        job = response["result"]["job_id"]
        journal.wait(MESSAGE_ID=JOB_ENDED, SANDBOX_JOB=job)
    lost = [e for e in journal.entries() if e["MESSAGE"].startswith("6 messages were lost")]
    assert [e["PRIORITY"] for e in lost] == ["4"], journal.text()
    assert len(journal.entries(MESSAGE_ID=JOB_ENDED)) == 1
    machine.systemctl("stop", machine.SERVICE_UNIT)
    journal.wait(MESSAGE_ID=STOPPED, _PID=pid)


def test_start_without_journald(journal, journald):
    """systemd gives the daemon no journal then, and it serves all the same; its next life has one."""
    machine.systemctl("stop", machine.SERVICE_UNIT)
    stop_journald()
    assert machine.ask("echo", "x")[0] == "x\n"
    start_journald()
    machine.systemctl("stop", machine.SERVICE_UNIT)
    r = machine.run("--", "true")
    journal.wait(MESSAGE_ID=JOB_ENDED, SANDBOX_JOB=r.job_id)
