# SPDX-License-Identifier: Apache-2.0
"""A client of the wire protocol that shares no code with the daemon or libsandbox.

Messages are encoded and decoded by hand from the numbers in proto/sandboxd.proto, so that a mistake in
the generated code or in libsandbox cannot hide behind the same mistake here, and so that a test can send
what no correct encoder would.
"""

import array
import os
import socket
import struct
import threading
import time

FRAME_MAX = 4 * 1024 * 1024

STATUS = {
    1: "OK", 2: "EXITED", 3: "SIGNALED", 4: "TIMEOUT", 5: "CPU_LIMIT", 6: "MEMORY_LIMIT",
    7: "OUTPUT_LIMIT", 8: "VIOLATION", 9: "CANCELLED", 10: "SETUP_ERROR",
}
ERROR = {
    1: "BAD_FRAME", 2: "BAD_REQUEST", 3: "INVALID_ARGUMENT", 4: "OVER_LIMIT", 5: "UNKNOWN_RUNTIME",
    6: "UNKNOWN_PROFILE", 7: "UNAVAILABLE", 8: "BUSY", 9: "DENIED", 10: "INTERNAL", 11: "DRAINING",
    12: "NO_SUCH_JOB", 13: "NOT_RUNNING",
}
EVENT = {1: "ADDED", 2: "CHANGED", 3: "REMOVED", 4: "CURRENT", 5: "HOST"}
JOB_STATE = {1: "RECEIVING", 2: "QUEUED", 3: "RUNNING", 4: "FINISHED"}
FILE = {0: "DATA", 1: "REGULAR", 2: "FOLDER", 3: "FAILED"}
STDOUT, STDERR = 1, 2
CREDIT_STDOUT, CREDIT_STDERR, CREDIT_FILES = 1, 2, 3


# --- encoding -----------------------------------------------------------------------------------

def varint(value):
    out = bytearray()
    while True:
        byte = value & 0x7F
        value >>= 7
        if value:
            out.append(byte | 0x80)
        else:
            out.append(byte)
            return bytes(out)


def number(field, value):
    """A varint field; 0 is left out, as proto3 does."""
    return varint(field << 3) + varint(int(value)) if value else b""


def data(field, value):
    """A length-delimited field."""
    if isinstance(value, str):
        value = value.encode()
    return varint(field << 3 | 2) + varint(len(value)) + value


def text(field, value):
    return data(field, value) if value else b""


def frame(body):
    return struct.pack(">I", len(body)) + body


def request(request_id, body):
    return number(1, request_id) + body


def on_behalf_of(uid, gids=()):
    return number(1, uid) + data(2, b"".join(varint(g) for g in gids))


def hello(request_id=1, protocol=1, client="wire.py", behalf=None):
    """behalf: an on_behalf_of()."""
    return request(request_id, data(2, number(1, protocol) + text(2, client) +
                                    (b"" if behalf is None else data(3, behalf))))


def file_message(name, content=b"", mode=0, size=None):
    return (text(1, name) + number(2, mode) +
            number(3, len(content) if size is None else size) + text(4, content))


def run_message(runtime="command", code=b"", argv=(), env=(), workdir=b"", files=(), profile="",
                limits=None, strict_output=False, stdin=False, label=b"", detach=False, output_credit=0,
                get=(), stream_sockets=0, extra=b""):
    out = text(1, runtime) + text(2, code)
    out += b"".join(data(3, a) for a in argv)
    out += b"".join(data(4, e) for e in env)
    out += text(5, workdir)
    out += b"".join(data(6, f) for f in files)
    out += text(7, profile)
    for key, value in (limits or {}).items():
        out += data(8, text(1, key) + number(2, value))
    out += number(9, strict_output) + number(10, stdin) + text(11, label) + number(12, detach)
    out += number(13, output_credit) + b"".join(data(14, g) for g in get)
    out += number(15, stream_sockets)
    return out + extra


