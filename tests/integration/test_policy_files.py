# SPDX-License-Identifier: Apache-2.0
"""Broken policy: the daemon refuses to start, and says in one line which file, line and key."""

import re

import pytest

from lib import host


def refuses(daemon, *words):
    """Starts it; it must exit non-zero within seconds, and its log must have these words."""
    daemon.spawn()
    assert host.wait_until(lambda: daemon.process.poll() is not None, 15), "it started"
    assert daemon.process.returncode != 0
    for word in words:
        assert word in daemon.log(), daemon.log()
    assert daemon.leftovers() == []
    assert len(daemon.log().strip().splitlines()) <= 3, daemon.log()


def put(path, key, value):
    """Sets key to value in a policy file; returns the line's number."""
    lines = path.read_text().splitlines()
    for i, line in enumerate(lines):
        if re.match(rf"#?{key}=", line):
            lines[i] = f"{key}={value}"
            break
    else:
        raise AssertionError(f"{path} has no {key}")
    path.write_text("\n".join(lines) + "\n")
    return i + 1


@pytest.mark.parametrize("key,value", [
    ("Memory", "10 bananas"), ("Memory", "-1"), ("Memory", "0"), ("Memory", ""), ("Memory", "3G"),
    ("WallTimeSec", "soon"), ("WallTimeSec", "11min"), ("CPUQuota", "100"), ("CPUQuota", "nan%"),
    ("Pids", "0"), ("Pids", "99999999999999999999"), ("MaxPids", "many"), ("Output", "1X"),
])
def test_bad_limit_in_a_profile(make_daemon, policy_copy, key, value):
    path = policy_copy / "profiles" / "default.profile"
    line = put(path, key, value)
    refuses(make_daemon(start=False, policy_dir=policy_copy), f"default.profile:{line}", key)


@pytest.mark.parametrize("text,words", [
    ("[Limits]\nMemroy=1G\n", [":2", "Memroy"]),
    ("[Limitz]\nMemory=64M\n", [":2", "Limitz"]),
    ("Memory=64M\n", [":1", "Memory"]),
    ("[Limits\nMemory=64M\n", ["broken.profile"]),
    ("[Limits]\njust words\n", [":2"]),
    ("\0\0\0\n", ["broken.profile"]),
], ids=["key", "section", "no-section", "bracket", "no-value", "binary"])
def test_broken_profile(make_daemon, policy_copy, text, words):
    (policy_copy / "profiles" / "broken.profile").write_text(text)
    refuses(make_daemon(start=False, policy_dir=policy_copy), "broken.profile", *words)


def test_broken_runtime(make_daemon, policy_copy):
    path = policy_copy / "runtimes" / "python.runtime"
    path.write_text(path.read_text() + "\nFlavour=sweet\n")
    refuses(make_daemon(start=False, policy_dir=policy_copy), "python.runtime", "Flavour")


def test_interpreter_outside_usr(make_daemon, policy_copy):
    path = policy_copy / "runtimes" / "python.runtime"
    line = put(path, "Interpreter", "/home/user/bin/python")
    refuses(make_daemon(start=False, policy_dir=policy_copy), f"python.runtime:{line}", "Interpreter")


def test_broken_filter(make_daemon, policy_copy):
    path = policy_copy / "seccomp" / "default.seccomp"
    path.write_text(path.read_text() + "\n[allow]\nno_such_call_at_all\n")
    refuses(make_daemon(start=False, policy_dir=policy_copy), "default.seccomp", "no_such_call_at_all")


def test_missing_filter(make_daemon, policy_copy):
    (policy_copy / "seccomp" / "default.seccomp").unlink()
    refuses(make_daemon(start=False, policy_dir=policy_copy), "default")


def test_unknown_key_in_the_configuration(make_daemon):
    refuses(make_daemon(start=False, settings={"UserNamespaces": {"Bass": "1"}}),
            "sandboxd.conf:4", "Bass")


def test_missing_configuration(make_daemon):
    d = make_daemon(start=False)
    d.write_config = lambda: None
    refuses(d, str(d.config))


def test_drop_in_wins(make_daemon, policy_copy, counts_pids):
    folder = policy_copy / "profiles" / "default.profile.d"
    folder.mkdir()
    (folder / "50-small.conf").write_text("[Limits]\nPids=7\n")
    (folder / "60-smaller.conf").write_text("[Limits]\nPids=5\n")
    d = make_daemon(policy_dir=policy_copy)
    r = d.bash("for i in 1 2 3 4 5 6 7 8; do sleep 1 & done; wait")
    assert r.pids_limit_hit and r.usage["pids_peak"] == (5 if counts_pids else 0), r


def test_broken_drop_in(make_daemon, policy_copy):
    folder = policy_copy / "profiles" / "default.profile.d"
    folder.mkdir()
    (folder / "50-bad.conf").write_text("[Limits]\nPids=few\n")
    refuses(make_daemon(start=False, policy_dir=policy_copy), "50-bad.conf:2", "Pids")


def test_uid_range_too_small_for_a_job(make_daemon):
    refuses(make_daemon(start=False, settings={"UserNamespaces": {"Size": "1"}}), "Size")


def test_uid_range_over_the_end_of_ids(make_daemon):
    refuses(make_daemon(start=False, settings={"UserNamespaces": {"Base": "0xfffffff0"}}))
