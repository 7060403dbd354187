# SPDX-License-Identifier: Apache-2.0
"""The units of systemd/examples, installed as their comments say: services that get jobs done through a
socket that they never started, and a second socket."""

import shutil
from pathlib import Path

import pytest

from lib import host, machine

EXAMPLES = Path("/usr/share/doc/sandboxd/examples")
UNITS = Path("/etc/systemd/system")
SCRIPTS = Path("/var/lib/sandbox-scripts")
EXPOSURE_MAX = 15  # tenths, of `systemd-analyze security`


@pytest.fixture
def install():
    """install(NAME) copies an example to where an administrator would; with changes, {old: new}."""
    installed = []

    def copy(name, changes=None):
        text = (EXAMPLES / name).read_text()
        for old, new in (changes or {}).items():
            assert old in text
            text = text.replace(old, new)
        installed.append(UNITS / name)
        installed[-1].write_text(text)
        machine.systemctl("daemon-reload")
    yield copy
    for path in installed:
        path.unlink()
    machine.systemctl("daemon-reload")


@pytest.fixture
def script(order):
    """script(NAME, CODE) uploads a script that only root may read; gives its unit."""
    SCRIPTS.mkdir(mode=0o700)
    units = []

    def upload(name, code):
        path = SCRIPTS / f"{name}.py"
        path.write_text(code)
        path.chmod(0o600)
        units.append(f"sandbox-script@{name}.service")
        return units[-1]
    yield upload
    for unit in units:
        machine.systemctl("stop", unit)
        machine.systemctl("reset-failed", unit, check=False)
    shutil.rmtree(SCRIPTS)


def output(journal, unit):
    """What a service wrote, without what systemd says about it."""
    return [entry["MESSAGE"] for entry in journal.entries() if entry.get("_SYSTEMD_UNIT") == unit]


@pytest.mark.parametrize("name", sorted(p.name for p in EXAMPLES.glob("*") if p.is_file()))
def test_example_verifies(install, name):
    install(name)
    unit = name.replace("@.", "@instance.")
    p = machine.call("systemd-analyze", "verify", "--man=no", unit)
    assert (p.stdout, p.stderr) == ("", "")
    if name.endswith(".service"):
        machine.call("systemd-analyze", "security", "--offline=true", f"--threshold={EXPOSURE_MAX}",
                     "--no-pager", UNITS / name)


def test_dynamic_user_gets_a_job_done_by_a_daemon_it_never_started(install, journal):
    install("sandbox-greeting.service")
    machine.systemctl("stop", machine.SERVICE_UNIT)
    machine.systemctl("start", "sandbox-greeting.service")
    assert machine.state(machine.SERVICE_UNIT) == "active"
    assert output(journal, "sandbox-greeting.service") == ["Hello from uid 1000"]
    text = (EXAMPLES / "sandbox-greeting.service").read_text()
    assert "sandboxd.socket" not in text and "sandboxd.service" not in text


def test_user_of_the_job_is_the_dynamic_one(install):
    """The job is in the slice of the service's own uid, not of root's."""
    install("sandbox-greeting.service", {'print("Hello from uid", os.getuid())': "import time; time.sleep(300)",
                                         "--timeout 10s": "--timeout 5min"})
    machine.systemctl("start", "--no-block", "sandbox-greeting.service")
    assert host.wait_until(machine.running_jobs, 20), machine.status("sandbox-greeting.service")
    job, = machine.running_jobs()
    uid = int(host.status(int(machine.get("sandbox-greeting.service", "MainPID")))["Uid"].split()[0])
    assert job["owner_uid"] == uid and 61184 <= uid <= 65519, job
    assert host.wait_until(lambda: machine.group_pids(f"sandbox-u{uid}.slice"), 10)
    machine.systemctl("stop", "sandbox-greeting.service")
    assert machine.get("sandbox-greeting.service", "Result") == "success"


