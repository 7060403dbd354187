# SPDX-License-Identifier: Apache-2.0
"""What PID 1 does for a socket unit: it binds the sockets, starts the daemon with them when somebody
connects, and does so again when the daemon has gone and somebody waits."""

import fcntl
import os
import select
import socket
import subprocess
import threading

from . import wire
from .daemon import Daemon

# Moves the sockets down to 3 and up, and sets LISTEN_PID, which only the process itself knows.
_LAUNCHER = """
count=$1 to=3
shift
export LISTEN_PID=$$ LISTEN_FDS=$count
for ((; count > 0; count--)); do
    eval "exec $((to++))<&$1 $1<&-"
    shift
done
exec "$@"
"""


class ActivatedDaemon(Daemon):
    """A daemon with passed sockets. names is FileDescriptorName= of each; the first is self.socket."""

    def __init__(self, build, names=("sandboxd.socket",), **options):
        super().__init__(build, **options)
        self.names = list(names)
        self.socket = self.socket_of(0)
        self.listeners = []
        self.extra = []  # further arguments
        self.codes = []  # how its lives ended, as far as a Supervisor saw

    def socket_of(self, number):
        return self.home / f"passed-{number}.sock"

    def make_listener(self, number):
        path = self.socket_of(number)
        path.unlink(missing_ok=True)
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        listener.bind(str(path))
        path.chmod(0o666)
        listener.listen(4096)
        return listener

    def listen(self):
        if not self.listeners:
            self.listeners = [self.make_listener(number) for number in range(len(self.names))]
        return self

    def spawn(self):
        environment = self.prepare() | {"LISTEN_FDNAMES": ":".join(self.names)}
        self.listen()
        fds = [fcntl.fcntl(listener.fileno(), fcntl.F_DUPFD_CLOEXEC, 200) for listener in self.listeners]
        try:
            with open(self.log_path, "ab") as log:
                self.process = subprocess.Popen(
                    ["bash", "-c", _LAUNCHER, "launcher", str(len(fds)), *map(str, fds), *self.wrapper,
                     *self.arguments(), *self.extra],
                    stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment, cwd="/", pass_fds=fds)
        finally:
            for fd in fds:
                os.close(fd)
        return self

    def kill(self):
        super().kill()
        for listener in self.listeners:
            listener.close()
        self.listeners = []


class Supervisor(threading.Thread):
    """Keeps an ActivatedDaemon at hand: looks at the sockets only while no daemon runs. before_life is
    called with the daemon before each start."""

    def __init__(self, daemon, before_life=lambda daemon: None):
        super().__init__()
        self.activated = daemon.listen()
        self.before_life = before_life
        self.failure = None
        self._wake, self._poke = os.pipe()
        daemon.prepare()

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        """No further life; the one there is is told to stop."""
        os.write(self._poke, b".")
        process = self.activated.process
        while process and self.is_alive() and process.poll() is None:
            process.terminate()
            self.join(0.5)
        self.join(60)
        assert not self.is_alive(), "the daemon does not end"
        os.close(self._wake)
        os.close(self._poke)
        if self.failure:
            raise self.failure

    def run(self):
        try:
            while self._wait_for_client():
                self.before_life(self.activated)
                with wire.as_root:
                    process = self.activated.spawn().process
                self.activated.codes.append(process.wait())
        except Exception as e:  # for the thread of the test to raise
            self.failure = e

    def _wait_for_client(self):
        poll = select.poll()
        poll.register(self._wake, select.POLLIN)
        for listener in self.activated.listeners:
            poll.register(listener, select.POLLIN)
        return all(fd != self._wake for fd, _ in poll.poll())
