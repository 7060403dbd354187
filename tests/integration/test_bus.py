# SPDX-License-Identifier: Apache-2.0
"""org.sandboxd1 on a bus: what each member does, for whom it shows, and what comes back of a job's bytes."""

import contextlib
import fcntl
import filecmp
import os
import socket

import pytest

from lib import dbus, host, wire
from lib.bus import (ALICE, BOB, JOB, MANAGER, MEMBERS, NAME, NOBODY, OBJECT_MANAGER, ROOT_PATH, INTROSPECTABLE,
                     USER, job_id, members_of)

MIB = 1 << 20
INLINE_MAX = 4 * MIB
USAGE = {"wall_usec": "t", "cpu_user_usec": "t", "cpu_system_usec": "t", "memory_peak_bytes": "t", "pids_peak": "t"}
RESULT = {
    "job_id": "s", "status": "s", "exit_code": "i", "signal": "i", "message": "s", "step": "s", "stdout": "s",
    "stderr": "s", "stdout_bytes": "t", "stderr_bytes": "t", "stdout_truncated": "b", "stderr_truncated": "b",
    "pids_limit_hit": "b", "cpu_throttled": "b", "return_value": "a{sv}", "usage": "a{sv}", "queued_usec": "t",
    "setup_usec": "t", "warm": "b", "runtime": "s", "profile": "s", "label": "s", "started_at_usec": "t",
    "ended_at_usec": "t",
}
LIMITS = {"wall_time_usec": 7000000, "cpu_time_usec": 3000000, "memory_bytes": 100 * MIB, "cpu_quota_percent": 50,
          "pids": 9, "output_bytes": 5000, "tmp_size_bytes": 3 * MIB}


@pytest.fixture
def root(bus):
    return bus.caller()


@pytest.fixture
def alice(bus):
    return bus.caller(ALICE)


@pytest.fixture
def bob(bus):
    return bus.caller(BOB)


def shown(daemon, path, uid=0):
    """A job as the socket shows it."""
    with daemon.session(uid=uid) as c:
        c.send(wire.get_job(2, job_id(path)))
        return c.expect("job")


# --- what there is

@pytest.mark.parametrize("what", ["manager", "job"])
def test_introspection(root, what):
    """Exactly the members that the tests know: test_bus_authorization.py calls each."""
    interfaces = [MANAGER, OBJECT_MANAGER] if what == "manager" else [JOB]
    path = ROOT_PATH if what == "manager" else root.run("true")
    found = members_of(root.call(NAME, path, INTROSPECTABLE, "Introspect")[0])
    assert {i: m for i, m in found.items() if not i.startswith("org.freedesktop.DBus")
            or i == OBJECT_MANAGER} == {i: MEMBERS[i] for i in interfaces}


def test_properties_of_the_manager(root, daemon):
    assert host.wait_until(lambda: root.get(ROOT_PATH, MANAGER, "RunningJobs") == 0), "a job of another test runs"
    everything = root.get_all(ROOT_PATH, MANAGER)
    names = [name for name, member in MEMBERS[MANAGER].items() if member[0] == "property"]
    assert everything == {name: root.get(ROOT_PATH, MANAGER, name) for name in names}
    with daemon.connect() as c:
        hello = c.hello()
    assert everything["Version"] == hello["version"]
    assert (everything["RunningJobs"], everything["QueuedJobs"], everything["Draining"]) == (0, 0, False)
    assert isinstance(everything["Features"], list)


def test_runtimes_and_profiles(alice, daemon):
    runtimes = {name: (text, why) for name, text, why in alice.manager("ListRuntimes")[0]}
    assert runtimes["python"][0] and runtimes["python"][1] == "" and {"bash", "command", "javascript"} <= set(runtimes)
    assert {name for name, text in alice.manager("ListProfiles")[0] if text} == {"default", "strict"}


def test_runtime_that_is_not_there(make_daemon, make_bus, policy_copy):
    (policy_copy / "runtimes/ruby.runtime").write_text(
        "[Runtime]\nDescription=Ruby\nInterpreter=/usr/bin/no-ruby\nPackage=ruby\nFileName=main.rb\nArguments=%f\n")
    bus = make_bus(make_daemon(policy_dir=policy_copy, settings={"Bus": {"User": USER}}))
    c = bus.caller()
    why = {name: why for name, _, why in c.manager("ListRuntimes")[0]}["ruby"]
    assert "install ruby" in why, why
    error = c.refusal(c.execute, "ruby", "puts 1")
    assert error.short == "Unavailable" and "ruby" in error.message


