# SPDX-License-Identifier: Apache-2.0
"""Fixtures of the system tests, which run as root in a machine that `make check-system` boots. They use
the installed sandboxd and leave it as they found it: listening, its unit not failed, and without a job."""

import shutil
from pathlib import Path

import pytest

from lib import host, jobs, machine
from lib.daemon import Daemon

HERE = Path(__file__).resolve().parent
CONFIG = Path("/etc/sandboxd/sandboxd.conf.d/test.conf")
NO_POOL = Path("/etc/sandboxd/sandboxd.conf.d/10-no-pool.conf")


NO_INT80 = "user-mode-linux takes int 0x80 of a 64-bit program for a 64-bit call; its filter sees one too"
VOLUME = "it takes many jobs to see what chance brings, and has them sooner elsewhere"
SLOW_NODE = "node takes as long to start in user-mode-linux as the time limit of this test"
SAME_THERE = "it waits for most of a minute, for what is PID 1's in every world"
NODE_18 = "there the names of a stream's events keep `error' once something was written"
NO_READELF = "it reads a file that was built, with readelf"

# Tests of other rungs run in these machines for their cgroups, without these. All else must pass there.
NOT_FOR_UML = {
    "test_attack_syscalls.py::test_22_foreign_abis[default-int80]": NO_INT80,
    "test_attack_syscalls.py::test_22_foreign_abis[strict-int80]": NO_INT80,
    "test_status.py::test_timeout_keeps_output[javascript-": SLOW_NODE,
    "test_attack_exhaustion.py::test_29_fork_bomb[javascript-": SLOW_NODE,
    "test_attack_neighbours.py::test_43_kernel_uids_are_never_shared": VOLUME,
    "test_attack_neighbours.py::test_44_randomness": VOLUME,
    "test_lifecycle.py::test_hundreds_of_jobs_on_one_connection": VOLUME,
    "test_lifecycle.py::test_ids_of_jobs_differ": VOLUME,
    "test_faults.py::test_shutdown_with_jobs": SAME_THERE,
    "test_faults.py::test_answers_are_lost": SAME_THERE,
    "test_lifecycle.py::test_new_jobs_wait_for_the_tear_down": "no hundred jobs end there within two seconds",
    "test_socket.py::test_no_client_is_lost": VOLUME,
    "test_limits.py::test_inodes": "it fills file systems, which have nothing to do with cgroups, and takes minutes",
    "test_lifecycle.py::test_init_is_static": NO_READELF,
    "test_faults.py::test_monitor_hangs": SAME_THERE,
    "test_boot.py::test_machine_in_the_machine": SAME_THERE,
    "test_stop.py::test_with_scopes_on_their_way[restart]": SAME_THERE,
    "test_faults.py::test_stalled_while_one_is_parked": SAME_THERE,
}
NOT_FOR_CONTAINER = {
    "test_faults.py::test_controller_is_not_delegated": "DisableControllers= means something on cgroup2 alone",
    "test_lifecycle.py::test_init_is_static": NO_READELF,
    "test_launchers_parked.py::test_javascript[streams]": NODE_18,
}
NOT_FOR = {"uml": NOT_FOR_UML, "container": NOT_FOR_CONTAINER}
# What cgroup2, or an older kernel, may decide: user-mode-linux has no time for all of these files, the rest of which is
# about systemd, the journal and the bus, and runs in the container.
SOME_FOR_UML = {
    "test_examples.py": ("script_over_its_limit",),
    "test_bus_members.py": ("members", "methods", "properties", "execute", "signals", "job_in_a_scope",
                            "killed_in_the_middle", "it_goes_when_idle"),
    "test_bus_unit.py": ("a_call_starts_it", "it_has_no_privilege", "what_it_may_use", "fds_of_a_user"),
    "test_journald.py": ("life_of_a_job",),
    "test_users.py": ("denied_user", "system_user_of_a_service"),
    "test_socket.py": ("connection_alone_starts_it", "running_job_keeps_it_up", "systemd_socket_activate"),
    "test_service_reload.py": ("new_limit", "reload_under_load", "jobs_outlast"),
    "test_watchdog.py": (),
    "test_units.py": ("monitor_", "limits_of", "jobs_notice", "slice", "restart_of", "stopped_socket"),
    "test_status.py": ("ok", "exited[42]", "signaled[9]", "timeout", "cpu_limit", "memory_limit", "violation", "cancel_",
                       "cancelled_ten", "sigkill_of", "what_runs_on", "a_step_that_fails"),
    "test_pool.py": ("the_second_job_is_warm[python]", "the_second_job_is_warm[bash]", "users_do_not_share",
                     "idle_ones_are_given_back", "they_wait_at_idle_priority_and_within_limits",
                     "limits_hold[--MEMORY_LIMIT]", "limits_hold[--TIMEOUT]", "limits_hold[--CPU_LIMIT]",
                     "limit_of_processes", "usage_is_the_job_s", "meminfo_shows_the_job_s_memory",
                     "one_that_is_killed[init]", "nothing_is_left_after_a_stop", "a_command_finds_its_sandbox_made",
                     "a_command_uses_what_it_uses"),
    "test_attack_pool.py": ("42_a_marker_is_not_found", "24_posture_is_that_of_any_job[default]",
                            "what_waits_has_no_privilege", "what_waits_for_a_command_has_no_privilege"),
    "test_parked.py": ("scope", "systemd_leaves_it_alone", "stop_with_a_job[scope]", "end_without_a_job[scope]",
                       "stop_with_a_command", "stop_of_the_service", "kill_of_the_daemon[main]"),
}


