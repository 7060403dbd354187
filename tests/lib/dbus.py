# SPDX-License-Identifier: Apache-2.0
"""A client of D-Bus that shares no code with sd-bus: messages are encoded and decoded by hand, so that a test
decides every byte, when it reads and when it leaves."""

import array
import os
import socket
import struct
import threading
import time

from . import wire

CALL, RETURN, ERROR, SIGNAL = 1, 2, 3, 4
NO_REPLY, NO_AUTO_START, INTERACTIVE = 1, 2, 4
BUS = ("org.freedesktop.DBus", "/org/freedesktop/DBus", "org.freedesktop.DBus")
PROPERTIES = "org.freedesktop.DBus.Properties"

_FORMATS = {"y": "B", "b": "I", "n": "h", "q": "H", "i": "i", "u": "I", "x": "q", "t": "Q", "d": "d", "h": "I"}
_ALIGN = {"y": 1, "g": 1, "v": 1, "n": 2, "q": 2, "x": 8, "t": 8, "d": 8, "(": 8, "{": 8}
_FIELDS = {1: "path", 2: "interface", 3: "member", 4: "error", 5: "reply_serial", 6: "destination", 7: "sender",
           8: "signature", 9: "fd_count"}
_FIELD_TYPES = {1: "o", 2: "s", 3: "s", 4: "s", 5: "u", 6: "s", 7: "s", 8: "g", 9: "u"}


class Error(Exception):
    """A method was answered by an error."""

    def __init__(self, name, message):
        super().__init__(f"{name}: {message}")
        self.name, self.message = name, message

    @property
    def short(self):
        """What comes after the last dot."""
        return self.name.rsplit(".", 1)[-1]


class Closed(Exception):
    """The bus closed the connection."""


# --- signatures, encoding, decoding

def _end(signature, at):
    """Where the complete type that begins there ends."""
    while signature[at] == "a":
        at += 1
    if signature[at] not in "({":
        return at + 1
    depth = 0
    while True:
        depth += {"(": 1, "{": 1, ")": -1, "}": -1}.get(signature[at], 0)
        at += 1
        if depth == 0:
            return at


def split(signature):
    """The complete types of a signature."""
    out, at = [], 0
    while at < len(signature):
        end = _end(signature, at)
        out.append(signature[at:end])
        at = end
    return out


class Writer:
    """A variant is given as (signature, value), a dict as dict or as pairs, ay as bytes."""

    def __init__(self):
        self.out = bytearray()

    def pad(self, size):
        self.out += bytes(-len(self.out) % size)

    def put(self, kind, value):
        first = kind[0]
        self.pad(_ALIGN.get(first, 4))
        if first in _FORMATS:
            self.out += struct.pack("<" + _FORMATS[first], value)
        elif first in "sog":
            raw = value.encode() if isinstance(value, str) else value
            self.out += struct.pack("<B" if first == "g" else "<I", len(raw)) + raw + b"\0"
        elif first == "v":
            self.put("g", value[0])
            self.put(*value)
        elif first == "a":
            self.put_array(kind[1:], value)
        else:
            for part, item in zip(split(kind[1:-1]), value, strict=True):
                self.put(part, item)

    def put_array(self, kind, value):
        at = len(self.out)
        self.out += bytes(4)
        self.pad(_ALIGN.get(kind[0], 4))
        begin = len(self.out)
        if kind == "y":
            self.out += value
        else:
            for item in value.items() if isinstance(value, dict) else value:
                self.put(kind, item)
        struct.pack_into("<I", self.out, at, len(self.out) - begin)


def encode(signature, values):
    writer = Writer()
    for kind, value in zip(split(signature), values, strict=True):
        writer.put(kind, value)
    return bytes(writer.out)