# --- Execute

def test_result(root):
    """Every field, of the type that is documented."""
    r = root.finish(root.start_execute("python", "import sys\nprint('out')\nprint('err', file=sys.stderr)\n[6*7]",
                                       label="a label"))[0]
    assert (r["status"], r["exit_code"], r["stdout"], r["stderr"]) == ("OK", 0, "out\n", "err\n")
    assert (r["stdout_bytes"], r["stderr_bytes"], r["stdout_truncated"]) == (4, 4, False)
    assert r["return_value"] == {"text": "[42]", "json": "[42]"}
    assert (r["runtime"], r["profile"], r["label"]) == ("python", "default", "a label")
    assert 0 < r["started_at_usec"] <= r["ended_at_usec"] and r["usage"]["wall_usec"] > 0
    reply = root.reply(root.start_execute("python", "1"))
    typed = dict(reply.args(typed=True)[0])
    assert {name: kind for name, (kind, _) in typed.items()} == RESULT
    assert {name: kind for name, (kind, _) in typed["usage"][1].items()} == USAGE
    assert {name: kind for name, (kind, _) in typed["return_value"][1].items()} == {"text": "s", "json": "s"}


@pytest.mark.parametrize("language", ["python", "py", "javascript", "js", "node", "bash", "sh"])
def test_languages(root, language):
    code = {"p": "print(6*7)", "j": "console.log(6*7)", "n": "console.log(6*7)"}.get(language[0], "echo $((6*7))")
    assert root.execute(language, code)["stdout"] == "42\n"


@pytest.mark.parametrize("code,fields", [
    ("exit 3", {"status": "EXITED", "exit_code": 3}),
    ("kill -9 $$", {"status": "SIGNALED", "signal": 9}),
    ("sleep 60", {"status": "TIMEOUT"}),
    ("echo x; exit 0", {"status": "OK", "stdout": "x\n"}),
])
def test_status(root, code, fields):
    r = root.bash(code, wall_time_usec=300000)
    assert {name: r[name] for name in fields} == fields, r
    assert "return_value" not in r


def test_failed_setup(root):
    r = root.wait(root.run("/no/such/program"))
    assert (r["status"], r["step"]) == ("SETUP_ERROR", "exec") and "/no/such/program" in r["message"]


@pytest.mark.parametrize("raw,name", [
    (b"", "stdout"), (b"plain\n", "stdout"), ("h\u00e9 \u20ac \U0001f600".encode(), "stdout"),
    (b"\xff\xfe", "stdout_raw"), (b"a\0b", "stdout_raw"), ("\uffff".encode(), "stdout_raw"),
    ("\ufdd0".encode(), "stdout_raw"), ("\U0001ffff".encode(), "stdout_raw"), (b"\xed\xa0\x80", "stdout_raw"),
    (b"\xc0\x80", "stdout_raw"), (b"cut \xe2\x82", "stdout_raw"),
], ids=repr)
def test_bytes(root, raw, name):
    """All that a job may write comes back whole, as text only where D-Bus takes it for text."""
    r = root.bash("tee /dev/stderr", stdin=raw)
    for stream in "stdout", "stderr":
        key = name.replace("stdout", stream)
        assert r[key] == (raw.decode() if key == stream else raw)
        assert not {stream, stream + "_raw"} - {key} & set(r)
        assert r[f"{stream}_bytes"] == len(raw)


def test_value_that_is_no_text(root):
    value = root.execute("python", "class C:\n    def __repr__(self): return 'a\\uffff\\0'\nC()")["return_value"]
    assert value == {"text_raw": "a\uffff\0".encode()}


def test_options(root):
    r = root.execute("bash", "echo $1 $2 $A $PWD; cat; cat f d/g >&2", args=["one", "two three"], env=["A=b c"],
                     workdir="/tmp", stdin="from stdin", files={})
    assert r["stdout"] == "one two three b c /tmp\nfrom stdin"
    r = root.execute("bash", "cat f d/g", files={"f": b"\0\xff", "d/g": b"end"})
    assert r["stdout_raw"] == b"\0\xffend"
    r = root.bash("true", profile="strict", label="n\u00e4me")
    assert (r["profile"], r["label"]) == ("strict", "n\u00e4me")


