# SPDX-License-Identifier: Apache-2.0
"""Files in and out of jobs, on the wire: by credit, of any number and size, whole or with a sentence about
why not; signals to jobs, and what they use while they run."""

import hashlib
import os
import random
import shutil
import signal

import pytest

from lib import files, host, wire
from lib.daemon import NOBODY, POLICY, Daemon

MIB = 1 << 20
CREDIT = MIB


def blob(size, seed=1):
    return random.Random(seed).randbytes(size)


@pytest.fixture(scope="module")
def big(build, tmp_path_factory):
    """A daemon whose default profile takes and gives large files, and where little time is lost when a client
    does not send."""
    folder = tmp_path_factory.mktemp("files") / "policy"
    shutil.copytree(POLICY, folder)
    drop_in = folder / "profiles" / "default.profile.d"
    drop_in.mkdir()
    (drop_in / "files.conf").write_text("[Limits]\nFilesSize=256M\nTmpSize=512M\nMemory=1G\n")
    d = Daemon(build, policy_dir=folder,
               settings={"Server": {"FrameTimeoutSec": "1s", "MaxKeptPerUser": "4M", "MaxJobsPerUser": "8"}})
    try:
        d.start()
        yield d
        d.stop()
    finally:
        d.kill()


@pytest.fixture
def c(big):
    with big.session() as connection:
        yield connection


def running(d):
    with d.session() as c:
        c.send(wire.get_host(2))
        return c.expect("host").get("running_jobs", 0)


def nothing_left(d):
    assert host.wait_until(lambda: not d.job_pids() and running(d) == 0, 10), \
        (d.job_pids(), running(d))


# --- in

def test_credit_is_announced(big):
    with big.connect() as c:
        assert c.hello()["file_credit"] == CREDIT


def test_many_files(c):
    """Of every kind at once: empty, small, large; modes kept, folders made; in parts that take turns."""
    given = {f"d{i % 7}/e{i % 3}/f{i}": (blob(i * 37, i), 0o600 + i % 8 * 0o11) for i in range(200)}
    given["large"] = (blob(3 * MIB, 7), 0o400)
    given["empty"] = (b"", 0o755)
    up = files.Upload(c, 2, given, CREDIT, runtime="bash", code=b"sha256sum $(find . -type f | sort); "
                      b"find . -type f -printf '%m %P\\n'; find . -mindepth 1 -type d -printf '%m %P/\\n'")
    random.Random(3).shuffle(up.parts)
    # Parts of one file keep their order.
    order = {}
    for i, (index, _) in enumerate(up.parts):
        order.setdefault(index, []).append(i)
    whole = {index: [given[list(given)[index]][0][at:at + files.CHUNK]
                     for at in range(0, len(given[list(given)[index]][0]), files.CHUNK)] for index in order}
    for index, places in order.items():
        for place, content in zip(places, whole[index]):
            up.parts[place] = (index, content)
    up.send()
    r = files.Fetched(c, 2, before=up.responses)
    assert r.result["status"] == "OK", r.last
    lines = r.output[1].decode().splitlines()
    sums = {line[66:].removeprefix("./"): line[:64] for line in lines if len(line) > 66}
    modes = {line.split(" ", 1)[1]: int(line.split()[0], 8) for line in lines if len(line.split()[0]) == 3}
    assert sums.pop("main.sh") and modes.pop("main.sh") == 0o644
    assert sums == {name: hashlib.sha256(content).hexdigest() for name, (content, _) in given.items()}
    assert {n: m for n, m in modes.items() if not n.endswith("/")} == \
        {name: mode for name, (_, mode) in given.items()}
    assert {m for n, m in modes.items() if n.endswith("/")} == {0o755}


def test_small_parts(c):
    """A byte at a time: the queue holds what was sent, and not a record for each byte."""
    content = blob(MIB + 5000)
    c.send(wire.run(2, argv=["sha256sum", "f"], files=[wire.file_message("f", content[:MIB], size=len(content))]))
    c.send(*[wire.file_data(2, 0, content[i:i + 1]) for i in range(MIB, len(content))])
    r = files.Fetched(c, 2)
    assert r.output[1].split()[0].decode() == hashlib.sha256(content).hexdigest()