def test_script_of_an_instance(install, script, journal):
    install("sandbox-script@.service")
    unit = script("report", "print('report:', 6*7)")
    machine.systemctl("start", unit)
    assert output(journal, unit) == ["report: 42"]
    assert {e["_SYSTEMD_UNIT"] for e in journal.entries()
            if e.get("SYSLOG_IDENTIFIER") == "sandbox-script-report"} == {unit}


def test_script_that_fails_fails_its_unit(install, script, journal):
    install("sandbox-script@.service")
    unit = script("broken", "print('before')\n1/0\n")
    assert machine.systemctl("start", unit, check=False).returncode != 0
    assert machine.show(unit, "Result", "ExecMainStatus") == {"Result": "exit-code", "ExecMainStatus": "1"}
    lines = output(journal, unit)
    assert lines[0] == "before" and lines[-1] == "ZeroDivisionError: division by zero", lines


def test_script_over_its_limit(install, script, journal, drop_in):
    install("sandbox-script@.service")
    unit = script("greedy", "x = bytearray(200 << 20)")
    drop_in(unit, '[Service]\nEnvironment=SANDBOX_OPTIONS="--memory 32M"\n')
    assert machine.systemctl("start", unit, check=False).returncode != 0
    assert machine.get(unit, "ExecMainStatus") == "137"
    assert "MEMORY_LIMIT" in output(journal, unit)[-1]


def test_script_that_is_not_there(install, script):
    install("sandbox-script@.service")
    p = machine.systemctl("start", "sandbox-script@missing.service", check=False)
    assert p.returncode != 0 and "Assertion failed" in p.stderr
    assert machine.state("sandbox-script@missing.service") == "inactive", "not a failed unit"


def test_stopped_script_ends_its_job_and_has_not_failed(install, script, journal):
    install("sandbox-script@.service")
    unit = script("long", "import time\nprint('begun', flush=True)\ntime.sleep(300)\n")
    machine.systemctl("start", "--no-block", unit)
    assert host.wait_until(lambda: output(journal, unit) == ["begun"], 20), machine.status(unit)
    assert len(machine.running_jobs()) == 1
    machine.systemctl("stop", unit)
    assert machine.show(unit, "Result", "ActiveState") == {"Result": "success", "ActiveState": "inactive"}
    assert host.wait_until(lambda: not machine.scopes(), 10)


def test_instances_run_side_by_side(install, script):
    install("sandbox-script@.service")
    for name in "one", "two":
        machine.systemctl("start", "--no-block", script(name, "import time\ntime.sleep(300)\n"))
    assert host.wait_until(lambda: len(machine.running_jobs()) == 2, 20), machine.running_jobs()


@pytest.fixture
def second_socket(install):
    install("sandboxd-strict.socket", {"SocketGroup=users": "SocketGroup=judges"})
    machine.systemctl("stop", machine.SERVICE_UNIT)
    machine.systemctl("enable", "--now", "sandboxd-strict.socket")
    yield "/run/sandboxd/strict.sock"
    machine.systemctl("disable", "--now", "sandboxd-strict.socket")


def test_second_socket_has_its_own_profile(second_socket):
    strict = machine.run("--socket", second_socket, "--", "true", user="bob")
    default = machine.run("--", "true", user="bob")
    asked = machine.run("--socket", second_socket, "--profile", "default", "--", "true", user="bob")
    assert [r.profile for r in (strict, default, asked)] == ["strict", "default", "default"]


def test_second_socket_is_for_its_group_alone(second_socket):
    p = machine.ctl("--socket", second_socket, "run", "--", "true", user="alice")
    assert p.returncode == 125 and b"may not use the socket" in p.stderr, p.stderr
    assert machine.run("--", "true", user="alice").profile == "default"


def test_second_socket_starts_the_daemon_and_is_mended_with_it(second_socket):
    machine.systemctl("stop", machine.SERVICE_UNIT)
    assert machine.run("--socket", second_socket, "--", "true", user="bob").status == "OK"
    before = machine.main_pid()
    Path(second_socket).unlink()
    machine.systemctl("restart", "sandboxd-strict.socket")
    assert machine.run("--socket", second_socket, "--", "true", user="bob").status == "OK"
    assert machine.main_pid() != before