def test_strict_output(root):
    r = root.bash("yes", output_bytes=100, strict_output=True)
    assert r["status"] == "OUTPUT_LIMIT" and len(r["stdout"]) == 100 and r["stdout_truncated"]


@pytest.mark.parametrize("dash", [False, True])
def test_limits(alice, daemon, dash):
    """Each arrives, with the number it was given."""
    limits = {name.replace("_", "-") if dash else name: value for name, value in LIMITS.items()}
    path = alice.run("true", **limits)
    got = {entry["key"]: entry.get("value", 0) for entry in shown(daemon, path, ALICE)["limits"]}
    assert {name: got[name] for name in LIMITS} == LIMITS


@pytest.mark.parametrize("kind", "ynqiuxt")
def test_types_of_limits(root, daemon, kind):
    path = root.run("true", pids=(kind, 17))
    assert {"key": "pids", "value": 17} in shown(daemon, path)["limits"]


# --- what is refused

@pytest.mark.parametrize("name", LIMITS)
@pytest.mark.parametrize("value,code", [
    (("i", -1), "InvalidArgument"), (("x", -1 << 63), "InvalidArgument"), (("n", -5), "InvalidArgument"),
    (("t", (1 << 64) - 1), "OverLimit"), (("t", 1 << 63), "OverLimit"), (("t", 0), "InvalidArgument|OverLimit"),
    (("d", 1.5), "InvalidArgument"), (("s", "10 bananas"), "InvalidArgument"), (("b", True), "InvalidArgument"),
    (("d", float("nan")), "InvalidArgument"),
], ids=lambda v: str(v))
def test_limits_that_cannot_be(root, name, value, code):
    """Attack 55."""
    error = root.refusal(root.bash, "true", **{name: value})
    assert error.name in [f"org.sandboxd1.Error.{c}" for c in code.split("|")] and name in error.message, error
    if value[0] in "dsb":
        assert f"'{value[0]}'" in error.message, error


@pytest.mark.parametrize("name,value,want", [
    ("env", ("s", "A=b"), "as"), ("env", ("a{ss}", {"A": "b"}), "as"), ("args", ("s", "x"), "as"),
    ("workdir", ("ay", b"/tmp"), "s"), ("profile", ("i", 1), "s"), ("label", ("as", ["x"]), "s"),
    ("label", ("v", ("s", "x")), "s"), ("stdin", ("b", True), "s"), ("stdin", ("as", ["x"]), "ay"),
    ("files", ("a{ss}", {"f": "x"}), "a{say}"), ("files", ("as", ["f"]), "a{say}"),
    ("files", ("a(say)", [("f", b"x")]), "a{say}"), ("strict_output", ("i", 1), "b"),
    ("output_fd", ("s", "yes"), "b"), ("output_fd", ("h", 0), "b"),
])
def test_wrong_types(root, name, value, want):
    """The sentence has the key, the type it has and the type it should have."""
    with open("/dev/null") as null:
        serial = root.start_manager("Execute", "ssa{sv}", "bash", "true", {name: value},
                                    fds=[null.fileno()] if value[0] == "h" else ())
        error = root.refusal(root.finish, serial)
    assert error.short == "InvalidArgument"
    for word in name, value[0], want:
        assert word in error.message, error


@pytest.mark.parametrize("pairs,word", [
    ([("no-such", ("s", ""))], "no-such"), ([("", ("s", ""))], "option"), ([("Env", ("as", []))], "Env"),
    ([("pids", ("u", 1)), ("pids", ("u", 2))], "pids"), ([("output_fd", ("b", 1)), ("output-fd", ("b", 1))], "output"),
    ([("label", ("s", "a")), ("label", ("s", "a"))], "label"), ([("wall_time", ("t", 1))], "wall_time"),
])
def test_keys_that_cannot_be(root, pairs, word):
    error = root.refusal(root.manager, "Execute", "ssa{sv}", "bash", "true", pairs)
    assert error.short == "InvalidArgument" and word in error.message, error


