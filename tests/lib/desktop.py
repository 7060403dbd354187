# SPDX-License-Identifier: Apache-2.0
"""The desktop example in a window of its own: a screen that nobody sees, the program, and somebody who uses it."""

import json
import os
import subprocess
from pathlib import Path

from . import host
from .daemon import SOURCE

HERE = Path(__file__).resolve().parent
PYTHON = "/usr/bin/python3"


class PlainBus:
    """A bus on which anybody may have any name."""

    def __init__(self):
        self.process = subprocess.Popen(
            ["dbus-daemon", "--session", "--nofork", "--nopidfile", "--print-address"],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        self.address = self.process.stdout.readline().strip()
        assert self.address, "dbus-daemon did not start"

    def stop(self):
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()


class FakeService:
    """org.sandboxd1 as lib/desktop_fake.py plays it."""

    def __init__(self, address):
        self.process = subprocess.Popen([PYTHON, HERE / "desktop_fake.py", address], stdin=subprocess.DEVNULL,
                                        stdout=subprocess.PIPE, text=True)
        assert self.process.stdout.readline() == "there\n"

    def stop(self):
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()


class Screen:
    """An X server without a screen."""

    def __init__(self):
        told, tell = os.pipe()
        self.process = subprocess.Popen(["Xvfb", "-displayfd", str(tell), "-screen", "0", "1024x768x24", "-nolisten",
                                         "tcp"], pass_fds=[tell], stdin=subprocess.DEVNULL,
                                        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        os.close(tell)
        with open(told) as f:
            self.display = f":{f.readline().strip()}"
        assert self.display != ":", "Xvfb did not start"

    def stop(self):
        self.process.terminate()
        self.process.wait()


class Program:
    """The example, and what lib/desktop_driver.py does in it for us."""

    def __init__(self, screen, address, folder, **ids):
        environment = {"DISPLAY": screen.display, "PATH": "/usr/bin:/bin", "HOME": str(folder), "LANG": "C.UTF-8",
                       "GTK_A11Y": "none", "NO_AT_BRIDGE": "1", "GSETTINGS_BACKEND": "memory",
                       "PYTHONDONTWRITEBYTECODE": "1"}
        self.log = folder / "program.log"
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(
                [PYTHON, HERE / "desktop_driver.py", SOURCE / "client/desktop/sandbox-snippets.py", "--bus", address],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True, env=environment, cwd="/", **ids)

    def do(self, what="look", **more):
        """Does one thing; gives what the window shows then."""
        self.process.stdin.write(json.dumps({"do": what, **more}) + "\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        assert line, f"the program has ended:\n{self.log.read_text()}"
        return json.loads(line)

    def wait(self, condition, seconds=20):
        """Until what the window shows meets the condition; gives it."""
        seen = {}

        def met():
            seen.clear()
            seen.update(self.do())
            return condition(seen)
        assert host.wait_until(met, seconds), f"it shows {seen}\n{self.log.read_text()}"
        return seen

    def run(self, code, **more):
        """Runs a snippet to its end."""
        self.wait(lambda w: w["can_run"])
        assert not self.do("run", code=code, **more)["can_run"]
        return self.wait(lambda w: w["can_run"] or w["problem"])

    def stop(self):
        """It closes well, and has complained of nothing."""
        self.process.stdin.close()
        code = self.process.wait(20)
        assert code == 0, f"the program ended with {code}:\n{self.log.read_text()}"
        for word in ("Traceback", "CRITICAL", "WARNING"):
            assert word not in self.log.read_text(), self.log.read_text()