def test_40_mib_each_way(c):
    content = blob(40 * MIB)
    r = files.upload(c, 2, {"in": content}, CREDIT, argv=["cp", "in", "out"], get=["out"])
    assert r.result["status"] == "OK" and r.result["files"] == 1
    assert r.content["out"] == content


def test_started_comes_when_all_is_there(c):
    up = files.Upload(c, 2, {"f": blob(2 * MIB)}, CREDIT, argv=["true"])
    up.send(15)
    assert all("started" not in x for x in up.responses)
    up.send()
    r = files.Fetched(c, 2, before=up.responses)
    assert r.started and r.result["status"] == "OK"


def test_more_than_the_credit(c):
    c.send(wire.run(2, argv=["true"], files=[wire.file_message("f", size=8 * MIB)]))
    c.send(wire.file_data(2, 0, bytes(MIB + 1)))
    assert "credit" in c.expect_error_and_close("BAD_REQUEST")["message"]


@pytest.mark.parametrize("index, size, field", [(1, 10, "file"), (0, 3 * MIB, "data")])
def test_wrong_data(big, c, index, size, field):
    """A file that is none, and more bytes than a file has: that job alone is refused, and its sandbox ends."""
    c.send(wire.run(2, argv=["true"], files=[wire.file_message("f", blob(MIB), size=MIB + 10)]))
    c.send(wire.file_data(2, index, bytes(min(size, 1000))))
    error = c.expect("error")
    assert (error["code"], error["field"]) == ("INVALID_ARGUMENT", field), error
    assert c.run(3, argv=["true"])[0]["result"]["status"] == "OK"
    nothing_left(big)


def test_upload_that_stalls(big, c):
    up = files.Upload(c, 2, {"f": blob(4 * MIB)}, CREDIT, argv=["true"])
    up.send(9)
    while not up.responses:
        up.take()
    error = up.responses[0]["error"]
    assert error["code"] == "INVALID_ARGUMENT" and "FrameTimeoutSec=" in error["message"], error
    # What was on its way when it was told is no misuse.
    c.send(wire.file_data(2, 0, bytes(1000)))
    assert c.run(3, argv=["true"])[0]["result"]["status"] == "OK"
    nothing_left(big)


@pytest.mark.parametrize("detach", [False, True])
def test_client_vanishes_while_it_uploads(big, detach):
    with big.session() as c:
        up = files.Upload(c, 2, {"f": blob(8 * MIB)}, CREDIT, argv=["sleep", "60"], detach=detach)
        up.send(40)
        assert host.wait_until(big.payload_pids, 10)
        assert running(big) == 1
    nothing_left(big)


def test_cancel_while_it_uploads(big, c):
    up = files.Upload(c, 2, {"f": blob(4 * MIB)}, CREDIT, argv=["true"])
    up.send(20)
    c.send(wire.cancel(2), *[wire.file_data(2, i, content) for i, content in up.parts[:1]])
    r = files.Fetched(c, 2, before=up.responses)
    assert r.result["status"] == "CANCELLED" and r.started is None
    nothing_left(big)


def test_signal_while_it_uploads(c):
    """There is a job, by its id, but no process yet."""
    up = files.Upload(c, 2, {"f": blob(2 * MIB)}, CREDIT, argv=["true"])
    up.send(1)
    c.send(wire.list_jobs(3))
    while not any("jobs" in x for x in up.responses):
        up.take()
    job, = up.responses.pop()["jobs"]["jobs"]
    assert job["state"] == "RECEIVING", job
    c.send(wire.signal_job(4, job["job_id"], signal.SIGKILL))
    while not any(x["id"] == 4 for x in up.responses):
        up.take()
    assert up.responses.pop()["error"]["code"] == "NOT_RUNNING"
    up.send()
    assert files.Fetched(c, 2, before=up.responses).result["status"] == "OK"