@pytest.mark.parametrize("member,name,value", [
    ("Run", "args", ["x"]), ("Run", "stdin", "x"), ("Run", "output_fd", True), ("RunWithFds", "args", ["x"]),
    ("RunWithFds", "stdin", "x"), ("RunWithFds", "output-fd", True),
])
def test_options_of_other_methods(root, member, name, value):
    with open("/dev/null", "r+") as null:
        error = root.refusal(lambda: root.run_with_fds(["true"], [null.fileno()] * 3, **{name: value})
                             if member == "RunWithFds" else root.run("true", **{name: value}))
    assert error.short == "InvalidArgument" and name.replace("-", "_") in error.message


@pytest.mark.parametrize("values,code,word", [
    ({"profile": "no-such"}, "UnknownProfile", "no-such"), ({"profile": "../x"}, "UnknownProfile", "../x"),
    ({"memory_bytes": 1 << 50}, "OverLimit", "memory_bytes"), ({"workdir": "/proc/self/fd/7"}, "InvalidArgument", "workdir"),
    ({"env": ["novalue"]}, "InvalidArgument", "env"),
    ({"files": {"../x": b""}}, "InvalidArgument", "../x"), ({"files": {"/etc/x": b""}}, "InvalidArgument", "/etc/x"),
    ({"label": "x" * 5000}, "InvalidArgument", "label"), ({"files": {"f": bytes(17 * MIB)}}, "OverLimit", "file"),
])
def test_what_the_plan_refuses(root, values, code, word):
    """It says what the socket says: there is one place that turns a request into a plan."""
    error = root.refusal(root.bash, "true", **values)
    assert (error.name, word in error.message) == (f"org.sandboxd1.Error.{code}", True), error


def test_unknown_language(root):
    for error in (root.refusal(root.execute, "cobol", "x"), root.refusal(root.run, "x", runtime="cobol")):
        assert error.short == "UnknownRuntime" and "cobol" in error.message


def test_no_code(root):
    assert root.refusal(root.run).short == "InvalidArgument"


@pytest.mark.parametrize("member,signature,values", [
    ("Execute", "ss", ("bash", "true")), ("Execute", "ssa{ss}", ("bash", "true", {})), ("Execute", "", ()),
    ("Execute", "sayas", ("bash", b"true", [])), ("Run", "sass", ("command", [], "")), ("GetJob", "o", ("/a",)),
    ("GetJob", "ss", ("a", "b")), ("ListJobs", "s", ("",)), ("CancelJob", "t", (1,)), ("Drain", "b", (True,)),
])
def test_wrong_signatures(root, member, signature, values):
    error = root.refusal(root.manager, member, signature, *values)
    assert error.name == "org.freedesktop.DBus.Error.InvalidArgs", error


@pytest.mark.parametrize("path,interface,member,code", [
    (ROOT_PATH, MANAGER, "NoSuch", "UnknownMethod"), (ROOT_PATH, MANAGER, "execute", "UnknownMethod"),
    (ROOT_PATH, "org.sandboxd1.NoSuch", "Drain", "Unknown"), ("/", MANAGER, "Drain", "Unknown"),
    (ROOT_PATH + "/job", JOB, "Cancel", "Unknown"), (ROOT_PATH + "/job/xyz", JOB, "Cancel", "Unknown"),
    (ROOT_PATH + "/job/" + "f" * 16, JOB, "Cancel", "UnknownObject"),
    (ROOT_PATH + "/job/" + "F" * 16, JOB, "Cancel", "UnknownObject"),
    (ROOT_PATH + "/job/" + "f" * 4000, JOB, "Cancel", "UnknownObject"),
    (ROOT_PATH + "/job/" + "f" * 16 + "/x", JOB, "Cancel", "Unknown"),
])
def test_what_is_not_there(root, path, interface, member, code):
    assert root.refusal(root.call, NAME, path, interface, member).short.startswith(code)


@pytest.mark.parametrize("text", ["", "x", "f" * 16, "F" * 16, "f" * 15, "f" * 17, "../" + "f" * 16, "f" * 100000,
                                  "\u00e4" * 16], ids=lambda t: t[:20].encode("unicode_escape").decode())
def test_ids_of_no_job(root, text):
    for member in "GetJob", "CancelJob":
        error = root.refusal(root.manager, member, "s", text)
        assert error.name == "org.sandboxd1.Error.NoSuchJob" and len(error.message) < 1000


