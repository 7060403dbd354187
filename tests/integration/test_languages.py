# SPDX-License-Identifier: Apache-2.0
"""Every runtime: output, return value, errors as the language prints them, arguments, stdin,
environment, files and working directory."""

import json

import pytest

HELLO = {
    "python": "print('out'); import sys; print('err', file=sys.stderr)",
    "py": "print('out'); import sys; sys.stderr.write('err\\n')",
    "javascript": "console.log('out'); console.error('err')",
    "js": "console.log('out'); console.error('err')",
    "node": "console.log('out'); console.error('err')",
    "javascript-bare": "console.log('out'); console.error('err')",
    "bash": "echo out; echo err >&2",
    "sh": "echo out; echo err >&2",
}


@pytest.mark.parametrize("language", HELLO)
def test_output(daemon, language):
    r = daemon.run("-l", language, "-c", HELLO[language])
    assert (r.status, r.rc, r.exit_code) == ("OK", 0, 0), r
    assert (r.stdout, r.stderr) == ("out\n", "err\n")
    assert (r.stdout_bytes, r.stderr_bytes) == (4, 4)
    assert r.message == ""


def test_command(daemon):
    r = daemon.run("--", "sh", "-c", "echo out; echo err >&2; exit 3")
    assert (r.status, r.rc, r.exit_code) == ("EXITED", 3, 3), r
    assert (r.stdout, r.stderr, r.runtime) == ("out\n", "err\n", "command")


def test_readme_example(daemon):
    r = daemon.run("-l", "python", "-c", "print(1); 6*7")
    assert r.stdout == "1\n"
    assert r.return_value["json"] == 42
    assert r.return_value["text"] == "42"


def test_result_fields(daemon, counts_pids):
    """The object has every field of the contract, with sane numbers."""
    r = daemon.python("x = sum(range(10**6))\nx", "--label", "seen")
    wanted = {"job_id", "status", "exit_code", "signal", "message", "step", "stdout", "stderr",
              "stdout_bytes", "stderr_bytes", "stdout_truncated", "stderr_truncated",
              "pids_limit_hit", "cpu_throttled", "return_value", "usage", "queued_usec",
              "setup_usec", "warm", "runtime", "profile", "started_at_usec"}
    assert wanted <= set(r.object), wanted - set(r.object)
    usage = r.usage
    assert set(usage) == {"wall_usec", "cpu_user_usec", "cpu_system_usec", "memory_peak_bytes",
                          "pids_peak"}
    assert 0 < usage["cpu_user_usec"] + usage["cpu_system_usec"] <= 3 * usage["wall_usec"]
    assert usage["memory_peak_bytes"] > 1 << 20
    assert usage["pids_peak"] >= (1 if counts_pids else 0)
    assert r.runtime == "python" and r.profile == "default" and r.setup_usec > 0
    assert r.started_at_usec > 1_600_000_000_000_000
    assert [r.stdout_truncated, r.stderr_truncated, r.pids_limit_hit] == [False] * 3


@pytest.mark.parametrize("code,text,value", [
    ("6*7", "42", 42),
    ("'a' + 'é'", "'aé'", "aé"),
    ("{'k': [1, 2.5, None, True]}", "{'k': [1, 2.5, None, True]}", {"k": [1, 2.5, None, True]}),
    ("x = 3\nx + 1", "4", 4),
    ("def f():\n    return 9\nf()", "9", 9),
    ("if True:\n    pass\n[i for i in range(3)]", "[0, 1, 2]", [0, 1, 2]),
])
def test_python_value(daemon, code, text, value):
    r = daemon.python(code)
    assert r.status == "OK", r
    assert r.return_value == {"text": text, "json": value}
    assert r.stdout == ""


def test_python_value_without_json(daemon):
    """A value that JSON cannot hold comes back as text alone."""
    r = daemon.python("object")
    assert r.return_value["text"] == "<class 'object'>"
    assert r.return_value.get("json") is None


