# SPDX-License-Identifier: Apache-2.0
"""The launchers in a parked interpreter: whatever the program, it sees and does what it would in one
that was started for it.

There is no daemon and no sandbox here. Each program runs twice in the same directory, and the two
have to agree in output, exit status and return value.
"""

import configparser
import fcntl
import os
import re
import shutil
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
        texts = [self.stdout.decode("utf-8", "backslashreplace"), self.stderr.decode("utf-8", "backslashreplace")]
        return *map(without_chance, texts), self.code, self.value and tuple(map(without_chance, self.value)), self.fault


def without_chance(text):
    """Without addresses, process ids and times."""
    return text and re.sub(
        r"0x[0-9a-f]+|\b\d{3,}(?= +(Killed|Segm))|(?<=pid: )\d+|(?<=\(node:)\d+|(?<=_idleStart: )\d+|(?<=syncId\)\]: )\d+|(?<=iggerId\)\]: )\d+|(?<=async_id_symbol\)\]: )\d+|\b\d{15}\b", "0x", text)


def claim_record(args, env, has_stdin=True):
    assignments = [f"{key}={value}" for key, value in env.items()]
    fields = [str(len(args)), *args, str(len(assignments)), *assignments, str(int(has_stdin))]
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
            for fd in range(3, 1024):
                try:
                    os.set_inheritable(fd, False)
                except OSError:
                    pass
            # None may lie in another's place, nor in its own, where dup2() does nothing.
            moved = [fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, 100) for fd in (claim[0], ready[1], fault[1])]
            for fd, at in zip(moved, (CLAIM, READY, FAULT)):
                os.dup2(fd, at)

        self.process = subprocess.Popen(
            command, cwd=box.box, env={**ENVIRONMENT, "HOME": str(box.box), **box.own_environment(runtime, parked=True),
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
        self.hand_over(claim_record(args, env or {}, stdin is not None))
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

    def own_environment(self, runtime, parked=False):
        """What the .runtime file adds to the environment."""
        places = {"%l": str(self.root / "launchers" / self.section(runtime).get("Launcher", ""))}
        words = self.section(runtime).get("Environment", "").split()
        if parked:
            words += self.section(runtime).get("ParkEnvironment", "").split()
        return {k: places.get(v, v) for k, v in (word.split("=", 1) for word in words)}

    def cold(self, runtime, code, args=(), env=None, stdin=b""):
        command, file = self.command(runtime)
        write_code(file, code)
        (self.root / "return").write_bytes(b"")
        process = subprocess.run(
            [*command, *args], cwd=self.box, capture_output=True, timeout=60,
            **({"stdin": subprocess.DEVNULL} if stdin is None else {"input": stdin}),
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
    "modules": "import sys\nprint(sorted(sys.modules), sorted(sys.path_importer_cache), sys.meta_path, sys.path_hooks)",
    "environment": "import os\nprint(sorted(os.environ.items()), os.getcwd(), os.umask(0))\nos.system('env | sort')",
    "stdin": "import sys\nprint(input(), sys.stdin.read(), sys.stdin.buffer.read(), sys.stdin.encoding)",
    "stdin by lines": "import sys\nfor line in sys.stdin: print(line.upper(), end='')",
    "streams": "import sys\nfor f in sys.stdin, sys.stdout, sys.stderr:\n    print(f, f.encoding, f.errors, f.line_buffering, f.isatty(), f is "
               "getattr(sys, '__' + f.name.strip('<>') + '__'))",
    "print": "print(1, 'a', 2.5, None, True, sep='|', end='!\\n', flush=True)\nimport sys; print('e', file=sys.stderr)\nprint(f'{3.14159:.2f}', 'é😀')",
    "signals": "import signal\nprint([(s, signal.getsignal(s)) for s in signal.valid_signals()], signal.pthread_sigmask(0, []))",
    "signal handler": "import signal, os\nsignal.signal(signal.SIGUSR1, lambda *a: print('usr1', a[0]))\nos.kill(os.getpid(), signal.SIGUSR1)\n3",
    "alarm": "import signal, time\nsignal.alarm(1)\ntime.sleep(9)", "SIGPIPE": "import signal; print(signal.getsignal(signal.SIGPIPE))",
    "KeyboardInterrupt caught": "try: raise KeyboardInterrupt\nexcept KeyboardInterrupt: print('caught')\n1",
    "subprocess": "import subprocess, sys\nprint(subprocess.run([sys.executable, '-c', 'import sys; print(sys.argv, sys.path[0], input())'], "
                  "input='x', capture_output=True, text=True))",
    "inherited by a child": "import subprocess\nprint(subprocess.check_output(['ls', '/proc/self/fd']), subprocess.call('exit 3', shell=True))",
    "popen that is left": "import subprocess\np = subprocess.Popen(['sleep', '0.1'])", "child that is left": "import os, time\nif not os.fork(): time.sleep(0.2); print('late')",
    "exec": "import os\nos.execlp('echo', 'echo', 'a b')", "exec of python": "import os, sys\nif len(sys.argv) < 9: os.execv(sys.executable, sys.orig_argv + ['x'] * 9)\nprint(len(sys.argv))",
    "multiprocessing": "import multiprocessing as m\ndef f(x): return x * 2\nif __name__ == '__main__':\n    with m.Pool(2) as p: print(p.map(f, [1, 2]))\n    q = m.Queue(); "
                       "p = m.Process(target=q.put, args=(5,)); p.start(); print(q.get()); p.join()",
    "spawn": "import multiprocessing as m\ndef f(q): print('in', __name__); q.put(1)\nif __name__ == '__main__':\n    c = m.get_context('spawn'); q = c.Queue()\n    "
             "p = c.Process(target=f, args=(q,)); p.start(); x = q.get(); p.join(); print(x)",
    "executor": "from concurrent.futures import ThreadPoolExecutor as E\nwith E(2) as e: print(list(e.map(abs, [-1, 2])))", "asyncio": "import asyncio\nasync def f(): "
                "await asyncio.sleep(0.01); return 4\nasyncio.run(f())",
    "coroutine that is left": "async def f(): pass\nf()\nc = f()", "generator that is left": "def g():\n    try: yield 1\n    finally: print('closed')\nx = g()\nnext(x)",
    "asynchronous generator": "async def g():\n    yield 1\nx = g()", "cycle": "class D:\n    def __del__(self): print('del')\nd = D(); d.d = d\ndel d",
    "class without slots": "class D:\n    __slots__ = ()\n    def __del__(self): print('del')\nd = D()", "__del__ set later": "class D: pass\nD.__del__ = lambda self: print('del')\nd = D()",
    "__del__ of a base": "class B:\n    def __del__(self): print('del')\nclass D(B, int): pass\nd = [D(1)]", "__del__ after exit": "class D:\n    def __del__(self): print('del')\nd = D()\nraise SystemExit(3)",
    "__del__ after an error": "class D:\n    def __del__(self): print('del')\nd = D()\n1 / 0", "weakref": "import weakref\nclass C: pass\nc = C()\nr = weakref.ref(c, lambda _: print('gone'))",
    "weakref in C": "import _weakref\nclass C: pass\nc = C()\nr = _weakref.ref(c, lambda _: print('gone'))", "weakref.finalize": "import weakref\nclass C: pass\nc = C()\nweakref.finalize(c, print, 'gone')",
    "atexit": "import atexit\natexit.register(print, 'a')\natexit.register(lambda: 1 / 0)\n5", "atexit and exit": "import atexit, sys\natexit.register(print, 'a')\nsys.exit(4)",
    "os.register_at_fork": "import os\nos.register_at_fork(after_in_child=lambda: print('child'))\nif not os.fork(): os._exit(0)\nos.wait()[1]",
    "unclosed file": "f = open('out', 'w')\nf.write('x' * 10)\nimport os; os.system('cat out; echo')", "unclosed and read by another": "import os\nif not os.fork():\n    import time; "
                     "time.sleep(0.3); print(open('out').read()); os._exit(0)\nf = open('out', 'w'); f.write('all of it')",
    "stdout replaced": "import sys, io\nclass W(io.TextIOBase):\n    def write(self, s): sys.__stdout__.write(s.upper())\n    def flush(self): sys.__stdout__.write('<flush>')\nsys.stdout = W()\nprint('a')",
    "stdout closed": "import sys\nprint('a')\nsys.stdout.close()", "stdout's fd closed": "import os\nprint('a', end='')\nos.close(1)", "stderr closed": "import os\nos.close(2)\n1 / 0",
    "stdout is full": "import os\nos.dup2(os.open('/dev/full', os.O_WRONLY), 1)\nprint('x', end='')", "reconfigured": "import sys\nsys.stdout.reconfigure(line_buffering=False, encoding='latin-1')\nprint('é')",
    "buffer": "import sys\nsys.stdout.buffer.write(b'\\xff raw')", "trace": "import sys\nsys.settrace(lambda *a: None)\n5", "displayhook": "import sys\nsys.displayhook(5)",
    "unraisablehook": "import sys\nsys.unraisablehook = lambda a: print('hook', a.exc_type)\nclass D:\n    def __del__(self): 1 / 0\nD()", "ctypes": "import ctypes\nctypes.CDLL(None).printf(b'in C')",
    "exit codes": "import sys\nsys.exit(256 + 7)", "exit -1": "import sys\nsys.exit(-1)", "exit true": "import sys\nsys.exit(True)", "exit huge": "raise SystemExit(2 ** 70)", "exit None": "raise SystemExit(None)",
    "exit class": "raise SystemExit", "exit tuple": "raise SystemExit(1, 2)", "exit subclass": "class E(SystemExit): pass\nraise E(6)", "exit in a thread": "import threading, sys\nt = threading.Thread(target=sys.exit, args=(3,)); t.start(); t.join()",
    "exit()": "exit(5)", "exit in finally": "try: 1 / 0\nfinally: raise SystemExit(4)", "GeneratorExit": "raise GeneratorExit('x')", "note": "e = ValueError('x'); e.add_note('note'); raise e",
    "exception without str": "class E(Exception):\n    def __str__(self): 1 / 0\nraise E", "long traceback": "def f(n): return 1 / n if n == 0 else f(n - 1)\nf(30)", "unicode error": "raise ValueError('\\ud800é')",
    "assert": "assert 1 == 2, 'no'", "import error": "import nothing_here", "name error": "prnt(1)", "import star": "from os.path import *\njoin('a', 'b')", "reads itself": "print(open(__file__).read())",
    "linecache": "import linecache\nprint(linecache.getline(__file__, 2))\nimport inspect\ndef f(): pass\nprint(inspect.getsource(f))", "runpy": "import runpy\nopen('m.py', 'w').write('print(__name__)')\nrunpy.run_path('m.py')",
    "exec and eval": "exec('x = 1'); print(eval('x + 1'), globals()['x'])", "time zone": "import time\nprint(time.tzname, time.localtime(0))", "recursion limit": "import sys\nprint(sys.getrecursionlimit())",
    "threads at the end": "import threading, time\nthreading.Thread(target=lambda: (time.sleep(0.1), print('t'))).start()\n'value'", "raw thread": "import _thread, time\n_thread.start_new_thread(time.sleep, (9,))\ntime.sleep(0.05)",
    "thread names": "import threading\nprint(threading.main_thread(), threading.enumerate(), threading.current_thread().name)", "many objects": "x = [[i] for i in range(200000)]\nprint(len(x))", "gc": "import gc\nprint(gc.isenabled(), gc.get_threshold(), gc.garbage, gc.callbacks)\ngc.collect()\n1",
    "gc off": "import gc\ngc.disable()\nx = [[i] for i in range(20000)]\n1", "modules of all kinds": "import json, re, collections, datetime, random, math, decimal, typing, dataclasses, functools, itertools, string, uuid, hashlib\njson.dumps([1])",
    "sets and numbers": "print({1, 2} | {3}, 2 ** 64, 1e300 * 10, divmod(7, 2), complex(1, 2))", "locale": "import locale\nprint(locale.getlocale(), locale.getpreferredencoding())", "site": "import site\nprint(site.getusersitepackages(), site.ENABLE_USER_SITE)",
    "value with code": "class C:\n    def __repr__(self): print('repr'); return 'C'\nC()", "value with __del__": "class C:\n    def __del__(self): print('del')\nC()", "value that opens": "class C:\n    def __repr__(self): global f; f = open('o', 'w'); f.write('x'); return 'C'\nC()",
    "value that registers": "class C:\n    def __repr__(self): import atexit; atexit.register(print, 'late'); return 'C'\nC()", "value that exits": "class C:\n    def __repr__(self): raise SystemExit(4)\nC()", "PYTHONINSPECT set": "import os\nos.environ['PYTHONINSPECT'] = '1'\nprint(1)",
}


@pytest.mark.parametrize("name", PYTHON)
def test_python(box, name):
    check(box, "python", PYTHON[name])


BASH = {
    "world": """
echo "[$_] $? $LINENO $0 $# $SHLVL $SECONDS $- $PPID $EUID" > /dev/null
echo "$0" "$#" "$*" "${BASH_SOURCE[@]}" "${FUNCNAME[@]}" "${BASH_LINENO[@]}"
declare -p | grep -v -E '^declare -[-a-z]+ (RANDOM|SRANDOM|EPOCH|BASHPID|PPID|SECONDS|PIPESTATUS|BASH_AR|_)'
set +o; shopt; declare -F; trap; alias; hash; umask; history; jobs; caller; ulimit -a
ls /proc/self/fd | wc -l; ls /proc/$$/fd
grep -E 'Sig[BIC]|NoNew' /proc/$$/status; env | sort
""",
    "BASH_ARGV": 'echo "${BASH_ARGC[@]}" "${BASH_ARGV[@]}"',
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
    "wait -n": "(exit 4) & wait -n; echo $?", "read -t": "read -t 5 x; echo $? $x", "EPOCHSECONDS": "echo $((EPOCHSECONDS > 0))",
}


@pytest.mark.parametrize("name", BASH)
def test_bash(box, name):
    check(box, "bash", BASH[name])


JAVASCRIPT = {
    **JAVASCRIPT_AS_NATIVE,
    **{f"value {i}": code for i, (code, *_) in enumerate(VALUES + VALUES_WITHOUT_JSON)},
    **{f"no value {i}": code for i, code in enumerate(NO_VALUES)},
    "world of node": "const m = require('module'); console.log(process.listenerCount('exit'), process.eventNames(), Object.keys(process).sort(), m.globalPaths,\n"
                     "Object.keys(m._cache), m._preloadModules, process.moduleLoadList.length > 0, process.stdin.constructor.name, process.umask(), process.cwd())",
    "environment": "const e = { ...process.env }; delete e.SANDBOXD_PARK; console.log(e, require('child_process').execSync('env | sort; ls /proc/self/fd') + '')",
    "streams": "for (const s of [process.stdout, process.stderr]) console.log(s.constructor.name, s.fd, s.isTTY, s.writableLength, s.writableHighWaterMark, s.bytesWritten, Object.keys(s), s.eventNames())",
    "stdin": "process.stdin.on('data', d => console.log(String(d))).on('end', () => console.log('end'))", "stdin at once": "console.log(require('fs').readFileSync(0, 'utf8'))",
    "stdin by lines": "require('readline').createInterface({ input: process.stdin }).on('line', l => console.log(l.toUpperCase()))",
    "console": "console.log('%s %d %i %j %o %%', 'a', 1.5, 2.5, { a: 1 }, [1]); console.error(new Map([[1, { a: [] }]])); console.table([{ a: 1 }]); console.dir({ a: 1 }); console.group('g'); console.warn('w'); console.groupEnd(); console.count(); console.assert(0, 'x'); console.trace('t')",
    "timers": "setTimeout(() => console.log(3), 500); setTimeout(() => console.log(2)); setImmediate(() => {}); const i = setInterval(() => { console.log('i'); clearInterval(i) }, 100); setTimeout(() => {}, 1e6).unref()",
    "promises": "Promise.allSettled([1, Promise.reject(2)]).then(console.log); (async () => { for await (const x of [1, Promise.resolve(2)]) console.log(x) })()",
    "top-level await": "const x = await Promise.resolve(4); console.log(x)", "import statement": "import fs from 'fs'; console.log(typeof fs.read, import.meta.url.slice(-7))", "import a file": "import x from './lib.mjs'; console.log(x); export default 5",
    "import in a module": "import x from './lib.mjs'; console.log((await import('./lib.mjs')).default === x)", "module that fails": "import 'fs';\n\nthrow new Error('x')", "import() of a builtin": "import('fs').then(m => console.log(typeof m.read))",
    "import() of data": "import('data:text/javascript,export default 7').then(m => m.default)", "import() twice": "import('./lib.mjs').then(a => import('./lib.mjs').then(b => console.log(a === b)))", "require an mjs": "try { require('./lib.mjs') } catch (e) { console.log(e.code) }",
    "require json": "require('fs').writeFileSync('x.json', '{\"a\": 1}'); console.log(require('./x.json'))", "resolve": "console.log(require.resolve('./lib'), require.resolve.paths('x'))",
    "exit while piped": "console.log('x'.repeat(1 << 20)); process.exit(0)", "exit with code while piped": "console.error('x'.repeat(1 << 18)); process.exit(9)", "exit later": "setTimeout(() => { console.log('a'); process.exit(3) }, 5)",
    "exit handlers": "process.on('exit', c => { console.log('1', c) }); process.on('exit', () => console.log('2')); setTimeout(() => process.on('exit', () => console.log('3')), 5)",
    "exit handler that changes the code": "process.on('exit', () => { process.exitCode = 5 }); 1", "exit handler that fails": "process.on('exit', () => { throw new Error('in exit') }); 5", "exit handler added late": "setTimeout(() => process.on('exit', () => { process.exitCode = 6 }), 2); 1",
    "exit handler added by one": "process.on('exit', () => process.on('exit', () => console.log('no'))); 1", "exit handler that exits": "process.on('exit', () => process.exit(7))", "beforeExit": "let n = 0; process.on('beforeExit', () => { if (n++ < 2) setTimeout(() => console.log(n), 1) })",
    "beforeExit that exits": "process.on('beforeExit', () => process.exit(4)); 1", "exitCode of a string": "process.exitCode = '7'", "reallyExit replaced": "const r = process.reallyExit; process.reallyExit = c => { console.log('mine', c); r.call(process, 3) }; process.exit(0)",
    "emit replaced": "const e = process.emit; process.emit = function (...a) { if (a[0] === 'exit') console.log('emit', a[1]); return e.apply(this, a) }; 1", "abort": "process.abort()", "kill": "process.kill(process.pid, 'SIGKILL')",
    "SIGTERM handled": "process.on('SIGTERM', s => { console.log(s); process.exit(2) }); process.kill(process.pid, 'SIGTERM'); setTimeout(() => {}, 5e3)", "SIGINT": "process.kill(process.pid, 'SIGINT'); setTimeout(() => {}, 5e3)",
    "late error": "setImmediate(() => { throw new TypeError('late') }); process.on('exit', c => console.log('exit', c))", "error in a promise": "Promise.resolve().then(() => { null.x })", "rejection with a value": "Promise.reject(new Error('x')); 5",
    "rejection handled": "process.on('rejectionHandled', () => console.log('handled')); process.on('unhandledRejection', () => {}); const p = Promise.reject(1); setTimeout(() => p.catch(() => {}), 5)", "warning": "process.emitWarning('w', { code: 'C' }); process.on('warning', w => console.log(w.name))",
    "deprecation": "new Buffer(1); require('url').parse('http://a:b')", "captureRejections": "process.setUncaughtExceptionCaptureCallback(e => console.log('captured', e.message)); throw new Error('x')",
    "worker threads": "const { Worker } = require('worker_threads'); const w = new Worker('const p = require(\"worker_threads\").parentPort; p.postMessage(process.argv.length)', { eval: true }); w.on('message', m => console.log(m)); w.on('exit', c => console.log('exit', c))",
    "worker that is left": "const { Worker } = require('worker_threads'); new Worker('setInterval(() => {}, 10)', { eval: true }).unref(); setTimeout(() => console.log('end'), 100)", "worker that fails": "new (require('worker_threads').Worker)('throw new Error(1)', { eval: true }).on('error', (e) => console.log('failed', e.message))",
    "child": "console.log(require('child_process').spawnSync('sh', ['-c', 'cat; exit 3'], { input: 'in' }).status); require('child_process').exec('echo a', (e, out) => console.log(out))", "child that is left": "require('child_process').spawn('sleep', ['0.1'], { detached: true, stdio: 'ignore' }).unref()",
    "file streams": "const fs = require('fs'); const s = fs.createWriteStream('out'); s.end('x'.repeat(1e5), () => console.log(fs.statSync('out').size)); fs.promises.readFile(__filename).then(b => console.log(b.length > 5))",
    "unfinished stream": "require('fs').createWriteStream('out').write('x')", "http": "const h = require('http'); const s = h.createServer((q, r) => r.end('hi')).listen(0, () => h.get({ port: s.address().port }, r => { r.on('data', d => console.log(String(d))); r.on('end', () => s.close()) }))",
    "dns": "require('dns').lookup('localhost', e => console.log(e === null))", "zlib": "console.log(require('zlib').gunzipSync(require('zlib').gzipSync('abc')) + '')", "crypto": "console.log(require('crypto').createHash('sha256').update('a').digest('hex'))", "vm": "console.log(require('vm').runInNewContext('a + 1', { a: 2 }))",
    "globals": "var a = 1; let b = 2; c = 3; function d() {}; console.log(globalThis.a, globalThis.b, globalThis.c, this === module.exports, typeof globalThis.d)", "this": "this", "arguments": "typeof arguments", "Error.stackTraceLimit": "Error.stackTraceLimit = 1; console.log(new Error('x').stack)",
    "prepareStackTrace": "Error.prepareStackTrace = (e, s) => s.map(x => x.getFileName()); console.log(new Error('x').stack)", "stack in a callback": "setTimeout(() => console.log(new Error('x').stack), 1)", "structuredClone": "structuredClone({ a: new Date(0) })", "fetch": "typeof fetch + typeof URL + typeof AbortController",
    "async hooks": "const a = require('async_hooks'); console.log(a.executionAsyncId() > 0); new a.AsyncLocalStorage().run(1, () => {})", "performance": "performance.now() > 0 && performance.timeOrigin > 0", "eval": "eval('var z = 5'); z", "label": "a: for (;;) { break a }", "date": "console.log(new Date(0).toString(), (1234.5).toLocaleString())",
    "stdout closed": "require('fs').closeSync(1)", "stdout ended": "process.stdout.end('bye'); 1", "stdout destroyed": "process.stdout.destroy(); console.error('e')", "stdout is full": "require('fs').writeSync(1, 'x'.repeat(70000))", "write callback": "process.stdout.write('a\\n', () => console.log('written'))", "stdout error": "process.stdout.on('error', e => console.error(e.code)); process.stdout.write('x')",
    "spoilt": "Array.prototype.at = Object.defineProperty = Reflect.apply = Function.prototype.bind = () => { throw new Error('spoilt') }; 5", "spoilt process": "process.listeners = () => { throw 1 }; 5", "finalization": "new FinalizationRegistry(() => console.log('no')).register({}); 1",
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


# What differs between two jobs that run the same program.

ENTROPY = {
    "python": "import random, uuid, secrets, tempfile\n"
              "print(hash('a'), random.random(), uuid.uuid4(), secrets.token_hex(8), tempfile.mktemp())",
    "javascript": "const c = require('crypto'); console.log(Math.random(), c.randomUUID(), c.randomBytes(8).toString('hex'))",
    "javascript-bare": "console.log(Math.random(), Math.random())",
    "bash": "echo $RANDOM$RANDOM$RANDOM $SRANDOM$SRANDOM $(mktemp -u)",
}
RUNTIMES = [
    runtime if "java" not in runtime else pytest.param(runtime, marks=needs_node)
    for runtime in ("python", "bash", "javascript", "javascript-bare")]


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_entropy(box, runtime):
    words = [box.parked(runtime, ENTROPY[runtime]).stdout.split() for _ in range(4)]
    for same_word in zip(*words):
        assert len(set(same_word)) == len(words)


# What comes with the job.

ENVIRONMENTS = [
    {}, {"A": "b c", "é": "ü", "EMPTY": ""}, {"A": "x=y\nz", "PATH": "/bin", "TMPDIR": "/nowhere"}, {"LONG": "x" * 100000},
    {"a.b": "1", "2x": "2", "-n": "3", "x y": "4", "A": "5"}, {"TZ": "Asia/Tokyo"}, {"_A": "~", "B": "$HOME"},
]
SHOW = {
    "python": "import os, time\nprint(dict(os.environ), time.tzname)\nos.system('env | grep -a -v -E \"^(_|SANDBOXD.*)=\"')",
    "javascript": "delete process.env.SANDBOXD_PARK; console.log(Object.entries(process.env), new Date(0).getHours());\n"
                  "console.log(require('child_process').execSync('env | grep -v ^_=') + '')",
    "bash": "export | grep -v BASH_ENV; env | grep -v -E '^(_|BASH_ENV)='; printf '%(%H)T' 0; echo $SHLVL $0",
}


@pytest.mark.parametrize("runtime", [r for r in RUNTIMES if r != RUNTIMES[-1]])
@pytest.mark.parametrize("env", ENVIRONMENTS, ids=lambda env: ",".join(env) or "none")
def test_environment(box, runtime, env):
    check(box, runtime, SHOW[runtime], env=env)


@pytest.mark.parametrize("runtime, code", [
    ("python", "import sys, os\nprint(sys.stdin, sys.__stdin__ is sys.stdin, sys.stdin.errors, sys.stdin.seekable(), sys.stdin.mode,\n"
               "      sys.stdin.fileno(), sys.stdin.buffer, sys.stdin.isatty(), sys.stdin.read(), os.get_inheritable(0))\n"
               "os.system('ls -l /proc/self/fd/0 | grep -o null; wc -c')\ntry: input()\nexcept EOFError as e: print(e)"),
    ("bash", "ls -l /proc/self/fd/0 | grep -o null; read x; echo $?; cat; ls /proc/self/fd; echo /dev/fd/0 -nt x"),
    ("javascript", "const c = require('child_process'); console.log(c.execSync('ls -l /proc/self/fd/0 | grep -o null; ls /proc/self/fd', "
                   "{ stdio: ['inherit', 'pipe'] }) + '', require('fs').readFileSync(0, 'utf8'), process.stdin.constructor.name)\n"
                   "process.stdin.on('data', console.log).on('end', () => console.log('end'))"),
    ("javascript-bare", "console.log(1)"),
], ids=lambda v: v if v in RUNTIMES else "")
def test_no_stdin(box, runtime, code):
    """As in one that was started with /dev/null, where the parked one has a pipe."""
    outcome = check(box, runtime, code, stdin=None)
    assert outcome.code == 0 and not outcome.stderr and (b"null" in outcome.stdout or runtime == "javascript-bare")


@pytest.mark.parametrize("runtime, code, uploads", [
    ("python", "import json, re, _json, io, atexit, traceback\nprint(json.x, re.__file__)\nimport mine\n1 / 0",
     {"json.py": "x = 'mine'", "mine.py": "print(__file__)", "traceback.py": "print('t')", "_ast.py": "print('a')", "atexit.py": "1"}),
    ("python", "import pack.sub\nprint(pack.sub.x)", {"pack/__init__.py": "", "pack/sub.py": "x = 3"}),
    # No package.json beside main.js: node has looked for one, so a job that has it goes cold (ColdFiles=).
    ("javascript", "console.log(require('dep'), require('other'))", {
        "node_modules/dep/package.json": '{"main": "m.js"}', "node_modules/dep/m.js": "module.exports = 'dep'",
        ".node_modules/other.js": "module.exports = 'other'"}),
    ("javascript", "import('dep').then(m => console.log(m.default))", {
        "node_modules/dep/package.json": '{"type": "module", "exports": "./m.js"}', "node_modules/dep/m.js": "export default 'dep'"}),
    ("bash", "source ./lib; lib", {"lib": "lib() { echo ${BASH_SOURCE[0]} $LINENO; }"}),
])
def test_files(box, runtime, code, uploads):
    def put():
        for name, text in uploads.items():
            (box.box / name).parent.mkdir(parents=True, exist_ok=True)
            (box.box / name).write_text(text)

    if runtime == "javascript" and not os.access("/usr/bin/node", os.X_OK):
        pytest.skip("node is missing")
    put()
    expected = box.cold(runtime, code)
    shutil.rmtree(box.box)
    box.box.mkdir()
    parked = Parked(box, runtime)
    put()
    assert parked.run(code).same() == expected.same()
    assert expected.stdout


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_no_job(box, runtime):
    parked = Parked(box, runtime)
    parked.hand_over(b"")
    assert parked.finish(b"").same() == ("", "", 0, None, b"")


@pytest.mark.parametrize("runtime", RUNTIMES)
@pytest.mark.parametrize("record", [b"x\0", b"0\0", b"0\0000\0", b"2\0a\0000\0001\0", b"0\0002\0A=1\0001\0"])
def test_record_that_is_cut(box, runtime, record):
    parked = Parked(box, runtime)
    write_code(parked.file, "no such program(")
    parked.hand_over(record)
    outcome = parked.finish(b"")
    assert (outcome.stdout, outcome.code, len(outcome.fault)) == (b"", 1, 1)


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_not_parked_without_pipes(box, runtime):
    """A job may set any variable."""
    code = {"python": "import os, sys\nprint(os.environ['SANDBOXD_PARK'], sorted(sys.modules))", "bash": "echo $SANDBOXD_PARK",
            "javascript": "console.log(process.env.SANDBOXD_PARK, Object.keys(require.cache).length)"}.get(runtime, "console.log(1)")
    outcome = box.cold(runtime, code, env={"SANDBOXD_PARK": "1"})
    assert (outcome.stdout[:1], outcome.stderr, outcome.code) == (b"1", b"", 0)
    if runtime == "python":
        assert outcome.stdout[2:] == box.cold(runtime, code, env={"SANDBOXD_PARK": "0"}).stdout[2:]


@pytest.mark.parametrize("runtime, most", [
    ("python", 12), ("bash", 4), pytest.param("javascript", 50, marks=needs_node), pytest.param("javascript-bare", 50, marks=needs_node)])
def test_memory(box, runtime, most):
    parked = Parked(box, runtime)
    with open(f"/proc/{parked.process.pid}/status") as file:
        kilobytes = int(re.search(r"VmRSS:\s+(\d+)", file.read())[1])
    parked.hand_over(b"")
    parked.finish(b"")
    assert kilobytes <= most * 1024