@pytest.mark.parametrize("name", [n for n, m in MEMBERS[MANAGER].items() if m[0] == "property"])
def test_nothing_can_be_set(root, name):
    kind = MEMBERS[MANAGER][name][1]
    value = {"s": "x", "u": 1, "b": True, "as": []}[kind]
    error = root.refusal(root.call, NAME, ROOT_PATH, dbus.PROPERTIES, "Set", "ssv", MANAGER, name, (kind, value))
    assert error.short == "PropertyReadOnly"


# --- large output

def test_inline_output_is_cut(root):
    r = root.execute("python", "import sys\nsys.stdout.write('x' * (5 << 20))", output_bytes=16 * MIB)
    assert r["status"] == "OK" and len(r["stdout"]) == INLINE_MAX
    assert r["stdout_truncated"] and r["stdout_bytes"] == 5 * MIB and not r["stderr_truncated"]


def test_cut_within_a_character(root):
    r = root.execute("python", "print('x' + '\u00e9' * (3 << 20))", output_bytes=16 * MIB)
    raw = r["stdout"].encode() if "stdout" in r else r["stdout_raw"]
    whole = b"x" + "\u00e9".encode() * (3 * MIB)
    assert INLINE_MAX - 4 < len(raw) <= INLINE_MAX and whole.startswith(raw)


def test_output_as_fds(root):
    code = "import sys\nsys.stdout.write('y' * (9 << 20))\nsys.stderr.buffer.write(b'\\xff\\0')"
    serial = root.start_execute("python", code, output_bytes=16 * MIB, **{"output-fd": True})
    reply = root.reply(serial)
    typed = reply.args(typed=True)[0]
    assert typed["stdout_fd"][0] == typed["stderr_fd"][0] == "h" and not {"stdout", "stdout_raw", "stderr"} & set(typed)
    out, err = typed["stdout_fd"][1], typed["stderr_fd"][1]
    with contextlib.closing(os.fdopen(out, "rb")) as f, contextlib.closing(os.fdopen(err, "rb")) as g:
        assert f.read() == b"y" * (9 * MIB) and g.read() == b"\xff\0", "from the beginning"
        for fd in out, err:
            sealed = fcntl.fcntl(fd, fcntl.F_GET_SEALS)
            for seal in fcntl.F_SEAL_WRITE, fcntl.F_SEAL_GROW, fcntl.F_SEAL_SHRINK, fcntl.F_SEAL_SEAL:
                assert sealed & seal
            assert fcntl.fcntl(fd, fcntl.F_GETFL) & os.O_ACCMODE == os.O_RDONLY
            with pytest.raises(OSError):
                os.write(fd, b"x")
    assert typed["stdout_bytes"] == ("t", 9 * MIB) and typed["stdout_truncated"] == ("b", False)


# --- jobs as objects

def test_job(alice, daemon):
    path = alice.run("bash", "-c", "echo begin; exit 3", label="l\u00e4bel")
    assert path == f"{ROOT_PATH}/job/{job_id(path)}" and len(job_id(path)) == 16
    r = alice.wait(path)
    assert (r["job_id"], r["status"], r["exit_code"], r["stdout"]) == (job_id(path), "EXITED", 3, "begin\n")
    assert alice.wait(path) == r, "as often as one likes"
    p = alice.get_all(path, JOB)
    assert set(p) == {name for name, member in MEMBERS[JOB].items() if member[0] == "property"}
    assert (p["Id"], p["Owner"], p["Runtime"], p["Profile"]) == (job_id(path), ALICE, "command", "default")
    assert (p["Label"], p["State"], p["Status"], p["ExitCode"]) == ("l\u00e4bel", "finished", "EXITED", 3)
    assert p["StartedAt"] == r["started_at_usec"] and p["Usage"] == r["usage"]
    assert alice.manager("GetJob", "s", job_id(path)) == [path]
    assert shown(daemon, path, ALICE)["result"]["exit_code"] == 3, "one job, whichever door it came through"


def test_running_job(alice):
    path = alice.run("sleep", "60")
    assert alice.jobs()[path][:5] == (job_id(path), ALICE, "command", "default", "running")
    started = alice.get(path, JOB, "StartedAt")
    assert started > 1 << 50 and alice.jobs()[path][5] == started
    assert (alice.get(path, JOB, "State"), alice.get(path, JOB, "Status")) == ("running", "")
    waiting = alice.start(NAME, path, JOB, "Wait")
    assert alice.job(path, "Cancel") == []
    assert alice.finish(waiting)[0]["status"] == "CANCELLED"
    assert path not in alice.jobs() and alice.job(path, "Cancel") == [], "of one that has ended nothing changes"


