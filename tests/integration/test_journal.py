# SPDX-License-Identifier: Apache-2.0
"""What the journal is told, by a journald of the test's own at the place where the real one listens."""

import os
import re
import shutil
import signal
import subprocess

import pytest

from lib import host, wire
from lib.daemon import NOBODY, SOURCE
from lib.datagram import Journal

# For ever: scripts look for them.
STARTED = "f3c4a78ae5ae4b21929e9591f5665c03"
STOPPED = "5b601e03af3042e286c165299d23f33c"
JOB_STARTED = "f048e59f8b9e41879ba68772325b91ca"
JOB_ENDED = "f2de1a6bc0524c9fb14eabf72442647c"
JOB_LOST = "9a6ac8e4b8024df49058c57102af2789"
REFUSED = "b77fed8c2e844ecebc47720b4ac209f7"
FRONTEND_DIED = "746aaf5927b1415eb8ebf766ab44c0e9"

# The daemon gets a /run of its own, in which the test's folder is the journal's.
OWN_RUN = ["unshare", "--mount", "sh", "-ec",
           'mount -t tmpfs tmpfs /run; mkdir -p /run/systemd/journal; '
           'mount --bind "$0" /run/systemd/journal; exec "$@"']


@pytest.fixture
def journaled(make_daemon):
    """journaled(settings=...): a daemon that runs under a journald, and that journald."""
    journals = []

    def make(**options):
        d = make_daemon(start=False, **options)
        folder = d.home / "journal"
        folder.mkdir()
        d.wrapper = [*OWN_RUN, folder]
        d.log_path.touch()
        st = d.log_path.stat()
        d.environment["JOURNAL_STREAM"] = f"{st.st_dev}:{st.st_ino}"
        journals.append(Journal(folder / "socket"))
        d.start()
        return d, journals[-1]
    yield make
    for journal in journals:
        journal.socket.close()


def test_life_of_the_daemon(journaled):
    d, journal = journaled()
    entry = journal.wait_event(STARTED)
    assert entry["PRIORITY"] == "5" and entry["SYSLOG_IDENTIFIER"] == "sandboxd"
    assert str(d.socket) in entry["MESSAGE"]
    d.run("--", "true")
    d.stop()
    assert journal.wait_event(STOPPED)["MESSAGE"] == "stopped after 1 jobs"
    assert d.log() == "", "a line went to stderr, too"


def test_life_of_a_job(journaled):
    d, journal = journaled()
    r = d.bash("exit 3", uid=NOBODY)
    about = {"SANDBOX_JOB": r.job_id, "SANDBOX_UID": str(NOBODY), "SANDBOX_RUNTIME": "bash",
             "SANDBOX_PROFILE": "default", "PRIORITY": "6", "SYSLOG_IDENTIFIER": "sandboxd"}
    start = journal.wait_event(JOB_STARTED)
    assert start == {"MESSAGE_ID": JOB_STARTED, **about,
                     "MESSAGE": f"Job {r.job_id} of uid {NOBODY} (bash) started with profile default"}
    end = journal.wait_event(JOB_ENDED)
    assert re.fullmatch(rf"Job {r.job_id} of uid {NOBODY} \(bash\) ended: EXITED after [0-9.]+ m?s", end.pop("MESSAGE"))
    assert end == {"MESSAGE_ID": JOB_ENDED, **about, "SANDBOX_STATUS": "EXITED"}


@pytest.mark.parametrize("status, args", [
    ("OK", ["--", "true"]),
    ("SIGNALED", ["--", "sh", "-c", "kill -9 $$"]),
    ("TIMEOUT", ["-t", "100ms", "--", "sleep", "60"]),
    ("SETUP_ERROR", ["--", "/no/such"]),
])
def test_status(journaled, status, args):
    d, journal = journaled()
    assert d.run(*args).status == status
    end = journal.wait_event(JOB_ENDED)
    assert end["SANDBOX_STATUS"] == status and f"ended: {status}" in end["MESSAGE"]
    if status == "SETUP_ERROR":
        assert "/no/such: not found in the sandbox" in end["MESSAGE"]