def run(request_id, **fields):
    return request(request_id, data(3, run_message(**fields)))


def file_data(request_id, index, content):
    return request(request_id, data(4, number(1, index) + text(2, content)))


def stdin_data(request_id, content=b"", eof=False):
    return request(request_id, data(5, text(1, content) + number(2, eof)))


def cancel(request_id):
    return request(request_id, data(6, b""))


def list_runtimes(request_id):
    return request(request_id, data(7, b""))


def list_profiles(request_id):
    return request(request_id, data(8, b""))


def get_host(request_id):
    return request(request_id, data(9, b""))


def list_jobs(request_id, all=False):
    return request(request_id, data(10, number(1, all)))


def get_job(request_id, job_id):
    return request(request_id, data(11, text(1, job_id)))


def wait_job(request_id, job_id):
    return request(request_id, data(12, text(1, job_id)))


def read_output(request_id, job_id, stream=0, offset=0, follow=False, credit=0):
    return request(request_id, data(13, text(1, job_id) + number(2, stream) + number(3, offset) +
                                    number(4, follow) + number(5, credit)))


def get_files(request_id, job_id, names=(), credit=0):
    return request(request_id, data(14, text(1, job_id) + b"".join(data(2, n) for n in names) +
                                    number(3, credit)))


def cancel_job(request_id, job_id):
    return request(request_id, data(15, text(1, job_id)))


def signal_job(request_id, job_id, signal):
    return request(request_id, data(16, text(1, job_id) + number(2, signal)))


def drain(request_id):
    return request(request_id, data(17, b""))


def resume(request_id):
    return request(request_id, data(18, b""))


def stop_all(request_id):
    return request(request_id, data(19, b""))


def output_credit(request_id, of, size):
    return request(request_id, data(20, number(1, of) + number(2, size)))


def forget(request_id):
    return request(request_id, data(21, b""))


def watch_jobs(request_id):
    return request(request_id, data(22, b""))


# --- decoding -----------------------------------------------------------------------------------