def test_job_outlives_its_caller(bus, alice):
    with bus.caller(ALICE) as other:
        path = other.run("bash", "-c", "sleep 0.3; echo done")
    assert alice.wait(path)["stdout"] == "done\n"


def test_job_of_the_socket(alice, daemon):
    with daemon.session(uid=ALICE) as c:
        c.send(wire.run(2, argv=[b"sh", b"-c", b"echo hi; sleep 60"]))
        path = f"{ROOT_PATH}/job/{c.expect('started')['job_id']}"
        assert host.wait_until(lambda: path in alice.jobs())
        assert host.wait_until(lambda: alice.output(path) == (b"hi\n", False))
        assert alice.manager("CancelJob", "s", job_id(path)) == []
        assert c.finish(2)[0]["result"]["status"] == "CANCELLED"


def test_read_output(alice):
    path = alice.run("bash", "-c", "printf 0123456789; printf err >&2; sleep 60")
    assert host.wait_until(lambda: alice.output(path)[0] == b"0123456789")
    assert alice.output(path, "stdout", 4) == (b"456789", False)
    assert alice.output(path, "stdout", 10) == (b"", False), "more may come"
    assert host.wait_until(lambda: alice.output(path, "stderr") == (b"err", False))
    alice.job(path, "Cancel")
    alice.wait(path)
    assert alice.output(path, "stdout", 4) == (b"456789", True)
    for offset in 10, 11, 1 << 40, (1 << 64) - 1:
        assert alice.output(path, "stdout", offset) == (b"", True)
    for stream in "", "stdin", "STDOUT", "both":
        error = alice.refusal(alice.output, path, stream)
        assert error.short == "InvalidArgument" and "stdout" in error.message


def test_read_much_output(alice):
    path = alice.run("bash", "-c", "head -c 2500000 /dev/zero | tr '\\0' z", output_bytes=4 * MIB)
    alice.wait(path)
    got, eof = b"", False
    while not eof:
        part, eof = alice.output(path, "stdout", len(got))
        got += part
        assert 0 < len(part) <= MIB and len(got) <= 2500000
    assert got == b"z" * 2500000


# --- fds for stdio

def run_with_fds(c, argv, fds, **values):
    """The fds are closed here, as those of a caller who is done with them."""
    try:
        return c.run_with_fds(argv, fds, **values)
    finally:
        for fd in set(fds):
            os.close(fd)


def socketpair_of(uid):
    """The kernel says of both ends who made them."""
    with wire.as_root:
        os.setegid(uid)
        os.seteuid(uid)
        try:
            return socket.socketpair()
        finally:
            os.seteuid(0)
            os.setegid(0)


def test_pipes(bus, alice):
    (out_r, out_w), (err_r, err_w), (in_r, in_w) = os.pipe(), os.pipe(), os.pipe()
    path = run_with_fds(alice, ["bash", "-c", "while read x; do echo got $x; done; echo end >&2; exit 4"],
                        [in_r, out_w, err_w])
    with open(out_r, "rb", 0) as out, open(err_r, "rb", 0) as err:
        os.write(in_w, b"one\n")
        assert out.read(100) == b"got one\n", "it is interactive"
        assert alice.get(path, JOB, "State") == "running"
        os.close(in_w)
        assert out.read() == b"" and err.read() == b"end\n"
    assert alice.wait(path)["exit_code"] == 4
    assert host.wait_until(lambda: not bus.service.relays()), "relays are left"


def test_regular_files(bus, alice, tmp_path):
    """Much goes through, and nothing of it is kept or counted as a message."""
    source, out, err = (tmp_path / name for name in ("in", "out", "err"))
    source.write_bytes(os.urandom(MIB) * 20)
    fds = [os.open(source, os.O_RDONLY), os.open(out, os.O_WRONLY | os.O_CREAT), os.open(err, os.O_RDWR | os.O_CREAT)]
    path = run_with_fds(alice, ["cat"], fds, output_bytes=32 * MIB)
    assert alice.wait(path)["status"] == "OK"
    assert host.wait_until(lambda: not bus.service.relays())
    assert (out.stat().st_size, err.stat().st_size) == (20 * MIB, 0)
    assert filecmp.cmp(source, out, shallow=False)


