# SPDX-License-Identifier: Apache-2.0
"""Plays org.sandboxd1 for the desktop example: `desktop_fake.py ADDRESS`. What Execute does is told by the code."""

import sys

from gi.repository import Gio, GLib

NAME, PATH = "org.sandboxd1", "/org/sandboxd1"
MANAGER, JOB = "org.sandboxd1.Manager", "org.sandboxd1.Job"
INTERFACES = Gio.DBusNodeInfo.new_for_xml("""<node>
 <interface name="org.sandboxd1.Manager">
  <method name="Execute"><arg type="s" direction="in"/><arg type="s" direction="in"/><arg type="a{sv}" direction="in"/>
   <arg type="a{sv}" direction="out"/></method>
  <method name="CancelJob"><arg type="s" direction="in"/></method>
  <method name="ListJobs"><arg type="a(susssto)" direction="out"/></method>
  <method name="ListRuntimes"><arg type="a(sss)" direction="out"/></method>
  <method name="Subscribe"/>
 </interface>
 <interface name="org.sandboxd1.Job">
  <property name="Runtime" type="s" access="read"/><property name="Label" type="s" access="read"/>
 </interface>
</node>""").interfaces
RUNTIMES = [("bash", "Bash 5", ""), ("python", "", ""), ("ruby", "Ruby", "its interpreter is missing")]
USAGE = GLib.Variant("a{sv}", {"wall_usec": GLib.Variant("t", 31000), "cpu_user_usec": GLib.Variant("t", 10000),
                               "cpu_system_usec": GLib.Variant("t", 2000),
                               "memory_peak_bytes": GLib.Variant("t", 3 << 20)})


def result(**fields):
    status = fields.pop("status", "OK")
    no = GLib.Variant("b", False)
    return GLib.Variant("(a{sv})", ({
        "status": GLib.Variant("s", status), "message": GLib.Variant("s", ""), "exit_code": GLib.Variant("i", 0),
        "usage": USAGE, "stdout_truncated": no, "stderr_truncated": no, **fields},))


class Fake:
    def __init__(self, connection):
        self.connection, self.jobs, self.last, self.subscribers = connection, {}, 0, set()
        connection.register_object(PATH, INTERFACES[0], self.on_call, None, None)

    def signal(self, name, *values):
        for subscriber in self.subscribers:
            self.connection.emit_signal(subscriber, PATH, MANAGER, name,
                                        GLib.Variant(f"(so{'s' * (len(values) - 2)})", values))

    def begin(self, language, invocation):
        self.last += 1
        job_id, path = f"{self.last:016x}", f"{PATH}/job/{self.last:016x}"
        properties = {"Runtime": language, "Label": f"run {self.last}"}
        registered = self.connection.register_object(
            path, INTERFACES[1], None, lambda c, sender, p, i, name: GLib.Variant("s", properties[name]), None)
        self.jobs[job_id] = (language, path, invocation, registered)
        self.signal("JobNew", job_id, path)

    def end(self, job_id, **fields):
        language, path, invocation, registered = self.jobs.pop(job_id)
        if invocation:
            invocation.return_value(result(**fields))
        self.connection.unregister_object(registered)
        self.signal("JobRemoved", job_id, path, fields.get("status", "OK"))

    def on_call(self, connection, sender, path, interface, method, args, invocation):
        getattr(self, method)(invocation, *args.unpack())

    def Subscribe(self, invocation):
        self.subscribers.add(invocation.get_sender())
        invocation.return_value(None)

    def ListRuntimes(self, invocation):
        invocation.return_value(GLib.Variant("(a(sss))", (RUNTIMES,)))

    def ListJobs(self, invocation):
        jobs = [(i, 0, language, "default", "running", 0, path) for i, (language, path, *_) in self.jobs.items()]
        invocation.return_value(GLib.Variant("(a(susssto))", (jobs,)))

    def CancelJob(self, invocation, job_id):
        if job_id not in self.jobs:
            return invocation.return_dbus_error("org.sandboxd1.Error.NoSuchJob", f"There is no job {job_id}.")
        self.end(job_id, status="CANCELLED", message=GLib.Variant("s", "somebody stopped it"))
        invocation.return_value(None)

    def Execute(self, invocation, language, code, options):
        if code == "deny":
            return invocation.return_dbus_error("org.freedesktop.DBus.Error.AccessDenied", "org.sandboxd1.run")
        if code == "refuse":
            return invocation.return_dbus_error("org.sandboxd1.Error.Draining", "No jobs are taken now: wait.")
        if code == "leave":
            sys.exit()
        self.begin(language, invocation)
        job_id = f"{self.last:016x}"
        if code == "raw":
            self.end(job_id, stdout_raw=GLib.Variant("ay", b"a\0\xff"), stdout_truncated=GLib.Variant("b", True),
                     return_value=GLib.Variant("a{sv}", {"text": GLib.Variant("s", "42")}))
        elif code != "wait":
            self.end(job_id, stdout=GLib.Variant("s", f"{language}: {code}\n"), stderr=GLib.Variant("s", "oh\n"))


def main():
    flags = Gio.DBusConnectionFlags.AUTHENTICATION_CLIENT | Gio.DBusConnectionFlags.MESSAGE_BUS_CONNECTION
    connection = Gio.DBusConnection.new_for_address_sync(sys.argv[1], flags)
    fake = Fake(connection)
    # A job that was there before anybody looked.
    fake.begin("bash", None)
    loop = GLib.MainLoop()
    Gio.bus_own_name_on_connection(connection, NAME, Gio.BusNameOwnerFlags.NONE,
                                   lambda *_: print("there", flush=True), lambda *_: loop.quit())
    loop.run()


main()
