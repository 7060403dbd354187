# SPDX-License-Identifier: Apache-2.0
"""A client that was written from proto/PROTOCOL.md and sandboxd.proto alone, with the protobuf of Debian and
nothing of ours: what it needs to know and the document does not say is a fault of the document."""

import importlib.util
import re
import socket
import struct
import subprocess
import sys
from pathlib import Path

import pytest

PROTO = Path(__file__).resolve().parents[2] / "proto"
TIMEOUT = 30
CREDIT = 1 << 16


@pytest.fixture(scope="session")
def pb(tmp_path_factory):
    """The messages, generated now."""
    folder = tmp_path_factory.mktemp("generated")
    subprocess.run(["protoc", f"--proto_path={PROTO}", f"--python_out={folder}", "sandboxd.proto"], check=True)
    spec = importlib.util.spec_from_file_location("sandboxd_pb2", folder / "sandboxd_pb2.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


class Refused(Exception):
    """An Error, with the message as its argument."""

    def __init__(self, error):
        super().__init__(error)
        self.code, self.message, self.field = error.code, error.message, error.field
        self.retry_after_usec = error.retry_after_usec


class Client:
    """One connection. Responses to requests that nobody looks at yet are kept."""

    def __init__(self, pb, path, hello=True):
        self.pb = pb
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.socket.settimeout(TIMEOUT)
        self.socket.connect(str(path))
        self.received = []
        self.fds = []
        self.last_id = 0
        self.hello = None
        if hello:
            self.hello = self.ask(hello=pb.Hello(protocol=1, client="test_protocol_doc")).hello

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def send(self, request_id=None, **body):
        """Sends a Request with one body; returns its id."""
        if request_id is None:
            self.last_id += 1
            request_id = self.last_id
        message = self.pb.Request(id=request_id, **body).SerializeToString()
        self.socket.sendall(struct.pack(">I", len(message)) + message)
        return request_id

    def read_exactly(self, size):
        data = b""
        while len(data) < size:
            got, fds, _, _ = socket.recv_fds(self.socket, size - len(data), 3)
            self.fds += fds
            if not got:
                raise EOFError
            data += got
        return data

    def read_response(self):
        size, = struct.unpack(">I", self.read_exactly(4))
        assert 0 < size <= (self.hello.max_frame_bytes if self.hello else 1 << 22)
        return self.pb.Response.FromString(self.read_exactly(size))

    def next(self, request_id):
        """The next Response to that request, or about the connection."""
        for i, response in enumerate(self.received):
            if response.id in (request_id, 0):
                return self.received.pop(i)
        while True:
            response = self.read_response()
            if response.id in (request_id, 0):
                return response
            self.received.append(response)

    def expect(self, request_id, body):
        response = self.next(request_id)
        if response.WhichOneof("body") == "error":
            raise Refused(response.error)
        assert response.WhichOneof("body") == body, response
        return getattr(response, body)

    def ask(self, **body):
        """A request with one response."""
        response = self.next(self.send(**body))
        if response.WhichOneof("body") == "error":
            raise Refused(response.error)
        return response

    def expect_end(self):
        with pytest.raises(EOFError):
            self.read_response()

    def run(self, **fields):
        return self.send(run=self.pb.Run(**fields))

    def collect(self, request_id, last, credit=False):
        """All that comes up to the last response, by its kind; credit is given back as it is used."""
        out = Outcome()
        while True:
            response = self.next(request_id)
            body = response.WhichOneof("body")
            if body == "error":
                raise Refused(response.error)
            message = getattr(response, body)
            if body == last:
                out.last = message
                return out
            of, used = out.add(body, message)
            if credit and used:
                self.send(request_id, output_credit=self.pb.OutputCredit(of=of, bytes=used))


class Outcome:
    """What came of a request besides its last response."""

    def __init__(self):
        self.last = None
        self.started = None
        self.queued = None
        self.streams = {1: b"", 2: b""}
        self.order = []  # names of files
        self.files = {}  # name: contents; None for a folder
        self.modes = {}
        self.failed = {}
        self._sizes = {}

    @property
    def stdout(self):
        return self.streams[1]

    @property
    def stderr(self):
        return self.streams[2]

    def add(self, body, message):
        """Returns whose credit was used, and how much."""
        if body == "output":
            self.streams[message.stream] += message.data
            return message.stream, len(message.data)
        if body == "file_out":
            return 3, self.add_file(message)
        assert body in ("started", "queued", "stdin_credit", "file_credit"), body
        setattr(self, body, message)
        return None, 0

    def add_file(self, m):
        kind = m.Kind.Name(m.kind)
        if kind == "FAILED":
            self.failed[m.name] = m.error
            self.files.pop(m.name, None)
        elif kind != "KIND_UNSPECIFIED":
            self.order.append(m.name)
            self.modes[m.name] = m.mode
            self.files[m.name] = b"" if kind == "REGULAR" else None
            self._sizes[m.name] = m.size
        if m.data:
            self.files[self.order[-1]] += m.data
        return len(m.data)

    def complete(self, name):
        return len(self.files[name]) == self._sizes[name]


@pytest.fixture
def client(pb, daemon):
    with Client(pb, daemon.socket) as c:
        yield c


def sh(script):
    return [b"sh", b"-c", script.encode()]


def test_example(pb, daemon):
    """The bytes of the document."""
    text = (PROTO / "PROTOCOL.md").read_text()
    example = text[text.index("## Example"):]
    raw = bytes.fromhex("".join(re.findall(r"^    ((?:[0-9a-f]{2} +)+)", example, re.M)))
    with Client(pb, daemon.socket, hello=False) as c:
        c.socket.sendall(raw)
        assert c.expect(1, "hello").protocol == 1
        out = c.collect(2, "result")
        assert out.stdout == b"hi\n" and out.last.status == pb.OK and out.last.stdout_bytes == 3


def test_hello_and_lists(client):
    text = (PROTO / "PROTOCOL.md").read_text()
    table = text[text.index("| feature |"):text.index("2. Any number")]
    assert set(client.hello.features) == set(re.findall(r"`([a-z-]+)`", re.sub(r"\|[^|]*\|$", "|", table, flags=re.M)))
    runtimes = client.ask(list_runtimes={}).runtimes.runtimes
    assert "command" in [r.name for r in runtimes]
    profiles = client.ask(list_profiles={}).profiles.profiles
    default = next(p for p in profiles if p.name == "default")
    assert {"memory_bytes", "wall_time_usec", "output_bytes", "code_size_bytes",
            "files_size_bytes"} <= {limit.field for limit in default.limits}
    assert client.ask(get_host={}).host.pid > 0


def test_run(client, pb):
    out = client.collect(client.run(argv=sh("echo out; echo err >&2; exit 3"), label=b"mine",
                                    limits={"wall_time_usec": 10_000_000}), "result")
    assert (out.stdout, out.stderr) == (b"out\n", b"err\n")
    assert re.fullmatch("[0-9a-f]{16}", out.started.job_id) and out.last.job_id == out.started.job_id
    assert (out.last.status, out.last.exit_code, out.last.label) == (pb.EXITED, 3, b"mine")
    assert out.last.usage.wall_usec > 0


def test_language(client, pb):
    out = client.collect(client.run(runtime=b"python", code=b"import sys\nprint(sys.argv[1])\n6 * 7",
                                    argv=[b"x"]), "result")
    assert out.last.status == pb.OK and out.stdout == b"x\n"
    assert (out.last.return_value.text, out.last.return_value.json) == (b"42", b"42")


def test_stdin(client, pb):
    """More than the credit, in parts that are within it."""
    data = bytes(range(256)) * 4096
    job = client.run(argv=[b"cat"], stdin=True)
    credit = client.expect(job, "started").stdin_credit
    out, at, ended = Outcome(), 0, False
    while out.last is None:
        if not ended and credit > 0:
            part = data[at:at + min(credit, CREDIT)]
            at += len(part)
            credit -= len(part)
            ended = at == len(data)
            client.send(job, stdin_data=pb.StdinData(data=part, eof=ended))
            continue
        response = client.next(job)
        if response.HasField("stdin_credit"):
            credit += response.stdin_credit.bytes
        elif response.HasField("result"):
            out.last = response.result
        else:
            out.add("output", response.output)
    assert out.last.status == pb.OK and out.stdout == data


def test_output_credit(client, pb):
    """The one without credit waits, the other one goes on."""
    slow = client.run(argv=sh("head -c 300000 /dev/zero"), output_credit=1000)
    got = 0
    client.expect(slow, "started")
    while got < 1000:
        got += len(client.expect(slow, "output").data)
    assert got == 1000
    other = client.collect(client.run(argv=sh("echo there")), "result")
    assert other.stdout == b"there\n"
    client.send(slow, output_credit=pb.OutputCredit(of=pb.OutputCredit.OF_STDOUT, bytes=CREDIT))
    rest = client.collect(slow, "result", credit=True)
    assert got + len(rest.stdout) == 300000


def test_small_files(client, pb):
    """In any order, with the first bytes in the Run or without; folders are made, modes are kept."""
    script = b"#!/bin/sh\ncat /box/a\n"
    files = [pb.File(name=b"a", size=5, data=b"he"), pb.File(name=b"d/run", mode=0o755, size=len(script))]
    job = client.run(argv=[b"/box/d/run"], files=files)
    client.send(job, file_data=pb.FileData(file=1, data=script[:10]))
    client.send(job, file_data=pb.FileData(file=0, data=b"llo"))
    client.send(job, file_data=pb.FileData(file=1, data=script[10:]))
    out = client.collect(job, "result")
    assert out.last.status == pb.OK and out.stdout == b"hello"


def test_streamed_file(client, pb):
    """Larger than the credit: FileCredit says when there may be more."""
    size = 5 << 20
    job = client.run(argv=sh("wc -c < large; tail -c 5 large"), files=[pb.File(name=b"large", size=size)])
    data = b"\0" * (size - 5) + b"thend"
    credit, at = client.hello.file_credit, 0
    while at < size:
        if credit == 0:
            credit += client.expect(job, "file_credit").bytes
        part = data[at:at + min(credit, CREDIT)]
        client.send(job, file_data=pb.FileData(file=0, data=part))
        credit -= len(part)
        at += len(part)
    out = client.collect(job, "result")
    assert out.stdout == b"%d\nthend" % size


FILES = "mkdir -p out/sub; printf one > out/a.txt; printf two > out/sub/b.png; chmod 600 out/a.txt; " \
        "head -c 200000 /dev/zero > large; ln -s /etc/passwd link; : > empty"


def check_files(out):
    assert out.order == [b"empty", b"large", b"out", b"out/a.txt", b"out/sub", b"out/sub/b.png"]
    assert out.files[b"out"] is None and out.files[b"out/a.txt"] == b"one" and out.files[b"out/sub/b.png"] == b"two"
    assert out.files[b"large"] == b"\0" * 200000 and out.complete(b"large") and out.files[b"empty"] == b""
    assert out.modes[b"out/a.txt"] == 0o600
    assert set(out.failed) == {b"link", b"*.jpg"}
    assert "link" in out.failed[b"link"]


def test_get(client, pb):
    job = client.run(argv=sh(FILES), get=[b"out", b"l*", b"empty", b"*.jpg"], output_credit=CREDIT)
    out = client.collect(job, "result", credit=True)
    assert out.last.status == pb.OK and out.last.files == 6
    check_files(out)


def test_detached(client, pb, daemon):
    """Everything about it from another connection."""
    job = client.run(argv=sh("echo first; while [ ! -e /box/go ]; do sleep 0.02; done"), detach=True,
                     files=[pb.File(name=b"x", size=1, data=b"x")])
    job_id = client.expect(job, "started").job_id.encode()
    with Client(pb, daemon.socket) as other:
        follow = other.send(read_output=pb.ReadOutput(job_id=job_id, follow=True, output_credit=CREDIT))
        assert other.expect(follow, "output").data == b"first\n"
        wait = other.send(wait_job=pb.WaitJob(job_id=job_id))
        shown = other.ask(get_job=pb.GetJob(job_id=job_id)).job
        assert shown.state == pb.RUNNING and shown.detached and shown.usage.wall_usec > 0
        assert re.fullmatch("[0-9a-f]{16}", shown.sandbox_id)
        assert job_id.decode() in [j.job_id for j in other.ask(list_jobs=pb.ListJobs()).jobs.jobs]
        other.ask(signal_job=pb.SignalJob(job_id=job_id, signal=15))
        result = other.expect(wait, "result")
        assert (result.status, result.signal) == (pb.SIGNALED, 15)
        end = other.collect(follow, "output_end", credit=True).last
        assert (end.stdout_bytes, end.stdout_kept, end.running) == (6, 6, False)
        assert other.ask(get_job=pb.GetJob(job_id=job_id)).job.result.status == pb.SIGNALED
        assert other.ask(wait_job=pb.WaitJob(job_id=job_id)).result.job_id == job_id.decode()


def test_detached_files(client, pb):
    job = client.run(argv=sh(FILES), detach=True, get=[b"out", b"l*", b"empty", b"*.jpg"])
    job_id = client.expect(job, "started").job_id.encode()
    assert client.ask(wait_job=pb.WaitJob(job_id=job_id)).result.files == 6
    everything = client.send(get_files=pb.GetFiles(job_id=job_id, output_credit=CREDIT))
    check_files(client.collect(everything, "done", credit=True))
    some = client.collect(client.send(get_files=pb.GetFiles(job_id=job_id, names=[b"out/*.txt"])), "done")
    assert some.files == {b"out/a.txt": b"one"}


def test_lists_in_parts(client, pb):
    """All jobs, oldest first, in as many JobLists as it takes."""
    ids = [client.collect(client.run(argv=[b"true"], label=b"n" * 200), "result").last.job_id for _ in range(40)]
    request, listed, more = client.send(list_jobs=pb.ListJobs(all=True)), [], True
    while more:
        part = client.expect(request, "jobs")
        listed += [j.job_id for j in part.jobs]
        more = part.more
    assert [i for i in listed if i in ids] == ids
    assert not set(ids) & {j.job_id for j in client.ask(list_jobs=pb.ListJobs()).jobs.jobs}


def test_cancel(client, pb):
    by_request = client.run(argv=[b"sleep", b"60"])
    client.expect(by_request, "started")
    client.send(by_request, cancel={})
    assert client.collect(by_request, "result").last.status == pb.CANCELLED
    by_id = client.run(argv=[b"sleep", b"60"])
    client.ask(cancel_job=pb.CancelJob(job_id=client.expect(by_id, "started").job_id.encode()))
    assert client.collect(by_id, "result").last.status == pb.CANCELLED
    unfinished = client.run(argv=[b"true"], files=[pb.File(name=b"a", size=1)])
    client.send(unfinished, cancel={})
    out = client.collect(unfinished, "result")
    assert out.last.status == pb.CANCELLED and out.started is None


def test_forget(client, pb):
    job = client.run(argv=[b"sleep", b"60"])
    job_id = client.expect(job, "started").job_id.encode()
    wait = client.send(wait_job=pb.WaitJob(job_id=job_id))
    client.send(wait, forget={})
    client.send(wait, get_host={})  # the id is free again
    assert client.expect(wait, "host")
    client.send(job, cancel={})
    client.collect(job, "result")
    assert client.ask(get_host={}).host and not client.received


def test_stream_sockets(client, pb):
    job = client.run(argv=sh("cat; echo err >&2"), stream_sockets=3)
    client.expect(job, "started")
    our_in, our_out = [socket.socket(fileno=fd) for fd in client.fds]
    our_in.settimeout(20)
    our_out.settimeout(20)
    with our_in, our_out:
        our_in.sendall(b"through\n")
        our_in.shutdown(socket.SHUT_WR)
        with our_out.makefile("rb") as stdout:
            assert stdout.read() == b"through\n"
    out = client.collect(job, "result")
    assert (out.stdout, out.stderr, out.last.stdout_bytes) == (b"", b"err\n", 8)


@pytest.mark.parametrize("fields, code, field", [
    ({"argv": []}, "INVALID_ARGUMENT", "argv"),
    ({"argv": [b"true"], "workdir": b"/box/../etc"}, "INVALID_ARGUMENT", "workdir"),
    ({"argv": [b"true"], "limits": {"memory_bytes": 1 << 50}}, "OVER_LIMIT", "memory_bytes"),
    ({"argv": [b"true"], "limits": {"bananas": 1}}, "INVALID_ARGUMENT", "limits"),
    ({"argv": [b"true"], "get": [b"../x"]}, "INVALID_ARGUMENT", "get[0]"),
    ({"runtime": b"cobol"}, "UNKNOWN_RUNTIME", "runtime"),
    ({"argv": [b"true"], "profile": b"none"}, "UNKNOWN_PROFILE", "profile"),
    ({"argv": [b"true"], "detach": True, "stdin": True}, "INVALID_ARGUMENT", "stdin"),
    ({"argv": [b"true"], "detach": True, "stream_sockets": 2}, "INVALID_ARGUMENT", "stream_sockets"),
    ({"argv": [b"true"], "stdin": True, "stream_sockets": 1}, "INVALID_ARGUMENT", "stream_sockets"),
    ({"argv": [b"true"], "stream_sockets": 8}, "INVALID_ARGUMENT", "stream_sockets"),
])
def test_refusals(client, pb, fields, code, field):
    with pytest.raises(Refused) as refused:
        client.collect(client.run(**fields), "result")
    assert pb.ErrorCode.Name(refused.value.code) == code and refused.value.field == field
    assert client.collect(client.run(argv=[b"true"]), "result").last.status == pb.OK


def test_no_such_job(client, pb):
    with pytest.raises(Refused) as refused:
        client.ask(wait_job=pb.WaitJob(job_id=b"0" * 16))
    assert refused.value.code == pb.NO_SUCH_JOB
    ended = client.collect(client.run(argv=[b"true"]), "result").last.job_id.encode()
    with pytest.raises(Refused) as refused:
        client.ask(signal_job=pb.SignalJob(job_id=ended, signal=15))
    assert refused.value.code == pb.NOT_RUNNING


def test_misuse(pb, daemon):
    """An Error, then the end of the connection."""
    with Client(pb, daemon.socket, hello=False) as c:
        c.send(get_host={})
        assert c.next(1).error.code == pb.BAD_REQUEST
        c.expect_end()
    with Client(pb, daemon.socket) as c:
        c.socket.sendall(struct.pack(">I", c.hello.max_frame_bytes + 1))
        response = c.read_response()
        assert response.id == 0 and response.error.code == pb.BAD_FRAME
        c.expect_end()


def test_queue_and_drain(pb, make_daemon):
    d = make_daemon(settings={"Server": {"MaxJobsPerUser": 1, "MaxQueuedPerUser": 1}})
    with Client(pb, d.socket) as c:
        first = c.run(argv=[b"sleep", b"60"])
        c.expect(first, "started")
        second = c.run(argv=[b"true"])
        assert c.expect(second, "queued").position == 1
        with pytest.raises(Refused) as refused:
            c.expect(c.run(argv=[b"true"]), "started")
        assert refused.value.code == pb.BUSY and refused.value.retry_after_usec > 0
        c.ask(drain={})
        with pytest.raises(Refused) as refused:
            c.expect(c.run(argv=[b"true"]), "started")
        assert refused.value.code == pb.DRAINING
        c.send(first, cancel={})
        assert c.collect(first, "result").last.status == pb.CANCELLED
        out = c.collect(second, "result")
        assert out.last.status == pb.OK and out.last.queued_usec > 0
        c.ask(resume={})
        last = c.run(argv=[b"sleep", b"60"])
        c.expect(last, "started")
        c.ask(stop_all={})
        assert c.collect(last, "result").last.status == pb.CANCELLED


def test_defaults_are_those_of_the_settings():
    settings = dict(re.findall(r"^#(\w+)=(.*)$", (PROTO.parent / "policy/sandboxd.conf").read_text(), re.M))
    said = re.findall(r"`(\w+)=` \(([^)]*)\)", (PROTO / "PROTOCOL.md").read_text())
    assert len(said) > 10
    assert {name: settings.get(name) for name, _ in said} == dict(said)
