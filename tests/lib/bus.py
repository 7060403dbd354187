# SPDX-License-Identifier: Apache-2.0
"""A system bus of the tests' own with sandboxd-bus on it: a dbus-daemon, in the place of polkit one that answers as
a test wants, and callers of any uid."""

import contextlib
import os
import pwd
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import xml.etree.ElementTree as ElementTree
from pathlib import Path

from . import dbus, host
from .daemon import NOBODY, SOURCE

# dbus-daemon takes nobody who is not a user of the host. These always are, and no daemon runs as them: who the
# service runs as, and two callers.
USER = "proxy"
ALICE, BOB = pwd.getpwnam("games").pw_uid, pwd.getpwnam("news").pw_uid

NAME, ROOT_PATH = "org.sandboxd1", "/org/sandboxd1"
MANAGER, JOB = "org.sandboxd1.Manager", "org.sandboxd1.Job"
OBJECT_MANAGER = "org.freedesktop.DBus.ObjectManager"
INTROSPECTABLE, PEER = "org.freedesktop.DBus.Introspectable", "org.freedesktop.DBus.Peer"
RUN, USE_PROFILE = "org.sandboxd1.run", "org.sandboxd1.use-profile"
MANAGE_JOBS, CONTROL = "org.sandboxd1.manage-jobs", "org.sandboxd1.control"

# Every member there may be: {interface: {name: (kind, signature in, signature out)}}. Of properties: how a change of
# theirs is told.
MEMBERS = {
    MANAGER: {
        "Execute": ("method", "ssa{sv}", "a{sv}"), "Run": ("method", "sasaya{sv}", "o"),
        "RunWithFds": ("method", "sasaya{sv}hhh", "o"), "GetJob": ("method", "s", "o"),
        "ListJobs": ("method", "", "a(susssto)"), "CancelJob": ("method", "s", ""),
        "ListRuntimes": ("method", "", "a(sss)"), "ListProfiles": ("method", "", "a(ss)"),
        "Drain": ("method", "", ""), "Resume": ("method", "", ""), "StopAll": ("method", "", ""),
        "Subscribe": ("method", "", ""), "Unsubscribe": ("method", "", ""),
        "Version": ("property", "s", "const"), "RunningJobs": ("property", "u", "true"),
        "QueuedJobs": ("property", "u", "true"), "Draining": ("property", "b", "true"),
        "Features": ("property", "as", "const"),
        "JobNew": ("signal", "so", ""), "JobRemoved": ("signal", "sos", ""),
    },
    JOB: {
        "Cancel": ("method", "", ""), "Wait": ("method", "", "a{sv}"), "ReadOutput": ("method", "st", "ayb"),
        "Id": ("property", "s", "const"), "Owner": ("property", "u", "const"),
        "Runtime": ("property", "s", "const"), "Profile": ("property", "s", "const"),
        "Label": ("property", "s", "const"), "State": ("property", "s", "true"),
        "Status": ("property", "s", "true"), "ExitCode": ("property", "i", "true"),
        "StartedAt": ("property", "t", "true"), "Usage": ("property", "a{sv}", "true"),
        "Finished": ("signal", "a{sv}", ""),
    },
    OBJECT_MANAGER: {
        "GetManagedObjects": ("method", "", "a{oa{sa{sv}}}"), "InterfacesAdded": ("signal", "oa{sa{sv}}", ""),
        "InterfacesRemoved": ("signal", "oas", ""),
    },
}

DENIED = "org.freedesktop.DBus.Error.AccessDenied"
NO_SUCH_JOB = "org.sandboxd1.Error.NoSuchJob"
NO_OBJECT = "org.freedesktop.DBus.Error.UnknownObject"

# What a call of each method gives to whom: "" where it is done, else the error. A user calls it about a job of his
# own, and about root's ("other"); nobody, about the user's.
EVERYBODY = {"root": "", "user": "", "other": "", "nobody": ""}
RUNS = {"root": "", "user": "", "other": "", "nobody": DENIED}
CONTROLS = {"root": "", "user": DENIED, "other": DENIED, "nobody": DENIED}
BY_ID = {"root": "", "user": "", "other": NO_SUCH_JOB, "nobody": NO_SUCH_JOB}
BY_PATH = {"root": "", "user": "", "other": NO_OBJECT, "nobody": NO_OBJECT}
MAY = {
    (MANAGER, "Execute"): RUNS, (MANAGER, "Run"): RUNS, (MANAGER, "RunWithFds"): RUNS,
    (MANAGER, "GetJob"): BY_ID, (MANAGER, "CancelJob"): BY_ID,
    (MANAGER, "ListJobs"): EVERYBODY, (MANAGER, "ListRuntimes"): EVERYBODY, (MANAGER, "ListProfiles"): EVERYBODY,
    (MANAGER, "Subscribe"): EVERYBODY, (MANAGER, "Unsubscribe"): EVERYBODY,
    (MANAGER, "Drain"): CONTROLS, (MANAGER, "Resume"): CONTROLS, (MANAGER, "StopAll"): CONTROLS,
    (JOB, "Cancel"): BY_PATH, (JOB, "Wait"): BY_PATH, (JOB, "ReadOutput"): BY_PATH,
    (OBJECT_MANAGER, "GetManagedObjects"): EVERYBODY,
}