def test_files_that_do_not_fit_the_memory(c):
    """It ends while they come, without having started; what is still sent is no misuse."""
    up = files.Upload(c, 2, {"f": blob(40 * MIB)}, CREDIT, argv=["true"],
                      limits={"memory_bytes": 16 * MIB})
    up.send()
    r = files.Fetched(c, 2, before=up.responses)
    assert r.result["status"] == "MEMORY_LIMIT", r.last
    assert up.parts, "all of it was taken"
    c.send(wire.file_data(2, 0, bytes(1000)))
    assert c.run(3, argv=["true"])[0]["result"]["status"] == "OK"


def test_stdin_before_started(c):
    c.send(wire.run(2, argv=["cat"], stdin=True, files=[wire.file_message("f", blob(MIB), size=MIB + 10)]),
           wire.stdin_data(2, b"x"))
    c.expect_error_and_close("BAD_REQUEST")


def test_streamed_job_waits_for_its_turn(make_daemon):
    """It takes what its client has credit for, and its place, and starts when others have ended."""
    d = make_daemon(settings={"Server": {"MaxJobsPerUser": "1"}})
    with d.session() as c:
        c.send(wire.run(2, argv=["cat"], stdin=True))
        c.expect("started")
        content = blob(3 * MIB)
        up = files.Upload(c, 3, {"f": content}, CREDIT, argv=["sha256sum", "f"])
        up.send(8)
        while not up.responses:
            up.take()
        assert "queued" in up.responses[0]
        c.send(wire.stdin_data(2, eof=True))
        up.send()
        r = files.Fetched(c, 3, before=up.responses)
        assert r.result["status"] == "OK" and r.output[1][:64].decode() == hashlib.sha256(content).hexdigest(), r.last


# --- out

TREE = b"""
mkdir -p out/deep/er .hidden; chmod 750 out; echo one > out/1; echo two > out/deep/er/2; : > out/empty
echo s > .hidden/s; echo a > a.png; echo b > b.png; echo c > .c.png; chmod 600 b.png; chmod 4711 a.png
ln -s a.png link; ln -s out folder; mkfifo fifo
"""
IN_OUT = ["out", "out/1", "out/deep", "out/deep/er", "out/deep/er/2", "out/empty"]


@pytest.mark.parametrize("get, names, failed", [
    (["out"], IN_OUT, []),
    (["out/deep"], ["out/deep", "out/deep/er", "out/deep/er/2"], []),
    (["out/1", "a.png"], ["a.png", "out/1"], []),
    (["*.png"], ["a.png", "b.png"], []),
    ([".*.png"], [".c.png"], []),
    (["[ab].png", "?.png", "b.*"], ["a.png", "b.png"], []),
    (["*/*/*/2", "out/[!2]"], ["out/1", "out/deep/er/2"], []),
    (["*/1"], ["out/1"], []),
    ([".hidden"], [".hidden", ".hidden/s"], []),
    (["*"], ["a.png", "b.png", "fifo", "folder", "link", "main.sh", *IN_OUT], ["fifo", "folder", "link"]),
    (["none", "no*e", "out/none", "a.png/x", "none/x"], ["a.png/x", "no*e", "none", "none/x", "out/none"],
     ["a.png/x", "no*e", "none", "none/x", "out/none"]),
    (["link", "folder", "folder/1", "fifo", "a.png"], ["a.png", "fifo", "folder", "folder/1", "link"],
     ["fifo", "folder", "folder/1", "link"]),
    (["main.sh", "main.sh"], ["main.sh"], []),
])
def test_names_and_patterns(c, get, names, failed):
    """In the order of their names, each once."""
    r = files.run(c, 2, runtime="bash", code=TREE, get=get)
    assert r.result["status"] == "OK" and r.names == names and sorted(r.errors) == sorted(failed), r.errors
    assert r.result.get("files", 0) == len(names) - len(failed)
    for name, text in r.errors.items():
        assert f"'{name}'" in text and ("link" in text) == name.startswith(("link", "folder")), text
    expected = {"out/1": b"one\n", "out/deep/er/2": b"two\n", "out/empty": b"", "a.png": b"a\n", "b.png": b"b\n",
                ".c.png": b"c\n", ".hidden/s": b"s\n", "main.sh": TREE}
    assert r.content == {n: expected[n] for n in r.names if n in expected}
    modes = {"out": 0o750, "a.png": 0o711, "b.png": 0o600, "out/1": 0o644, "out/deep": 0o755}
    for name in set(modes) & set(r.modes):
        assert r.modes[name] == modes[name]


