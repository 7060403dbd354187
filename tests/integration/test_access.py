# SPDX-License-Identifier: Apache-2.0
"""[Access] in sandboxd.conf: who may connect. Users and groups of the tests need not exist."""

import pytest

from lib import host

ALICE, BOB, CAROL = 61001, 61002, 61003
WHEEL, STAFF = 61010, 61011


def allowed(d, uid, groups=()):
    """Whether a job of that user is run; when not, the refusal must be one."""
    r = d.run("--", "true", uid=uid, groups=groups)
    if r.rc == 0:
        return True
    assert r.rc == 125 and r.object["error"]["code"] == "DENIED", r
    assert f"user {uid} " in r.errors, r.errors
    return False


def test_everybody_may(daemon):
    for uid in (0, ALICE, 65534):
        assert allowed(daemon, uid)


def test_users(make_daemon):
    d = make_daemon(settings={"Access": {"AllowUsers": f"{ALICE} nobody"}})
    assert allowed(d, ALICE)
    assert allowed(d, 65534), "nobody, by name"
    assert allowed(d, 0), "root needs no line"
    assert not allowed(d, BOB)
    assert not allowed(d, BOB, groups=[ALICE]), "a group of that number is no user"
    assert "AllowUsers=" in d.run("--", "true", uid=BOB).errors


def test_groups(make_daemon):
    """Those that the kernel knows of the client, and not what a user database says."""
    d = make_daemon(settings={"Access": {"AllowGroups": f"{STAFF} {CAROL}"}})
    assert allowed(d, ALICE, groups=[STAFF])
    assert allowed(d, ALICE, groups=[WHEEL, STAFF])
    assert allowed(d, ALICE, groups=[*range(62000, 62200), STAFF]), "one of many"
    assert allowed(d, CAROL), "its own group"
    assert allowed(d, 0)
    assert not allowed(d, ALICE, groups=[WHEEL])
    assert not allowed(d, STAFF + 1)


def test_users_or_groups(make_daemon):
    d = make_daemon(settings={"Access": {"AllowUsers": ALICE, "AllowGroups": STAFF}})
    assert allowed(d, ALICE) and allowed(d, BOB, groups=[STAFF])
    assert not allowed(d, BOB)


def test_deny_wins(make_daemon):
    d = make_daemon(settings={"Access": {"AllowUsers": f"{ALICE} {BOB}", "AllowGroups": STAFF,
                                         "DenyUsers": f"{BOB} {CAROL}"}})
    assert allowed(d, ALICE)
    assert not allowed(d, BOB)
    assert not allowed(d, CAROL, groups=[STAFF])
    assert "DenyUsers=" in d.run("--", "true", uid=BOB).errors


def test_deny_alone(make_daemon):
    d = make_daemon(settings={"Access": {"DenyUsers": BOB}})
    assert allowed(d, ALICE)
    assert not allowed(d, BOB)


def test_refusal_on_the_wire(make_daemon):
    """An Error about the connection, then its end; it takes no place of those who may connect."""
    d = make_daemon(settings={"Access": {"DenyUsers": BOB},
                              "Server": {"MaxConnections": 2, "MaxConnectionsPerUser": 2}})
    refused = [d.connect(uid=BOB) for _ in range(5)]
    for c in refused:
        error = c.expect_error_and_close("DENIED")
        assert "DenyUsers=" in error["message"]
    assert allowed(d, ALICE)
    for c in refused:
        c.close()


@pytest.mark.parametrize("key,value,words", [
    ("AllowUsers", "no-such-user", "unknown user 'no-such-user'"),
    ("AllowGroups", "0 no-such-group", "unknown group 'no-such-group'"),
    ("DenyUsers", " ".join(map(str, range(65))), "more than 64 users"),
])
def test_lists_that_cannot_be(make_daemon, key, value, words):
    d = make_daemon(start=False, settings={"Access": {key: value}})
    d.spawn()
    assert host.wait_until(lambda: d.process.poll() is not None, 15), "it started"
    assert d.process.returncode == 1
    line = d.config.read_text().splitlines().index(f"{key}={value}") + 1
    assert f"sandboxd.conf:{line}: {key}=" in d.log() and words in d.log(), d.log()


def test_reload(make_daemon):
    """The new lists count for who connects from then on; who is connected stays, and can go on."""
    d = make_daemon(settings={"Access": {"AllowUsers": ALICE}})
    with d.session(uid=ALICE) as c:
        assert not allowed(d, BOB)
        d.settings["Access"]["AllowUsers"] = BOB
        d.write_config()
        assert d.reload().startswith("reloaded: ")
        assert allowed(d, BOB)
        assert not allowed(d, ALICE)
        assert c.run(2, argv=[b"true"])[0]["result"]["status"] == "OK"


def test_reload_with_an_unknown_name(make_daemon):
    d = make_daemon(settings={"Access": {"AllowUsers": ALICE}})
    d.settings["Access"]["AllowUsers"] = "no-such-user"
    d.write_config()
    assert "unknown user 'no-such-user'" in d.reload()
    assert allowed(d, ALICE) and not allowed(d, BOB), "the old lists are in force"
