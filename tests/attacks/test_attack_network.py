# SPDX-License-Identifier: Apache-2.0
"""Attack corpus C: network and IPC."""

import json

import pytest

from lib import host, wire
from lib.attempts import denied, tries

LISTEN = """
import socket, time
held = []
for family, address in ((socket.AF_INET, ('127.0.0.1', 45678)), (socket.AF_INET6, ('::1', 45678)),
                        (socket.AF_UNIX, '\\0abstract'), (socket.AF_UNIX, '/tmp/path'),
                        (socket.AF_UNIX, '/dev/shm/path'), (socket.AF_UNIX, '/box/path')):
    try:
        s = socket.socket(family); s.bind(address); s.listen(); held.append(s)
    except OSError as e: print(address, e, flush=True)
print('listening', len(held), flush=True)
time.sleep(60)
"""
CONNECT = """
import socket
for name, family, address in (('v4', socket.AF_INET, ('127.0.0.1', 45678)),
                              ('v6', socket.AF_INET6, ('::1', 45678)),
                              ('abstract', socket.AF_UNIX, '\\0abstract'),
                              ('tmp', socket.AF_UNIX, '/tmp/path'),
                              ('shm', socket.AF_UNIX, '/dev/shm/path'),
                              ('box', socket.AF_UNIX, '/box/path')):
    s = socket.socket(family); s.settimeout(3)
    out[name] = attempt(s.connect, address)
"""


def test_25_from_job_to_job(daemon):
    with daemon.command("run", "-l", "python", "-c", LISTEN) as first:
        line = first.stdout.readline()
        while line and not line.startswith(b"listening"):
            assert b"::1" in line, line  # a host without IPv6
            line = first.stdout.readline()
        out = tries(daemon, CONNECT)
        first.terminate()
        first.communicate(timeout=20)
    assert set(out.values()) <= {"ECONNREFUSED", "ENOENT", "EADDRNOTAVAIL", "ENETUNREACH"}, out


def test_25_from_host_to_job(daemon):
    """What a job listens on is not reachable from the host either."""
    import socket
    with daemon.command("run", "-l", "python", "-c", LISTEN) as first:
        first.stdout.readline()
        for family, address in ((socket.AF_INET, ("127.0.0.1", 45678)), (socket.AF_UNIX, "\0abstract")):
            with socket.socket(family) as s, pytest.raises(ConnectionRefusedError):
                s.connect(address)
        first.terminate()
        first.communicate(timeout=20)


def test_26_sockets_of_the_host(daemon):
    paths = ["/run/dbus/system_bus_socket", "/var/run/dbus/system_bus_socket", "/run/systemd/private",
             "/run/systemd/notify", "/run/systemd/journal/socket", "/run/systemd/journal/stdout",
             "/dev/log", "/run/sandboxd/sandboxd.sock", str(daemon.socket), "/run/docker.sock",
             "/run/user/0/bus", "/tmp/.X11-unix/X0"]
    out = tries(daemon, f"""
import socket
for p in {paths!r}:
    out[p] = attempt(socket.socket(socket.AF_UNIX).connect, p)
for p in ('\\0/org/freedesktop/systemd1/private', '\\0/tmp/.X11-unix/X0', '\\0sandboxd'):
    out[p] = attempt(socket.socket(socket.AF_UNIX).connect, p)
""")
    abstract = {k: v for k, v in out.items() if k.startswith("\0")}
    assert set(abstract.values()) == {"ECONNREFUSED"}
    assert {v for k, v in out.items() if k not in abstract} == {"ENOENT"}, out


@pytest.mark.parametrize("offset", [0, 1, 1000, 0xFFFF])
def test_27_peer_from_the_job_range(daemon, offset):
    """A job that got hold of the socket is not served."""
    try:
        c = daemon.connect(uid=daemon.base + offset)
    except PermissionError:
        return
    with c:
        try:
            c.send(wire.hello(), wire.run(2, argv=[b"true"]))
            r = c.receive(timeout=10)
        except (wire.Closed, BrokenPipeError, ConnectionResetError):
            return
        assert r["error"]["code"] == "DENIED", r
        c.expect_closed(timeout=10)


def test_27_peers_beside_the_range_are_served(daemon):
    for uid in (daemon.base - 1, daemon.base + 0x10000):
        with daemon.session(uid=uid) as c:
            r, _, _ = c.run(1, argv=[b"true"])
            assert r["result"]["status"] == "OK", r


