# SPDX-License-Identifier: Apache-2.0
"""What every section of the benchmark stands on: the options, daemons of its own, and bench-client."""

import contextlib
import os
import pathlib
import signal
import subprocess
import tempfile
import time

import figures

SOURCE = pathlib.Path(__file__).resolve().parents[2]
# Between the daemon's default range and that of the tests.
UID_FIRST, UID_SIZE, UID_COUNT = 0x71000000, 0x10000, 0x100
NO_POOL = "no parked sandboxes in this build"


class Failed(Exception):
    """A section, or what it needs, cannot be run: one sentence."""


class Daemon:
    """One `sandboxd --standalone`, started with an empty environment."""

    def __init__(self, bench, name, settings, policy=None):
        self.home = bench.folder / name
        self.home.mkdir()
        self.socket = self.home / "sock"
        for _ in range(8):
            self.base = bench.next_uid_base()
            if self.starts(bench, settings, policy or SOURCE / "policy"):
                return
        raise Failed(f"sandboxd did not start: {self.log()[-400:].strip()}")

    def starts(self, bench, settings, policy):
        lines = ["[UserNamespaces]", f"Base={self.base:#x}", f"Size={UID_SIZE:#x}"]
        for section, keys in settings.items():
            lines += [f"[{section}]", *(f"{k}={v}" for k, v in keys.items())]
        config = self.home / "sandboxd.conf"
        config.write_text("\n".join(lines) + "\n")
        with open(self.home / "log", "wb") as log:
            self.process = subprocess.Popen(
                [bench.build / "sandboxd", "--standalone", "--socket", self.socket, "--config", config,
                 "--policy-dir", policy, "--runtime-dir", self.home / "run"],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, env={}, cwd="/")
        deadline, listens = time.monotonic() + 20, False
        try:
            while time.monotonic() < deadline and self.process.poll() is None and not listens:
                listens = self.socket.exists()
                time.sleep(0.02)
        finally:  # also when we are interrupted here
            if not listens:
                self.stop()
        return listens

    def stop(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(60)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()

    def log(self):
        return (self.home / "log").read_text(errors="replace")

    def sandbox_pids(self):
        """The processes in its sandboxes, by the ids that are its own."""
        found = []
        for status in pathlib.Path("/proc").glob("[0-9]*/status"):
            with contextlib.suppress(OSError, IndexError):
                uid = int(status.read_text().split("Uid:")[1].split()[1])
                if self.base <= uid < self.base + UID_SIZE:
                    found.append(int(status.parent.name))
        return found

    def pids(self):
        """Monitor and frontend."""
        monitor = self.process.pid
        return [monitor, *map(int, pathlib.Path(f"/proc/{monitor}/task/{monitor}/children").read_text().split()[:1])]


def wait_until(found, what, seconds=20):
    """What found() returns, once that is something."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        value = found()
        if value:
            return value
        time.sleep(0.05)
    raise Failed(f"{what} did not come within {seconds} s")


class Hold:
    """Jobs or programs that live and do nothing until this is closed."""

    def __init__(self, bench, contender, count):
        begin = time.monotonic()
        self.process = subprocess.Popen(
            [bench.client, "hold", bench.write([contender]), f"count={count}"], env={}, cwd="/",
            stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        line = self.process.stdout.readline().decode().split("\t")
        self.seconds = time.monotonic() - begin
        if line[0].strip() != "ready":
            self.close()
            raise Failed(f"{count} x {contender.name} could not be held")
        self.pids = [int(p) for p in line[1:]]

    def close(self):
        self.process.stdin.close()
        self.process.stdout.close()
        self.process.wait()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


class Bench:
    """One run: where things are, how thorough it is, and what has to be cleaned up."""

    def __init__(self, build, options):
        self.build = pathlib.Path(build).resolve()
        self.client = self.build / "tests/bench/bench-client"
        if not self.client.exists():
            raise Failed(f"no {self.client}: build it with make, or name the folder with --build")
        self.options = options
        self.quick = options.quick
        self.cleanup = contextlib.ExitStack()
        self.folder = pathlib.Path(self.cleanup.enter_context(tempfile.TemporaryDirectory(prefix="sandboxd-bench-")))
        self.folder.chmod(0o755)
        self.files = 0
        self.slot = os.getpid() * 8
        self.has_pool = self.knows_pool()

    def pick(self, full, quick):
        return quick if self.quick else full

    def knows_pool(self):
        """Whether the build parks sandboxes at all: one that does not refuses the section."""
        try:
            Daemon(self, "probe", {"Pool": {"Maximum": 0}}).stop()
        except Failed as e:
            if "[Pool]" in str(e):
                return False
            raise
        return True

    @property
    def rounds(self):
        return self.options.rounds or self.pick(200, 20)

    @property
    def warmup(self):
        return min(10, self.rounds)

    @property
    def pause_ms(self):
        """Before each sample: as long as a parked sandbox takes to be replaced, where there are any."""
        if self.options.pause is not None:
            return self.options.pause
        return 100 if self.has_pool else self.pick(20, 5)

    def next_uid_base(self):
        self.slot += 1
        return UID_FIRST + self.slot % UID_COUNT * UID_SIZE

    def say(self, text):
        print(text, flush=True)

    @contextlib.contextmanager
    def daemon(self, pool=True, settings=None, policy=None):
        """pool=False: one without parked sandboxes."""
        self.files += 1
        settings = dict(settings or {})
        if self.has_pool:
            settings["Pool"] = {"Maximum": 64 if pool else 0} | settings.get("Pool", {})
        d = Daemon(self, f"daemon-{self.files}", settings, policy)
        try:
            yield d
        finally:
            d.stop()

    def write(self, contenders):
        self.files += 1
        path = self.folder / f"contenders-{self.files}"
        path.write_text("".join(c.line() for c in contenders))
        return path

    def start_client(self, mode, contenders, **options):
        return subprocess.Popen([self.client, mode, self.write(contenders), *(f"{k}={v}" for k, v in options.items())],
                                env={}, cwd="/", stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                stderr=subprocess.PIPE)

    def run_client(self, mode, contenders, **options):
        """What bench-client printed, as figures.Samples by index, and the seconds that a load took."""
        with self.start_client(mode, contenders, **options) as process:
            out, err = process.communicate()
        if process.returncode != 0:
            why = err.decode(errors="replace").strip() or f"bench-client ended with {process.returncode}"
            raise Failed(why.splitlines()[-1])
        return figures.read(out.decode(errors="replace"), len(contenders))

    def usable(self, contenders):
        """Those that work here, tried once, and a sentence for each that does not."""
        good, left_out = [], []
        for c in contenders:
            why = c.missing()
            if not why:
                try:
                    samples = self.run_client("compare", [c], rounds=1)[0][0]
                    why = samples.why
                except Failed as e:
                    why = str(e)
            if why:
                left_out.append(f"{c.label}: {why}")
            else:
                good.append(c)
        return good, left_out

    def compare(self, contenders, rounds=None, pause_ms=None):
        """All of them side by side: {name: series}."""
        rounds = rounds or self.rounds
        samples, _ = self.run_client("compare", contenders, rounds=rounds, warmup=min(self.warmup, rounds),
                                     pause_ms=self.pause_ms if pause_ms is None else pause_ms)
        return {c.name: s.series(c) for c, s in zip(contenders, samples)}


@contextlib.contextmanager
def optional(wanted, make):
    """What make() gives while it is open, or None."""
    if not wanted:
        yield None
        return
    with make() as made:
        yield made
