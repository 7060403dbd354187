# SPDX-License-Identifier: Apache-2.0
"""[Access] with users and groups that the machine has. bob is in the group judges, alice is not."""

import re
import subprocess

import pytest

from lib import host, machine

REFUSED = "b77fed8c2e844ecebc47720b4ac209f7"
CONFIG_KEYS = ("AllowUsers", "AllowGroups", "DenyUsers")


@pytest.fixture
def access(configure):
    def write(**keys):
        assert set(keys) <= set(CONFIG_KEYS)
        configure({"Access": keys})
    return write


def judge(user, p):
    """Whether a run came to a job; a refusal says who was refused."""
    if p.returncode == 0:
        return True
    assert p.returncode == 125 and b"DENIED" in p.stdout, p
    assert f"user {machine.uid_of(user)} ".encode() in p.stderr, p.stderr
    return False


def may(user):
    return judge(user, machine.ctl("run", "--json", "--", "true", user=None if user == "root" else user))


def may_with(user, *groups):
    """With exactly these supplementary groups, whatever the user database says."""
    more = f"--groups={','.join(groups)}" if groups else "--clear-groups"
    argv = ["setpriv", f"--reuid={user}", f"--regid={user}", more, "sandboxctl", "run", "--json", "--", "true"]
    return judge(user, subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, timeout=60, cwd="/"))


def test_everybody_may(access):
    access()
    assert may("root") and may("alice") and may("bob")


def test_denied_user(access, journal):
    """Is told so by a daemon that it has started, and the journal says it too."""
    access(DenyUsers="alice")
    assert machine.state(machine.SERVICE_UNIT) == "inactive"
    assert not may("alice")
    assert may("bob") and may("root")
    entry = journal.wait(MESSAGE_ID=REFUSED)
    assert (entry["SANDBOX_UID"], entry["SANDBOX_ERROR"]) == (str(machine.uid_of("alice")), "DENIED")
    assert "DenyUsers=" in entry["MESSAGE"] and "SANDBOX_JOB" not in entry
    assert host.wait_until(lambda: machine.scopes() == [], 10)


def test_allowed_user(access):
    access(AllowUsers="alice")
    assert may("alice") and may("root")
    assert not may("bob")


def test_allowed_group(access):
    """The groups are those of the client's process."""
    access(AllowGroups="judges")
    assert may("bob") and may("root")
    assert not may("alice")
    assert may_with("alice", "judges") and may_with("alice", "users", "judges")
    assert not may_with("bob") and not may_with("bob", "users")


def test_own_group_of_a_user(access):
    access(AllowGroups="alice")
    assert may("alice") and may_with("alice")
    assert not may("bob")


def test_deny_wins(access):
    access(AllowUsers="alice bob", AllowGroups="judges", DenyUsers="bob")
    assert may("alice") and may("root")
    assert not may("bob")


def test_root_may_be_denied(access):
    access(DenyUsers="root")
    assert not may("root")
    assert may("alice")


def test_unknown_name_is_an_error_at_start(access, journal):
    """The sentence is in the journal of the unit, and names the line."""
    access(AllowUsers="alice no-such-user")
    client = machine.command("run", "--", "true", user="alice")
    try:
        wanted = re.compile(r"test.conf:2: AllowUsers=.*'no-such-user'")
        assert host.wait_until(lambda: wanted.search(journal.text(_SYSTEMD_UNIT=machine.SERVICE_UNIT)), 20, 0.1), \
            journal.text()
    finally:
        client.kill()
        client.communicate()


def test_system_user_of_a_service(access):
    """What a unit with DynamicUser= may, is by its number; here by a group that the unit asks for."""
    access(AllowGroups="judges")

    def run(*properties):
        return machine.call("systemd-run", "--quiet", "--wait", "--pipe", "--collect",
                            "--property=DynamicUser=yes", *properties, "--", "sandboxctl", "run", "--", "echo",
                            "x", check=False)
    assert run("--property=SupplementaryGroups=judges").stdout == "x\n"
    refused = run()
    assert refused.returncode == 125 and "may not" in refused.stderr, refused
