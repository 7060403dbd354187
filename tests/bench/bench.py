#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""`make bench`: starts a daemon of its own and prints the tables of the README's claims.

One run, everything interleaved; nothing is asserted. Environment:
    SANDBOXD_BUILD_DIR  where the programs are (default: the current directory)
    BENCH_ROUNDS        jobs in the comparison (default 1000)
    BENCH_JOBS          jobs in the leak check (default 10000)
"""

import os
import pathlib
import signal
import subprocess
import sys
import tempfile
import time

SOURCE = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("SANDBOXD_BUILD_DIR", ".")).resolve()
ROUNDS = os.environ.get("BENCH_ROUNDS", "1000")
JOBS = os.environ.get("BENCH_JOBS", "10000")
UID_BASE = 0x7E000000


def processes():
    """The kernel uid of each process of the benchmark's id range, by pid."""
    found = {}
    for status in pathlib.Path("/proc").glob("[0-9]*/status"):
        try:
            uid = int(next(l for l in status.read_text().splitlines() if l.startswith("Uid")).split()[1])
        except (OSError, StopIteration):
            continue
        if UID_BASE <= uid < UID_BASE + 0x100000:
            found[int(status.parent.name)] = uid
    return found


def cgroups():
    """Directories of live sandboxes in every hierarchy."""
    return sorted(str(p) for root in pathlib.Path("/sys/fs/cgroup").glob("**/sandboxd-*")
                  for p in root.iterdir() if p.is_dir())


def children(pid):
    return [int(p) for p in pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def rss_kib(pid):
    line = next(l for l in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines()
                if l.startswith("VmRSS"))
    return int(line.split()[1])


def snapshot(monitor):
    frontend = children(monitor)[0]
    return {
        "monitor fds": len(os.listdir(f"/proc/{monitor}/fd")),
        "frontend fds": len(os.listdir(f"/proc/{frontend}/fd")),
        "monitor RSS KiB": rss_kib(monitor),
        "frontend RSS KiB": rss_kib(frontend),
        "processes": len(processes()),
        "cgroups": len(cgroups()),
        "mounts": len(pathlib.Path(f"/proc/{monitor}/mounts").read_text().splitlines()),
    }


def start(directory):
    config = directory / "sandboxd.conf"
    config.write_text(f"[UserNamespaces]\nBase={UID_BASE:#x}\n")
    socket = directory / "sock"
    daemon = subprocess.Popen([BUILD / "sandboxd", "--standalone", "--socket", socket, "--config", config,
                               "--policy-dir", SOURCE / "policy", "--runtime-dir", directory / "run"])
    for _ in range(100):
        if socket.exists():
            return daemon, socket
        time.sleep(0.05)
    sys.exit("the daemon did not start")


def main():
    with tempfile.TemporaryDirectory() as name:
        daemon, socket = start(pathlib.Path(name))
        try:
            bench = BUILD / "tests/bench/bench-cold"
            time.sleep(0.5)
            idle = snapshot(daemon.pid)
            print("\n== a cold job, /bin/true, all limits on", flush=True)
            subprocess.run([bench, socket, ROUNDS], check=True)
            # The first jobs fill allocators and caches that then stay.
            before = snapshot(daemon.pid)
            print(f"\n== {JOBS} jobs on one connection", flush=True)
            subprocess.run([bench, socket, JOBS, "jobs"], check=True)
            time.sleep(1)
            after = snapshot(daemon.pid)
            print(f"\n{'':20} {'idle':>10} {'before':>10} {'after':>10}")
            for key in idle:
                print(f"{key:20} {idle[key]:>10} {before[key]:>10} {after[key]:>10}")
            print(f"\nidle RSS of both: {(idle['monitor RSS KiB'] + idle['frontend RSS KiB']) / 1024:.1f} MiB")
        finally:
            daemon.send_signal(signal.SIGTERM)
            daemon.wait(10)


if __name__ == "__main__":
    main()
