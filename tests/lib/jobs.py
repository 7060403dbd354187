# SPDX-License-Identifier: Apache-2.0
"""Many jobs of the installed sandboxd at once, over the wire protocol, and what is left of jobs that have
ended. For tests/system."""

import os
import time
from pathlib import Path

from . import host, machine, wire

UID_BASE, UID_SIZE = 0x70000000, 0x00100000  # sandboxd.conf's default


class Batch:
    """Jobs of one user over one connection."""

    def __init__(self, uid=0, timeout=120):
        self.timeout = timeout
        self.connection = wire.Connection(machine.SOCKET, uid, timeout)
        self.connection.hello()
        self.started = {}  # request: job id
        self.results = {}  # request: the Result, or the Error; 0: the Error that ended the connection
        self.next = 1

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.connection.close()

    def start(self, *argv, **fields):
        """Asks for a job; its number here."""
        self.next += 1
        if argv:
            fields["argv"] = argv
        self.connection.send(wire.run(self.next, **fields))
        return self.next

    def take(self):
        """The next response, kept where it belongs."""
        response = self.connection.receive(self.timeout)
        for kind in "result", "error":
            if kind in response:
                self.results[response.get("id", 0)] = response[kind]
        if "started" in response:
            self.started[response["id"]] = response["started"]["job_id"]

    def result(self, job):
        while job not in self.results:
            self.take()
        return self.results[job]

    def unit(self, job):
        """The name of a job's scope, which may not be there yet."""
        while job not in self.started:
            assert job not in self.results, self.results[job]
            self.take()
        return f"sandbox-{self.started[job]}.scope"

    def let_go(self, job):
        """The end of stdin, for a job that waits for it (stdin=True)."""
        self.connection.send(wire.stdin_data(job, eof=True))

    def status(self, job):
        return self.result(job).get("status", self.result(job))


def is_ours(pid):
    """Whether it has a kernel uid of a job's."""
    uids = host.status(pid).get("Uid", "0").split()
    return any(UID_BASE <= int(uid) < UID_BASE + UID_SIZE for uid in uids)


def pids():
    return [pid for pid in host.pids() if is_ours(pid)]


def payloads(unit):
    """The processes of a job. One that still has root's uid is on its way into the `job` leaf: of cgroup2 at
    once, of other hierarchies soon."""
    return [pid for pid in machine.group_pids(unit)
            if host.cgroups(pid).get("", Path()).name == "job" and is_ours(pid)]


def wait_payload(unit):
    """The job's first process, once there is one."""
    found = host.wait_until(lambda: payloads(unit), 30)
    assert found, machine.status(unit)
    return found[0]


KEEPS_PARKED = {"Pool": {"Maximum": 64, "IdleSec": "5min"}}  # settings of sandboxd.conf


class Parked:
    """A sandbox that waits for a job."""

    def __init__(self, unit, command, init):
        self.unit, self.command, self.init = unit, command, init

    @property
    def is_idle(self):
        """Whether it gets the CPU only when nobody else wants it."""
        directory = machine.group_dirs(self.unit).get("" if machine.UNIFIED else "cpu")
        return directory is not None and host.read(directory / "cpu.idle") == "1\n"


def _parked_in(unit):
    pids = machine.group_pids(unit)
    # The command has said that it waits, and reads a pipe that it closes when it has its job.
    commands = [p for p in pids if os.path.exists(f"/proc/{p}/fd/60") and not os.path.exists(f"/proc/{p}/fd/61")]
    inits = [p for p in pids if host.status(p).get("NSpid", "").split()[-1:] == ["1"]]
    return [Parked(unit, command, init) for command, init in zip(commands, inits)]


def parked(uid):
    """What waits for jobs of a user."""
    return [p for unit in machine.scopes() if machine.is_ahead(unit)
            and machine.get(unit, "Slice") == f"sandbox-u{uid}.slice" for p in _parked_in(unit)]


def _bare_in(unit):
    """What will be the job's process, and init."""
    pids = {int(numbers[-1]): p for p in machine.group_pids(unit) if (numbers := host.status(p).get("NSpid", "").split())}
    return [pids[n] for n in sorted(pids, reverse=True)]


def bare(uid):
    """The same, of commands: beside their init waits what will be the job's process."""
    units = [unit for unit in machine.scopes() if machine.is_ahead(unit)
             and machine.get(unit, "Slice") == f"sandbox-u{uid}.slice"]
    found = [Parked(unit, *pids) for unit in units if len(pids := _bare_in(unit)) == 2]
    return [one for one in found if one.is_idle]


def park_bare(user):
    """Has a sandbox wait for a command of a user's, and gives it."""
    r = machine.run("--", "true", user=user)
    assert r.status == "OK", r
    found = host.wait_until(lambda: bare(machine.uid_of(user)), 30, 0.1)
    assert found, machine.status(machine.SERVICE_UNIT)
    time.sleep(0.3)  # it may not be all made yet
    return found[0]


def park(user, language="bash"):
    """Has a sandbox wait for a job of a user's, and gives it."""
    r = machine.run("-l", language, "-c", "0" if language == "python" else ":", user=user)
    assert r.status == "OK", r
    found = host.wait_until(lambda: parked(machine.uid_of(user)), 30, 0.1)
    assert found, machine.status(machine.SERVICE_UNIT)
    time.sleep(0.1)  # until the monitor has heard it, too
    return found[0]


def groups():
    """The directories of scopes, in every hierarchy."""
    return [path for _, _, point in host.cgroup_mounts() for path in point.glob("sandbox.slice/*/*.scope")]


def leftovers():
    """What is left of jobs, and of sandboxes that were made ahead of time for their users, as sentences; nothing, once all
    have ended and nobody has asked for [Pool] IdleSec=."""
    out = [f"{unit} is there" for unit in machine.scopes()]
    out += [f"process {pid} runs: {host.status(pid).get('Name')}" for pid in pids()]
    out += [f"{path} is there" for path in groups()]
    out += [f"mounted: {line}" for line in host.mounts_below("/run/sandboxd")]
    return out


def wait_none(timeout=15):
    """Until nothing is left."""
    left = []

    def none_left():
        left[:] = leftovers()
        return not left
    assert host.wait_until(none_left, timeout, 0.1), left
