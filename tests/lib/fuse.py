# SPDX-License-Identifier: Apache-2.0
"""A FUSE file system whose server sleeps on some: a process that it is deaf to waits, once it reads, writes,
asks or closes a file, until the file system is gone. Needs root and /dev/fuse."""

import ctypes
import errno
import os
import select
import signal
import struct

LOOKUP, GETATTR, OPEN, READ, STATFS, RELEASE, FLUSH, INIT, POLL = 1, 3, 14, 15, 17, 18, 25, 26, 40
FORGET, INTERRUPT, BATCH_FORGET = 2, 36, 42
NO_ANSWER = (FORGET, INTERRUPT, BATCH_FORGET)
FILE, SIZE = 2, 1 << 20

_libc = ctypes.CDLL(None, use_errno=True)


def _attributes(node):
    mode = 0o40755 if node == 1 else 0o100666
    return struct.pack("<6Q10I", node, SIZE, 0, 0, 0, 0, 0, 0, 0, mode, 1, 0, 0, 0, 4096, 0)


def _reply(opcode, node):
    """The body of the answer; None where there is none."""
    if opcode == INIT:
        return struct.pack("<4I2H2I2H8I", 7, 31, 0, 0, 12, 9, 1 << 16, 1, 16, 0, *[0] * 8)
    if opcode == LOOKUP:
        return struct.pack("<4Q2I", FILE, 0, 3600, 3600, 0, 0) + _attributes(FILE)
    if opcode == OPEN:
        return struct.pack("<QII", 1, 0, 0)
    if opcode == GETATTR:
        return struct.pack("<QII", 3600, 0, 0) + _attributes(node)
    if opcode == STATFS:
        return bytes(80)
    return None if opcode in NO_ANSWER else b""


class SleepingFiles:
    """Mounted at a folder; every name in it is the same file. Nobody is answered a READ, so that a page of
    the file is one that does not come; those of `ignore()` are answered nothing but the release."""

    def __init__(self, folder):
        self.folder = str(folder)
        self.fd = os.open("/dev/fuse", os.O_RDWR | os.O_CLOEXEC)
        options = f"fd={self.fd},rootmode=40000,user_id=0,group_id=0,allow_other"
        if _libc.mount(b"sleeping", self.folder.encode(), b"fuse", 0, options.encode()) < 0:
            os.close(self.fd)
            raise OSError(ctypes.get_errno(), "mount of fuse")
        self.orders, orders = os.pipe()
        told, self.report = os.pipe()
        # A process of its own: a fork of ours waits for it with the interpreter's lock held.
        self.pid = os.fork()
        if self.pid == 0:
            try:
                os.close(orders)
                self._serve()
            finally:
                os._exit(0)
        os.close(self.fd)
        os.close(self.orders)
        os.close(self.report)
        self.orders, self.told = orders, told
        os.set_blocking(told, False)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        # Without its server whoever waits gets ENOTCONN.
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)
        _libc.umount2(self.folder.encode(), 2)
        os.close(self.orders)
        os.close(self.told)

    def ignore(self, *pids):
        for pid in pids:
            os.write(self.orders, struct.pack("<I", pid))

    def waiting(self):
        """The requests, since the last time, that somebody waits for in vain."""
        try:
            return list(os.read(self.told, 1 << 16))
        except BlockingIOError:
            return []

    def _serve(self):
        deaf = set()
        while True:
            ready, _, _ = select.select([self.fd, self.orders], [], [])
            if self.orders in ready:
                order = os.read(self.orders, 4)
                if not order:
                    return
                deaf.add(struct.unpack("<I", order)[0])
                continue
            request = os.read(self.fd, 1 << 18)
            _, opcode, unique, node, _, _, pid, _ = struct.unpack_from("<IIQQIIII", request)
            if opcode == READ or (pid in deaf and opcode not in (RELEASE, *NO_ANSWER)):
                os.write(self.report, bytes([opcode]))
                continue
            body = _reply(opcode, node)
            if body is not None:
                # Without poll(2) it is ready at all times.
                error = -errno.ENOSYS if opcode == POLL else 0
                os.write(self.fd, struct.pack("<IiQ", 16 + len(body), error, unique) + body)