@pytest.mark.parametrize("get, word", [
    ([b"../x"], "'..'"), ([b"/etc/passwd"], "absolute"), ([b""], "no name"), ([b"a\0b"], "NUL"),
    ([b"x" * 5000], "too long"), ([b"d/" * 300 + b"x"], "folders"), ([b"a//b"], "empty"), ([b"a/"], "empty"),
    ([b"x" * 256], "255"), ([b"ok", b"*/../*"], "'..'"), ([b"x"] * 257, "256"),
])
def test_what_cannot_be_asked_for(c, get, word):
    c.send(wire.run(2, argv=["true"], get=get))
    error = c.expect("error")
    assert error["code"] == "INVALID_ARGUMENT" and error["field"].startswith("get"), error
    assert word in error["message"], error


def test_256_names(c):
    r = files.run(c, 2, argv=["touch", "f7"], get=[f"f{i}" for i in range(256)])
    assert list(r.content) == ["f7"] and len(r.errors) == 255


def test_bytes_over_the_maximum(daemon):
    """FilesSize= is for all of them together: what fits comes."""
    with daemon.session() as c:
        r = files.run(c, 2, runtime="bash", get=["*.f"], code=b"head -c 9M /dev/zero > 1.f; "
                      b"head -c 9M /dev/zero > 2.f; head -c 7M /dev/zero > 3.f")
        assert r.content == {"1.f": bytes(9 * MIB), "3.f": bytes(7 * MIB)}
        assert list(r.errors) == ["2.f"] and "FilesSize=" in r.errors["2.f"] and "16M" in r.errors["2.f"]


def test_sparse_file(daemon):
    with daemon.session() as c:
        r = files.run(c, 2, argv=["truncate", "-s", "15M", "f"], get=["f"])
        assert r.content == {"f": bytes(15 * MIB)}


def test_too_many_and_too_deep(c):
    r = files.run(c, 2, runtime="bash", get=["deep", "many", "one"], code=
                  b"mkdir many; (cd many; seq 5000 | xargs touch); touch one; d=deep; "
                  b"for i in $(seq 40); do mkdir $d; d=$d/d; done; :")
    assert r.result["status"] == "OK"
    assert "4096" in r.errors["many"] and "4096" in r.errors["one"]
    deepest = "/".join(["deep"] + ["d"] * 32)
    assert "32 folders" in r.errors[deepest] and deepest in r.modes
    assert 4000 < len(r.content) < 4096


def test_unreadable(c):
    """What the job's own user cannot read."""
    r = files.run(c, 2, runtime="bash", get=["f", "d", "e/x"],
                  code=b"touch f; mkdir d e; touch e/x; chmod 0 f d e")
    assert sorted(r.errors) == ["d", "e/x", "f"] and all("Permission denied" in e for e in r.errors.values())


@pytest.mark.parametrize("status, code, fields", [
    ("TIMEOUT", b"sleep 60", {"limits": {"wall_time_usec": 300000}}),
    ("MEMORY_LIMIT", b"exec python3 -c 'x = bytearray(1 << 30)'", {"limits": {"memory_bytes": 32 * MIB}}),
    ("SIGNALED", b"kill -9 $$", {}),
    ("EXITED", b"exit 3", {}),
])
def test_files_of_a_job_that_did_not_end_well(c, status, code, fields):
    r = files.run(c, 2, runtime="bash", code=b"echo kept > f; " + code, get=["f"], **fields)
    assert r.result["status"] == status and r.content == {"f": b"kept\n"}, (r.last, r.errors)


