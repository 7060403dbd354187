# SPDX-License-Identifier: Apache-2.0
"""Hosts with other cgroup hierarchies than this one, made by unmounting some of them in a mount
namespace of the daemon's own. The host's own layout is what every other test runs on."""

import pytest


def mounted(kind, controller=None):
    """Where a hierarchy is mounted, or None."""
    with open("/proc/self/mounts", encoding="ascii") as mounts:
        for line in mounts:
            _, point, fstype, options, *_ = line.split()
            if fstype == kind and (controller is None or controller in options.split(",")):
                return point
    return None


def without(*points):
    """A wrapper for the daemon: its own mount namespace, where these are not mounted."""
    script = "".join(f"umount {p} && " for p in points) + 'exec "$@"'
    return ["unshare", "--mount", "sh", "-c", script, "sh"]


@pytest.fixture
def v1(make_daemon):
    """A daemon that sees version 1 alone: no cgroup.kill, no cpu.stat of cgroup2."""
    if not mounted("cgroup", "memory"):
        pytest.skip("this host has no v1 hierarchies to be left with: see the system rung")
    unified = mounted("cgroup2")
    return make_daemon(wrapper=without(unified) if unified else ())


def test_v1_alone_runs_a_job(v1):
    r = v1.run("-l", "bash", "-c", "for i in $(seq 20000); do :; done; echo done")
    assert (r.status, r.stdout) == ("OK", "done\n"), r
    assert r.usage["cpu_user_usec"] + r.usage["cpu_system_usec"] > 0, "counted by cpuacct"
    assert r.usage["memory_peak_bytes"] > 0
    assert "(v1)" in v1.log()


@pytest.mark.parametrize("options, code, status", [
    (["-m", "32M", "-l", "python", "-c", "x = bytearray(100 << 20)"], 137, "MEMORY_LIMIT"),
    (["-t", "500ms", "-l", "bash", "-c", "(setsid sleep 60 &); sleep 60"], 124, "TIMEOUT"),
    (["--cpu-time", "300ms", "-l", "bash", "-c", "while :; do :; done"], 152, "CPU_LIMIT"),
])
def test_v1_alone_ends_jobs(v1, options, code, status):
    """Killing goes through the pid namespace's init, which takes everything with it."""
    r = v1.run(*options)
    assert (r.rc, r.status) == (code, status), r


def test_v1_alone_refuses_processes(v1):
    r = v1.run("--pids", "4", "-l", "bash", "-c", "for i in 1 2 3 4 5 6; do sleep 5 & done; echo no")
    assert r.pids_limit_hit, r


@pytest.mark.parametrize("controller", ["memory", "cpu", "pids"])
def test_missing_controller_is_an_error(make_daemon, controller):
    """Named in the result, and nothing has run; with AllowMissing= jobs run without it, also from a reload
    on."""
    point = mounted("cgroup", controller)
    if not point:
        pytest.skip(f"{controller} is no v1 controller on this host, and cannot be taken away alone")
    strict = make_daemon(wrapper=without(point))
    r = strict.run("--", "true")
    assert (r.rc, r.status, r.step) == (125, "SETUP_ERROR", "limits"), r
    assert controller in r.message and "AllowMissing=" in r.message, r
    assert f"no {controller} controller" in strict.log()

    lenient = make_daemon(wrapper=without(point), settings={"Cgroup": {"AllowMissing": controller}})
    assert lenient.run("--", "true").status == "OK"
    assert controller.encode() in lenient.ctl_run("doctor").stdout

    strict.settings["Cgroup"] = {"AllowMissing": controller}
    strict.write_config()
    assert strict.reload().startswith("reloaded")
    assert strict.run("--", "true").status == "OK"
    assert controller.encode() in strict.ctl_run("doctor").stdout
