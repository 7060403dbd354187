# SPDX-License-Identifier: Apache-2.0
"""The receiving ends of what a daemon tells systemd: a journald and a notification socket of the test's
own."""

import os
import socket

from . import host


class Receiver:
    """A Unix datagram socket that anybody may send to."""

    def __init__(self, path):
        self.path = path
        self.received = []
        self.open()

    def open(self):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.setblocking(False)
        self.socket.bind(str(self.path))
        os.chmod(self.path, 0o666)

    def close(self):
        self.socket.close()
        self.path.unlink(missing_ok=True)

    def fill(self):
        """Sends to itself until its queue takes no more."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as own:
            own.setblocking(False)
            try:
                while True:
                    own.sendto(b"FILLER=1\n", str(self.path))
            except BlockingIOError:
                pass

    def take(self):
        """Everything that came, decoded, oldest first."""
        while True:
            try:
                self.received.append(self.decode(self.socket.recv(65536)))
            except BlockingIOError:
                return self.received

    def wait(self, wanted, timeout=20):
        """The first that is wanted; all that is there when it does not come."""
        found = host.wait_until(lambda: [one for one in self.take() if wanted(one)], timeout)
        assert found, f"it did not come; what came: {self.received}"
        return found[0]

    @staticmethod
    def decode(data):
        return data.decode()


class Journal(Receiver):
    """journald: entries as dictionaries."""

    @staticmethod
    def decode(data):
        entry = {}
        while data:
            line, _, data = data.partition(b"\n")
            name, equals, value = line.partition(b"=")
            if not equals:
                size = int.from_bytes(data[:8], "little")
                value, data = data[8:8 + size], data[9 + size:]
            entry[name.decode()] = value.decode()
        return entry

    def events(self, message_id, **fields):
        """The entries with that id and those fields."""
        return [e for e in self.take() if e.get("MESSAGE_ID") == message_id
                and fields.items() <= e.items()]

    def wait_event(self, message_id, timeout=20, **fields):
        return self.wait(lambda e: e.get("MESSAGE_ID") == message_id and fields.items() <= e.items(), timeout)
