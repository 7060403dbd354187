#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Sandbox Snippets: runs what is selected in a text, or all of it, in a sandbox, and shows what came of it.

An example of org.sandboxd1(5). Needs python3-gi and gir1.2-gtk-3.0. No call waits: a slow job, or a question for a
password, leaves the window alive."""

import argparse
import sys
import time

import gi
gi.require_version("Gdk", "3.0")
gi.require_version("Gtk", "3.0")
from gi.repository import Gdk, Gio, GLib, Gtk, Pango  # noqa: E402

NAME, PATH = "org.sandboxd1", "/org/sandboxd1"
MANAGER, JOB, PROPERTIES = "org.sandboxd1.Manager", "org.sandboxd1.Job", "org.freedesktop.DBus.Properties"
NO_TIMEOUT = GLib.MAXINT

GONE = "The sandbox service is not there: ask the administrator of this computer to start sandboxd-bus.service."
LEFT = "The sandbox service went away before it answered: try again."
NO_BUS = "The connection to D-Bus has ended: start this program again."
DENIED = "You may not do this: ask the administrator of this computer, or log in at it."
# Of org.freedesktop.DBus.Error.*. What org.sandboxd1.Error.* say is a sentence already.
SENTENCES = {"ServiceUnknown": GONE, "NameHasNoOwner": GONE, "Spawn.ServiceNotFound": GONE,
             "NoReply": LEFT, "Disconnected": LEFT, "AccessDenied": DENIED}


def sentence(error):
    """A GLib.Error for somebody who wants to run a snippet."""
    name = Gio.DBusError.get_remote_error(error)
    if name is None:
        return LEFT if error.matches(Gio.io_error_quark(), Gio.IOErrorEnum.CLOSED) else error.message
    said = error.message.removeprefix(f"GDBus.Error:{name}: ")
    return SENTENCES.get(name.removeprefix("org.freedesktop.DBus.Error."), said)


def text_of(result, stream):
    """Output that is not text comes as bytes."""
    value = result.lookup_value(stream, GLib.VariantType("s"))
    if value is not None:
        return value.get_string()
    raw = result.lookup_value(f"{stream}_raw", GLib.VariantType("ay"))
    data = raw.get_data_as_bytes().get_data() or b"" if raw is not None else b""
    return data.decode(errors="replace").replace("\0", "\N{SYMBOL FOR NULL}")


def summary(result):
    """One line: how it ended, and what it took."""
    keys = ("status", "message", "exit_code", "usage")
    status, message, code, usage = (result.lookup_value(key, None).unpack() for key in keys)
    cpu = usage["cpu_user_usec"] + usage["cpu_system_usec"]
    return " · ".join([f"{status}: {message or f'exited with code {code}'}",
                       f"{usage['wall_usec'] / 1000:.0f} ms", f"CPU {cpu / 1000:.0f} ms",
                       f"{usage['memory_peak_bytes'] / 2**20:.1f} MiB"])


class Service:
    """org.sandboxd1 on a connection. Whoever calls gives on_done(value, sentence), one of which is None."""

    def __init__(self, connection, on_there, on_gone, on_signal):
        self.connection = connection
        # Signals come to those who subscribed, and only about jobs that they may see.
        connection.signal_subscribe(NAME, MANAGER, None, PATH, None, Gio.DBusSignalFlags.NONE,
                                    lambda c, sender, path, interface, name, args: on_signal(name, *args.unpack()))
        # Starts the service when it is not there.
        Gio.bus_watch_name_on_connection(connection, NAME, Gio.BusNameWatcherFlags.AUTO_START,
                                         lambda *_: on_there(), lambda *_: on_gone())

    def call(self, member, arguments=None, on_done=lambda value, why: None, path=PATH, interface=MANAGER):
        def finish(connection, answer):
            try:
                value = connection.call_finish(answer)
            except GLib.Error as error:
                on_done(None, sentence(error))
            else:
                on_done(value, None)
        # The flag lets polkit ask for a password.
        self.connection.call(NAME, path, interface, member, arguments, None,
                             Gio.DBusCallFlags.ALLOW_INTERACTIVE_AUTHORIZATION, NO_TIMEOUT, None, finish)

    def execute(self, language, code, on_done):
        options = {"label": GLib.Variant("s", "sandbox-snippets")}
        self.call("Execute", GLib.Variant("(ssa{sv})", (language, code, options)), on_done)


def table(*titles):
    """A list with a hidden column in front, for what a row stands for."""
    store = Gtk.ListStore(object, *[str] * len(titles))
    view = Gtk.TreeView(model=store)
    for i, title in enumerate(titles, 1):
        renderer = Gtk.CellRendererText(ellipsize=Pango.EllipsizeMode.END if i == len(titles) else 0)
        view.append_column(Gtk.TreeViewColumn(title, renderer, text=i))
    return store, view


def scrolled(widget, title):
    return Gtk.Frame(label=title, child=Gtk.ScrolledWindow(child=widget, expand=True))


class Window(Gtk.Window):
    def __init__(self, connection):
        super().__init__(title="Sandbox Snippets", default_width=960, default_height=640)
        self.running = False
        self.build()
        self.service = Service(connection, self.on_there, self.on_gone, self.on_signal)
        connection.connect("closed", lambda *_: self.on_gone(NO_BUS))

    # --- what is seen

    def build(self):
        self.bar = Gtk.InfoBar(message_type=Gtk.MessageType.ERROR, no_show_all=True, show_close_button=True)
        self.problem = Gtk.Label(wrap=True, visible=True, selectable=True)
        self.bar.get_content_area().add(self.problem)
        self.bar.connect("response", lambda *_: self.say(None))

        self.language = Gtk.ComboBoxText()
        self.run_button = Gtk.Button(label="_Run", use_underline=True, sensitive=False,
                                     tooltip_text="Run what is selected, or all (Ctrl+Return)")
        self.run_button.connect("clicked", lambda _: self.run())
        self.add_accel_group(keys := Gtk.AccelGroup())
        self.run_button.add_accelerator("clicked", keys, Gdk.KEY_Return, Gdk.ModifierType.CONTROL_MASK, 0)
        self.stop_button = Gtk.Button(label="_Stop job", use_underline=True, sensitive=False,
                                      tooltip_text="Stop the job that is selected under \"Running now\"")
        self.stop_button.connect("clicked", lambda _: self.stop())
        self.status = Gtk.Label(xalign=0, selectable=True, ellipsize=Pango.EllipsizeMode.END)
        top = Gtk.Box(spacing=6)
        for widget in (self.language, self.run_button, self.stop_button):
            top.pack_start(widget, False, False, 0)
        top.pack_start(self.status, True, True, 0)

        code_view = Gtk.TextView(monospace=True, accepts_tab=True)
        self.code = code_view.get_buffer()
        self.code.set_text("print(6 * 7)\n")
        result_view = Gtk.TextView(monospace=True, editable=False, wrap_mode=Gtk.WrapMode.WORD_CHAR)
        self.result = result_view.get_buffer()
        self.result.create_tag("stderr", foreground="#b00020")
        self.result.create_tag("note", style=Pango.Style.ITALIC)
        left = Gtk.Paned(orientation=Gtk.Orientation.VERTICAL, position=280)
        left.pack1(scrolled(code_view, "Snippet"), True, False)
        left.pack2(scrolled(result_view, "Result"), True, False)

        self.live, live_view = table("Job", "Language", "Label")
        self.selected_job = live_view.get_selection()
        self.selected_job.connect("changed", lambda s: self.stop_button.set_sensitive(bool(s.get_selected()[1])))
        self.history, self.history_view = table("At", "Status", "Snippet")
        self.history_view.connect("row-activated", lambda view, row, _: self.show_run(*self.history[row][0]))
        right = Gtk.Paned(orientation=Gtk.Orientation.VERTICAL, position=280)
        right.pack1(scrolled(live_view, "Running now"), True, False)
        right.pack2(scrolled(self.history_view, "Earlier runs"), True, False)
        middle = Gtk.Paned(position=600)
        middle.pack1(left, True, False)
        middle.pack2(right, True, False)
        self.add(everything := Gtk.Box(orientation=Gtk.Orientation.VERTICAL, spacing=6, margin=6))
        for widget in (self.bar, top, middle):
            everything.pack_start(widget, widget is middle, True, 0)

    def say(self, problem):
        self.problem.set_text(problem or "")
        self.bar.set_visible(bool(problem))

    def update(self):
        self.run_button.set_sensitive(not self.running and self.language.get_active() >= 0)

    def show_run(self, language, code, result):
        self.language.set_active_id(language)
        self.code.set_text(code)
        self.show_result(result)

    def show_result(self, result):
        self.status.set_text(summary(result))
        self.result.set_text("")
        for stream, tags in (("stdout", []), ("stderr", ["stderr"])):
            self.append(text_of(result, stream), *tags)
            if result.lookup_value(f"{stream}_truncated", None).get_boolean():
                self.append(f"[{stream} was longer than this]\n", "note")
        value = result.lookup_value("return_value", None)
        if value is not None:
            self.append(f"→ {text_of(value, 'text')}\n", "note")

    def append(self, text, *tags):
        self.result.insert_with_tags_by_name(self.result.get_end_iter(), text, *tags)

    # --- what the service says

    def on_there(self):
        """Also when it comes back, and knows nothing of us."""
        self.say(None)
        self.service.call("Subscribe", None, self.on_subscribed)
        self.service.call("ListRuntimes", None, self.on_runtimes)

    def on_gone(self, why=GONE):
        self.live.clear()
        self.language.remove_all()
        self.update()
        self.say(why)

    def on_runtimes(self, value, why):
        if why:
            return self.say(why)
        chosen = self.language.get_active_id() or "python"
        self.language.remove_all()
        for name, description, unavailable in value.unpack()[0]:
            if not unavailable:
                self.language.append(name, description or name)
        if not self.language.set_active_id(chosen):
            self.language.set_active(0)
        self.update()

    def on_subscribed(self, value, why):
        """Only now, so that no job is missed between the list and the first signal."""
        if why:
            return self.say(why)
        self.live.clear()
        self.service.call("ListJobs", None, self.on_jobs)

    def on_jobs(self, value, why):
        if why:
            return self.say(why)
        for job_id, uid, runtime, profile, state, started, path in value.unpack()[0]:
            self.add_job(job_id, path, runtime)

    def on_signal(self, name, job_id, path, status=None):
        if name == "JobNew":
            self.add_job(job_id, path, "")
        elif name == "JobRemoved":
            self.remove_job(job_id)

    def add_job(self, job_id, path, runtime):
        self.remove_job(job_id)
        self.live.append([job_id, job_id, runtime, ""])
        self.service.call("GetAll", GLib.Variant("(s)", (JOB,)), lambda value, why: self.on_properties(job_id, value),
                          path, PROPERTIES)

    def on_properties(self, job_id, value):
        """None when it has ended meanwhile."""
        for row in self.live:
            if value and row[0] == job_id:
                row[2], row[3] = (value.unpack()[0].get(name, "") for name in ("Runtime", "Label"))

    def remove_job(self, job_id):
        for row in self.live:
            if row[0] == job_id:
                return self.live.remove(row.iter)

    # --- what the user does

    def run(self):
        """What is selected, or all."""
        language = self.language.get_active_id()
        start, end = self.code.get_selection_bounds() or self.code.get_bounds()
        code, at = self.code.get_text(start, end, True), time.strftime("%H:%M:%S")
        self.running = True
        self.update()
        self.say(None)
        self.status.set_text("Running…")
        self.service.execute(language, code, lambda value, why: self.on_result(language, code, at, value, why))

    def on_result(self, language, code, at, value, why):
        self.running = False
        self.update()
        if why:
            self.status.set_text("")
            return self.say(why)
        result = value.get_child_value(0)
        self.show_result(result)
        self.history.prepend([(language, code, result), at, result.lookup_value("status", None).unpack(),
                              code.strip().partition("\n")[0]])

    def stop(self):
        jobs, row = self.selected_job.get_selected()
        if row:
            self.service.call("CancelJob", GLib.Variant("(s)", (jobs[row][0],)), lambda value, why: self.say(why))


def connect(address):
    if not address:
        return Gio.bus_get_sync(Gio.BusType.SYSTEM)
    flags = Gio.DBusConnectionFlags.AUTHENTICATION_CLIENT | Gio.DBusConnectionFlags.MESSAGE_BUS_CONNECTION
    return Gio.DBusConnection.new_for_address_sync(address, flags)


def main():
    parser = argparse.ArgumentParser(description="Runs snippets of code in a sandbox.")
    parser.add_argument("--bus", metavar="ADDRESS", help="the D-Bus address (default: the system bus)")
    try:
        connection = connect(parser.parse_args().bus)
    except GLib.Error as error:
        sys.exit(f"sandbox-snippets: there is no D-Bus: {error.message}")
    connection.set_exit_on_close(False)
    window = Window(connection)
    window.connect("destroy", Gtk.main_quit)
    window.show_all()
    Gtk.main()


if __name__ == "__main__":
    main()