@pytest.mark.parametrize("language", ["javascript", "javascript-bare"])
@pytest.mark.parametrize("code,value", [
    ("6*7", 42),
    ("'a' + 'é'", "aé"),
    ("const x = {k: [1, 2.5, null, true]}; x", {"k": [1, 2.5, None, True]}),
    ("let s = 0; for (const i of [1, 2, 3]) s += i; s", 6),
])
def test_javascript_value(daemon, language, code, value):
    r = daemon.run("-l", language, "-c", code)
    assert r.status == "OK", r
    assert r.return_value["json"] == value


@pytest.mark.parametrize("language,code", [
    ("python", "x = 1"), ("python", "print('a')"), ("javascript", "let x = 1;"),
    ("bash", "echo 42"), ("python", "1/0"), ("python", "import sys\nsys.exit(3)\n1"),
    ("javascript", "throw new Error('x')"),
])
def test_no_value(daemon, language, code):
    r = daemon.run("-l", language, "-c", code)
    value = r.object.get("return_value")
    assert value is None or value.get("text") in ("None", "undefined"), r


def test_forged_value(daemon):
    """What the job writes as its value is data: junk neither breaks the answer nor the client."""
    r = daemon.python("import glob, os\n"
                      "for p in glob.glob('/.sandbox/*') + glob.glob('/proc/self/fd/*'):\n"
                      "    try:\n"
                      "        with open(p, 'r+b') as f: f.write(b'\\xff\\x00{\"json\": ' * 999)\n"
                      "    except OSError: pass\n"
                      "os._exit(0)")
    assert r.status == "OK", r


@pytest.mark.parametrize("language,code,wanted", [
    ("python", "def f():\n    return 1/0\n\nf()\n",
     ["Traceback (most recent call last):", "main.py\", line 4, in <module>",
      "main.py\", line 2, in f", "ZeroDivisionError: division by zero"]),
    ("python", "x = 1\nraise SystemError('boom')", ["main.py\", line 2", "SystemError: boom"]),
    ("python", "x = 1\ny = = 2\n", ["main.py\", line 2", "y = = 2", "SyntaxError"]),
    ("python", "if True:\nx", ["main.py\", line 2", "IndentationError"]),
    ("javascript", "function f() {\n  throw new TypeError('boom');\n}\nf();\n",
     ["main.js:2", "TypeError: boom", "at f "]),
    ("javascript", "let a = 1;\nlet b = = 2;\n", ["main.js:2", "SyntaxError"]),
    ("javascript", "Promise.reject(new Error('late'))", ["Error: late"]),
    ("javascript-bare", "let a = 1;\nlet b = = 2;\n", ["main.js:2", "SyntaxError"]),
    ("javascript-bare", "function f() {\n  throw new TypeError('boom');\n}\nf();\n",
     ["main.js:2", "TypeError: boom"]),
    ("bash", "true\nif then\n", ["main.sh: line 2", "syntax error"]),
    ("bash", "true\nno-such-thing\nexit 7\n", ["main.sh: line 2", "no-such-thing: command not found"]),
])
def test_errors_name_the_users_file(daemon, language, code, wanted):
    r = daemon.run("-l", language, "-c", code)
    assert r.status == "EXITED" and r.rc != 0, r
    for text in wanted:
        assert text in r.stderr, r.stderr
    for secret in (".sandbox", "launcher", str(daemon.policy_dir), "runpy"):
        assert secret not in r.stderr, r.stderr
    assert r.object.get("return_value") is None


@pytest.mark.parametrize("language,code,code_out", [
    ("python", "import sys; sys.exit(3)", 3), ("javascript", "process.exit(4)", 4),
    ("bash", "exit 5", 5), ("python", "import os; os._exit(6)", 6),
    ("javascript", "process.exitCode = 7", 7), ("bash", "false", 1),
])
def test_exit_code(daemon, language, code, code_out):
    r = daemon.run("-l", language, "-c", code)
    assert (r.status, r.exit_code, r.rc) == ("EXITED", code_out, code_out), r


ARGS = ["one", "two words", "", "--flag", "é", "-c"]


