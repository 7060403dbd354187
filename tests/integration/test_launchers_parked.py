# SPDX-License-Identifier: Apache-2.0
"""The launchers in a parked interpreter: whatever the program, it sees and does what it would in one
that was started for it.

There is no daemon and no sandbox here. Each program runs twice in the same directory, and the two
have to agree in output, exit status and return value.
"""

import configparser
import os
import re
import signal
import subprocess

import pytest

from test_launchers import (
    ENVIRONMENT, JAVASCRIPT_AS_NATIVE, NO_VALUES, POLICY, PYTHON_AS_NATIVE, VALUES, VALUES_WITHOUT_JSON, Box,
    needs_node, parse_return)

CLAIM, READY, FAULT = 60, 61, 62


class Outcome:
    """What a run came to, and how it is compared."""

    def __init__(self, stdout, stderr, code, value, fault=b""):
        self.stdout, self.stderr, self.code, self.value, self.fault = stdout, stderr, code, value, fault

    def same(self):
        text = self.stderr.decode("utf-8", "backslashreplace")
        text = re.sub(r"0x[0-9a-f]+|\b\d{3,}(?= (Killed|Segm))", "0x", text)
        value = self.value and tuple(re.sub(r"\bpid: \d+", "pid", part or "") for part in self.value)
        return self.stdout.decode("utf-8", "backslashreplace"), text, self.code, value, self.fault


def claim_record(args, env):
    assignments = [f"{key}={value}" for key, value in env.items()]
    fields = [str(len(args)), *args, str(len(assignments)), *assignments]
    return b"".join(os.fsencode(field) + b"\0" for field in fields)


class Parked:
    """An interpreter that waits for its job, with the pipes that init would have given it."""

    def __init__(self, box, runtime):
        self.box = box
        command, self.file = box.command(runtime)
        (box.root / "return").write_bytes(b"")
        claim, ready, fault = os.pipe(), os.pipe(), os.pipe()

        def arrange():
            signal.signal(signal.SIGINT, signal.SIG_DFL)
            for fd, at in ((claim[0], CLAIM), (ready[1], READY), (fault[1], FAULT)):
                os.dup2(fd, at)

        self.process = subprocess.Popen(
            command, cwd=box.box, env={**ENVIRONMENT, "HOME": str(box.box), **box.own_environment(runtime),
                                       "SANDBOXD_PARK": "1"},
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            preexec_fn=arrange, close_fds=False, start_new_session=True)
        for fd in (claim[0], ready[1], fault[1]):
            os.close(fd)
        self.claim, self.fault = claim[1], fault[0]
        self.ready = os.read(ready[0], 8) + os.read(ready[0], 8)
        os.close(ready[0])

    def hand_over(self, record):
        try:
            os.write(self.claim, record)
        finally:
            os.close(self.claim)

    def finish(self, stdin):
        stdout, stderr = self.process.communicate(stdin, timeout=60)
        fault = os.read(self.fault, 8)
        os.close(self.fault)
        value = parse_return((self.box.root / "return").read_bytes())
        return Outcome(stdout, stderr, self.process.returncode, value, fault)

    def run(self, code, args=(), env=None, stdin=b""):
        assert self.ready == b"P"
        write_code(self.file, code)
        self.hand_over(claim_record(args, env or {}))
        return self.finish(stdin)


def write_code(file, code):
    file.write_bytes(code if isinstance(code, bytes) else code.encode())


class TwoWays(Box):
    uploads = ()

    def section(self, runtime):
        parser = configparser.ConfigParser(interpolation=None, strict=False)
        parser.optionxform = str
        parser.read(POLICY / "runtimes" / f"{runtime}.runtime")
        return parser["Runtime"]

    def own_environment(self, runtime):
        """What the .runtime file adds to the environment."""
        places = {"%l": str(self.root / "launchers" / self.section(runtime).get("Launcher", ""))}
        words = self.section(runtime).get("Environment", "").split()
        return {k: places.get(v, v) for k, v in (word.split("=", 1) for word in words)}

    def cold(self, runtime, code, args=(), env=None, stdin=b""):
        command, file = self.command(runtime)
        write_code(file, code)
        (self.root / "return").write_bytes(b"")
        process = subprocess.run(
            [*command, *args], cwd=self.box, input=stdin, capture_output=True, timeout=60,
            env={**ENVIRONMENT, "HOME": str(self.box), **self.own_environment(runtime), **(env or {})},
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL), start_new_session=True)
        value = parse_return((self.root / "return").read_bytes())
        return Outcome(process.stdout, process.stderr, process.returncode, value)

    def parked(self, runtime, *args, **more):
        parked = Parked(self, runtime)
        self.clean()
        return parked.run(*args, **more)

    def clean(self):
        for file in self.box.iterdir():
            if file.is_file() and file.name not in self.uploads:
                file.unlink()