def _take_varint(buf, at):
    value = shift = 0
    while True:
        byte = buf[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if not byte & 0x80:
            return value, at
        shift += 7


def fields(buf):
    """Yields (field number, value) of a message: ints and bytes."""
    at = 0
    while at < len(buf):
        key, at = _take_varint(buf, at)
        wire = key & 7
        if wire == 0:
            value, at = _take_varint(buf, at)
        elif wire == 2:
            size, at = _take_varint(buf, at)
            value = bytes(buf[at:at + size])
            assert len(value) == size, "the daemon sent a truncated message"
            at += size
        else:
            raise AssertionError(f"the daemon sent wire type {wire}")
        yield key >> 3, value


def _string(value):
    return value.decode()


def _signed(value):
    return value - (1 << 64) if value >> 63 else value


# field number: (name, how to read the value, whether it repeats)
_USAGE = {i: (n, int, False) for i, n in enumerate(
    ("wall_usec", "cpu_user_usec", "cpu_system_usec", "memory_peak_bytes", "pids_peak"), 1)}
_RETURN = {1: ("text", bytes, False), 2: ("json", bytes, False)}
_RESULT = {
    1: ("job_id", _string, False), 2: ("status", STATUS.__getitem__, False),
    3: ("exit_code", _signed, False), 4: ("signal", _signed, False), 5: ("message", _string, False),
    6: ("step", _string, False), 7: ("error", _signed, False), 8: ("stdout_bytes", int, False),
    9: ("stderr_bytes", int, False), 10: ("stdout_truncated", bool, False),
    11: ("stderr_truncated", bool, False), 12: ("pids_limit_hit", bool, False),
    13: ("cpu_throttled", bool, False), 14: ("return_value", _RETURN, False),
    15: ("usage", _USAGE, False), 16: ("queued_usec", int, False), 17: ("setup_usec", int, False),
    18: ("warm", bool, False), 19: ("runtime", _string, False), 20: ("profile", _string, False),
    21: ("started_at_usec", int, False), 22: ("label", bytes, False),
    23: ("ended_at_usec", int, False), 24: ("files", int, False),
}
_JOB = {
    1: ("job_id", _string, False), 2: ("owner_uid", int, False), 3: ("state", JOB_STATE.__getitem__, False),
    4: ("runtime", _string, False), 5: ("profile", _string, False), 6: ("label", bytes, False),
    7: ("detached", bool, False), 8: ("created_at_usec", int, False), 9: ("started_at_usec", int, False),
    10: ("ended_at_usec", int, False), 11: ("usage", _USAGE, False), 12: ("result", _RESULT, False),
    13: ("limits", {1: ("key", _string, False), 2: ("value", int, False)}, True),
    14: ("stdout_bytes", int, False), 15: ("stderr_bytes", int, False),
    16: ("sandbox_id", _string, False),
}
_FILE_OUT = {
    1: ("kind", FILE.__getitem__, False), 2: ("name", bytes, False), 3: ("mode", int, False),
    4: ("size", int, False), 5: ("data", bytes, False), 6: ("error", _string, False),
}
_HOST = {
    1: ("driver", _string, False), 2: ("missing", _string, True), 3: ("running_jobs", int, False),
    4: ("pid", int, False), 5: ("queued_jobs", int, False), 6: ("draining", bool, False),
    7: ("kept_results", int, False), 8: ("kept_bytes", int, False),
}
_RESPONSE = {
    1: ("id", int, False),
    2: ("hello", {1: ("protocol", int, False), 2: ("version", _string, False),
                  3: ("features", _string, True), 4: ("max_frame_bytes", int, False),
                  5: ("file_credit", int, False)}, False),
    3: ("started", {1: ("job_id", _string, False), 2: ("runtime", _string, False),
                    3: ("profile", _string, False), 4: ("stdin_credit", int, False)}, False),
    4: ("output", {1: ("stream", int, False), 2: ("data", bytes, False)}, False),
    5: ("stdin_credit", {1: ("bytes", int, False), 2: ("closed", bool, False)}, False),
    6: ("result", _RESULT, False),
    7: ("error", {1: ("code", ERROR.__getitem__, False), 2: ("message", _string, False),
                  3: ("field", _string, False), 4: ("retry_after_usec", int, False)}, False),
    8: ("runtimes", {1: ("runtimes", {1: ("name", _string, False), 4: ("available", bool, False)},
                         True)}, False),
    9: ("profiles", {1: ("profiles", {1: ("name", _string, False)}, True)}, False),
    10: ("host", _HOST, False),
    11: ("jobs", {1: ("jobs", _JOB, True), 2: ("more", bool, False)}, False),
    12: ("job", _JOB, False),
    13: ("queued", {1: ("job_id", _string, False), 2: ("position", int, False)}, False),
    14: ("file_credit", {1: ("bytes", int, False)}, False), 15: ("file_out", _FILE_OUT, False),
    16: ("output_end", {1: ("stdout_bytes", int, False), 2: ("stderr_bytes", int, False),
                        3: ("stdout_kept", int, False), 4: ("stderr_kept", int, False),
                        5: ("running", bool, False)}, False),
    17: ("done", {}, False),
    18: ("job_event", {1: ("kind", EVENT.__getitem__, False), 2: ("job", _JOB, False),
                       3: ("host", _HOST, False)}, False),
}


def decode(buf, schema=None):
    schema = _RESPONSE if schema is None else schema
    out = {name: [] for name, _, repeats in schema.values() if repeats}
    for field, value in fields(buf):
        if field not in schema:
            continue
        name, read, repeats = schema[field]
        value = decode(value, read) if isinstance(read, dict) else read(value)
        if repeats:
            out[name].append(value)
        else:
            out[name] = value
    return out


# --- the connection -----------------------------------------------------------------------------

class Closed(Exception):
    """The daemon closed the connection."""


# Effective ids are the whole process's: held by who changes them, and by a thread for what takes root.
as_root = threading.Lock()


def _connect(sock, path, uid):
    """SO_PEERCRED is taken from the effective ids at the time of connect()."""
    if not uid:
        sock.connect(path)
        return
    with as_root:
        os.setegid(uid)
        os.seteuid(uid)
        try:
            sock.connect(path)
        finally:
            os.seteuid(0)
            os.setegid(0)


class Connection:
    """One connection. Nothing is sent on its own: a test decides every byte."""

    def __init__(self, path, uid=0, timeout=20):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(timeout)
        self.timeout = timeout
        self.buf = bytearray()
        self.fds = []  # that came, and nobody has taken
        try:
            _connect(self.sock, str(path), uid)
        except BaseException:
            self.sock.close()
            raise

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.sock.close()
        while self.fds:
            os.close(self.fds.pop())

    def send_raw(self, raw):
        self.sock.sendall(raw)

    def send(self, *bodies):
        self.sock.sendall(b"".join(frame(b) for b in bodies))

    def send_fds(self, raw, fds):
        """Sends raw with fds as SCM_RIGHTS; returns the count of bytes that were taken. PermissionError where
        the kernel refuses them for the daemon, from Linux 6.16 on."""
        return self.sock.sendmsg([raw], [(socket.SOL_SOCKET, socket.SCM_RIGHTS,
                                          array.array("i", fds))])

    def _fill(self, deadline):
        left = deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError("the daemon did not answer in time")
        self.sock.settimeout(left)
        try:
            got, fds, _, _ = socket.recv_fds(self.sock, 1 << 16, 16)
        except socket.timeout:
            raise TimeoutError("the daemon did not answer in time") from None
        except ConnectionResetError:
            raise Closed() from None
        if not got:
            raise Closed()
        self.buf += got
        self.fds += fds

    def receive(self, timeout=None):
        """The next Response. Raises Closed at the end of the connection."""
        return decode(self.receive_raw(timeout))

    def receive_raw(self, timeout=None):
        """The bytes of the next Response."""
        deadline = time.monotonic() + (self.timeout if timeout is None else timeout)
        while True:
            if len(self.buf) >= 4:
                size, = struct.unpack(">I", self.buf[:4])
                assert 0 < size <= FRAME_MAX, f"the daemon sent a frame of {size} bytes"
                if len(self.buf) >= 4 + size:
                    body = bytes(self.buf[4:4 + size])
                    del self.buf[:4 + size]
                    return body
            self._fill(deadline)

    def expect(self, what, timeout=None):
        """The next Response, which must have the body `what`."""
        response = self.receive(timeout)
        assert what in response, f"expected {what}, got {response}"
        return response[what]

    def expect_closed(self, timeout=None):
        try:
            response = self.receive(timeout)
        except Closed:
            return
        raise AssertionError(f"expected the end of the connection, got {response}")

    def expect_error_and_close(self, code, timeout=None):
        """An Error about the connection, then its end."""
        error = self.expect("error", timeout)
        assert error["code"] == code, error
        self.expect_closed(timeout)
        return error

    def hello(self, behalf=None):
        self.send(hello(behalf=behalf))
        return self.expect("hello")

    def finish(self, request_id, timeout=None):
        """Reads until the Result or Error of a request; other requests' responses are dropped.
        Returns (response, stdout, stderr)."""
        out = {1: b"", 2: b""}
        deadline = time.monotonic() + (self.timeout if timeout is None else timeout)
        while True:
            response = self.receive(max(0.01, deadline - time.monotonic()))
            if response.get("id", 0) not in (0, request_id):
                continue
            if "output" in response:
                out[response["output"]["stream"]] += response["output"].get("data", b"")
            if "result" in response or "error" in response:
                return response, out[1], out[2]

    def run(self, request_id, timeout=None, **fields):
        self.send(run(request_id, **fields))
        return self.finish(request_id, timeout)
