# SPDX-License-Identifier: Apache-2.0
"""The desktop example: what its window shows of what the service says, with one that is played, and with
sandboxd-bus itself."""

import importlib.util
import shutil
import subprocess

import pytest

from lib.daemon import SOURCE
from lib.desktop import PYTHON, FakeService, PlainBus, Program, Screen

GONE, DENIED = "sandboxd-bus.service", "You may not do this"


@pytest.fixture(scope="module")
def screen():
    missing = [program for program in ("Xvfb", "dbus-daemon") if not shutil.which(program)]
    probe = "import gi; gi.require_version('Gtk', '3.0'); from gi.repository import Gtk"
    if missing or subprocess.run([PYTHON, "-c", probe], capture_output=True).returncode != 0:
        pytest.fail("needs python3-gi, gir1.2-gtk-3.0, xvfb and dbus-daemon: run 'scripts/deps test'")
    s = Screen()
    yield s
    s.stop()


@pytest.fixture
def plain_bus():
    bus = PlainBus()
    yield bus
    bus.stop()


@pytest.fixture
def open_program(screen, tmp_path):
    """open_program(address) shows the window; it must close well."""
    programs = []

    def make(address, **ids):
        programs.append(Program(screen, address, tmp_path, **ids))
        return programs[-1]
    yield make
    for p in programs:
        p.stop()


@pytest.fixture
def fake(plain_bus):
    services = []

    def make():
        services.append(FakeService(plain_bus.address))
        return services[-1]
    yield make
    for s in services:
        s.stop()


@pytest.fixture
def window(plain_bus, fake, open_program):
    fake()
    return open_program(plain_bus.address)


def test_shape():
    """An example is read: it stays short, and its .desktop file runs it."""
    folder = SOURCE / "client/desktop"
    assert len((folder / "sandbox-snippets.py").read_text().splitlines()) < 300
    entry = (folder / "sandbox-snippets.desktop").read_text()
    assert entry.startswith("[Desktop Entry]\n") and "examples/desktop/sandbox-snippets.py\n" in entry


def test_run(window):
    """The languages that are there, all of the text or what is selected, and what came of it."""
    seen = window.wait(lambda w: w["can_run"])
    assert seen["languages"] == ["bash", "python"] and seen["language"] == "python"
    seen = window.run("first\nsecond")
    assert (seen["result"], seen["red"]) == ("python: first\nsecond\noh\n", "oh\n")
    assert seen["status"] == "OK: exited with code 0 · 31 ms · CPU 12 ms · 3.0 MiB"
    seen = window.run("first\nsecond", select=[6, 12], language="bash")
    assert seen["result"] == "bash: second\noh\n" and seen["code"] == "first\nsecond"
    assert seen["history"] == [["OK", "second"], ["OK", "first"]]


def test_history(window):
    """A run of before comes back with its code, language and result."""
    window.run("one", language="bash")
    window.run("two", language="python")
    seen = window.do("recall", row=1)
    assert (seen["code"], seen["language"], seen["result"]) == ("one", "bash", "bash: one\noh\n")


def test_no_text(window):
    """Bytes that are no text are shown as well as can be, and what is missing is said."""
    assert window.run("raw")["result"] == "a\N{SYMBOL FOR NULL}\N{REPLACEMENT CHARACTER}[stdout was longer than this]\n→ 42\n"


def test_live(window):
    """Jobs that were there before, that come, and that go; one can be stopped."""
    seen = window.wait(lambda w: [row[1:] for row in w["live"]] == [["bash", "run 1"]])
    assert not seen["can_stop"]
    window.wait(lambda w: w["can_run"])
    window.do("run", code="wait")
    seen = window.wait(lambda w: [row[1:] for row in w["live"]] == [["bash", "run 1"], ["python", "run 2"]])
    assert seen["status"] == "Running…" and not seen["can_run"]
    assert window.do("stop", row=1)["can_stop"]
    # The answer and the signal come in either order.
    seen = window.wait(lambda w: w["can_run"] and len(w["live"]) == 1)
    assert seen["status"].startswith("CANCELLED: somebody stopped it")


@pytest.mark.parametrize("code, words", [("deny", DENIED), ("refuse", "No jobs are taken now: wait."),
                                         ("leave", "the sandbox service")])
def test_errors(window, code, words):
    seen = window.run(code)
    assert words.lower() in seen["problem"].lower(), seen
    for word in ("org.", "GDBus", "Error"):
        assert word not in seen["problem"]
    assert seen["history"] == [] and seen["status"] in ("", "Running…")


def test_service_comes_and_goes(plain_bus, fake, open_program):
    """Without a service the window says so; when it comes all is as if it had been there, and again."""
    p = open_program(plain_bus.address)
    for _ in range(2):
        seen = p.wait(lambda w: GONE in w["problem"])
        assert not seen["can_run"] and seen["live"] == []
        service = fake()
        p.wait(lambda w: w["can_run"] and not w["problem"] and len(w["live"]) == 1)
        assert p.run("x")["result"] == "python: x\noh\n"
        service.stop()


def test_bus_ends(plain_bus, fake, open_program):
    fake()
    p = open_program(plain_bus.address)
    p.wait(lambda w: w["can_run"])
    plain_bus.stop()
    assert not p.wait(lambda w: "start this program again" in w["problem"])["can_run"]


def test_no_bus(tmp_path):
    """No traceback, but a sentence."""
    p = subprocess.run([PYTHON, SOURCE / "client/desktop/sandbox-snippets.py", "--bus", f"unix:path={tmp_path}/none"],
                       capture_output=True, text=True, timeout=60)
    assert p.returncode == 1 and p.stderr.startswith("sandbox-snippets: there is no D-Bus: "), p.stderr


# --- with the service itself

@pytest.fixture
def real(request, build):
    if not (build / "sandboxd-bus").exists() or not importlib.util.find_spec("lib.bus"):
        pytest.skip("there is no sandboxd-bus in this build")
    return request.getfixturevalue("bus")


def test_real_run(real, open_program):
    p = open_program(real.bus.address)
    assert p.wait(lambda w: w["can_run"])["language"] == "python"
    seen = p.run("import sys\nprint(6 * 7)\nprint('no', file=sys.stderr)")
    assert seen["result"].startswith("42\nno\n") and seen["red"] == "no\n" and "exited with code 0" in seen["status"]
    seen = p.run("exit 3", language="bash")
    assert "exited with code 3" in seen["status"] and len(seen["history"]) == 2


def test_real_stop(real, open_program):
    p = open_program(real.bus.address)
    p.wait(lambda w: w["can_run"])
    p.do("run", code="sleep 100", language="bash")
    p.wait(lambda w: [row[1:] for row in w["live"]] == [["bash", "sandbox-snippets"]])
    p.do("stop", row=0)
    seen = p.wait(lambda w: w["can_run"] and not w["live"])
    assert seen["status"].startswith("CANCELLED")


def test_real_denied(real, open_program):
    """polkit says no; nothing has run."""
    real.polkit.rules = {}
    p = open_program(real.bus.address, user="games", group="games", extra_groups=[])
    assert DENIED in p.run("print(1)")["problem"]
