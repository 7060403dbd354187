# SPDX-License-Identifier: Apache-2.0
"""Bytes through a job: from stdin to stdout in the place of the first of two `cat`s, and a file in and out."""

import contextlib
import pathlib
import shutil
import statistics
import subprocess
import threading
import time

import harness
import report

NAME = "bytes"
TITLE = "Bytes through a job, and a file into one and out again"
# Room for what is moved, in a profile of the benchmark's own.
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


def rss_kib(pid):
    with contextlib.suppress(OSError, IndexError):
        return int(pathlib.Path(f"/proc/{pid}/status").read_text().split("VmRSS:")[1].split()[0])
    return 0


class Peak:
    """The most RSS that a daemon had while this was open, over what it had before."""

    def __init__(self, daemon):
        self.pids = daemon.pids()
        self.before = self.most = self.now()
        self.over = threading.Event()
        self.thread = threading.Thread(target=self.watch)

    def now(self):
        return sum(rss_kib(p) for p in self.pids)

    def watch(self):
        while not self.over.wait(0.05):
            self.most = max(self.most, self.now())

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
    running, source = [], subprocess.DEVNULL
    for i, command in enumerate(pipeline):
        last = i == len(pipeline) - 1
        p = subprocess.Popen(command, env={}, stdin=source, stdout=subprocess.DEVNULL if last else subprocess.PIPE)
        if source is not subprocess.DEVNULL:
            source.close()
        source = p.stdout
        running.append(p)
    codes = [p.wait() for p in running]
    if any(codes):
        raise harness.Failed(f"{pipeline} ended with {codes}")
    return time.monotonic() - begin


def own_policy(bench):
    policy = bench.folder / "policy"
    shutil.copytree(harness.SOURCE / "policy", policy)
    drop_ins = policy / "profiles/default.profile.d"
    drop_ins.mkdir()
    (drop_ins / "bench.conf").write_text(LIMITS)
    return policy


def through(run_job, daemon, mib, rounds):
    head = ["/usr/bin/head", "-c", f"{mib}M", "/dev/zero"]
    pipelines = {"cat | cat": [head, ["/bin/cat"], ["/bin/cat"]],
                 "sandboxctl run -- cat | cat": [head, [*run_job, "--", "cat"], ["/bin/cat"]]}
    times = {name: [] for name in pipelines}
    with Peak(daemon) as peak:
        for _ in range(rounds):
            for name, pipeline in pipelines.items():
                times[name].append(seconds_of(pipeline))
    medians = {name: statistics.median(values) for name, values in times.items()}
    return {"seconds": medians, "daemon_growth_kib": peak.growth}


def a_file(bench, run_job, daemon, mib):
    data, back = bench.folder / "in", bench.folder / "out"
    with open(data, "wb") as out:
        subprocess.run(["/usr/bin/head", "-c", f"{mib}M", "/dev/urandom"], stdout=out, check=True)
    with Peak(daemon) as peak:
        into = seconds_of([[*run_job, "-f", f"{data}:data", "--", "true"]])
        both = seconds_of([[*run_job, "-f", f"{data}:data", "--get", f"data:{back}", "--", "true"]])
    same = subprocess.run(["/usr/bin/cmp", data, back], check=False).returncode == 0
    return {"in": into, "in_and_out": both, "same": same, "daemon_growth_kib": peak.growth}


def run(bench):
    mib = bench.pick(1024, 32)
    with bench.daemon(policy=own_policy(bench)) as daemon:
        run_job = [bench.build / "sandboxctl", "--socket", daemon.socket, "run"]
        return {"title": TITLE, "mib": mib, "notes": [], "stream": through(run_job, daemon, mib, bench.pick(5, 2)),
                "file": a_file(bench, run_job, daemon, mib)}


def tables(result):
    mib, stream, file = result["mib"], result["stream"], result["file"]
    first = next(iter(stream["seconds"].values()))
    rows = [[name, f"{s:.2f}", report.number(mib / s), report.ratio(first / s)] for name, s in stream["seconds"].items()]
    same = "the same" if file["same"] else "NOT THE SAME"
    return [report.Table(f"{mib} MiB from stdin to stdout", ["", "s, p50", "MiB/s", "ratio"], rows),
            report.Table(f"A file of {mib} MiB", ["", ""], [
                ["in, s", f"{file['in']:.2f}"], ["in and out, s", f"{file['in_and_out']:.2f}"], ["what came back", same],
                ["RSS of the daemon grew by, KiB", max(stream["daemon_growth_kib"], file["daemon_growth_kib"])]])]