def test_cancelled_by_its_client_leaving(journaled):
    d, journal = journaled()
    with d.command("run", "--", "sleep", "60") as client:
        start = journal.wait_event(JOB_STARTED)
        client.kill()
    end = journal.wait_event(JOB_ENDED)
    assert end["SANDBOX_JOB"] == start["SANDBOX_JOB"] and end["SANDBOX_STATUS"] == "CANCELLED"


def test_end_with_a_client_that_does_not_read(journaled):
    """The entry comes when the job has ended, and not when somebody has read what it left."""
    d, journal = journaled()
    with d.session() as c:
        c.send(wire.run(2, argv=["head", "-c", "20000000", "/dev/zero"],
                        limits={"output_bytes": 30 << 20, "wall_time_usec": 500000}))
        assert journal.wait_event(JOB_ENDED)["SANDBOX_STATUS"] == "TIMEOUT"
        result, _, _ = c.finish(2)
        assert result["result"]["status"] == "TIMEOUT"
    d.stop()
    assert len(journal.events(JOB_ENDED)) == 1


def test_end_with_output_that_nobody_has_read(journaled):
    """That the limit was passed is known before; the client is told the same."""
    d, journal = journaled()
    with d.session() as c:
        c.send(wire.run(2, argv=["head", "-c", "5000", "/dev/zero"], strict_output=True, output_credit=1,
                        limits={"output_bytes": 4096}))
        assert journal.wait_event(JOB_ENDED)["SANDBOX_STATUS"] == "OUTPUT_LIMIT"
        c.send(wire.output_credit(2, wire.CREDIT_STDOUT, 1 << 20))
        result, out, _ = c.finish(2)
        assert result["result"]["status"] == "OUTPUT_LIMIT" and len(out) == 4096


def test_what_never_started_has_no_entry(journaled):
    d, journal = journaled()
    assert d.run("-l", "cobol", "-c", "x").rc == 125
    assert d.run("--", "true").status == "OK"
    journal.wait_event(JOB_ENDED)
    assert len(journal.events(JOB_STARTED)) == len(journal.events(JOB_ENDED)) == 1
    assert not journal.events(REFUSED)


def test_refusals(journaled):
    """Each kind is recorded, and a client that is refused again and again does not fill the journal."""
    d, journal = journaled(settings={"Server": {"MaxJobsPerUser": "1", "MaxQueuedPerUser": "0"}})
    assert d.run("--memory", "900G", "--", "true", uid=NOBODY).rc == 125
    entry = journal.wait_event(REFUSED)
    assert entry["SANDBOX_UID"] == str(NOBODY) and entry["SANDBOX_ERROR"] == "OVER_LIMIT"
    assert entry["PRIORITY"] == "5" and "memory" in entry["MESSAGE"]
    with d.session() as c:
        c.send(wire.run(1, argv=[b"sleep", b"600"]))
        c.expect("started")
        for number in range(2, 32):
            c.send(wire.run(number, argv=[b"true"]))
            assert c.expect("error")["code"] == "BUSY"
            journal.take()
    recorded = journal.events(REFUSED, SANDBOX_ERROR="BUSY", SANDBOX_UID="0")
    assert 0 < len(recorded) <= 20
    assert all("MaxJobsPerUser=" in e["MESSAGE"] for e in recorded)


def test_nobody_reads(journaled):
    """A journald that hangs holds nothing up, and hears later how much it missed."""
    d, journal = journaled()
    journal.wait_event(STARTED)
    journal.fill()
    for _ in range(3):
        assert d.run("--", "true").status == "OK"
    journal.take()
    assert not journal.events(JOB_ENDED)
    r = d.run("--", "true")
    journal.wait_event(JOB_ENDED, SANDBOX_JOB=r.job_id)
    assert [e["PRIORITY"] for e in journal.take() if e.get("MESSAGE", "").startswith("6 messages were lost")] == ["4"]


def test_journald_starts_again(journaled):
    """Without one, jobs go on; the next is found by both processes, and their lines with it."""
    d, journal = journaled()
    journal.wait_event(STARTED)
    journal.close()
    assert d.run("--", "true").status == "OK"
    journal.open()
    r = d.run("--", "true")
    journal.wait_event(JOB_STARTED, SANDBOX_JOB=r.job_id)
    assert [e for e in journal.take() if e.get("MESSAGE", "").startswith("2 messages were lost")]
    d.stop()
    journal.wait_event(STOPPED)