_CONFIG = """<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <type>system</type>
  <auth>EXTERNAL</auth>
  <listen>unix:path={path}</listen>
  <policy context="default">
    <allow user="*"/>
    <deny own="*"/>
    <deny send_type="method_call"/>
    <allow send_type="signal"/>
    <allow send_requested_reply="true" send_type="method_return"/>
    <allow send_requested_reply="true" send_type="error"/>
    <allow receive_type="method_call"/>
    <allow receive_type="method_return"/>
    <allow receive_type="error"/>
    <allow receive_type="signal"/>
    <allow send_destination="org.freedesktop.DBus" send_interface="org.freedesktop.DBus"/>
    <allow send_destination="org.freedesktop.DBus" send_interface="org.freedesktop.DBus.Introspectable"/>
    <allow send_destination="org.freedesktop.DBus" send_interface="org.freedesktop.DBus.Properties"/>
    <allow send_destination="org.freedesktop.PolicyKit1"/>
  </policy>
  <policy user="root">
    <allow own="org.freedesktop.PolicyKit1"/>
  </policy>
  <include>{policy}</include>
</busconfig>
"""
_BAD_LOG = re.compile(r"AddressSanitizer|LeakSanitizer|runtime error:|Assertion|assertion failed")


def members_of(xml):
    """What introspection data says, in the form of MEMBERS."""
    out = {}
    for interface in ElementTree.fromstring(xml).findall("interface"):
        out[interface.get("name")] = {m.get("name"): _member(m) for m in interface if m.tag != "annotation"}
    return out


def _member(m):
    if m.tag == "property":
        changes = [a.get("value") for a in m.findall("annotation") if a.get("name").endswith("EmitsChangedSignal")]
        return "property", m.get("type"), (changes or ["true"])[0]
    into = "".join(a.get("type") for a in m.findall("arg") if m.tag == "signal" or a.get("direction") != "out")
    return m.tag, into, "".join(a.get("type") for a in m.findall("arg") if a.get("direction") == "out")


def variant(value):
    """A value of Python as (signature, value); what is a pair stays."""
    if isinstance(value, tuple):
        return value
    if isinstance(value, dict):
        return "a{say}", value
    kinds = {bool: "b", int: "t", str: "s", bytes: "ay", list: "as"}
    return kinds[type(value)], value


def options(values):
    return {name: variant(value) for name, value in values.items()}


class Caller(dbus.Connection):
    """A connection of somebody who uses the service."""

    def manager(self, member, *rest, **more):
        return self.call(NAME, ROOT_PATH, MANAGER, member, *rest, **more)

    def start_manager(self, member, *rest, **more):
        return self.start(NAME, ROOT_PATH, MANAGER, member, *rest, **more)

    def job(self, path, member, *rest, **more):
        return self.call(NAME, path, JOB, member, *rest, **more)

    def get(self, path, interface, name):
        return self.call(NAME, path, dbus.PROPERTIES, "Get", "ss", interface, name)[0]

    def get_all(self, path, interface):
        return self.call(NAME, path, dbus.PROPERTIES, "GetAll", "s", interface)[0]

    def start_execute(self, language, code, flags=0, **values):
        return self.start_manager("Execute", "ssa{sv}", language, code, options(values), flags=flags)

    def execute(self, language, code, **values):
        return self.finish(self.start_execute(language, code, **values))[0]

    def bash(self, code, **values):
        return self.execute("bash", code, **values)

    def start_run(self, *argv, runtime="command", code=b"", **values):
        return self.start_manager("Run", "sasaya{sv}", runtime, list(argv), code, options(values))

    def run(self, *argv, **values):
        """The path of a job that was started."""
        return self.finish(self.start_run(*argv, **values))[0]

    def run_with_fds(self, argv, fds, runtime="command", code=b"", **values):
        return self.manager("RunWithFds", "sasaya{sv}hhh", runtime, list(argv), code, options(values), 0, 1, 2,
                            fds=fds)[0]

    def wait(self, path, **more):
        return self.job(path, "Wait", **more)[0]

    def output(self, path, stream="stdout", offset=0):
        return tuple(self.job(path, "ReadOutput", "st", stream, offset))

    def jobs(self):
        """ListJobs() by path."""
        return {entry[6]: entry for entry in self.manager("ListJobs")[0]}

    def objects(self):
        return self.call(NAME, ROOT_PATH, OBJECT_MANAGER, "GetManagedObjects")[0]

    def refusal(self, what, *args, **more):
        """The Error that calling what gives."""
        try:
            value = what(*args, **more)
        except dbus.Error as e:
            return e
        raise AssertionError(f"it was not refused, and gave {value}")