@pytest.mark.parametrize("language,code", [
    ("python", "import sys, json; print(json.dumps(sys.argv[1:]))"),
    ("javascript", "console.log(JSON.stringify(process.argv.slice(2)))"),
    ("bash", "printf '%s\\0' \"$@\" | /usr/bin/python3 -c 'import sys, json; "
             "print(json.dumps(sys.stdin.read().split(chr(0))[:-1]))'"),
])
def test_arguments(daemon, language, code):
    r = daemon.run("-l", language, "-c", code, "--", *ARGS)
    assert r.status == "OK", r
    assert json.loads(r.stdout) == ARGS


@pytest.mark.parametrize("language,code,name", [
    ("python", "import sys; print(sys.argv[0])", "main.py"),
    ("javascript", "console.log(process.argv[1])", "main.js"),
    ("bash", "echo $0", "main.sh"),
    ("python", "print(__file__, __name__)", "main.py"),
])
def test_program_name(daemon, language, code, name):
    r = daemon.run("-l", language, "-c", code)
    assert name in r.stdout and ".sandbox" not in r.stdout


@pytest.mark.parametrize("language,code", [
    ("python", "import sys; sys.stdout.write(sys.stdin.read().upper())"),
    ("javascript", "process.stdin.on('data', d => process.stdout.write(String(d).toUpperCase()))"),
    ("bash", "tr a-z A-Z"),
])
def test_stdin(daemon, language, code):
    r = daemon.run("-l", language, "-c", code, stdin=b"some text\nmore")
    assert (r.status, r.stdout) == ("OK", "SOME TEXT\nMORE"), r


def test_stdin_large(daemon):
    """More than any pipe or credit holds, unchanged."""
    data = bytes(range(256)) * 20000
    r = daemon.run("--output-limit", "16M", "--", "sha256sum", stdin=data)
    import hashlib
    assert r.stdout.split()[0] == hashlib.sha256(data).hexdigest()


def test_stdin_is_empty_without_one(daemon):
    for args in (["--no-stdin"], []):
        r = daemon.run(*args, "--", "cat")
        assert (r.status, r.stdout) == ("OK", ""), r


def test_code_from_stdin(daemon):
    r = daemon.run("-l", "python", "-", stdin=b"print('from stdin')")
    assert r.stdout == "from stdin\n"


def test_code_from_file(daemon, tmp_path):
    (tmp_path / "program.py").write_text("print('from a file')\n1/0")
    r = daemon.run("-l", "python", tmp_path / "program.py")
    assert r.stdout == "from a file\n"
    assert "line 2" in r.stderr


@pytest.mark.parametrize("language,code", [
    ("python", "import os; print(os.environ['FOO'], os.environ['EMPTY'] == '')"),
    ("javascript", "console.log(process.env.FOO, process.env.EMPTY === '' ? 'True' : 'False')"),
    ("bash", "[ \"${EMPTY-unset}\" = '' ] && echo \"$FOO True\""),
])
def test_environment(daemon, language, code):
    r = daemon.run("-e", "FOO=a=b c", "--env", "EMPTY=", "-l", language, "-c", code)
    assert r.stdout == "a=b c True\n", r


def test_environment_of_the_caller_stays_outside(daemon):
    r = daemon.run("--", "env", env={"SECRET": "hunter2"})
    assert "hunter2" not in r.stdout


def test_files(daemon, tmp_path):
    (tmp_path / "data.txt").write_text("content\n")
    script = tmp_path / "tool.sh"
    script.write_text("#!/bin/sh\necho ran\n")
    script.chmod(0o755)
    r = daemon.run("-f", tmp_path / "data.txt", "--file", f"{tmp_path}/data.txt:sub/dir/renamed",
                   "-f", script, "--", "sh", "-c",
                   "cat data.txt sub/dir/renamed && ./tool.sh && stat -c '%a %u' data.txt tool.sh && "
                   "echo more >> data.txt && mkdir sub/own && wc -l < data.txt")
    assert r.status == "OK", r
    assert r.stdout == "content\ncontent\nran\n644 1000\n755 1000\n2\n"


