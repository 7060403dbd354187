# SPDX-License-Identifier: Apache-2.0
"""Stands between the installed sandboxd and PID 1, on the socket over which they speak, and can be told
to fail in the ways a PID 1 does. Nobody else's connection goes through it."""

import os
import select
import shutil
import socket
import threading
from pathlib import Path

from . import machine

REAL = "/run/systemd/private"
FOLDER = Path("/run/sandboxd-test-pid1")


class Proxy:
    """Passes everything on, until it is told otherwise. The daemon must be started after it."""

    def __init__(self):
        FOLDER.mkdir(mode=0o755)
        self.path = FOLDER / "private"
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(str(self.path))
        self.listener.listen(64)
        self.wake_read, self.wake_write = os.pipe()
        self.peers = {}  # socket: the one on the other side
        self.servers = set()  # those that PID 1 is on the other side of
        self.stalled = False
        self.muted = False
        self.refusing = False
        self.cutting = False
        self.ending = False
        self.accepted = 0
        # Not where a test that changes the unit has its drop-in.
        self.drop_in = Path(f"/etc/systemd/system/{machine.SERVICE_UNIT}.d/pid1.conf")
        self.drop_in.parent.mkdir(exist_ok=True)
        self.drop_in.write_text(f"[Service]\nBindPaths={self.path}:{REAL}\n")
        machine.systemctl("daemon-reload")
        self.thread = threading.Thread(target=self.serve, daemon=True)
        self.thread.start()

    def close(self):
        self.ending = True
        self.wake()
        self.thread.join()
        self.listener.close()
        os.close(self.wake_read)
        os.close(self.wake_write)
        machine.systemctl("stop", machine.SERVICE_UNIT)
        shutil.rmtree(self.drop_in.parent)
        machine.systemctl("daemon-reload")
        shutil.rmtree(FOLDER)

    # --- how PID 1 is

    def stall(self):
        """It takes connections and what is written to them, and says nothing any more."""
        self.stalled = True
        self.wake()

    def mute(self):
        """It does what it is asked for, and is not heard: the next cut() is the end of that."""
        self.muted = True
        self.wake()

    def refuse(self):
        """Every connection ends at once."""
        self.refusing = True
        self.cut()

    def cut(self):
        """Whoever is connected is so no more; what was not answered never will be."""
        self.cutting = True
        self.wake()

    def resume(self):
        self.stalled = self.muted = self.refusing = False
        self.wake()

    # --- the thread

    def wake(self):
        os.write(self.wake_write, b"x")

    def accept(self):
        client, _ = self.listener.accept()
        self.accepted += 1
        if self.refusing:
            client.close()
            return
        server = socket.socket(socket.AF_UNIX)
        server.connect(REAL)
        self.servers.add(server)
        self.peers |= {client: server, server: client}

    def drop(self, sock):
        for s in sock, self.peers.get(sock):
            if s and self.peers.pop(s, None):
                self.servers.discard(s)
                s.close()

    def drop_all(self):
        for sock in list(self.peers):
            self.drop(sock)

    def pump(self, sock):
        try:
            data = sock.recv(1 << 16)
            if data:
                self.peers[sock].sendall(data)
            else:
                self.drop(sock)
        except OSError:
            self.drop(sock)

    def serve(self):
        while not self.ending:
            # What is not read stays where it is.
            watched = [] if self.stalled else [s for s in self.peers if not (self.muted and s in self.servers)]
            for ready in select.select([self.listener, self.wake_read, *watched], [], [])[0]:
                if ready == self.wake_read:
                    os.read(self.wake_read, 1 << 16)
                elif ready is self.listener:
                    self.accept()
                elif ready in self.peers:
                    self.pump(ready)
            if self.cutting:
                self.cutting = self.muted = False
                self.drop_all()
        self.drop_all()