def test_frontend_dies(journaled):
    d, journal = journaled()
    os.kill(d.frontend, signal.SIGKILL)
    entry = journal.wait_event(FRONTEND_DIED)
    assert entry["PRIORITY"] == "3" and "signal 9" in entry["MESSAGE"]
    assert not journal.events(JOB_ENDED)
    d.wait_ready()
    r = d.run("--", "true")
    journal.wait_event(JOB_ENDED, SANDBOX_JOB=r.job_id)


def fields_of_catalog(message_id):
    """The fields of an entry that its explanation mentions. For one that is not there, journalctl -x would
    print nothing."""
    catalog = (SOURCE / "systemd/sandboxd.catalog").read_text()
    return set(re.findall(r"@(\w+)@", catalog.split(f"-- {message_id}\n")[1].split("\n-- ")[0]))


@pytest.mark.parametrize("victim", ["frontend", "monitor"])
def test_job_that_is_lost(journaled, victim):
    """Whichever process is left has the last word on it, once. The monitor does not know all of it."""
    last_word = JOB_LOST if victim == "frontend" else JOB_ENDED
    d, journal = journaled()
    with d.command("run", "--", "sleep", "60", uid=NOBODY) as client:
        start = journal.wait_event(JOB_STARTED)
        os.kill(getattr(d, victim), signal.SIGKILL)
        end = journal.wait_event(last_word)
        assert client.wait(20) == 125
    assert end["SANDBOX_JOB"] == start["SANDBOX_JOB"] and end["SANDBOX_UID"] == str(NOBODY)
    assert end["SANDBOX_STATUS"] == "NONE"
    assert ("was lost" if victim == "frontend" else "ended: NONE") in end["MESSAGE"]
    assert fields_of_catalog(last_word) <= set(end)
    if victim == "monitor":
        d.process.wait(20)
    else:
        d.wait_ready()
        d.run("--", "true")
        d.stop()
        journal.take()
    words = [journal.events(i, SANDBOX_JOB=end["SANDBOX_JOB"]) for i in (JOB_ENDED, JOB_LOST)]
    assert sum(map(len, words)) == 1


def test_frontend_dies_while_stopping(journaled):
    """It was told to go: how it does so is no fault."""
    d, journal = journaled()
    with d.command("run", "--", "sleep", "60") as client:
        journal.wait_event(JOB_STARTED)
        os.kill(d.frontend, signal.SIGSTOP)
        d.process.send_signal(signal.SIGTERM)
        assert host.wait_until(lambda: not d.job_pids(), 10)
        os.kill(d.frontend, signal.SIGKILL)
        client.wait(20)
    d.stop()
    journal.wait_event(STOPPED)
    assert not journal.events(FRONTEND_DIED)


def test_frontend_exits(make_daemon):
    """Without an order to, and with exit code 0: a fault all the same."""
    d = make_daemon(start=False)
    programs = d.home / "programs"
    programs.mkdir()
    for name, program in (("sandboxd", d.build / "sandboxd"), ("sandboxd-init", d.build / "sandboxd-init"),
                          ("sandboxctl", d.build / "sandboxctl"), ("sandboxd-frontend", "/bin/true")):
        shutil.copy(program, programs / name)
    d.build = programs
    d.spawn()
    assert d.process.wait(20) == 1
    assert "frontend ended with exit code 0, and every job with it" in d.log()


def test_a_plain_stderr_stays_quiet(daemon):
    r = daemon.run("--", "true")
    assert r.status == "OK" and r.job_id not in daemon.log()


@pytest.mark.skipif(not shutil.which("journalctl"), reason="needs journalctl")
def test_catalog_compiles(tmp_path):
    folder = tmp_path / "usr/lib/systemd/catalog"
    folder.mkdir(parents=True)
    shutil.copy(SOURCE / "systemd/sandboxd.catalog", folder)
    for verb in ("--update-catalog", "--list-catalog"):
        listed = subprocess.run(["journalctl", f"--root={tmp_path}", verb], check=True, capture_output=True,
                                text=True).stdout
    assert JOB_ENDED in listed and REFUSED in listed and len(listed.splitlines()) == 9