def job_id(path):
    return path.rsplit("/", 1)[-1]


# --- what is on the bus

class BusDaemon:
    """A dbus-daemon as the system bus is configured, run by root."""

    def __init__(self, folder):
        self.folder = folder
        self.path = folder / "bus"
        self.address = f"unix:path={self.path}"
        self.process = None
        policy = (SOURCE / "policy/dbus/org.sandboxd1.conf").read_text()
        assert 'user="sandboxd-bus"' in policy
        (folder / "policy.conf").write_text(policy.replace('user="sandboxd-bus"', f'user="{USER}"'))
        (folder / "bus.conf").write_text(_CONFIG.format(path=self.path, policy=folder / "policy.conf"))

    def start(self):
        self.path.unlink(missing_ok=True)
        with open(self.folder / "bus.log", "ab") as log:
            self.process = subprocess.Popen(
                ["dbus-daemon", f"--config-file={self.folder / 'bus.conf'}", "--nofork", "--nopidfile"],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        assert host.wait_until(self.listens, 10), (self.folder / "bus.log").read_text()

    def listens(self):
        try:
            dbus.Connection(self.path).close()
            return True
        except OSError:
            return False

    def kill(self):
        if self.process:
            self.process.kill()
            self.process.wait()


class Question:
    """What polkit was asked."""

    def __init__(self, message, uid):
        (self.kind, self.subject), self.action, self.details, self.flags, self.cancellation = message.args()
        self.message, self.uid = message, uid


class Polkit:
    """org.freedesktop.PolicyKit1 by a thread. rules: {action: answer, or {uid: answer}}; an answer is "yes", "no",
    "challenge" (it would ask for a password), "error", "crash" (it leaves the bus), or "hold": it waits for
    release(). What no rule speaks of is "no"."""

    def __init__(self, path):
        self.path, self.rules, self.asked, self.held, self.cancelled = path, {}, [], [], []
        self.connection = self.thread = None

    def start(self):
        self.connection = dbus.Connection(self.path, timeout=3600)
        taken, = self.connection.call(*dbus.BUS, "RequestName", "su", "org.freedesktop.PolicyKit1", 4)
        assert taken == 1
        self.thread = threading.Thread(target=self.serve, args=(self.connection,), daemon=True)
        self.thread.start()

    def stop(self):
        if self.thread:
            with contextlib.suppress(OSError):
                self.connection.sock.shutdown(socket.SHUT_RDWR)
            self.thread.join()
            self.connection.close()
            self.thread = None

    def reset(self):
        """Alice and Bob may run code, and nobody else anything; it is there, and owes no answer."""
        if self.thread and self.thread.is_alive():
            self.release("no")
        self.rules, self.asked, self.held, self.cancelled = {RUN: {ALICE: "yes", BOB: "yes"}}, [], [], []
        if not self.thread or not self.thread.is_alive():
            self.stop()
            self.start()

    def serve(self, connection):
        try:
            while True:
                while not connection.calls:
                    connection.step()
                message = connection.calls.pop(0)
                {"CheckAuthorization": self.check, "CancelCheckAuthorization": self.cancel}[message.member](message)
        except (dbus.Closed, OSError):
            connection.sock.close()

    def cancel(self, message):
        """It does not heed that: the answers of tests come when they come."""
        self.cancelled += message.args()
        self.connection.answer(message)

    def check(self, message):
        (_, subject), action = message.args()[:2]
        try:
            uid, = self.connection.call(*dbus.BUS, "GetConnectionUnixUser", "s", subject.get("name", ""))
        except dbus.Error:
            uid = None
        self.asked.append(Question(message, uid))
        answer = self.rules.get(action, "no")
        if isinstance(answer, dict):
            answer = answer.get(uid, "no")
        if answer == "crash":
            raise dbus.Closed()
        if answer == "hold":
            self.held.append(message)
        else:
            self.say(message, answer)

    def say(self, message, answer):
        if answer == "error":
            self.connection.refuse(message, "org.freedesktop.PolicyKit1.Error.Failed", "it does not work")
        else:
            self.connection.answer(message, "(bba{ss})", (answer == "yes", answer == "challenge", {}))

    def release(self, answer="yes"):
        while self.held:
            self.say(self.held.pop(0), answer)

    def wait_held(self, n=1):
        assert host.wait_until(lambda: len(self.held) >= n), f"polkit was asked {len(self.asked)} times"

    def actions(self):
        return [q.action for q in self.asked]


class Service:
    """One sandboxd-bus, run by the user that may act for others."""

    def __init__(self, build, folder, bus, socket, arguments=()):
        self.folder, self.bus, self.arguments, self.socket = folder, bus, list(arguments), socket
        self.program = folder / "sandboxd-bus"
        self.process = None
        if not self.program.exists():
            shutil.copy(build / "sandboxd-bus", self.program)

    def start(self):
        who = pwd.getpwnam(USER)
        environment = {k: v for k, v in os.environ.items() if k.startswith(("SANDBOXD_LOG", "ASAN", "UBSAN", "PATH"))}
        with open(self.folder / "service.log", "ab") as log:
            self.process = subprocess.Popen(
                [self.program, "--address", self.bus.address, "--socket", self.socket, *self.arguments],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, user=who.pw_uid, group=who.pw_gid,
                extra_groups=[], env=environment, cwd="/")
        with dbus.Connection(self.bus.path) as c:
            assert host.wait_until(lambda: self.ended() or c.call(*dbus.BUS, "NameHasOwner", "s", NAME)[0], 10) \
                and not self.ended(), f"it is not on the bus:\n{self.log()}"
        return self

    def ended(self):
        return self.process.poll() is not None

    def stop(self):
        """SIGTERM, after which it ends well."""
        if self.process and not self.ended():
            self.process.send_signal(signal.SIGTERM)
            # A sanitizer's realloc() copies what of a big message has come.
            seconds = 60 if host.is_sanitized(self.program) else 10
            try:
                code = self.process.wait(seconds)
            except subprocess.TimeoutExpired:
                self.kill()
                raise AssertionError(f"sandboxd-bus did not stop within {seconds} s:\n{self.log()}") from None
            assert code == 0, f"sandboxd-bus exited with {code}:\n{self.log()}"
        bad = _BAD_LOG.search(self.log())
        assert not bad, f"its log speaks of {bad.group(0)}:\n{self.log()}"

    def kill(self):
        if self.process and not self.ended():
            self.process.kill()
            self.process.wait()

    def log(self):
        return host.read(self.folder / "service.log") or ""

    @property
    def pid(self):
        return self.process.pid

    def rss(self):
        return host.rss_bytes(self.pid)

    def relays(self):
        """Its processes that copy between fds of callers and streams of jobs."""
        return host.descendants(self.pid)


class World:
    """All of them, around one sandboxd that knows USER."""

    def __init__(self, build, daemon, arguments=()):
        self.daemon = daemon
        self.folder = Path(tempfile.mkdtemp(prefix="sandboxd-bus-"))
        self.folder.chmod(0o755)
        self.bus = BusDaemon(self.folder)
        self.polkit = Polkit(self.bus.path)
        self.service = Service(build, self.folder, self.bus, daemon.socket, arguments)
        self.callers = []

    def start(self):
        self.bus.start()
        self.polkit.reset()
        self.service.start()
        return self

    def dispose(self):
        self.leave()
        try:
            self.service.stop()
        finally:
            self.service.kill()
            self.polkit.stop()
            self.bus.kill()
            shutil.rmtree(self.folder)

    def caller(self, uid=0, groups=(), timeout=20):
        """Somebody's connection, which is closed when the test ends."""
        c = Caller(self.bus.path, uid, groups, timeout)
        self.callers.append(c)
        return c

    def leave(self):
        for c in self.callers:
            c.close()
        self.callers.clear()

    def busctl(self, *args, uid=0, timeout=30):
        """`busctl ARGS` to its end, as text; one of a job at /org/sandboxd1 is the test's to write."""
        return self.tool("busctl", f"--address={self.bus.address}", *args, uid=uid, timeout=timeout)

    @staticmethod
    def tool(*argv, uid=0, timeout=30):
        ids = {"user": uid, "group": uid, "extra_groups": []} if uid else {}
        return subprocess.run([str(a) for a in argv], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                              timeout=timeout, env={"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8"}, cwd="/", **ids)
