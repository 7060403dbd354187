# SPDX-License-Identifier: Apache-2.0
"""Bad input: one clear sentence that names the field or file, nothing left running, and the daemon
serves the next request."""

import re
import shutil
import subprocess

import pytest

from lib import host


@pytest.fixture(autouse=True)
def goes_on(daemon):
    """After each case: nothing of it runs, and the next request is served."""
    yield
    assert host.wait_until(lambda: not daemon.job_pids(), 5), "a refused job left processes"
    r = daemon.run("--", "echo", "next")
    assert (r.status, r.stdout) == ("OK", "next\n"), r


def refused(r, *words):
    """Exit code 125 and one line on stderr with these words."""
    assert r.rc == 125, r
    lines = r.errors.strip().splitlines()
    assert len(lines) == 1 and lines[0].startswith("sandboxctl: "), r.errors
    for word in words:
        assert word in lines[0], lines[0]
    assert "status" not in (r.object or {}), "a refused request is no job"


def test_unknown_language(daemon):
    refused(daemon.run("-l", "cobol", "-c", "x"), "cobol", "python")


def test_unknown_profile(daemon):
    refused(daemon.run("--profile", "lax", "--", "true"), "lax", "default")


@pytest.mark.parametrize("language", ["python", "javascript", "bash", "javascript-bare"])
def test_empty_code(daemon, language):
    refused(daemon.run("-l", language, "-c", ""), "code", "empty")


def test_empty_code_file(daemon, tmp_path):
    (tmp_path / "empty.py").write_text("")
    refused(daemon.run("-l", "python", tmp_path / "empty.py"), "empty")


def test_code_over_the_limit(daemon):
    refused(daemon.run("-l", "python", "-", stdin=b"#" * ((1 << 20) + 1)), "code")


def test_code_at_the_limit(daemon):
    code = b"print('ran')\n"
    r = daemon.run("-l", "python", "-", stdin=code + b"#" * ((1 << 20) - len(code)))
    assert (r.status, r.stdout) == ("OK", "ran\n"), r


OPTIONS = {"--timeout": "wall_time_usec", "--cpu-time": "cpu_time_usec", "--memory": "memory_bytes",
           "--cpus": "cpu_quota_percent", "--pids": "pids", "--output-limit": "output_bytes",
           "--tmp-size": "tmp_size_bytes"}
OVER = {"--timeout": "11min", "--cpu-time": "11min", "--memory": "3G", "--cpus": "2.01",
        "--pids": "513", "--output-limit": "65M", "--tmp-size": "1025M"}


@pytest.mark.parametrize("option", OVER)
def test_over_the_maximum(daemon, option):
    r = daemon.run(option, OVER[option], "--", "true")
    refused(r)
    assert option in r.errors or OPTIONS[option] in r.errors, r.errors


@pytest.mark.parametrize("value", ["-1", "0", "nan", "inf", "NaN", "10 bananas", "", " 5", "5 ", "1e3",
                                   "0x10", "9223372036854775808", "18446744073709551616",
                                   "99999999999999999999999999", "1.2.3", "５"])
@pytest.mark.parametrize("option", OPTIONS)
def test_not_a_limit(daemon, option, value):
    if option == "--cpu-time" and value in ("", "0"):
        return  # "none", where the profile allows it: refused or not, see test_no_cpu_limit
    r = daemon.run(option, value, "--", "true")
    refused(r)
    assert option in r.errors or OPTIONS[option] in r.errors, r.errors


def test_no_cpu_limit(daemon):
    """0 means "no limit", and the default profile has a maximum."""
    refused(daemon.run("--cpu-time", "0", "--", "true"))


@pytest.mark.parametrize("value", ["18446744073709551615h", "5124095576030431min", "18446744073710s"])
def test_time_whose_product_overflows(daemon, value):
    refused(daemon.run("-t", value, "--", "true"))


@pytest.mark.parametrize("name", ["../x", "/etc/x", "a/../../x", "..", ".", "a/./b", "a//b", "", "/",
                                  "a/", "./x", "n" * 300, "d/" * 300 + "x", "x" * 5000,
                                  "../" * 100 + "etc/passwd"])
def test_file_name_that_leaves_the_box(daemon, tmp_path, name):
    (tmp_path / "f").write_text("x")
    r = daemon.run("-f", f"{tmp_path}/f:{name}", "--", "true")
    if r.rc == 125 and r.object and r.object.get("status") == "SETUP_ERROR":
        assert r.step == "files"  # what only the kernel can tell, such as one part of 300 bytes
        return
    if name in ("", "./x", "a/"):
        assert r.rc in (0, 125), r  # the client may take these for what they plainly mean
        return
    refused(r)