def test_files_of_a_cancelled_job(c):
    c.send(wire.run(2, runtime="bash", code=b"echo kept > f; echo ready; sleep 60", get=["f"]))
    while "output" not in c.receive():
        pass
    c.send(wire.cancel(2))
    r = files.Fetched(c, 2)
    assert r.result["status"] == "CANCELLED" and r.content == {"f": b"kept\n"}, (r.last, r.errors)


def test_files_of_a_job_that_never_was(c):
    r = files.run(c, 2, argv=["/nothing/here"], files=[wire.file_message("f", b"x")], get=["f", "g"])
    assert r.result["status"] == "SETUP_ERROR" and r.content == {"f": b"x"} and list(r.errors) == ["g"]


def test_nothing_runs_while_files_are_read(c):
    """What the job leaves running is ended first: nothing grows any more."""
    r = files.run(c, 2, runtime="bash", get=["*"], code=b"for i in 1 2 3; do (setsid sh -c "
                  b"'trap : TERM; while :; do echo x >> grow; done' &) ; done; sleep 0.1")
    assert r.result["status"] == "OK" and set(r.content["grow"].splitlines()) == {b"x"}


def test_credit_for_files(c):
    """No more data than there is credit for; names need none, and the last byte's credit brings the end."""
    c.send(wire.run(2, runtime="bash", code=b"head -c 3000 /dev/zero > f; touch g; mkdir h", get=["f", "g", "h"],
                    output_credit=1000))
    assert "started" in c.receive()
    got = 0
    while got < 1000:
        got += len(c.expect("file_out").get("data", b""))
    # Another job on the same connection is not held up.
    c.send(wire.run(3, argv=["echo", "hi"]))
    response, out, _ = c.finish(3)
    assert out == b"hi\n" and got == 1000
    c.send(wire.output_credit(2, wire.CREDIT_FILES, 2000))
    r = files.Fetched(c, 2, before=[{"id": 2, "file_out": {"kind": "REGULAR", "name": b"f", "size": 2000}}])
    assert r.names == ["f", "g", "h"] and r.result["files"] == 3


def test_client_vanishes_while_it_downloads(big):
    with big.session() as c:
        c.send(wire.run(2, runtime="bash", code=b"head -c 9M /dev/zero > f", get=["f"], output_credit=1000))
        while "data" not in c.receive().get("file_out", {}):
            pass
        assert running(big) == 1 and big.job_pids()
    nothing_left(big)


def test_cancel_while_it_downloads(big, c):
    """The job has ended; it is its files that are given up."""
    c.send(wire.run(2, runtime="bash", code=b"head -c 9M /dev/zero > f", get=["f", "x*"], output_credit=1000))
    got = []
    while not any("data" in x.get("file_out", {}) for x in got):
        got.append(c.receive())
    c.send(wire.cancel(2), wire.output_credit(2, wire.CREDIT_FILES, 9 * MIB))
    r = files.Fetched(c, 2, before=got)
    assert r.result["status"] == "OK" and sorted(r.errors) == ["f", "x*"] and "gone" in r.errors["f"]
    nothing_left(big)


def test_init_is_killed_while_it_hands_over(big, c):
    c.send(wire.run(2, runtime="bash", code=b"head -c 9M /dev/zero > f", get=["f"], output_credit=1000))
    got = []
    while not any("data" in x.get("file_out", {}) for x in got):
        got.append(c.receive())
    # Another may be in the making, for the next job.
    assert host.wait_until(lambda: len(big.job_pids()) == 1)
    pids = big.job_pids()
    assert len(pids) == 1 and not big.payload_pids()
    os.kill(pids[0], signal.SIGKILL)
    c.send(wire.output_credit(2, wire.CREDIT_FILES, 9 * MIB))
    r = files.Fetched(c, 2, before=got)
    assert r.result["status"] == "OK" and "gone" in r.errors["f"] and len(r.content["f"]) < 9 * MIB