class Reader:
    """A variant becomes its value, or with typed (signature, value)."""

    def __init__(self, raw, typed=False, fds=()):
        self.raw, self.at, self.typed, self.fds = raw, 0, typed, fds

    def take(self, kind):
        first = kind[0]
        self.at += -self.at % _ALIGN.get(first, 4)
        if first in _FORMATS:
            value, = struct.unpack_from("<" + _FORMATS[first], self.raw, self.at)
            self.at += struct.calcsize(_FORMATS[first])
            return {"b": bool, "h": self.fds.__getitem__}.get(first, int if first != "d" else float)(value)
        if first in "sog":
            size = self.raw[self.at] if first == "g" else struct.unpack_from("<I", self.raw, self.at)[0]
            self.at += (1 if first == "g" else 4) + size + 1
            return self.raw[self.at - size - 1:self.at - 1].decode()
        if first == "v":
            kind = self.take("g")
            value = self.take(kind)
            return (kind, value) if self.typed else value
        if first == "a":
            return self.take_array(kind[1:])
        return tuple(self.take(part) for part in split(kind[1:-1]))

    def take_array(self, kind):
        size = self.take("u")
        self.at += -self.at % _ALIGN.get(kind[0], 4)
        end = self.at + size
        if kind == "y":
            self.at = end
            return bytes(self.raw[end - size:end])
        out = []
        while self.at < end:
            out.append(self.take(kind))
        if kind[0] != "{":
            return out
        assert len(dict(out)) == len(out), f"a key is there twice: {out}"
        return dict(out)


class Message:
    """One message, as it came or goes."""

    def __init__(self, kind, body=b"", signature="", flags=0, serial=0, fds=(), **fields):
        self.kind, self.body, self.signature, self.flags = kind, body, signature, flags
        self.serial, self.fds = serial, list(fds)
        for name in _FIELDS.values():
            if name != "signature":
                setattr(self, name, fields.get(name))

    def args(self, typed=False):
        reader = Reader(self.body, typed, self.fds)
        return [reader.take(kind) for kind in split(self.signature)]

    def encode(self):
        header = {number: getattr(self, name) for number, name in _FIELDS.items()}
        header[9] = len(self.fds) or None
        writer = Writer()
        writer.out += struct.pack("<cBBBII", b"l", self.kind, self.flags, 1, len(self.body), self.serial)
        writer.put("a(yv)", [(n, (_FIELD_TYPES[n], v)) for n, v in header.items() if v])
        writer.pad(8)
        return bytes(writer.out) + self.body

    def __repr__(self):
        return f"{self.kind} {self.path} {self.interface}.{self.member} {self.error} {self.signature}"


def message_size(raw):
    """Of the message whose first 16 bytes these are."""
    body, _, fields = struct.unpack_from("<III", raw, 4)
    return 16 + fields + -fields % 8 + body


def decode(raw):
    assert raw[:1] == b"l", "the bus sent a big-endian message"
    _, kind, flags, _, size, serial = struct.unpack_from("<cBBBII", raw)
    reader = Reader(raw)
    reader.at = 12
    fields = {_FIELDS[n]: v for n, v in reader.take("a(yv)") if n in _FIELDS}
    return Message(kind, raw[len(raw) - size:], fields.pop("signature", ""), flags, serial, **fields)


# --- the connection

def _connect(sock, path, uid, groups):
    """SO_PEERCRED and SO_PEERGROUPS are taken from the effective ids at the time of connect()."""
    with wire.as_root:
        before = os.getgroups()
        os.setgroups(list(groups))
        os.setegid(uid)
        os.seteuid(uid)
        try:
            sock.connect(str(path))
        finally:
            os.seteuid(0)
            os.setegid(0)
            os.setgroups(before)


