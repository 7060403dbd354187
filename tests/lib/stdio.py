# SPDX-License-Identifier: Apache-2.0
"""Sockets of a job's streams, as a client has them."""

import select
import socket
import time

from . import wire

STDIN, STDOUT, STDERR = 1, 2, 4
ALL = STDIN | STDOUT | STDERR


class Sockets:
    """The client's ends: of stdin, stdout and stderr, where the Run asked for one."""

    def __init__(self):
        self.stdin = self.stdout = self.stderr = None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close("stdin", "stdout", "stderr")

    def close(self, *names):
        for name in names:
            if getattr(self, name):
                getattr(self, name).close()
            setattr(self, name, None)

    def ask(self, connection, request_id, streams=ALL, **fields):
        """Sends the Run; take() must follow."""
        self.streams = streams
        connection.send(wire.run(request_id, stream_sockets=streams, **fields))

    def take(self, connection):
        """Receives Started, and with it the sockets. Returns the job's id."""
        while "started" not in (response := connection.receive()):
            assert "queued" in response, response
        names = [n for bit, n in ((STDIN, "stdin"), (STDOUT, "stdout"), (STDERR, "stderr"))
                 if self.streams & bit]
        for name in names:
            s = socket.socket(fileno=connection.fds.pop(0))
            s.settimeout(20)
            setattr(self, name, s)
        return response["started"]["job_id"]

    def run(self, connection, request_id, streams=ALL, **fields):
        self.ask(connection, request_id, streams, **fields)
        return self.take(connection)


def read_all(sock, timeout=20):
    """To the end of file."""
    out = []
    deadline = time.monotonic() + timeout
    while True:
        sock.settimeout(max(0.01, deadline - time.monotonic()))
        got = sock.recv(1 << 16)
        if not got:
            return b"".join(out)
        out.append(got)


def is_at_end(sock):
    """Whether the other end is closed; what is in the socket is read."""
    sock.setblocking(False)
    try:
        while sock.recv(1 << 16):
            pass
        return True
    except BlockingIOError:
        return False
    except ConnectionResetError:
        return True
    finally:
        sock.settimeout(20)


def is_full(sock):
    """Whether the socket takes no more."""
    _, ready, _ = select.select([], [sock], [], 0)
    return not ready


def is_stuck(sock):
    """Whether bytes are there to read, and no more come."""
    sock.setblocking(False)
    try:
        return len(sock.recv(1 << 20, socket.MSG_PEEK)) > 100_000
    except BlockingIOError:
        return False
    finally:
        sock.settimeout(20)