def test_stop_while_files_wait(make_daemon):
    """A client that takes nothing does not hold up the end."""
    d = make_daemon()
    with d.session() as c:
        c.send(wire.run(2, runtime="bash", code=b"head -c 9M /dev/zero > f", get=["f"], output_credit=1000),
               wire.run(3, argv=["sleep", "60"], get=["f"]))
        while "data" not in c.receive().get("file_out", {}):
            pass
        d.stop()
        r = files.Fetched(c, 2, before=[{"id": 2, "file_out": {"kind": "REGULAR", "name": b"f", "size": 1}}])
        assert "gone" in r.errors["f"]


def test_memory_of_the_daemon(big, c, sanitized):
    """200 MiB in and out."""
    if sanitized:
        pytest.skip("a sanitizer build's memory says nothing")
    content = blob(MIB) * 200
    files.upload(c, 2, {"f": content[:3 * MIB]}, CREDIT, argv=["true"], get=["f"])
    before = {}
    for pid in (big.monitor, big.frontend):
        with open(f"/proc/{pid}/clear_refs", "w") as f:
            f.write("5")
        before[pid] = host.rss_bytes(pid)
    r = files.upload(c, 3, {"f": content}, CREDIT, argv=["true"], get=["f"])
    assert r.content["f"] == content
    grown = {pid: int(host.status(pid)["VmHWM"].split()[0]) * 1024 - rss for pid, rss in before.items()}
    assert max(grown.values()) < 4 * MIB, grown


# --- of detached jobs

def detached(c, request_id, **fields):
    """The id of a detached job that has ended, and its Result."""
    c.send(wire.run(request_id, detach=True, **fields))
    job = c.expect("started")["job_id"]
    c.send(wire.wait_job(request_id + 1, job))
    return job, c.expect("result")


def get(c, request_id, job, *names, credit=0, give=False):
    c.send(wire.get_files(request_id, job, names, credit))
    return files.Fetched(c, request_id, give)


def test_files_of_a_detached_job(big):
    with big.session() as c:
        job, result = detached(c, 2, runtime="bash", code=TREE, get=["out", "*.png", "none"])
        assert result["status"] == "OK" and result["files"] == len(IN_OUT) + 2
    with big.session() as c:
        for i in range(2):
            r = get(c, 10 + i, job)
            assert "done" in r.last and r.names == ["a.png", "b.png", "none", *IN_OUT] and list(r.errors) == ["none"]
            assert r.content["out/deep/er/2"] == b"two\n" and r.modes["out"] == 0o750
        r = get(c, 20, job, "out/deep", "b*")
        assert r.names == ["b.png", "out/deep", "out/deep/er", "out/deep/er/2"] and r.content["b.png"] == b"b\n"
        r = get(c, 21, job, "main.sh", "?.png")
        assert list(r.content) == ["a.png", "b.png"] and list(r.errors) == ["main.sh"]
        for names, word in (["../x"], "'..'"), (["x"] * 257, "256"):
            c.send(wire.get_files(22, job, names))
            error = c.expect("error")
            assert error["code"] == "INVALID_ARGUMENT" and word in error["message"]
        r = get(c, 23, "0" * 16)
        assert r.last["error"]["code"] == "NO_SUCH_JOB"
        with big.session(uid=NOBODY) as other:
            assert get(other, 2, job).last["error"] == r.last["error"]


def test_files_of_a_job_that_has_not_ended(c):
    """They come when it has."""
    c.send(wire.run(2, runtime="bash", code=b"sleep 0.2; echo x > f", get=["f"], detach=True))
    job = c.expect("started")["job_id"]
    c.send(wire.get_files(3, job, ["f"]))
    r = files.Fetched(c, 3)
    assert r.content == {"f": b"x\n"} and "done" in r.last