class Connection:
    """One connection to the bus. What comes while a reply is waited for is kept in `signals` and `calls`."""

    def __init__(self, path, uid=0, groups=(), timeout=20):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(timeout)
        self.timeout, self.uid = timeout, uid
        self.serial, self.buf, self.fds = 0, bytearray(), []
        self.sending = threading.Lock()
        self.replies, self.signals, self.calls = {}, [], []
        try:
            _connect(self.sock, path, uid, groups)
            self.authenticate(uid)
            self.name, = self.call(*BUS, "Hello")
        except BaseException:
            self.sock.close()
            raise

    def authenticate(self, uid):
        self.sock.sendall(b"\0AUTH EXTERNAL " + str(uid).encode().hex().encode() + b"\r\n")
        assert self.sock.recv(4096).startswith(b"OK "), "the bus does not take us"
        self.sock.sendall(b"NEGOTIATE_UNIX_FD\r\n")
        assert self.sock.recv(4096).startswith(b"AGREE_UNIX_FD")
        self.sock.sendall(b"BEGIN\r\n")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.sock.close()
        while self.fds:
            os.close(self.fds.pop())

    # --- sending

    def send(self, message):
        """Its serial. Threads may send at the same time."""
        with self.sending:
            self.serial += 1
            message.serial = self.serial
            raw = message.encode()
            sent = 0
            if message.fds:
                fds = array.array("i", message.fds)
                sent = self.sock.sendmsg([raw], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, fds)])
            self.sock.sendall(memoryview(raw)[sent:])
            return message.serial

    def start(self, destination, path, interface, member, signature="", *values, fds=(), flags=0):
        """Sends a call; its serial. An h is the index of one of fds."""
        return self.send(Message(CALL, encode(signature, values), signature, flags, fds=fds, destination=destination,
                                 path=path, interface=interface, member=member))

    def answer(self, message, signature="", *values):
        self.send(Message(RETURN, encode(signature, values), signature, destination=message.sender,
                          reply_serial=message.serial))

    def refuse(self, message, error, text):
        self.send(Message(ERROR, encode("s", [text]), "s", destination=message.sender, error=error,
                          reply_serial=message.serial))

    # --- receiving

    def _fill(self, deadline):
        left = deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError("nothing came in time")
        self.sock.settimeout(left)
        try:
            got, fds, _, _ = socket.recv_fds(self.sock, 1 << 20, 64, socket.MSG_CMSG_CLOEXEC)
        except socket.timeout:
            raise TimeoutError("nothing came in time") from None
        except ConnectionResetError:
            raise Closed() from None
        finally:
            self.sock.settimeout(self.timeout)
        if not got:
            raise Closed()
        self.buf += got
        self.fds += fds

    def receive(self, timeout=None):
        """The next message, of whatever kind."""
        deadline = time.monotonic() + (self.timeout if timeout is None else timeout)
        while len(self.buf) < 16 or len(self.buf) < message_size(self.buf):
            self._fill(deadline)
        size = message_size(self.buf)
        message = decode(bytes(self.buf[:size]))
        del self.buf[:size]
        count = message.fd_count or 0
        message.fds, self.fds = self.fds[:count], self.fds[count:]
        return message

    def step(self, timeout=None):
        """Takes the next message and puts it where it belongs."""
        message = self.receive(timeout)
        if message.kind in (RETURN, ERROR):
            self.replies[message.reply_serial] = message
        elif message.kind == SIGNAL:
            self.signals.append(message)
        else:
            self.calls.append(message)

    def reply(self, serial, timeout=None):
        """The reply to a call, as a message; an Error where it was one."""
        deadline = time.monotonic() + (self.timeout if timeout is None else timeout)
        while serial not in self.replies:
            self.step(max(0.0, deadline - time.monotonic()))
        message = self.replies.pop(serial)
        if message.kind == ERROR:
            values = message.args()
            raise Error(message.error, values[0] if values else "")
        return message

    def finish(self, serial, timeout=None):
        """What a call gave."""
        return self.reply(serial, timeout).args()

    def call(self, *what, timeout=None, **options):
        return self.finish(self.start(*what, **options), timeout)

    def signal(self, member, match=None, timeout=None):
        """The first signal of that name for which match(arguments) holds: its arguments. It is taken out."""
        deadline = time.monotonic() + (self.timeout if timeout is None else timeout)
        seen = 0
        while True:
            for i, message in enumerate(self.signals[seen:], seen):
                if message.member == member and (not match or match(message)):
                    del self.signals[i]
                    return message
            seen = len(self.signals)
            self.step(max(0.0, deadline - time.monotonic()))

    def settle(self, seconds=0.0):
        """Whatever has come, and comes in that time, is where it belongs."""
        deadline = time.monotonic() + seconds
        try:
            while True:
                self.step(max(0.005, deadline - time.monotonic()))
        except TimeoutError:
            pass