def test_file_named_like_the_code(daemon, tmp_path):
    (tmp_path / "f").write_text("x")
    refused(daemon.python("1", "-f", f"{tmp_path}/f:main.py"), "main.py")


def test_two_files_of_one_name(daemon, tmp_path):
    (tmp_path / "f").write_text("x")
    refused(daemon.run("-f", f"{tmp_path}/f:x", "-f", f"{tmp_path}/f:x", "--", "true"), "x")


@pytest.mark.parametrize("what", ["missing", "folder", "fifo"])
def test_file_that_cannot_be_uploaded(daemon, tmp_path, what):
    path = tmp_path / what
    if what == "folder":
        path.mkdir()
    elif what == "fifo":
        subprocess.run(["mkfifo", path], check=True)
    refused(daemon.run("-f", path, "--", "true", timeout=20), str(path))


def test_files_over_the_limit(daemon, tmp_path):
    with open(tmp_path / "big", "wb") as f:
        f.truncate(17 << 20)
    refused(daemon.run("-f", tmp_path / "big", "--", "true"), "16M")


def test_files_too_large_for_the_box(daemon, tmp_path):
    (tmp_path / "big").write_bytes(b"x" * (2 << 20))
    refused(daemon.run("--tmp-size", "1M", "-f", tmp_path / "big", "--", "true"), "--tmp-size")


@pytest.mark.parametrize("value", ["NOEQUALS", "=x", ""])
def test_bad_environment(daemon, value):
    refused(daemon.run("-e", value, "--", "true"), "env")


def test_no_command(daemon):
    r = daemon.run()
    assert r.rc == 125 and "sandboxctl: " in r.errors


@pytest.mark.parametrize("args", [["--no-such-option", "--", "true"], ["-t"], ["-l", "python"],
                                  ["-l", "python", "/no/such/file.py"]])
def test_bad_command_line(daemon, args):
    r = daemon.run(*args)
    assert r.rc == 125 and r.errors.startswith("sandboxctl: "), r


def test_workdir_in_proc(daemon):
    """CVE-2024-21626: a working directory by way of an inherited fd."""
    for fd in range(3, 12):
        r = daemon.run("-w", f"/proc/self/fd/{fd}", "--", "pwd")
        assert r.rc == 125, r


def test_missing_interpreter(make_daemon, policy_copy):
    (policy_copy / "runtimes" / "ghost.runtime").write_text(
        (policy_copy / "runtimes" / "python.runtime").read_text())
    text = (policy_copy / "runtimes" / "ghost.runtime").read_text()
    text = re.sub(r"(?m)^Interpreter=.*$", "Interpreter=/usr/bin/does-not-exist", text)
    text = re.sub(r"(?m)^Package=.*$", "Package=ghost-lang", text)
    text = re.sub(r"(?m)^Aliases=.*$", "", text)
    (policy_copy / "runtimes" / "ghost.runtime").write_text(text)
    d = make_daemon(policy_dir=policy_copy)
    refused(d.run("-l", "ghost", "-c", "x"), "/usr/bin/does-not-exist", "apt-get install ghost-lang")
    assert d.python("1+1").return_value["json"] == 2
    listing = d.ctl_run("runtimes").stdout.decode()
    assert re.search(r"ghost .*no: install ghost-lang", listing), listing


def test_new_language_is_a_file(make_daemon, policy_copy):
    """Adding a language takes a .runtime file and no code."""
    if not shutil.which("perl", path="/usr/bin"):
        pytest.skip("no /usr/bin/perl to make a runtime of")
    (policy_copy / "runtimes" / "perl.runtime").write_text(
        runtime_file(policy_copy, "perl", "/usr/bin/perl", "main.pl"))
    d = make_daemon(policy_dir=policy_copy)
    r = d.run("-l", "perl", "-c", "print 6*7; die 'boom'", "--", "x")
    assert r.stdout == "42" and "main.pl line 1" in r.stderr, r


def runtime_file(policy, name, interpreter, file_name):
    """A .runtime file with the keys that the shipped bash one uses, for another interpreter."""
    section = re.search(r"(?m)^\[.*\]$", (policy / "runtimes" / "python.runtime").read_text()).group(0)
    return f"{section}\nDescription={name}\nInterpreter={interpreter}\nPackage={name}\n" \
           f"FileName={file_name}\nArguments=%f\n"


def test_daemon_that_is_not_there(daemon, tmp_path):
    r = daemon.run("--socket", tmp_path / "none.sock", "--", "true")
    refused(r, str(tmp_path / "none.sock"))