def test_binary_file_of_several_megabytes(daemon, tmp_path):
    """Larger than one frame: travels in pieces."""
    import hashlib
    import random
    data = random.Random(1).randbytes(9 * 1024 * 1024)
    (tmp_path / "blob").write_bytes(data)
    r = daemon.run("-f", tmp_path / "blob", "--", "sha256sum", "blob")
    assert r.stdout.split()[0] == hashlib.sha256(data).hexdigest()


def test_python_imports_uploaded_module(daemon, tmp_path):
    (tmp_path / "util.py").write_text("VALUE = 11\n")
    r = daemon.python("import util; util.VALUE", "-f", tmp_path / "util.py")
    assert r.return_value["json"] == 11


def test_javascript_requires_uploaded_module(daemon, tmp_path):
    (tmp_path / "util.js").write_text("exports.value = 12;\n")
    r = daemon.run("-f", tmp_path / "util.js", "-l", "js", "-c", "require('./util.js').value")
    assert r.return_value["json"] == 12


@pytest.mark.parametrize("workdir,seen", [
    (None, "/box"), ("/tmp", "/tmp"), ("made", "/box/made"), ("/", "/"), ("/usr", "/usr"),
])
def test_workdir(daemon, workdir, seen, tmp_path):
    (tmp_path / "f").write_text("x")
    options = ["-w", workdir] if workdir else []
    r = daemon.run(*options, "-f", f"{tmp_path}/f:made/f", "--", "pwd")
    assert (r.status, r.stdout) == ("OK", seen + "\n"), r


def test_bare_javascript_is_bare(daemon):
    """ECMAScript and console alone; no way back to the host's objects by a constructor."""
    r = daemon.run("-l", "javascript-bare", "-c",
                   "console.log([typeof require, typeof process, typeof Buffer, typeof fetch,"
                   " typeof setTimeout, typeof module, typeof global].join());"
                   "try { console.log(console.log.constructor('return typeof process')()) }"
                   " catch (e) { console.log('undefined') }"
                   "[typeof Map, typeof JSON, typeof Promise, typeof Intl].join()")
    assert r.status == "OK", r
    assert r.stdout == "undefined,undefined,undefined,undefined,undefined,undefined,undefined\n" \
                       "undefined\n"
    assert r.return_value["json"] == "function,object,function,object"


def test_top_level_await(daemon):
    r = daemon.run("-l", "js", "-c", "const x = await Promise.resolve(5); console.log(x)")
    assert (r.status, r.stdout) == ("OK", "5\n"), r


def test_python_async_threads_and_atexit(daemon):
    r = daemon.python("import atexit, threading, time, asyncio\n"
                      "atexit.register(lambda: print('bye'))\n"
                      "threading.Thread(target=lambda: (time.sleep(0.1), print('thread'))).start()\n"
                      "async def f(): print('async')\n"
                      "asyncio.run(f())\n")
    assert (r.status, r.stdout) == ("OK", "async\nthread\nbye\n"), r


def test_python_multiprocessing(daemon):
    r = daemon.python("import multiprocessing as m\n"
                      "def f(x): return x * x\n"
                      "if __name__ == '__main__':\n"
                      "    with m.Pool(2) as p: print(p.map(f, [1, 2, 3]))\n")
    assert (r.status, r.stdout) == ("OK", "[1, 4, 9]\n"), r


def test_output_that_is_not_utf8(daemon):
    r = daemon.run("--", "printf", r"\377\000x")
    assert "stdout" not in r.object
    import base64
    assert base64.b64decode(r.object["stdout_base64"]) == b"\xff\x00x"


def test_large_value(daemon):
    """A value far over what a result may carry is no reason to lose the job."""
    r = daemon.python("'x' * 50_000_000")
    assert r.status in ("OK", "MEMORY_LIMIT", "EXITED"), r
    assert daemon.python("1").return_value["json"] == 1