def test_one_socket_for_all(bus, alice):
    ours, theirs = socketpair_of(ALICE)
    path = run_with_fds(alice, ["bash", "-c", "read x; echo $x; echo $x >&2"], [theirs.detach()] * 3)
    ours.settimeout(20)
    ours.sendall(b"hello\n")
    got = b""
    while part := ours.recv(100):
        got += part
    assert got == b"hello\nhello\n"
    assert alice.wait(path)["status"] == "OK"
    ours.close()


def test_reader_leaves(bus, alice):
    """The job sees its pipe closed, as in a shell."""
    out_r, out_w = os.pipe()
    null = os.open("/dev/null", os.O_RDWR)
    os.close(out_r)
    path = run_with_fds(alice, ["bash", "-c", "trap '' PIPE; while echo x; do :; done 2>/dev/null; exit 7"],
                        [null, out_w, null])
    assert alice.wait(path)["exit_code"] == 7
    assert host.wait_until(lambda: not bus.service.relays())


def test_job_with_fds_is_not_tied_to_its_caller(bus, alice):
    out_r, out_w = os.pipe()
    null = os.open("/dev/null", os.O_RDWR)
    with bus.caller(ALICE) as other:
        path = run_with_fds(other, ["bash", "-c", "sleep 0.3; echo done"], [null, out_w, null])
    with open(out_r, "rb") as out:
        assert out.read() == b"done\n"
    assert alice.wait(path)["status"] == "OK"


# --- signals

def names(c):
    return [m.member for m in c.signals]


def about(path):
    return lambda m: m.path == path or path in m.args()


def synchronise(*callers):
    """What the service has sent before this is here."""
    for c in callers:
        c.call(NAME, ROOT_PATH, "org.freedesktop.DBus.Peer", "Ping")


def test_signals(bus, alice):
    """All there is to be told of one job, in the order in which it happens, to its owner and to root."""
    root, same, bob = bus.caller(), bus.caller(ALICE), bus.caller(BOB)
    for c in alice, root, bob:
        c.manager("Subscribe")
    for c in bob, same:
        c.call(*dbus.BUS, "AddMatch", "s", "type='signal'")
    path = alice.run("bash", "-c", "echo out; exit 5", label="watched")
    for c in alice, root:
        assert c.signal("JobNew", about(path)).args() == [job_id(path), path]
        _, interfaces = c.signal("InterfacesAdded", about(path)).args()
        assert interfaces[JOB]["Id"] == job_id(path) and interfaces[JOB]["Label"] == "watched"
        assert c.signal("JobRemoved", about(path)).args() == [job_id(path), path, "EXITED"]
        finished = c.signal("Finished", about(path))
        assert finished.path == path and finished.interface == JOB
        r, = finished.args()
        assert (r["status"], r["exit_code"], r["stdout_bytes"]) == ("EXITED", 5, 4)
        assert not {"stdout", "stdout_raw", "stderr", "stderr_raw", "return_value"} & set(r)
        changes = {}
        synchronise(c)
        for m in [m for m in c.signals if m.member == "PropertiesChanged" and m.path == path]:
            interface, values, stale = m.args()
            assert interface == JOB and not stale
            changes |= values
        assert (changes["State"], changes["Status"], changes["ExitCode"]) == ("finished", "EXITED", 5)
        assert changes["Usage"]["wall_usec"] > 0 and changes["StartedAt"] > 0
        everything = alice.get_all(path, JOB)
        assert changes == {name: everything[name] for name in changes}
    synchronise(bob, same)
    ours = [m for c in (bob, same) for m in c.signals if m.path and m.path.startswith(ROOT_PATH + "/job/")
            or m.member in ("JobNew", "JobRemoved", "InterfacesAdded")]
    assert ours == [], "another user, or who did not subscribe, was told"


def test_signals_are_for_their_subscriber_alone(bus, alice):
    """By unicast: even root, who may see all, gets nothing without Subscribe()."""
    root = bus.caller()
    root.call(*dbus.BUS, "AddMatch", "s", "eavesdrop='true'")
    alice.manager("Subscribe")
    alice.bash("true")
    alice.signal("JobRemoved")
    synchronise(root)
    assert not [m for m in root.signals if m.interface in (MANAGER, JOB)]
    assert all(m.destination == alice.name for m in alice.signals if m.interface in (MANAGER, JOB))