@pytest.fixture
def box(tmp_path):
    return TwoWays(tmp_path)


def check(box, runtime, code, args=("a b", "-c", "", "é"), env=None, stdin=b"one\ntwo\n"):
    expected = box.cold(runtime, code, args, env, stdin)
    outcome = box.parked(runtime, code, args, env, stdin)
    assert outcome.same() == expected.same()
    return outcome


PYTHON = {
    **PYTHON_AS_NATIVE,
}


@pytest.mark.parametrize("name", PYTHON)
def test_python(box, name):
    check(box, "python", PYTHON[name])


BASH = {
    "world": """
echo "[$_] $? $LINENO $0 $# $SHLVL $SECONDS $- $PPID $EUID" > /dev/null
echo "$0" "$#" "$*" "${BASH_SOURCE[@]}" "${FUNCNAME[@]}" "${BASH_LINENO[@]}" "${BASH_ARGC[@]}" "${BASH_ARGV[@]}"
declare -p | grep -v -E '^declare -[-a-z]+ (RANDOM|SRANDOM|EPOCH|BASHPID|PPID|PIPESTATUS|_)'
set +o; shopt; declare -F; trap; alias; hash; umask; history; jobs; caller; ulimit -a
ls /proc/self/fd | wc -l; ls /proc/$$/fd
grep -E 'Sig|NoNew' /proc/$$/status; env | sort
""",
    "$_": 'echo "$_"', "$?": 'echo $?', "LINENO": "\n\necho $LINENO\n\necho $LINENO",
    "SECONDS": "echo $SECONDS; SECONDS=50; echo $SECONDS",
    "RANDOM": "RANDOM=5; echo $RANDOM $RANDOM",
    "arguments": 'for a; do printf "<%s>" "$a"; done; shift 2; echo "$@" $#',
    "function": 'f() { echo "${FUNCNAME[@]} ${BASH_SOURCE[@]} ${BASH_LINENO[@]} $1 $#"; return 4; }\nf x y\necho $?',
    "nested functions": "f() { g; }; g() { caller 0; caller 1; local -p; }; f",
    "missing command": "\nfoo_is_missing\necho $?", "missing file": "cat < nothing\necho $?",
    "syntax": "echo a\nif then\necho b", "unterminated": "echo 'a\nb", "unexpected end": "if true; then\necho",
    "bad substitution": "echo ${a b}\necho after", "unset parameter": "set -u\necho $nothing\necho after",
    "required parameter": ": ${nothing:?is needed}\necho after",
    "exit": "exit", "exit 3": "exit 3", "exit of the last": "false", "exit of a pipeline": "set -o pipefail; exit 4 | cat",
    "exit with text": "exit abc", "set -e": "set -e\nfalse\necho after", "set -e in a function": "set -e; f() { false; echo no; }; f",
    "set -e and a trap": "set -eE; trap 'echo ERR $LINENO' ERR; f() { false; }; f; echo no",
    "set -x": "set -x\necho a\nf() { echo b; }\nf $(echo c)", "PS4": "PS4='+$LINENO '; set -x; echo a",
    "set -v": "set -v\necho a\n# comment\necho b", "set -n": "set -n\necho no",
    "trap EXIT": "trap 'echo bye $?' EXIT; exit 5", "trap EXIT at the end": "trap 'echo bye $?' EXIT; false",
    "trap DEBUG": "trap 'echo D $BASH_COMMAND' DEBUG; echo a; f() { :; }; f", "trap RETURN": "f() { trap 'echo R' RETURN; }; f; f",
    "trap TERM": "trap 'echo term; exit 6' TERM; kill $$; sleep 5", "trap INT": "trap 'echo int' INT; kill -INT $$; echo after",
    "ignored": "trap '' TERM; kill $$; echo alive",
    "SIGTERM": "kill $$; sleep 5", "SIGINT": "kill -INT $$; sleep 5; echo no", "SIGKILL": "echo out; kill -9 $$",
    "SIGPIPE": "yes | head -1", "child killed": "sh -c 'kill -9 $$'\necho $?", "child dumps": "sh -c 'kill -SEGV $$'; echo $?",
    "heredoc": "cat <<E\nx $0 $((1 + 2))\nE\ncat <<'E'\n$0\nE\ncat <<-E\n\ttab\n\tE", "herestring": "cat <<< 'a b'; read -r x y <<< 'c d'; echo $y",
    "exec": "exec echo replaced $0", "exec missing": "exec nothing_like_it\necho after", "exec redirection": "exec > out; echo a; exec 2>&1; cat out >&2",
    "exec -a": "exec -a other bash -c 'echo $0 $SHLVL'", "background": "sleep 0.1 & wait $!; echo $?; (exit 3) & wait $!; echo $?",
    "jobs": "sleep 5 & jobs; kill %1; wait; echo $?", "coproc": "coproc cat; echo x >&${COPROC[1]}; read y <&${COPROC[0]}; echo $y",
    "process substitution": "cat <(echo a) <(echo b); echo c > >(cat); wait", "subshell": "x=1; (x=2; echo $x $BASH_SUBSHELL); echo $x $BASH_SUBSHELL",
    "stdin": "read a; echo $a; cat", "mapfile": "mapfile -t l; declare -p l", "read -n": "read -n 2 a; read b; echo $a.$b", "no stdin left": "cat; read x; echo $?",
    "select": "select x in a b; do echo $x; break; done", "reads itself": "cat \"$0\"; wc -l < \"${BASH_SOURCE[0]}\"",
    "appends to itself": "echo a\necho 'echo b' >> \"$0\"\n", "sources a file": "echo 'echo $# ${BASH_SOURCE[@]}; return 3' > lib; . ./lib x; echo $?",
    "bash again": "bash -c 'echo $0 $# $SHLVL $BASH_ENV' a b; echo 'echo $0 $_ $BASH_ENV' > s; bash s", "BASH_ENV set inside": "echo 'echo env' > e; export BASH_ENV=./e; bash -c :",
    "arrays": "a=(1 2 3); declare -A m=([x]=1); echo ${a[@]:1} ${#a[@]} ${!m[@]}; a+=(4); echo ${a[-1]}", "regex": "[[ ab =~ (a)(b) ]]; echo ${BASH_REMATCH[@]}",
    "extglob": "shopt -s extglob; touch a b c; echo !(a)", "globs": "touch x1 x2; echo x* y*; shopt -s nullglob; echo y*", "braces": "echo {1..3}{a,b}",
    "arithmetic": "echo $((2**10)) $((1/0)); echo after", "printf": "printf '%5.2f|%q|%(%Y)T\\n' 1.5 'a b' 0", "IFS": "x='a:b'; IFS=:; set -- $x; echo $1 $2",
    "getopts": "set -- -a -b x; while getopts ab: o; do echo $o $OPTARG $OPTIND; done", "aliases": "shopt -s expand_aliases\nalias x='echo y'\nx",
    "posix": "set -o posix; echo $POSIXLY_CORRECT; export -p | head -3", "restricted": "set -r; cd /", "cd": "cd /tmp; pwd; echo $OLDPWD; cd -",
    "umask": "umask; umask 077; > f; stat -c %a f", "ulimit": "ulimit -n", "type": "type cat echo f; hash", "command -v": "command -v bash cat",
    "times": "times > /dev/null; time -p true 2> /dev/null", "declare -f": "f() { echo a; }; declare -f; unset -f f; declare -F", "readonly": "readonly x=1; x=2; echo after",
    "nameref": "x=1; declare -n r=x; r=5; echo $x", "printenv": "FOO=1 printenv FOO; export -n HOME; printenv HOME; echo $?",
    "close stdout": "exec >&-; echo a", "hashbang": "#!/bin/false\necho $LINENO", "CRLF": "echo a\r\n", "binary": b"echo \xff\xfe\n", "null byte": b"echo a\0b\n",
    "binary file": b"\x7fELF\0\0\n", "empty": "", "no newline": "echo a", "comment": "# only", "history": "set -o history; echo a; history; fc -l",
    "deep": "f() { ((n++ < 2000)) && f; }; f; echo $n", "large output": "printf 'x%.0s' {1..100000}", "exported function": "f() { echo in f; }; export -f f; bash -c f",
    "shopt -s lastpipe": "shopt -s lastpipe; echo a | read x; echo $x", "PIPESTATUS": "true | false | true; echo ${PIPESTATUS[@]}", "disown": "sleep 0.1 & disown; jobs; echo $?",
    "kill 0": "trap 'echo hup; exit' HUP; kill -HUP 0; sleep 5", "BASHPID": "[[ $$ == $BASHPID ]]; echo $?; (( $$ == PPID )); echo $?",
    "enable": "enable -n echo; echo a; enable -a | wc -l", "complete": "complete; bind -l > /dev/null; echo $?", "line editing": "read -e x; echo $x",
    "unset": "unset PATH; cat; unset -f f; echo $PATH", "return at the top": "return 3; echo $?", "break at the top": "break; echo $?", "let": "let x=5*2 y=x; echo $y",
    "wait -n": "(exit 4) & wait -n; echo $?", "read -t": "read -t 0.01 -u 0 x; echo $? $x", "EPOCHSECONDS": "echo $((EPOCHSECONDS > 0))",
}


