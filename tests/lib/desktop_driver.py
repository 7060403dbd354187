# SPDX-License-Identifier: Apache-2.0
"""Runs the desktop example, and uses its window: `desktop_driver.py PROGRAM ARGUMENTS`. A line of JSON on stdin is
something to do, the line on stdout is what the window shows then. At the end of stdin the window is closed."""

import importlib.util
import json
import sys

import gi
gi.require_version("Gtk", "3.0")
from gi.repository import GLib, Gtk  # noqa: E402


def text(buffer):
    return buffer.get_text(*buffer.get_bounds(), True)


def shown(window):
    buffer = window.result
    red = buffer.get_tag_table().lookup("stderr")
    start = buffer.get_start_iter()
    in_red = ""
    while not start.is_end():
        end = start.copy()
        end.forward_char()
        if start.has_tag(red):
            in_red += buffer.get_text(start, end, True)
        start = end
    return {
        "problem": window.problem.get_text() if window.bar.get_visible() else "",
        "status": window.status.get_text(), "code": text(window.code), "result": text(buffer), "red": in_red,
        "languages": [row[1] for row in window.language.get_model()], "language": window.language.get_active_id(),
        "can_run": window.run_button.get_sensitive(), "can_stop": window.stop_button.get_sensitive(),
        "live": [row[1:] for row in map(list, window.live)], "history": [row[2:] for row in map(list, window.history)],
    }


def run(window, code, select=None, language=None):
    window.code.set_text(code)
    if select:
        window.code.select_range(*map(window.code.get_iter_at_offset, select))
    if language:
        window.language.set_active_id(language)
    window.run_button.clicked()


def stop(window, row):
    window.selected_job.select_path(Gtk.TreePath(row))
    window.stop_button.clicked()


def recall(window, row):
    window.history_view.row_activated(Gtk.TreePath(row), window.history_view.get_column(0))


ACTIONS = {"look": lambda window: None, "run": run, "stop": stop, "recall": recall}


def on_line(channel, condition, window):
    line = sys.stdin.readline()
    if not line:
        window.destroy()
        return False
    command = json.loads(line)
    ACTIONS[command.pop("do")](window, **command)
    print(json.dumps(shown(window)), flush=True)
    return True


def main():
    sys.argv = sys.argv[1:]
    spec = importlib.util.spec_from_file_location("sandbox_snippets", sys.argv[0])
    program = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(program)

    class Window(program.Window):
        def __init__(self, *args):
            super().__init__(*args)
            GLib.io_add_watch(0, GLib.PRIORITY_LOW, GLib.IO_IN | GLib.IO_HUP, on_line, self)

    program.Window = Window
    program.main()


main()