def not_for_this_world(item):
    file, test = item.path.name, item.nodeid.split("::", 1)[1]
    name = f"{file}::{test}"
    if machine.WORLD == "uml" and file in SOME_FOR_UML:
        return not test.removeprefix("test_").startswith(SOME_FOR_UML[file])
    return any(name.startswith(prefix) for prefix in NOT_FOR.get(machine.WORLD, ()))


def pytest_collection_modifyitems(config, items):
    """Outside such a machine there is nothing to test here."""
    out = [item for item in items if not_for_this_world(item)]
    config.hook.pytest_deselected(items=out)
    items[:] = [item for item in items if item not in out]
    if machine.WORLD:
        return
    for item in items:
        if item.path.is_relative_to(HERE):
            item.add_marker(pytest.mark.skip(reason="runs in the machine that `make check-system` boots"))


@pytest.fixture(scope="session", autouse=True)
def no_other_scopes():
    """The daemon of the rungs before, which run in the same session, is the one that makes scopes."""
    for d in list(Daemon.with_scopes):
        d.stop()


@pytest.fixture
def journal():
    """What the journal gets during the test."""
    return machine.Journal()


@pytest.fixture
def running_job():
    """running_job(*options, user=None) starts `sandboxctl run OPTIONS -- sleep 300`, waits until it sleeps, and
    gives (process, unit). That may have been made ahead of time, and be named after no job."""
    started = []

    def asleep():
        return {unit for unit in machine.scopes()
                if any(host.status(pid).get("Name") == "sleep" for pid in jobs.payloads(unit))}

    def start(*options, user=None):
        before = asleep()
        process = machine.command("run", *options, "-t", "5min", "--", "sleep", "300", user=user)
        started.append(process)
        new = host.wait_until(lambda: asleep() - before, 20)
        assert new and len(new) == 1, (new, process.poll(), machine.status(machine.SERVICE_UNIT))
        return process, new.pop()
    yield start
    for process in started:
        process.terminate()
        process.communicate(timeout=20)


@pytest.fixture
def drop_in():
    """drop_in(unit, text) changes a unit until the test ends; the unit is not restarted."""
    folders = []

    def write(unit, text):
        folder = Path("/run/systemd/system") / f"{unit}.d"
        folder.mkdir(parents=True, exist_ok=True)
        folders.append(folder)
        (folder / "test.conf").write_text(text)
        machine.systemctl("daemon-reload")
    yield write
    for folder in folders:
        shutil.rmtree(folder)
    if folders:
        machine.systemctl("daemon-reload")


@pytest.fixture
def configure():
    """configure({section: {key: value}}) is sandboxd.conf of the installed daemon until the test ends."""
    def write(settings):
        CONFIG.parent.mkdir(exist_ok=True)
        CONFIG.write_text("".join(f"[{section}]\n" + "".join(f"{k}={v}\n" for k, v in keys.items())
                                  for section, keys in settings.items()))
        machine.systemctl("stop", machine.SERVICE_UNIT)
    yield write
    CONFIG.unlink(missing_ok=True)
    machine.systemctl("stop", machine.SERVICE_UNIT)


def make_no_pool():
    """Nothing is made ahead of time: each job has a scope that is made for it and named after it."""
    NO_POOL.parent.mkdir(exist_ok=True)
    NO_POOL.write_text("[Pool]\nMaximum=0\n")
    machine.systemctl("stop", machine.SERVICE_UNIT)
    yield
    NO_POOL.unlink()
    machine.systemctl("stop", machine.SERVICE_UNIT)


# For a test, and for all of a file's.
no_pool = pytest.fixture(make_no_pool)
no_pool_here = pytest.fixture(scope="module")(make_no_pool)


@pytest.fixture
def second_machine(tmp_path):
    """A machine in this machine, not booted yet."""
    machine.systemctl("stop", machine.SERVICE_UNIT)
    second = machine.Second(tmp_path / "second")
    yield second
    second.dispose()


def restore():
    """The socket listens and no unit is failed, whatever a test did."""
    machine.systemctl("reset-failed")
    for scope in machine.scopes():
        machine.systemctl("kill", "--signal=KILL", "--", scope, check=False)
    machine.systemctl("stop", machine.SERVICE_UNIT)
    machine.systemctl("restart", machine.SOCKET_UNIT)


def disorder():
    """What a test left behind, as sentences. One question in the good case: each starts a program, and that
    takes its time in user-mode-linux."""
    units = machine.loaded()
    failed, listens = machine.failed_units(units), units.get(machine.SOCKET_UNIT)
    left = any(name.startswith("sandbox-") and name.endswith(".scope") for name in units)
    # A job's end is told before systemd has taken its scope away, and what is parked is soon given back.
    scopes = left and not host.wait_until(lambda: not machine.scopes(), 10, 0.1) and machine.scopes()
    return ([f"scopes are left: {scopes}"] if scopes else []) + \
        ([f"units have failed: {failed}"] if failed else []) + \
        ([f"{machine.SOCKET_UNIT} is {listens}"] if listens != "active" else [])


@pytest.fixture(autouse=True)
def order(request):
    """Whatever a test did, the machine is in order afterwards; if not, the next test finds it so."""
    yield
    problems = disorder()
    if problems:
        restore()
        pytest.fail("; ".join(problems))


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    """Shows the end of the daemon's journal with a failure."""
    outcome = yield
    report = outcome.get_result()
    if report.failed and machine.WORLD and item.path.is_relative_to(HERE):
        text = machine.call("journalctl", "--lines=60", "--output=short-precise", "--unit=sandboxd*",
                            check=False).stdout
        report.sections.append(("journal of sandboxd", text[-6000:]))