@pytest.mark.parametrize("name", BASH)
def test_bash(box, name):
    check(box, "bash", BASH[name])


JAVASCRIPT = {
    **JAVASCRIPT_AS_NATIVE,
}


@needs_node
@pytest.mark.parametrize("name", JAVASCRIPT)
def test_javascript(box, name):
    (box.box / "lib.js").write_text("exports.x = 1\n")
    (box.box / "lib.mjs").write_text("export default typeof require\n")
    box.uploads = ("lib.js", "lib.mjs")
    check(box, "javascript", JAVASCRIPT[name])


BARE = {
    **{f"value {i}": code for i, (code, *_) in enumerate(VALUES + VALUES_WITHOUT_JSON)},
    **{f"no value {i}": code for i, code in enumerate(NO_VALUES)},
    "globals": "console.log(Object.getOwnPropertyNames(globalThis), Object.keys(console), this)",
    "throw": "function f() {\n  throw new Error('x')\n}\nf()", "throw a number": "throw 5", "throw null": "throw null",
    "syntax": "let x = ;\n", "import": "import 'fs'", "import()": "\nimport('fs')", "import() caught": "import('fs').catch(e => e.message)",
    "rejection": "Promise.reject(new TypeError('no'))", "console": "console.error('e'); console.warn('w'); console.info([1, { a: 'x' }])",
    "count": "console.count(); console.count('a'); console.count(); console.countReset(); console.count()",
    "group": "console.group('a'); console.log('b\\nc'); console.groupEnd(); console.log('d')", "trace": "console.trace('x')",
    "assert": "console.assert(false, 'x'); console.assert(true); console.assert(false)", "dir": "console.dir({ a: { b: { c: { d: 1 } } } })",
    "recursion": "function f() { f() }\nf()", "large": "console.log('x'.repeat(1 << 20)); 'y'.repeat(1 << 10)",
    "async": "(async () => { await null; console.log(1); return 2 })()", "order": "Promise.resolve().then(() => console.log(2)); console.log(1)",
    "strict": "'use strict'; undeclared = 1", "sloppy": "undeclared = 1; undeclared", "redeclare": "let sum = 1, total = 2; const map = 3; class Shape {}\nsum",
    "prototype": "Array.prototype.push = () => { throw 1 }; console.log([1]); 5", "stack": "console.log(new Error('x').stack)",
    "eval": "eval('1 + 1')", "Function": "new Function('return 2')()", "call sites": "Error.prepareStackTrace = (e, s) => s.map(String); new Error().stack",
    "generator": "[...(function* () { yield 1 })()]", "proxy": "console.log(new Proxy({}, { ownKeys() { throw 1 } }))", "exit code": "globalThis.process",
    "hashbang": "#!/usr/bin/node\n1", "empty": "", "json": "JSON.stringify({ a: [1] })", "date": "new Date(0)", "intl": "(1234.5).toLocaleString('en')",
    "weak": "new WeakRef({}).deref()", "error value": "new RangeError('x')", "atomics": "typeof SharedArrayBuffer", "symbols": "Object.keys(globalThis)",
}


@needs_node
@pytest.mark.parametrize("name", BARE)
def test_bare(box, name):
    check(box, "javascript-bare", BARE[name])
