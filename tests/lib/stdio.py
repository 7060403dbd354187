# SPDX-License-Identifier: Apache-2.0
"""Pipes of a client that it passes to its jobs."""

import os
import select
import time

from . import wire

STDIN, STDOUT, STDERR = 1, 2, 4
PASSED_PIPES = {"PassedPipes": "yes"}  # of [Server]: they are not taken by default


class Pipes:
    """The client's ends; those of the job are closed once they are sent."""

    def __init__(self):
        self.job_in, self.stdin = os.pipe()
        self.stdout, self.job_out = os.pipe()
        self.stderr, self.job_err = os.pipe()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close("job_in", "stdin", "stdout", "job_out", "stderr", "job_err")

    def close(self, *names):
        for name in names:
            fd = getattr(self, name)
            if fd >= 0:
                os.close(fd)
            setattr(self, name, -1)

    def run(self, connection, request_id, **fields):
        """Sends the Run with all three."""
        body = wire.run(request_id, passed_fds=STDIN | STDOUT | STDERR, **fields)
        connection.send_fds(wire.frame(body), [self.job_in, self.job_out, self.job_err])
        self.close("job_in", "job_out", "job_err")


def read_all(fd, timeout=20):
    """To the end of file."""
    out = b""
    deadline = time.monotonic() + timeout
    while True:
        ready, _, _ = select.select([fd], [], [], max(0, deadline - time.monotonic()))
        assert ready, f"no end after {len(out)} bytes"
        got = os.read(fd, 1 << 16)
        if not got:
            return out
        out += got


def is_at_end(fd):
    """Whether nobody holds the other end; what is in the pipe is read."""
    os.set_blocking(fd, False)
    try:
        while os.read(fd, 1 << 16):
            pass
        return True
    except BlockingIOError:
        return False


def is_full(fd):
    """Whether nothing more fits into the pipe."""
    _, ready, _ = select.select([], [fd], [], 0)
    return not ready
