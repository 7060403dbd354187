#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""`make bench-jobs`: many jobs at once, kept results, and bytes through a job, beside what they are
compared with, in one run. Prints tables; nothing is asserted but that jobs end well. Environment:
    SANDBOXD_BUILD_DIR  where the programs are (default: the current directory)
    BENCH_JOBS          jobs on one connection (default 10000)
    BENCH_CONNECTIONS   connections at once (default 500)
    BENCH_ROUNDS        rounds of the comparison with kept results (default 500)
    BENCH_MIB           MiB through stdin and stdout, and in a file (default 1024)
"""

import contextlib
import os
import pathlib
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time

SOURCE = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("SANDBOXD_BUILD_DIR", ".")).resolve()
BENCH = BUILD / "tests/bench/bench-jobs"
JOBS = int(os.environ.get("BENCH_JOBS", "10000"))
CONNECTIONS = int(os.environ.get("BENCH_CONNECTIONS", "500"))
ROUNDS = int(os.environ.get("BENCH_ROUNDS", "500"))
MIB = int(os.environ.get("BENCH_MIB", "1024"))
PIPE_ROUNDS = 5
UNDER_WAY = 32
UID_BASE = 0x7D000000
UID_SIZE = 0x10000

# Room for what is moved; a profile of the benchmark's own.
LIMITS = """[Limits]
Memory=4G
MaxMemory=8G
Output=64G
MaxOutput=64G
TmpSize=4G
MaxTmpSize=8G
FilesSize=4G
WallTimeSec=10min
CPUQuota=200%
"""


class Daemon:
    def __init__(self, directory, number, settings=""):
        self.directory = directory / str(number)
        self.directory.mkdir()
        policy = self.directory / "policy"
        shutil.copytree(SOURCE / "policy", policy)
        drop_ins = policy / "profiles" / "default.profile.d"
        drop_ins.mkdir()
        (drop_ins / "bench.conf").write_text(LIMITS)
        config = self.directory / "sandboxd.conf"
        config.write_text(f"[Server]\n{settings}\n[UserNamespaces]\n"
                          f"Base={UID_BASE + number * UID_SIZE:#x}\nSize={UID_SIZE:#x}\n")
        self.socket = self.directory / "sock"
        self.process = subprocess.Popen(
            [BUILD / "sandboxd", "--standalone", "--socket", self.socket, "--config", config,
             "--policy-dir", policy, "--runtime-dir", self.directory / "run"], stdin=subprocess.DEVNULL)
        for _ in range(200):
            if self.socket.exists():
                return
            time.sleep(0.05)
        sys.exit("the daemon did not start")

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(30)

    def ctl(self, *arguments):
        return [str(BUILD / "sandboxctl"), "--socket", str(self.socket), *map(str, arguments)]

    def rss_kib(self):
        """Of monitor and frontend together."""
        monitor = self.process.pid
        pids = [monitor, *pathlib.Path(f"/proc/{monitor}/task/{monitor}/children").read_text().split()]
        return sum(rss_kib(p) for p in pids)


def rss_kib(pid):
    with contextlib.suppress(OSError):
        for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("VmRSS"):
                return int(line.split()[1])
    return 0


class Peak:
    """The most RSS that a daemon had while this was open, over what it had before."""

    def __init__(self, daemon):
        self.daemon, self.before = daemon, daemon.rss_kib()
        self.most, self.over = self.before, threading.Event()
        self.thread = threading.Thread(target=self.watch)

    def watch(self):
        while not self.over.wait(0.05):
            self.most = max(self.most, self.daemon.rss_kib())

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        self.thread.join()

    @property
    def growth(self):
        return self.most - self.before


def seconds_of(pipeline):
    """A pipeline of commands: the time from its start to the end of all."""
    begin = time.monotonic()
    processes, source = [], subprocess.DEVNULL
    for i, command in enumerate(pipeline):
        last = i == len(pipeline) - 1
        p = subprocess.Popen(command, stdin=source, stdout=subprocess.DEVNULL if last else subprocess.PIPE)
        if source is not subprocess.DEVNULL:
            source.close()
        source = p.stdout
        processes.append(p)
    codes = [p.wait() for p in processes]
    if any(codes):
        sys.exit(f"{pipeline} ended with {codes}")
    return time.monotonic() - begin


def through_a_job(daemon):
    """What a job's `cat` in the place of the first of two does to their speed."""
    source = ["head", "-c", f"{MIB}M", "/dev/zero"]
    pipelines = {
        "cat | cat": [source, ["cat"], ["cat"]],
        "sandboxctl run -- cat | cat": [source, daemon.ctl("run", "--", "cat"), ["cat"]],
    }
    times = {name: [] for name in pipelines}
    with Peak(daemon) as peak:
        for _ in range(PIPE_ROUNDS):
            for name, pipeline in pipelines.items():
                times[name].append(seconds_of(pipeline))
    first = None
    print(f"{'':44} {'s, p50':>8} {'MiB/s':>8} {'ratio':>9}")
    for name, values in times.items():
        rate = MIB / statistics.median(values)
        first = first or rate
        print(f"{name:44} {statistics.median(values):>8.2f} {rate:>8.0f} {rate / first:>9.2f}")
    print(f"RSS of the daemon grew by {peak.growth} KiB at most")


def a_file(daemon):
    """One file into a job and out again."""
    folder = daemon.directory / "files"
    folder.mkdir()
    data = folder / "in"
    subprocess.run(["sh", "-c", f"head -c {MIB}M /dev/urandom > {data}"], check=True)
    with Peak(daemon) as peak:
        into = seconds_of([daemon.ctl("run", "-f", f"{data}:data", "--", "true")])
        both = seconds_of([daemon.ctl("run", "-f", f"{data}:data", "--get", f"data:{folder / 'out'}", "--", "true")])
    same = subprocess.run(["cmp", data, folder / "out"]).returncode == 0
    print(f"in {into:.2f} s, in and out {both:.2f} s; {'the same' if same else 'NOT THE SAME'}; "
          f"RSS of the daemon grew by {peak.growth} KiB at most")
    shutil.rmtree(folder)


def main():
    def bench(*arguments):
        if subprocess.run([BENCH, *map(str, arguments)]).returncode != 0:
            print("NOT ALL ENDED WELL")

    with tempfile.TemporaryDirectory() as name, contextlib.ExitStack() as cleanup:
        room = f"MaxConnectionsPerUser={CONNECTIONS + 8}\nMaxConnections={2 * CONNECTIONS + 16}"
        plain = Daemon(pathlib.Path(name), 0, f"{room}\nMaxResultsPerUser=0")
        cleanup.callback(plain.stop)
        keeping = Daemon(pathlib.Path(name), 1, room)
        cleanup.callback(keeping.stop)
        print(f"\n== {JOBS} jobs on one connection, {UNDER_WAY} at a time", flush=True)
        bench("pipelined", keeping.socket, JOBS, UNDER_WAY)
        print(f"\n== {CONNECTIONS} connections at once, a job on each", flush=True)
        bench("connections", keeping.socket, CONNECTIONS)
        print("\n== with 1000 results kept, and none", flush=True)
        bench("fill", keeping.socket, 1000)
        bench("side-by-side", plain.socket, keeping.socket, ROUNDS)
        print(f"\n== {MIB} MiB from stdin to stdout", flush=True)
        through_a_job(plain)
        print(f"\n== a file of {MIB} MiB into a job, and out again", flush=True)
        a_file(plain)


if __name__ == "__main__":
    main()