def test_subscribe_and_unsubscribe(alice):
    alice.manager("Subscribe")
    alice.manager("Subscribe")
    alice.bash("true")
    alice.signal("JobRemoved")
    synchronise(alice)
    assert "JobNew" in names(alice) and names(alice).count("JobNew") == 1, "twice is once"
    alice.manager("Unsubscribe")
    alice.signals.clear()
    alice.bash("true")
    synchronise(alice)
    assert not [m for m in alice.signals if m.interface in (MANAGER, JOB, OBJECT_MANAGER)]


def test_counts_are_told(bus, alice):
    root = bus.caller()
    root.manager("Subscribe")
    path = alice.run("sleep", "60")
    assert root.get(ROOT_PATH, MANAGER, "RunningJobs") == 1
    assert root.signal("PropertiesChanged", lambda m: m.args()[1].get("RunningJobs") == 1).path == ROOT_PATH
    alice.job(path, "Cancel")
    root.signal("PropertiesChanged", lambda m: m.args()[1].get("RunningJobs") == 0)
    try:
        root.manager("Drain")
        root.signal("PropertiesChanged", lambda m: m.args()[1].get("Draining") is True)
        assert root.get(ROOT_PATH, MANAGER, "Draining") is True
        assert alice.refusal(alice.bash, "true").short == "Draining"
    finally:
        root.manager("Resume")
    root.signal("PropertiesChanged", lambda m: m.args()[1].get("Draining") is False)
    assert alice.bash("echo again")["stdout"] == "again\n"


def test_results_that_are_dropped(make_daemon, make_bus):
    """The object goes, and says so."""
    d = make_daemon(settings={"Bus": {"User": USER}, "Server": {"MaxResultsPerUser": 1}})
    c = make_bus(d).caller()
    c.manager("Subscribe")
    first = c.run("true")
    c.wait(first)
    second = c.run("true")
    c.wait(second)
    assert c.signal("InterfacesRemoved").args() == [first, [JOB]] or JOB in c.signals[-1].args()[1]
    assert set(c.objects()) == {second}
    assert c.refusal(c.wait, first).short == "UnknownObject"
    assert c.refusal(c.manager, "GetJob", "s", job_id(first)).short == "NoSuchJob"


def test_object_manager(bus, alice, bob):
    root = bus.caller()
    mine, other = alice.run("true"), bob.run("sleep", "60")
    alice.wait(mine)
    assert mine in alice.objects() and other not in alice.objects()
    assert other in bob.objects() and mine not in bob.objects()
    assert {mine, other} <= set(root.objects()), "root sees all, the finished ones too"
    assert bus.caller(NOBODY).objects() == {}
    p = alice.objects()[mine][JOB]
    assert p == alice.get_all(mine, JOB)
    bob.job(other, "Cancel")


def test_stop_all(bus, alice, bob):
    root = bus.caller()
    paths = {c: c.run("sleep", "60") for c in (alice, bob)}
    root.manager("StopAll")
    assert [c.wait(path)["status"] for c, path in paths.items()] == ["CANCELLED"] * 2


# --- the tools that people have

def test_busctl(bus):
    """As it is written in the manual, byte for byte."""
    p = bus.busctl("call", NAME, ROOT_PATH, MANAGER, "Execute", "ssa{sv}", "python", "print(6*7)", "0")
    assert p.returncode == 0 and '"stdout" s "42\\n"' in p.stdout and p.stdout.startswith("a{sv} "), p
    p = bus.busctl("--json=short", "get-property", NAME, ROOT_PATH, MANAGER, "Draining", uid=NOBODY)
    assert p.stdout == '{"type":"b","data":false}\n', p
    p = bus.busctl("call", NAME, ROOT_PATH, MANAGER, "Drain", uid=NOBODY)
    assert p.returncode == 1 and p.stderr == "Call failed: Access denied\n", p
    assert bus.busctl("introspect", NAME, ROOT_PATH, MANAGER).returncode == 0


def test_gdbus(bus):
    p = bus.tool("gdbus", "call", "--address", bus.bus.address, "--dest", NAME, "--object-path", ROOT_PATH, "--method",
                 f"{MANAGER}.Execute", "bash", "echo $1", "{'args': <['one']>, 'pids': <7>}")
    assert p.returncode == 0 and "'stdout': <'one\\n'>" in p.stdout, p
