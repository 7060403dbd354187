# SPDX-License-Identifier: Apache-2.0
"""In place of the daemon: says Hello, and then what a test wants."""

import contextlib
import socket
import struct
import threading

from . import wire


def receive(c):
    """The next Request, as {field: value}."""
    size, = struct.unpack(">I", c.recv(4, socket.MSG_WAITALL))
    return dict(wire.fields(c.recv(size, socket.MSG_WAITALL)))


def wait_for_end(c):
    c.recv(1)


@contextlib.contextmanager
def serving(path, features=(), answer=wait_for_end):
    """answer gets the connection of each client once Hello is said; then it is closed."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
        listener.bind(str(path))
        listener.listen()

        def serve():
            with contextlib.suppress(OSError):
                while True:
                    c, _ = listener.accept()
                    with c:
                        reply = wire.number(1, 1) + wire.text(2, "0.0.1") + wire.number(4, wire.FRAME_MAX)
                        reply += b"".join(wire.text(3, name) for name in features)
                        c.sendall(wire.frame(wire.request(receive(c)[1], wire.data(2, reply))))
                        answer(c)
        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join()
