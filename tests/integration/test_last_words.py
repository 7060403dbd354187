# SPDX-License-Identifier: Apache-2.0
"""How a parked command ends: its end is told as soon as it says that nothing is left to be done, and not when its
memory is freed. What it may say, who may say it, and that nothing outlives it."""

import shutil
import time

import pytest

from lib import host
from lib.daemon import POLICY


@pytest.fixture
def pool(make_daemon):
    d = make_daemon(settings={"Pool": {"IdleSec": "5min"}})
    assert d.python("0").status == "OK"
    assert host.wait_until(lambda: d.parked_pids(), 20), d.log()
    time.sleep(0.1)
    return d


SAY = ("import os, time\n"
       "def say(words, comm='/proc/self/comm'):\n"
       "    with open(comm, 'w') as f: f.write(words)\n"
       "    os.close(os.open('/.sandbox/return', os.O_RDONLY))\n")


@pytest.mark.parametrize("code, exit_code", [("", 0), ("raise SystemExit(7)", 7), ("1 / 0", 1), ("exit(256 + 3)", 3)])
def test_an_end_is_told_as_it_was(pool, code, exit_code):
    r = pool.python(f"print('out', flush=True)\n{code}")
    assert r.warm and (r.exit_code, r.stdout) == (exit_code, "out\n"), r


def check_taken_at_its_word(pool, *options):
    r = pool.python(SAY + "print('before', flush=True)\nsay('.exited 5')\ntime.sleep(100)\nprint('after', flush=True)",
                    *options)
    assert r.warm and (r.status, r.exit_code, r.stdout) == ("EXITED", 5, "before\n"), r
    assert host.wait_until(lambda: not pool.payload_pids(), 10)


def test_a_command_is_taken_at_its_word(pool):
    """It says the same as with exit(); what it would have done after that it does not do."""
    check_taken_at_its_word(pool)


def test_a_profile_without_the_calls_that_hear_it(make_daemon):
    d = make_daemon(settings={"Pool": {"IdleSec": "5min"}})
    assert d.python("0", "--profile", "strict").status == "OK"
    assert host.wait_until(lambda: d.parked_pids(), 20), d.log()
    check_taken_at_its_word(d, "--profile", "strict")


@pytest.mark.parametrize("words", [".exited", ".exited ", ".exited 256", ".exited -1", ".exited 1x", "exited 1", ""])
def test_other_words_mean_nothing(pool, words):
    r = pool.python(SAY + f"say({words!r})\ntime.sleep(0.3)\nprint('after')\nexit(9)")
    assert r.warm and (r.exit_code, r.stdout) == (9, "after\n"), r


def test_another_process_cannot_say_it(pool):
    """Neither for itself nor for the command; and of one that is forked nobody thinks that it is the command."""
    code = SAY + ("pid = os.getpid()\n"
                  "if os.fork() == 0:\n"
                  "    say('.exited 3')\n"
                  "    try: say('.exited 4', f'/proc/{pid}/comm')\n"
                  "    except OSError as e: print(type(e).__name__, flush=True)\n"
                  "    os._exit(2)\n"
                  "print(os.waitstatus_to_exitcode(os.wait()[1]))\n"
                  "if os.fork() == 0: exit(6)\n"
                  "print(os.waitstatus_to_exitcode(os.wait()[1]))\n"
                  "exit(9)")
    r = pool.python(code)
    assert r.warm and r.exit_code == 9, r
    assert r.stdout in ("OSError\n2\n6\n", "PermissionError\n2\n6\n"), r


def test_what_it_left_running_ends_with_it(pool):
    r = pool.python("import os, time\nif os.fork() == 0:\n    time.sleep(100)\n    print('late', flush=True)\nprint('out')")
    assert r.warm and (r.status, r.stdout) == ("OK", "out\n"), r
    assert host.wait_until(lambda: not pool.payload_pids(), 10)


def test_its_words_are_heard_no_more_after_many_wakes(pool):
    """A job does not keep init busy by opening the file: then its end is told when it has come."""
    r = pool.python("import os\nfor _ in range(5000): os.close(os.open('/.sandbox/return', os.O_RDONLY))\nexit(4)")
    assert r.warm and r.exit_code == 4, r
    r = pool.python("6 * 7")
    assert (r.status, r.return_value) == ("OK", {"text": "42", "json": 42}), r


def test_files_and_value_come_with_it(pool, tmp_path):
    r = pool.run("-o", f"out:{tmp_path}/out", "-l", "python", "-c", "open('out', 'w').write('x' * 100000)\n'value'")
    assert r.warm and (r.status, r.return_value["json"]) == ("OK", "value"), r
    assert (tmp_path / "out").read_text() == "x" * 100000


NODE_THREADS = """const fs = require('fs')
const fd = fs.openSync('out', 'w'), data = Buffer.alloc(60 << 20, 'x')
setImmediate(() => { fs.write(fd, data, () => {}); process.exit(0) })"""

NODE_WORKER = """const { Worker } = require('worker_threads')
new Worker(`const fs = require('fs')
const fd = fs.openSync('out', 'w'), data = Buffer.alloc(60 << 20, 'x')
require('worker_threads').parentPort.postMessage(0)
fs.writeSync(fd, data)`, { eval: true }).on('message', () => setTimeout(() => process.exit(0), 5))"""


@pytest.mark.parametrize("code", [NODE_THREADS, NODE_WORKER], ids=["threads", "worker"])
def test_what_other_threads_of_node_do_is_done(make_daemon, tmp_path, code):
    """process.exit() does not end node before they are done with the call that they are in."""
    folder = tmp_path / "policy"
    shutil.copytree(POLICY, folder)
    (folder / "profiles/default.profile.d").mkdir()
    (folder / "profiles/default.profile.d/files.conf").write_text("[Limits]\nFilesSize=64M\nMemory=512M\n")
    d = make_daemon(settings={"Pool": {"IdleSec": "5min"}}, policy_dir=folder)
    for warm in (False, True):
        assert not warm or host.wait_until(lambda: d.parked_pids(), 20), d.log()
        r = d.run("-o", f"out:{tmp_path}/{warm}", "-l", "javascript", "-c", code)
        assert (r.warm, r.status) == (warm, "OK"), r
        assert (tmp_path / str(warm)).stat().st_size == 60 << 20
