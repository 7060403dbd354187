# SPDX-License-Identifier: Apache-2.0
"""Namespaces that are made ahead of time: who gets them, and that nobody gets one that was used."""

import re
import subprocess

import pytest

from lib import host

OWN = ("readlink", "/proc/self/ns/user", "/proc/self/ns/net")


def spares(d):
    """What the monitor holds, as pairs of sets."""
    found = {"user": set(), "net": set()}
    for target in host.fds(d.monitor):
        m = re.fullmatch(r"(user|net):\[\d+\]", target)
        if m:
            found[m[1]].add(m[0])
    return found["user"], found["net"]


def await_spares(d, least, most=8):
    """Once there are so many, and none on their way: there is no process but the frontend."""
    assert host.wait_until(lambda: len(host.all_children(d.monitor)) == 1
                           and all(least <= len(s) <= most for s in spares(d)), 20), (spares(d), d.log())
    return spares(d)


def namespaces(d, *options):
    r = d.run(*options, "--", *OWN)
    assert r.status == "OK", r
    return r.stdout.split()


def test_a_job_gets_a_pair_that_was_made_before(daemon):
    users, nets = await_spares(daemon, 5)
    user, net = namespaces(daemon)
    assert user in users and net in nets
    left = spares(daemon)
    assert left == (users - {user}, nets - {net})


def test_nothing_is_in_it(daemon):
    """lo, which is up, and no socket."""
    await_spares(daemon, 5)
    nets = spares(daemon)[1]
    code = ("import os, socket\n"
            "print(os.readlink('/proc/self/ns/net'), [l.split(':')[0].strip() for l in open('/proc/net/dev') if ':' in l])\n"
            "for f in 'tcp', 'udp', 'raw', 'unix':\n"
            "    assert len(open('/proc/net/' + f).readlines()) == 1, f\n"
            "s = socket.create_server(('127.0.0.1', 80 + 8000))\n"
            "socket.create_connection(s.getsockname())\n"
            "try:\n"
            "    socket.create_server(('127.0.0.1', 80))\n"
            "except PermissionError:\n"
            "    print('not a port below 1024')\n")
    r = daemon.run("-l", "python", "-c", code)
    assert r.status == "OK", r
    net, rest = r.stdout.split(" ", 1)
    assert net in nets and rest == "['lo']\nnot a port below 1024\n", r


def test_who_lives_has_his_own(daemon):
    await_spares(daemon, 5)
    jobs = [daemon.command("run", "--", "sh", "-c", f"{' '.join(OWN)}; read x", stdin=subprocess.PIPE) for _ in range(12)]
    texts = [(j.stdout.readline(), j.stdout.readline()) for j in jobs]
    for j in jobs:
        j.communicate(b"\n", timeout=20)
    assert len({u for u, _ in texts}) == len({n for _, n in texts}) == 12, texts


def test_more_are_made_when_half_are_gone(daemon):
    before = await_spares(daemon, 5)
    for _ in before[0]:
        namespaces(daemon)
        if len(spares(daemon)[0]) <= 4:
            break
    after = await_spares(daemon, 8)
    assert after[0] - before[0] and after[1] - before[1]


def test_a_profile_without_loopback_makes_its_own(daemon):
    before = await_spares(daemon, 5)
    user, net = namespaces(daemon, "--profile", "strict")
    assert user not in before[0] and net not in before[1]
    assert spares(daemon) == before


@pytest.mark.parametrize("settings, n", [({"Pool": {"Namespaces": 0}}, 0), ({"Pool": {"Namespaces": 3}}, 3)], ids=str)
def test_as_many_as_the_administrator_says(make_daemon, settings, n):
    d = make_daemon(settings=settings)
    await_spares(d, n, n)
    user, net = namespaces(d)
    assert user and net


def test_ids_that_wait_are_there_for_whoever_needs_them(make_daemon):
    """Sixteen pairs of ids, two of them with namespaces, and sixteen jobs that want none of those."""
    d = make_daemon(settings={"UserNamespaces": {"Size": 32}, "Pool": {"Maximum": 0}})
    await_spares(d, 2, 2)
    jobs = [d.command("run", "--profile", "strict", "--", "sh", "-c", "echo 1; read x", stdin=subprocess.PIPE)
            for _ in range(16)]
    assert [j.stdout.readline() for j in jobs] == [b"1\n"] * 16
    for j in jobs:
        assert (j.communicate(b"\n", timeout=20)[1], j.returncode) == (b"", 0)
    await_spares(d, 2, 2)


def test_a_reload_changes_how_many(make_daemon):
    d = make_daemon()
    await_spares(d, 8, 8)
    for n in 3, 0, 5:
        d.settings["Pool"]["Namespaces"] = n
        d.write_config()
        assert "reloaded" in d.reload()
        await_spares(d, n, n)
        namespaces(d)
