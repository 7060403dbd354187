# SPDX-License-Identifier: Apache-2.0
"""Everything that can run the same small programs: our jobs, other sandboxes, and a plain spawn."""

import dataclasses
import json
import os
import shutil

from harness import SOURCE

BWRAP = ["/usr/bin/bwrap", "--unshare-all", "--new-session", "--die-with-parent", "--ro-bind", "/usr", "/usr",
         "--symlink", "usr/bin", "/bin", "--symlink", "usr/lib", "/lib", "--symlink", "usr/lib64", "/lib64",
         "--symlink", "usr/sbin", "/sbin", "--ro-bind-try", "/etc/ld.so.cache", "/etc/ld.so.cache", "--proc", "/proc",
         "--dev", "/dev", "--tmpfs", "/dev/shm", "--tmpfs", "/tmp", "--tmpfs", "/box", "--chdir", "/box"]
FIREJAIL = ["/usr/bin/firejail", "--quiet", "--noprofile", "--net=none", "--private", "--private-dev"]
SYSTEMD_SCOPE = ["/usr/bin/systemd-run", "--scope", "--quiet"]
SYSTEMD_WAIT = ["/usr/bin/systemd-run", "--wait", "--pipe", "--collect", "--quiet"]
UNIFIED = "/sys/fs/cgroup/unified"

GROUPS = {
    "true": "/bin/true",
    "bash": "bash, ':'",
    "python": "python, print(42)",
    "javascript": "javascript, console.log(42)",
}


@dataclasses.dataclass
class Contender:
    name: str   # "bash/bwrap"
    label: str
    kind: str   # of bench-client: job, spawn, peer
    args: list
    expect: str = "-"
    every: int = 1
    parked: bool = False  # only its parked jobs count
    needs: str = ""       # the program without which there is no such contender

    @property
    def group(self):
        return self.name.split("/")[0]

    def line(self):
        return "\t".join([self.name, self.kind, str(self.every), self.expect, *map(str, self.args)]) + "\n"

    def missing(self):
        if self.needs and not os.path.exists(self.needs):
            return f"{self.needs} is not installed: run scripts/deps bench"
        return ""


@dataclasses.dataclass
class Program:
    group: str
    argv: list      # as other sandboxes and the spawn run it
    runtime: str
    code: str
    expect: str
    label: str
    plain: list = None  # as people start it, where that is not argv

    @property
    def shortest(self):
        return self.plain or self.argv


PROGRAMS = [
    Program("true", ["/bin/true"], "", "", "", "/bin/true"),
    Program("bash", ["/usr/bin/bash", "-c", ":"], "bash", ":", "", "bash"),
    Program("python", ["/usr/bin/python3", "-I", "-S", "-c", "print(42)"], "python", "print(42)", "42",
            "python3 -I -S", ["/usr/bin/python3", "-c", "print(42)"]),
    Program("javascript", ["/usr/bin/node", "-e", "console.log(42)"], "javascript", "console.log(42)", "42", "node"),
]


def job(program, socket, name, label, parked=False):
    arguments = [] if program.runtime else program.argv
    return Contender(f"{program.group}/{name}", label, "job", [socket, program.runtime, program.code, *arguments],
                     program.expect, parked=parked)


def ctl(bench, program, socket, name, label):
    command = ["-l", program.runtime, "-c", program.code] if program.runtime else ["--", *program.argv]
    return Contender(f"{program.group}/{name}", label, "spawn",
                     [bench.build / "sandboxctl", "--socket", socket, "run", *command], program.expect)


def spawn(program, name="spawn", plain=False):
    argv = program.shortest if plain else program.argv
    what = os.path.basename(argv[0]) if plain and program.plain else program.label
    return Contender(f"{program.group}/{name}", f"un-isolated spawn of {what}", "spawn", argv, program.expect,
                     needs=argv[0])


def spawns(program):
    """One, or two where the program can be started with less than people start it with."""
    if not program.plain:
        return [spawn(program)]
    return [spawn(program, plain=True), spawn(program, "spawn-short")]


def wrapped(program, prefix, name, label, every=1):
    return Contender(f"{program.group}/{name}", f"{label} {program.label}", "spawn", [*prefix, *program.argv],
                     program.expect, every=every, needs=prefix[0])


def bwrap(program):
    return wrapped(program, BWRAP, "bwrap", "bwrap")


def firejail(program):
    return wrapped(program, FIREJAIL, "firejail", "firejail", every=4)


def crun(bench, program):
    """crun refuses hosts with hybrid cgroups; without the unified hierarchy in its sight it works there, so it
    is started from a mount namespace that has none."""
    bundle = bench.folder / f"crun-{program.group}"
    make_bundle(bundle, program.argv)
    command = ["/usr/bin/crun", "--root", bundle / "state", "run", "--bundle", bundle,
               f"sandboxd-bench-{os.getpid()}-{program.group}"]
    name, label = f"{program.group}/crun", f"crun {program.label}"
    inner = Contender(name, label, "spawn", command, program.expect, every=4, needs=command[0])
    if not os.path.exists(UNIFIED):
        return inner
    script = f"umount {UNIFIED} && exec {bench.client} serve {bench.write([inner])}"
    return dataclasses.replace(inner, kind="peer", expect="-", args=[
        "/usr/bin/unshare", "--mount", "--propagation", "private", "/bin/sh", "-c", script])


def make_bundle(bundle, argv):
    shutil.rmtree(bundle, ignore_errors=True)
    root = bundle / "root"
    for name in ("usr", "proc", "dev", "tmp", "box", "etc"):
        (root / name).mkdir(parents=True)
    for name in ("bin", "lib", "lib64", "sbin"):
        (root / name).symlink_to(f"usr/{name}")
    if os.path.exists("/etc/ld.so.cache"):
        shutil.copy("/etc/ld.so.cache", root / "etc/ld.so.cache")
    tmpfs = {"type": "tmpfs", "source": "tmpfs", "options": ["nosuid", "nodev", "size=64m"]}
    spec = {
        "ociVersion": "1.0.0",
        "process": {"terminal": False, "user": {"uid": 1000, "gid": 1000}, "args": argv, "cwd": "/box",
                    "env": ["PATH=/usr/bin:/bin"], "noNewPrivileges": True},
        "root": {"path": "root", "readonly": True},
        "hostname": "sandbox",
        "mounts": [
            {"destination": "/usr", "type": "bind", "source": "/usr", "options": ["rbind", "ro", "nosuid", "nodev"]},
            {"destination": "/proc", "type": "proc", "source": "proc"},
            {"destination": "/dev", **tmpfs, "options": ["nosuid", "mode=755", "size=64k"]},
            *({"destination": d, **tmpfs} for d in ("/dev/shm", "/tmp", "/box")),
        ],
        "linux": {
            "namespaces": [{"type": t} for t in ("pid", "network", "ipc", "uts", "mount", "cgroup")],
            "resources": {"memory": {"limit": 256 << 20}, "pids": {"limit": 64},
                          "cpu": {"quota": 100000, "period": 100000}},
        },
    }
    (bundle / "config.json").write_text(json.dumps(spec))


def node_vm():
    """The call that is no sandbox: in the process itself, each time in a new context."""
    return Contender("javascript/vm", "node:vm in a running process (isolates nothing)", "peer",
                     ["/usr/bin/node", SOURCE / "tests/bench/node-vm.js"], needs="/usr/bin/node")