def test_28_socket_families(daemon):
    out = tries(daemon, """
import ctypes
libc = ctypes.CDLL(None, use_errno=True)
def sock(family, kind, protocol=0):
    if libc.syscall(41, family, kind, protocol) < 0: raise OSError(ctypes.get_errno(), '')
for family in range(0, 50):
    if family in (1, 2, 10): continue
    for kind in (1, 2, 3, 5):
        out['%d/%d' % (family, kind)] = attempt(sock, family, kind)
for family in (1 << 32 | 40, 1 << 32 | 38, 1 << 32 | 17):
    # Cut to an int by the kernel: VSOCK, ALG, PACKET.
    out['high %d' % family] = attempt(sock, ctypes.c_ulong(family), ctypes.c_ulong(1))
out['raw v4'] = attempt(sock, 2, 3, 1)
out['raw v6'] = attempt(sock, 10, 3, 58)
out['ping'] = attempt(sock, 2, 2, 1)
""")
    assert len(out) > 180
    passed = {k: v for k, v in out.items() if v not in ("EPERM", "EACCES", "ENOSYS", "EAFNOSUPPORT")}
    assert passed == {}
    # The kernel itself says EAFNOSUPPORT for what it has not; the filter must have come first.
    assert out["40/1"] in ("EPERM", "ENOSYS", "EAFNOSUPPORT")


def test_28_socketpair_of_other_families(daemon):
    denied({k: "EPERM" if v in ("ENOSYS", "EAFNOSUPPORT", "EOPNOTSUPP") else v for k, v in tries(daemon, """
import ctypes
libc = ctypes.CDLL(None, use_errno=True)
pair = (ctypes.c_int * 2)()
def both(family):
    if libc.syscall(53, family, 1, 0, pair) < 0: raise OSError(ctypes.get_errno(), '')
for family in (0, 2, 10, 16, 30, 38, 40):
    out[str(family)] = attempt(both, family)
""").items()})


def test_28_addresses(daemon):
    """No route anywhere: at once, not after a time-out."""
    gateway = "10.0.0.1"
    for line in (host.read("/proc/net/route") or "").splitlines()[1:]:
        fields = line.split()
        if fields[1] == "00000000":
            gateway = ".".join(str(int(fields[2][i:i + 2], 16)) for i in (6, 4, 2, 0))
    out = tries(daemon, f"""
import socket, time
begun = time.monotonic()
for name, address in (('metadata', ('169.254.169.254', 80)), ('dns', ('8.8.8.8', 53)),
                      ('gateway', ({gateway!r}, 80)), ('private', ('10.0.0.1', 22)),
                      ('broadcast', ('255.255.255.255', 9))):
    for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
        s = socket.socket(socket.AF_INET, kind); s.settimeout(3)
        out['%s %d' % (name, kind)] = attempt(s.connect, address)
s = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
out['v6'] = attempt(s.connect, ('2001:4860:4860::8888', 53))
out['link-local'] = attempt(s.connect, ('fe80::1', 53, 0, 2))
assert time.monotonic() - begun < 3
""")
    assert set(out.values()) <= {"ENETUNREACH", "EACCES", "EPERM", "EADDRNOTAVAIL", "EINVAL",
                                 "ENODEV", "EAFNOSUPPORT", "ENXIO"}, out


def test_28_names(daemon):
    r = daemon.python("import socket\n"
                      "try: socket.getaddrinfo('example.com', 80); print('resolved')\n"
                      "except OSError as e: print('no')\n"
                      "print(socket.gethostbyname('localhost'))", "-t", "20s")
    assert r.stdout == "no\n127.0.0.1\n", r


def test_ipc_is_the_jobs_own(daemon):
    """System V and POSIX objects of the host do not show. The host's is told by its size: on a host that
    had none, its id is that of the job's first."""
    import subprocess
    size = "74565"
    made = subprocess.run(["ipcmk", "-M", size, "-p", "0666"], capture_output=True, text=True,
                          check=True).stdout.split()[-1]
    try:
        with open("/proc/sysvipc/shm", encoding="ascii") as segments:
            assert size in segments.read().split()
        r = daemon.run("--", "cat", "/proc/sysvipc/shm", "/proc/sysvipc/msg", "/proc/sysvipc/sem")
        assert r.stdout and size not in r.stdout.split()
        r = daemon.run("--", "sh", "-c", "ipcs -m; ipcmk -M 4096; ls /dev/mqueue")
        assert r.stdout and size not in r.stdout.split(), json.dumps(r.object)
    finally:
        subprocess.run(["ipcrm", "-m", made], check=True)