def test_credit_and_forget_of_get_files(c):
    job, _ = detached(c, 2, runtime="bash", code=b"head -c 3000 /dev/zero > f", get=["f"])
    c.send(wire.get_files(4, job, credit=1000))
    got = []
    while sum(len(x["file_out"].get("data", b"")) for x in got) < 1000:
        got.append(c.receive())
    c.send(wire.get_host(5))
    assert "host" in c.receive()
    c.send(wire.output_credit(4, wire.CREDIT_FILES, 2000))
    assert files.Fetched(c, 4, before=got).content == {"f": bytes(3000)}
    c.send(wire.get_files(6, job, credit=1000))
    while "data" not in c.receive()["file_out"]:
        pass
    c.send(wire.forget(6), wire.output_credit(6, wire.CREDIT_FILES, 2000), wire.get_host(7))
    while "host" not in (response := c.receive()):
        assert response["id"] == 6


def test_no_room_to_keep_them(c):
    """MaxKeptPerUser= is 4M here: what does not fit is named, and what does is there."""
    job, result = detached(c, 2, runtime="bash", get=["*.f"], code=
                           b"head -c 3M /dev/zero > 1.f; head -c 3M /dev/zero > 2.f; echo x > 3.f")
    assert result["status"] == "OK"
    r = get(c, 4, job)
    assert r.content == {"1.f": bytes(3 * MIB), "3.f": b"x\n"} and list(r.errors) == ["2.f"]
    assert "MaxKeptPerUser=" in r.errors["2.f"]


# --- signals, usage

def test_signal_that_is_trapped(c):
    c.send(wire.run(2, runtime="bash", code=b"trap 'echo got it; exit 7' TERM; echo ready; while :; do sleep 0.01; done"))
    job = c.expect("started")["job_id"]
    c.expect("output")
    c.send(wire.signal_job(3, job, signal.SIGTERM))
    responses = []
    while not any("result" in x for x in responses):
        responses.append(c.receive())
    assert any(x["id"] == 3 and "done" in x for x in responses)
    r = files.Fetched(c, 2, before=[x for x in responses if x["id"] == 2])
    assert r.result["status"] == "EXITED" and r.result["exit_code"] == 7 and r.output[1] == b"got it\n"
    c.send(wire.signal_job(4, job, signal.SIGTERM))
    assert c.expect("error")["code"] == "NOT_RUNNING"


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGUSR1, 64])
def test_signal_that_kills(big, number):
    """As soon as its client knows of the job, whatever of its sandbox is there."""
    with big.session() as c:
        c.send(wire.run(2, argv=["sleep", "60"]))
        job = c.expect("started")["job_id"]
        c.send(wire.signal_job(3, job, number))
        r = files.Fetched(c, 2)
        assert r.result["status"] == "SIGNALED" and r.result["signal"] == number


def test_signals_stop_and_go_on(big, c):
    c.send(wire.run(2, argv=["cat"], stdin=True))
    job = c.expect("started")["job_id"]
    assert host.wait_until(big.payload_pids, 10)
    pid = big.payload_pids()[0]

    def state():
        return host.status(pid).get("State", "?")[0]
    for number, wanted in (signal.SIGSTOP, "T"), (signal.SIGCONT, "S"):
        c.send(wire.signal_job(3, job, number))
        c.expect("done")
        assert host.wait_until(lambda: state() == wanted, 10), state()
    c.send(wire.stdin_data(2, eof=True))
    assert c.finish(2)[0]["result"]["status"] == "OK"


def test_usage_of_a_running_job(c):
    c.send(wire.run(2, runtime="python", code=b"x = bytearray(50 << 20)\nprint('ready', flush=True)\ninput()",
                    stdin=True))
    job = c.expect("started")["job_id"]
    c.expect("output")
    c.send(wire.get_job(3, job))
    seen = c.expect("job")
    usage = seen["usage"]
    assert seen["state"] == "RUNNING" and usage["wall_usec"] > 0 and usage["cpu_user_usec"] + usage["cpu_system_usec"] > 0
    assert usage["memory_peak_bytes"] > 50 * MIB and usage["pids_peak"] == 1, usage
    c.send(wire.stdin_data(2, b"\n", eof=True))
    assert c.finish(2)[0]["result"]["status"] == "OK"
