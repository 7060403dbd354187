# SPDX-License-Identifier: Apache-2.0
"""Colours of sandboxctl: on a terminal that has them, and nowhere else."""

import os
import pty
import subprocess

import pytest

COMMANDS = [["run", "--", "no-such-program"], ["doctor"]]


def on_terminal(daemon, args, streams=("stdout", "stderr"), **environment):
    """What sandboxctl writes to a pty that is its `streams`, and to a pipe that is the others."""
    ours, theirs = pty.openpty()
    others = {s: subprocess.PIPE for s in ("stdout", "stderr") if s not in streams}
    with subprocess.Popen([daemon.ctl, *args], stdin=subprocess.DEVNULL, **dict.fromkeys(streams, theirs),
                          **others, cwd="/", env={"PATH": "/usr/bin:/bin", "TERM": "xterm",
                                                  "SANDBOXD_SOCKET": str(daemon.socket)} | environment) as p:
        os.close(theirs)
        shown = b""
        try:
            while data := os.read(ours, 65536):
                shown += data
        except OSError:
            pass  # EIO: nobody holds the other side any more
        os.close(ours)
        out, err = p.communicate(timeout=30)
    return shown, (out or b"") + (err or b"")


@pytest.mark.parametrize("args", COMMANDS, ids=lambda args: args[0])
def test_colour_on_a_terminal(daemon, args):
    shown, _ = on_terminal(daemon, args)
    assert b"\x1b[" in shown, shown


@pytest.mark.parametrize("args", COMMANDS, ids=lambda args: args[0])
def test_no_colour_on_a_pipe(daemon, args):
    """Though TERM names a terminal that has them."""
    r = daemon.ctl_run(*args, env={"TERM": "xterm"})
    assert r.stdout + r.stderr and b"\x1b" not in r.stdout + r.stderr


@pytest.mark.parametrize("environment", [{"NO_COLOR": "1"}, {"TERM": "dumb"}, {"TERM": ""}],
                         ids=["NO_COLOR", "dumb", "unknown"])
def test_no_colour_where_it_is_not_wanted(daemon, environment):
    shown, _ = on_terminal(daemon, ["doctor"], **environment)
    assert shown and b"\x1b" not in shown, shown


def test_each_stream_is_asked_for_itself(daemon):
    """stderr is a terminal, stdout is not: what goes to stdout stays plain."""
    _, piped = on_terminal(daemon, ["doctor"], streams=["stderr"])
    assert piped and b"\x1b" not in piped, piped
