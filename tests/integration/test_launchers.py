# SPDX-License-Identifier: Apache-2.0
"""The launchers, run without a daemon in a directory that stands for the sandbox.

Where it matters what the interpreter itself would have done, it is run beside the launcher on the
same file, and the two have to agree.
"""

import configparser
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import time
import warnings

import pytest

POLICY = pathlib.Path(__file__).resolve().parents[2] / "policy"
ENVIRONMENT = {"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8", "TMPDIR": "/tmp"}
NODE = "/usr/bin/node"
RETURN_MAX = 1 << 20

if not os.access(NODE, os.X_OK):
    warnings.warn(f"{NODE} is missing, so the JavaScript launchers go untested: install nodejs")
needs_node = pytest.mark.skipif(
    not os.access(NODE, os.X_OK), reason=f"{NODE} is missing: install nodejs")


class Result:
    def __init__(self, process, value):
        self.stdout = process.stdout
        self.stderr = process.stderr
        self.code = process.returncode
        self.value = value

    def output(self):
        return self.stdout, self.stderr, self.code


class Box:
    """A copy of the launchers with a box and a return file beside them, as in the sandbox."""

    def __init__(self, root):
        self.root = root
        self.box = root / "box"
        self.box.mkdir()
        shutil.copytree(POLICY / "launchers", root / "launchers")

    def command(self, runtime, native=False):
        parser = configparser.ConfigParser(interpolation=None, strict=False)
        parser.optionxform = str
        parser.read(POLICY / "runtimes" / f"{runtime}.runtime")
        section = parser["Runtime"]
        file = self.box / section["FileName"]
        if native:
            return [section["Interpreter"], file], file
        places = {"%l": self.root / "launchers" / section.get("Launcher", ""), "%f": file}
        return [section["Interpreter"], *(places.get(a, a) for a in section["Arguments"].split())], file

    def run(self, runtime, code, *args, native=False, env=None, **more):
        command, file = self.command(runtime, native)
        file.write_bytes(code if isinstance(code, bytes) else code.encode())
        returned = self.root / "return"
        returned.write_bytes(b"")
        process = subprocess.run(
            [*command, *args], cwd=self.box, env={**ENVIRONMENT, "HOME": str(self.box), **(env or {})},
            stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60,
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL), **more)
        return Result(process, parse_return(returned.read_bytes()))


def parse_return(data):
    """The (text, json) of a return file, or None for an empty one."""
    if not data:
        return None
    header, rest = data.split(b"\n", 1)
    assert re.fullmatch(rb"\d+ \d+", header)
    n_text, n_json = map(int, header.split())
    assert len(rest) == n_text + n_json and len(data) <= RETURN_MAX
    return rest[:n_text].decode(), rest[n_text:].decode() or None


@pytest.fixture
def box(tmp_path):
    return Box(tmp_path)


# Python: as python3 itself

PYTHON_AS_NATIVE = {
    "world": """
import sys, os, __main__
print(sys.argv, sys.path, sys.flags, sys.orig_argv, sys._xoptions, sys.warnoptions)
print(sorted(vars(__main__)), __name__, __file__, __doc__, __package__, __spec__, __cached__)
print(type(__loader__), __loader__.get_filename(), __builtins__, __annotations__)
print(sys.modules['__main__'] is __main__, locals() is globals(), vars(__main__) is globals())
print(sorted(os.listdir('/proc/self/fd')), sys.excepthook is sys.__excepthook__)
print(hasattr(sys, 'last_value'), sys.exc_info())
""",
    "stack": """
import inspect, sys, traceback
traceback.print_stack()
print(len(inspect.stack()), sys._getframe().f_back)
def f(): traceback.print_stack()
f()
import warnings; warnings.warn('far', stacklevel=2)
""",
    "docstring": "'the doc'\nprint(__doc__)\n",
    "docstring alone": "'the doc'",
    "uncaught": "def f():\n    1 / 0\n\nf()\n",
    "uncaught in the last expression": "x = [\n    1,\n    1 / 0,\n]\n(x\n .y)",
    "chained": """
try:
    try:
        {}['a']
    except KeyError as e:
        raise ValueError('b') from e
except ValueError:
    raise TypeError('c')
""",
    "group": "raise ExceptionGroup('g', [ValueError(1), ExceptionGroup('h', [TypeError(2)])])",
    "recursion": "def f(n): return f(n + 1)\nf(0)\n",
    "thread": "import threading\nt = threading.Thread(target=lambda: 1 / 0, name='t'); t.start(); t.join()",
    "threads are waited for": """
import threading, time, atexit
atexit.register(print, 'atexit')
threading.Thread(target=lambda: (time.sleep(0.2), print('thread'))).start()
threading.Thread(target=time.sleep, args=(60,), daemon=True).start()
print('end', end='')
""",
    "excepthook": "import sys\nsys.excepthook = lambda *a: print('hook', a[1], a[2].tb_next, sys.exc_info())\n1 / 0",
    "excepthook that fails": "import sys\ndef hook(*a): raise KeyError('h')\nsys.excepthook = hook\n1 / 0",
    "excepthook that exits": "import sys\ndef hook(*a): sys.exit(9)\nsys.excepthook = hook\n1 / 0",
    "last_value": "import sys, atexit\natexit.register(lambda: print(repr(sys.last_value)))\n1 / 0",
    "exit": "import sys; sys.exit()",
    "exit 3": "import sys; sys.exit(3)",
    "exit with a message": "import sys; sys.exit('bye')",
    "exit with an object": "raise SystemExit([1, 2])",
    "exit in atexit": "import atexit, os; atexit.register(os._exit, 5); 4",
    "_exit": "import os; print('lost', end=''); os._exit(4)",
    "interrupt": "raise KeyboardInterrupt('x')",
    "SIGINT": "import os, signal; os.kill(os.getpid(), signal.SIGINT); import time; time.sleep(9)",
    "SIGTERM": "import os, signal; os.kill(os.getpid(), signal.SIGTERM)",
    "unflushed": "import sys; f = open('out', 'w'); f.write('x'); sys.stdout.write('no newline')",
    "finalization": """
class D:
    def __init__(self, n): self.n = n
    def __del__(self): print('del', self.n)
b = D('b'); _a = D('_a')
def f(): return b
c = D('c')
""",
    "annotations": """
from __future__ import annotations
def f(x: undefined) -> nothing: pass
y: neither = 1
print(f.__annotations__, __annotations__)
f.__code__.co_flags
""",
    "unraisable": "class D:\n    def __del__(self): 1 / 0\nd = D()\ndel d\n",
    "fork": """
import os
pid = os.fork()
if pid == 0: raise SystemExit(7)
print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
""",
    "warning": "x = 5\nprint(x is 5)\n",
    "empty": "",
    "syntax": "print('no')\ndef f(:\n    pass\n",
    "syntax after a warning": "x = 1\nx is 1\nreturn\n",
    "await": "await x",
    "return": "x = 1\nreturn x",
    "indentation": "if 1:\nprint(2)",
    "tabs": "if 1:\n        x = 1\n\ty = 2\n",
    "unterminated": "x = '''\n\n",
    "null byte": b"x = 1\0\n",
    "not UTF-8": b"x = '\xff'\n",
    "latin-1": b"# coding: latin-1\nprint('\xe9')\n",
    "BOM": b"\xef\xbb\xbfprint('bom')\n",
    "CRLF": b"print('a')\r\nif 1:\r\n    print('b')\r\n",
    "unknown coding": b"# coding: nothing\n",
}


def without_addresses(text):
    return re.sub(r"0x[0-9a-f]+", "0x", text)


@pytest.mark.parametrize("name", PYTHON_AS_NATIVE)
def test_python_does_as_native(box, name):
    code = PYTHON_AS_NATIVE[name]
    expected = box.run("python", code, "a b", "-c", native=True)
    result = box.run("python", code, "a b", "-c")
    assert (result.stdout, result.code) == (expected.stdout, expected.code)
    assert without_addresses(result.stderr) == without_addresses(expected.stderr)


@pytest.mark.parametrize("env", [
    {"PYTHONPATH": "/nowhere"}, {"PYTHONSAFEPATH": "1"}, {"PYTHONUNBUFFERED": "1"}, {"PYTHONOPTIMIZE": "1"},
    {"PYTHONWARNINGS": "error"}, {"PYTHONHASHSEED": "1"}, {"PYTHONINSPECT": "1"}, {"LANG": "C"},
], ids=lambda env: "=".join(*env.items()))
def test_python_environment_is_the_jobs(box, env):
    code = "import sys\nprint(sys.path, sys.flags, hash('a') if sys.flags.hash_randomization == 0 else 0)\n" \
        "assert 0\nx = 1\nprint(x is 1, 'é')\n"
    expected = box.run("python", code, native=True, env=env)
    assert box.run("python", code, env=env).output() == expected.output()


def test_python_multiprocessing_and_pickle(box):
    code = """
import multiprocessing, pickle, sys
class C:
    def __init__(self, x): self.x = x
def square(c): return c.x * c.x
if __name__ == '__main__':
    assert pickle.loads(pickle.dumps(C(3))).x == 3
    for method in ('fork', 'spawn', 'forkserver'):
        with multiprocessing.get_context(method).Pool(2) as pool:
            print(method, pool.map(square, [C(2), C(3)]))
"""
    result = box.run("python", code)
    assert result.output() == ("fork [4, 9]\nspawn [4, 9]\nforkserver [4, 9]\n", "", 0)
    assert result.value is None


def test_python_files_beside_the_script(box):
    for name in ("ast", "json", "io", "os", "_ast", "_json", "atexit"):
        (box.box / f"{name}.py").write_text(f"print('mine: {name}')\n")
    (box.box / "helper.py").write_text("x = 5\n")
    result = box.run("python", "import helper, json\n[helper.x]")
    assert result.output() == ("mine: json\n", "", 0)
    assert result.value == ("[5]", "[5]")


def test_python_lines_outlive_a_kill(box):
    result = box.run("python", "import os\nprint('kept')\nos.kill(os.getpid(), 9)\n")
    assert (result.stdout, result.code) == ("kept\n", -signal.SIGKILL)


@pytest.mark.parametrize("code, text, value", [
    ("6 * 7", "42", 42),
    ("print(1); 6 * 7", "42", 42),
    ("'text'", "'text'", "text"),
    ("'''\ndoc\n'''", "'\\ndoc\\n'", "\ndoc\n"),
    ("'é\\ud800'", "'é\\ud800'", "é\ud800"),
    ("True", "True", True),
    ("1.5", "1.5", 1.5),
    ("x = 1\n{'a': [x, None, (2,)], 3: {}}  # comment\n", "{'a': [1, None, (2,)], 3: {}}",
     {"a": [1, None, [2]], "3": {}}),
    ("x = 5\n\n(x\n + 1\n)\n\n", "6", 6),
    ("def f():\n    return 1\n\nf()", "1", 1),
    ("import __future__\nlambda: 0", None, None),
    ("from __future__ import annotations\n[1]", "[1]", [1]),
    ("2 ** 100", str(2 ** 100), 2 ** 100),
    ("[i for i in range(3)]", "[0, 1, 2]", [0, 1, 2]),
    ("(y := 4) + 1", "5", 5),
    ("import enum\nclass E(enum.IntEnum): A = 1\nE.A", "<E.A: 1>", 1),
])
def test_python_value(box, code, text, value):
    result = box.run("python", code)
    assert result.code == 0 and result.stderr == ""
    assert text is None or result.value[0] == text
    assert result.value[1] is None if value is None else json.loads(result.value[1]) == value


@pytest.mark.parametrize("code, text", [
    ("float('nan')", "nan"), ("[float('inf')]", "[inf]"), ("{1, 2}", "{1, 2}"), ("b'x'", "b'x'"),
    ("1j", "1j"), ("x = []\nx.append(x)\nx", "[[...]]"), ("{(1,): 2}", "{(1,): 2}"), ("...", "Ellipsis"),
])
def test_python_value_without_json(box, code, text):
    result = box.run("python", code)
    assert (result.output(), result.value) == (("", "", 0), (text, None))


@pytest.mark.parametrize("code", [
    "print(1)", "None", "x = 1", "", "for x in [1]: x", "import sys\nsys.exit(0)", "1\nraise SystemExit",
    "class C:\n    def __repr__(self): raise ValueError('no')\nC()",
    "class C:\n    def __repr__(self): raise SystemExit(3)\nC()",
    "class C:\n    def __repr__(self): return 5\nC()",
    "x = []\nfor i in range(10**5): x = [x]\nx",
    "10 ** 5000",
])
def test_python_without_value(box, code):
    result = box.run("python", code)
    assert (result.stderr, result.code, result.value) == ("", 0, None)


@pytest.mark.parametrize("code", [
    "import faulthandler, os\nfaulthandler.enable(all_threads=False)\nos.kill(os.getpid(), 11)",
    "import sys\nsys.setprofile(lambda frame, *_: sys.__stderr__.write(frame.f_code.co_filename + '\\n'))\n{'a': 1}",
    "import sys\nsys.settrace(lambda frame, *_: sys.__stderr__.write(frame.f_code.co_filename + '\\n'))\n{'a': 1}",
])
def test_python_names_no_file_of_the_launcher(box, code):
    result = box.run("python", code)
    assert "main.py" in result.stderr or result.value
    assert "launchers" not in result.stderr


@pytest.mark.parametrize("code", [
    "import builtins\nfor name in ('eval', 'repr', 'open', 'type', 'vars', 'len'): delattr(builtins, name)\n5",
    "import os\nos.getpid = os.open = lambda *a: 1 / 0\n5",
    "import sys\nsys.modules['atexit'] = None\n5",
    "import builtins\nbuiltins.__import__ = lambda *a: 1 / 0\n5",
])
def test_python_survives_spoilt_modules(box, code):
    assert box.run("python", code).output() == ("", "", 0)


def test_python_value_is_that_of_one_process(box):
    result = box.run("python", "import os\npid = os.fork()\nif pid: os.wait()\n'parent' if pid else 'child'")
    assert result.value == ("'parent'", '"parent"')


def test_python_value_is_taken_when_threads_have_ended(box):
    code = "import threading, time\nx = []\n" \
        "threading.Thread(target=lambda: (time.sleep(0.2), x.append(1))).start()\nx"
    assert box.run("python", code).value == ("[1]", "[1]")


@pytest.mark.parametrize("runtime, code", [
    ("python", "'é' * 400000"), ("python", "'x' * 3000000"), ("python", "'a' + 'é' * 3000000"),
    pytest.param("javascript", "({ [util.inspect.custom]: () => `'${'é'.repeat(3000000)}` })", marks=needs_node),
    pytest.param("javascript-bare", "'a' + 'é'.repeat(3000000)", marks=needs_node),
])
def test_large_value(box, runtime, code):
    text, value = box.run(runtime, code.replace("util", "require('util')")).value
    assert value is None and text[0] == "'"
    assert text[-1] == ("'" if "400000" in code else "…")
    assert len(text.encode()) > 800000


@pytest.mark.parametrize("size", range((1 << 20) - 68, (1 << 20) + 2, 6))
@pytest.mark.parametrize("runtime, code", [
    ("python", "class C:\n    def __repr__(self): return 'x' * {}\nC()"),
    pytest.param("javascript", "({{ [Symbol.for('nodejs.util.inspect.custom')]: () => 'x'.repeat({}), a() {{}} }})",
                 marks=needs_node),
    pytest.param("javascript-bare", "'x'.repeat({} - 2)", marks=needs_node),
])
def test_return_file_fits(box, runtime, code, size):
    text, _ = box.run(runtime, code.format(size)).value  # which looks at the size of the file
    assert len(text.encode()) > RETURN_MAX - 80


@pytest.mark.parametrize("runtime, code", [
    ("python", "print(1)\n2"),
    pytest.param("javascript", "console.log(1); 2", marks=needs_node),
    pytest.param("javascript-bare", "console.log(1); 2", marks=needs_node),
])
def test_return_file_that_cannot_be_written(box, runtime, code):
    (box.root / "return").mkdir()
    command, file = box.command(runtime)
    file.write_text(code)
    result = subprocess.run(command, cwd=box.box, env=ENVIRONMENT, capture_output=True, text=True, timeout=60)
    assert (result.stdout, result.stderr, result.returncode) == ("1\n", "", 0)


# JavaScript: as node itself

# So long that a stack is whole: node's has the one more frame that without_compile() leaves out.
NODE_STACKS = {"NODE_OPTIONS": "--stack-trace-limit=40"}


def without_compile(text):
    """What node prints, without its compiling of the script and with one name for the script's outermost frame."""
    text = re.sub(r".*\n( +\.\.\.) \d+ (lines matching)", r"\1 \2", text)  # the first of those lines is that frame
    text = re.sub(r" +at Module\._compile \(node:internal/modules/cjs/loader:.*\)\n", "", text)
    # import() has a branch for scripts in node's function.
    text = re.sub(r"(importModuleDynamicallyCallback \(node:internal/modules/esm/utils):\d+:\d+", r"\1", text)
    return re.sub(r"(?m)( at )Object\.<anonymous> \((.*)\)$", r"\1\2", text)


JAVASCRIPT_AS_NATIVE = {
    "world": """
console.log(process.argv, process.execArgv, process._preload_modules, process.exitCode, process.title);
console.log(require.main === module, process.mainModule === module, module.id, module.filename);
console.log(module.parent, module.children, module.paths, module.loaded, __filename, __dirname);
console.log(Object.keys(require.cache), Object.keys(require('module')._pathCache));
console.log(Object.getOwnPropertyNames(globalThis), exports === module.exports);
console.log(Function('return typeof require + typeof module + typeof __filename')());
console.log(Error.prepareStackTrace, Error.stackTraceLimit, process.eventNames());
console.log(Object.getOwnPropertyDescriptor(require('module').prototype, '_compile'));
console.log(require('fs').readdirSync('/proc/self/fd').length > 0, typeof require('./lib').x);
module.exports = 5;
""",
    "throw": "\nfunction f() {\n  throw new Error('x');\n}\nf();\n",
    "throw on line 1": "throw new TypeError('x')",
    "throw a number": "throw 5",
    "throw an object": "throw { a: 1 }",
    "throw with a cause": "throw new Error('a', { cause: new Error('b') })",
    "throw later": "setTimeout(() => { throw new Error('late') }, 5); 4",
    "rejection": "Promise.reject(new Error('no'))",
    "rejection of a number": "Promise.reject(4)",
    "rejection handled late": "const p = Promise.reject(4); setTimeout(() => p.catch(() => {}), 5)",
    "unhandledRejection": "process.on('unhandledRejection', r => console.log('seen', r)); Promise.reject(4)",
    "uncaughtException": "process.on('uncaughtException', e => console.log('seen', e.message)); throw Error('x')",
    "async function": "(async () => { await null; throw new Error('in async') })()",
    "strict": "'use strict'; undeclared = 4",
    "strict after slashes": "/" * 60 + "\n'use strict'; undeclared = 4",
    "strict after another directive": "'use asm'; /**/ 'use strict'\nundeclared = 4",
    "strict without a semicolon": "'use strict'\nconsole.log((function () { return this })())  // end",
    "not a directive": "'use strict'.length; undeclared = 4; console.log(undeclared)",
    "strict in a function": "(function () { 'use strict' })(); undeclared = 4; console.log(undeclared)",
    "strict after a comment": "/* c */ // d\n'use strict'\nconsole.log((function () { return this })())",
    "not strict": "/* */ 1; 'use strict'; x = 4; console.log(x)",
    "hashbang": "#!/usr/bin/node\nthrow new Error('line 2')",
    "recursion": "function f() { f() }\nf()",
    "exit 3": "process.exit(3)",
    "exitCode": "process.exitCode = 4; 5",
    "exit handler": "process.on('exit', c => console.log('bye', c)); process.exit(2)",
    "return": "console.log('a'); return; console.log('b')",
    "syntax": "console.log('no');\nlet x = ;\n",
    "closes a block": "console.log(1) } {",
    "redeclaration": "let x;\nlet x;\n",
    "unterminated": "let s = `a\n\n",
    "await in a function": "function f() { await g() }",
    "var module": "var module = module; function require() {} console.log(typeof module)",
    "var crypto": "var crypto = require('crypto'); console.log(typeof crypto.createHash)",
    "var process": "var process = { env: {} }; console.log(typeof globalThis.process.exit); 1",
    "var of a global in a pattern": "for (var i = 0, { a: URL } = { a: 1 }; i < 2; i++);\n"
                                    "console.log(URL, globalThis.URL)",
    "function of a global in a block": "if (process) { function fetch() {} }\nconsole.log(fetch, globalThis.fetch)",
    "function in a block": "if (process) { function f() { return 1 } }\nconsole.log(f())",
    "functions that are variables": "const f = function f() {}, g = class { h() { function i() {} } };\n"
                                    "console.log(f, typeof i)",
    "const process": "const process = require('process'), { URL } = require('url'); console.log(typeof process.exit)",
    "process replaced": "process = { env: {} }; console.log('a'); 1",
    "const crypto": "const crypto = require('crypto'); console.log(typeof crypto.createHash)",
    "order": "setImmediate(() => console.log(4)); process.nextTick(() => console.log(2)); "
             "Promise.resolve().then(() => console.log(3)); console.log(1)",
    "missing module": "require('./nothing')",
    "import()": "import('./lib.mjs').then(m => console.log(m.default, typeof m))",
    "import() that fails": "import('./nothing.mjs')",
    "worker": "const { Worker, isMainThread } = require('worker_threads');\n"
              "if (isMainThread) new Worker(__filename); else console.log(process.argv, process.execArgv)",
    "fork": "if (process.send) console.log(process.argv, process.execArgv);\n"
            "else require('child_process').fork(__filename, ['x'])",
    "main required again": "if (require.main === module) console.log(require('./main') === exports)",
    "empty": "",
    "functions": "console.log(f(), typeof globalThis.f); function f() { return 1 }\nfunction fetch() {}",
    "functions before a var": "var f; function f() { return 1 }; console.log(f())",
    "SIGTERM": "process.kill(process.pid, 'SIGTERM'); setTimeout(() => {}, 9e3)",
    "function redefined in a block": "function foo() { return 1 } if (true) { function foo() { return 2 } }"
                                     " console.log(foo())",
}


@needs_node
@pytest.mark.parametrize("name", JAVASCRIPT_AS_NATIVE)
def test_javascript_does_as_native(box, name):
    (box.box / "lib.js").write_text("exports.x = 1\n")
    (box.box / "lib.mjs").write_text("export default typeof require\n")
    code = JAVASCRIPT_AS_NATIVE[name]
    expected = box.run("javascript", code, "a b", "-c", native=True, env=NODE_STACKS)
    result = box.run("javascript", code, "a b", "-c", env=NODE_STACKS)
    assert (result.stdout, result.code) == (expected.stdout, expected.code)
    assert without_compile(result.stderr) == without_compile(expected.stderr)
    assert "launchers" not in result.stderr and "__sandbox" not in result.stderr


# The files of the frames, all of them node's, that may be below those of a script.
FILES_BELOW = {
    "node:internal/modules/cjs/loader", "node:internal/modules/run_main", "node:internal/main/run_main_module",
}


@needs_node
@pytest.mark.parametrize("code, stdout, stderr", [
    ("throw new Error('x')", "", "{0}:1\nthrow new Error('x')\n^\n\nError: x\n    at {0}:1:7\n{1}"),
    ("function f() {\n  throw new Error('x')\n}\nf()", "",
     "{0}:2\n  throw new Error('x')\n  ^\n\nError: x\n    at f ({0}:2:9)\n    at {0}:4:1\n{1}"),
    ("Promise.reject(new Error('x'))", "",
     "{0}:1\nPromise.reject(new Error('x'))\n               ^\n\nError: x\n    at {0}:1:16\n{1}"),
    ("console.log(new Error('x').stack)", "Error: x\n    at {0}:1:13\n{1}", ""),
    ("const f = () => new Error('x').stack\nconsole.log(f())",
     "Error: x\n    at f ({0}:1:17)\n    at {0}:2:13\n{1}", ""),
    ("Promise.reject(new Error('x')).catch(e => console.log(e.stack))", "Error: x\n    at {0}:1:16\n{1}", ""),
    ("process.on('uncaughtException', e => console.log(e.stack)); throw new Error('x')",
     "Error: x\n    at {0}:1:67\n{1}", ""),
    ("Error.prepareStackTrace = (e, sites) => [e, ...sites].join('\\n    at ')\nconsole.log(new Error('x').stack)",
     "Error: x\n    at {0}:2:13\n{1}", ""),
])
def test_javascript_stacks(box, code, stdout, stderr):
    native = box.run("javascript", "console.log(new Error().stack)", native=True).stdout
    below = re.search(r" at Module\._compile .*\n((?s:.*))", native)[1]
    assert set(re.findall(r"node:[^:]+", below)) <= FILES_BELOW
    result = box.run("javascript", code)
    printed = re.sub(r"\nNode\.js v[\d.]+\n$", "", result.stderr)
    main = box.box / "main.js"
    assert (result.stdout, printed) == (stdout.format(main, below), stderr.format(main, below))


@needs_node
@pytest.mark.parametrize("code", [
    "/" * 100 + "\n1", "//\n" * 200000 + "1", "/*" + "*" * 1000000 + "*/ 1", "/*\n" * 100000 + "*/ 1",
    "\n" * 1000000 + "1",
    "'" + "var " * 200000 + "'; 1", "'" + "function " * 200000 + "'; 1", "'" + "function" + " " * 1000000 + "'; 1",
    "//" * 500000 + "\n'use strict'; 1", "'use strict'; /* " + "with " * 200000 + "*/ 1",
])
def test_javascript_source_takes_no_time_to_look_at(box, code):
    start = time.monotonic()
    assert box.run("javascript", code).value == ("1", "1")
    assert time.monotonic() - start < 5


SPOILERS = [
    "process = { env: {} };", "process.once = process.on = () => { console.log('mine') };",
    "process.emit = () => { throw 1 };", "require('util').types.isPromise = () => { throw 1 };",
    "require('util').inspect = () => { throw 1 };", "JSON.stringify = Array.isArray = Object.keys = () => { throw 1 };",
    "require('fs').openSync = require('fs').writeFileSync = () => { throw 1 };", "Buffer.from = () => { throw 1 };",
    "Reflect.apply = Function.prototype.call = Function.prototype.bind = () => { throw 1 };",
    "require('module').prototype.require = require('module')._load = () => { throw 1 };",
    "RegExp.prototype.exec = RegExp.prototype.test = String.prototype.replace = () => { throw 1 };",
    "Promise.prototype.then = () => { throw 1 };", "Object.prototype.get = Object.prototype.value = () => { throw 1 };",
    "Array.prototype[Symbol.iterator] = () => { throw 1 };", "Object = Symbol = Buffer = Reflect = JSON = undefined;",
]


@needs_node
@pytest.mark.parametrize("value", ["1", "Promise.resolve(1)", "(async () => 1)()"])
@pytest.mark.parametrize("spoiler", SPOILERS)
def test_javascript_survives_spoilt_globals(box, spoiler, value):
    code = f"{spoiler} {value}"
    expected = box.run("javascript", code, native=True)
    assert box.run("javascript", code).output() == expected.output()


@needs_node
@pytest.mark.parametrize("spoiler", SPOILERS[:1] + SPOILERS[3:7])
def test_javascript_value_in_spite_of_spoilt_globals(box, spoiler):
    assert box.run("javascript", f"{spoiler} ({{ a: [1] }})").value == ("{ a: [ 1 ] }", '{"a":[1]}')


HIDDEN_RUN = """
const vm = require('vm');
const prototype = Object.getPrototypeOf(vm.Script.prototype);
const native = Object.getOwnPropertyDescriptor(prototype, 'runInContext');
const { runInThisContext } = vm.Script.prototype;
function restored(...args) {
    const now = Object.getOwnPropertyDescriptor(prototype, 'runInContext');
    Object.defineProperty(prototype, 'runInContext', native);
    try {
        return runInThisContext.apply(this, args);
    } finally {
        delete prototype.runInContext;
        if (now)
            Object.defineProperty(prototype, 'runInContext', now);
    }
}
"""


@needs_node
@pytest.mark.parametrize("change, value", [
    ("vm.Script.prototype.runInThisContext = restored; delete prototype.runInContext;", ("4", "4")),
    ("vm.Script.prototype.runInThisContext = restored;", ("4", "4")),
    ("Object.setPrototypeOf(vm.Script.prototype, null);", None),
    ("delete prototype.runInContext;", None),
])
def test_javascript_without_the_hidden_run(box, change, value):
    preload = box.root / "preload.js"
    preload.write_text(HIDDEN_RUN + change)
    code = "console.log(typeof require, __sandbox()); function __sandbox() { return typeof __sandbox_scope__ }; 4"
    result = box.run("javascript", code, env={"NODE_OPTIONS": f"-r {preload}"})
    assert result.output() == ("function undefined\n", "", 0)
    assert result.value == value
    result = box.run("javascript", "\nthrow new Error('x')", env={"NODE_OPTIONS": f"-r {preload}"})
    assert "main.js:2:7" in result.stderr and result.code == 1
    code = "import('fs').then(m => console.log(typeof m.read))"
    result = box.run("javascript", code, env={"NODE_OPTIONS": f"-r {preload}"})
    assert result.output() == ("function\n", "", 0)


@needs_node
@pytest.mark.parametrize("code, stdout", [
    ("import fs from 'fs'; console.log(typeof fs.read, import.meta.url.slice(-7))", "function main.js\n"),
    ("const x = await Promise.resolve(4); console.log(x)", "4\n"),
    ("import x from './lib.mjs'; console.log(x); export default 5", "6\n"),
])
def test_javascript_modules(box, code, stdout):
    (box.box / "lib.mjs").write_text("export default 6\n")
    result = box.run("javascript", code)
    assert (result.output(), result.value) == ((stdout, "", 0), None)


@needs_node
def test_javascript_module_that_fails(box):
    result = box.run("javascript", "import 'fs';\n\nthrow new Error('x')")
    assert "box/main.js:3\nthrow new Error('x')\n" in result.stderr and result.code == 1
    assert "launchers" not in result.stderr


@needs_node
def test_javascript_output_survives_exit(box):
    code = "console.log('x'.repeat(1 << 20)); console.error('y'.repeat(1 << 20)); process.exit(0)"
    result = box.run("javascript", code)
    assert (len(result.stdout), len(result.stderr), result.code) == ((1 << 20) + 1, (1 << 20) + 1, 0)


@needs_node
def test_javascript_output_survives_exit_with_a_slow_reader(box):
    command, file = box.command("javascript")
    file.write_text("console.log('x'.repeat(1 << 20)); process.exit(0)")
    with subprocess.Popen(command, cwd=box.box, env=ENVIRONMENT, stdout=subprocess.PIPE) as process:
        time.sleep(0.5)
        assert len(process.stdout.read()) == (1 << 20) + 1


VALUES = [
    ("console.log(1); 6 * 7", "42", 42),
    ("'text'", "'text'", "text"),
    ("null", "null", None),
    ("true", "true", True),
    ("const a = 1; let b = 2;\n({ a, b: [b, null] })", "{ a: 1, b: [ 2, null ] }", {"a": 1, "b": [2, None]}),
    ("let s = 0; for (let i = 0; i < 4; i++) s += i;", "6", 6),
    ("if (true) { 'branch' }", "'branch'", "branch"),
    ("'use strict'; [1]", "[ 1 ]", [1]),
    ("let r = {}; Promise.resolve().then(() => { r.x = 1 }); r", "{ x: 1 }", {"x": 1}),
    ("Promise.resolve(4).then(x => x * 2)", "8", 8),
    ("(async () => { await null; return { a: 1 } })()", "{ a: 1 }", {"a": 1}),
]
VALUES_WITHOUT_JSON = [
    ("NaN", "NaN"), ("[1, Infinity]", "[ 1, Infinity ]"), ("10n", "10n"), ("Symbol('s')", "Symbol(s)"),
    ("(function f() {})", "[Function: f]"), ("new Map([[1, 2]])", "Map(1) { 1 => 2 }"),
    ("[undefined]", "[ undefined ]"), ("/x/g", "/x/g"), ("new Set('a')", "Set(1) { 'a' }"),
]
NO_VALUES = [
    "console.log(1)", "console.log(1); function f() {}", "undefined", "let x = 5",
    "function f() {}", "", "'use strict'; let x = 1", "new Promise(() => {})",
    "Promise.resolve()", "void 0",
]


@needs_node
@pytest.mark.parametrize("runtime", ["javascript", "javascript-bare"])
@pytest.mark.parametrize("code, text, value", VALUES)
def test_javascript_value(box, runtime, code, text, value):
    result = box.run(runtime, code)
    assert (result.stderr, result.code, result.value[0]) == ("", 0, text)
    assert json.loads(result.value[1]) == value


@needs_node
@pytest.mark.parametrize("runtime", ["javascript", "javascript-bare"])
@pytest.mark.parametrize("code, text", VALUES_WITHOUT_JSON)
def test_javascript_value_without_json(box, runtime, code, text):
    result = box.run(runtime, code)
    assert (result.output(), result.value) == (("", "", 0), (text, None))


@needs_node
@pytest.mark.parametrize("runtime", ["javascript", "javascript-bare"])
@pytest.mark.parametrize("code", NO_VALUES)
def test_javascript_without_value(box, runtime, code):
    result = box.run(runtime, code)
    assert (result.stderr, result.code, result.value) == ("", 0, None)


@needs_node
@pytest.mark.parametrize("code", [
    "f(1); function f(x) { return x }", "f(1)\nfunction f(x) { return g(x) }\nfunction g(x) { return x }",
    "const { URL } = require('url'), process = require('process'); 1", "fetch(1); function fetch(x) { return x }",
    "// the function if any, function fetch, function →, var URL\n1",
    "é𝒳(1); function é𝒳(x) { return x }",
    "'var process = 5'; (() => { var process = 1; return process })()",
    "var x = 1; x", "var f = function fetch() { return 1 }; f()", "let g = 1; { function g() {} } g",
])
def test_node_value_of_declarations(box, code):
    assert box.run("javascript", code).value == ("1", "1")


@needs_node
def test_node_value_of_import(box):
    (box.box / "lib.mjs").write_text("export default 6\n")
    value = box.run("javascript", "import('./lib.mjs').then(m => m.default)").value
    # Node 18 cannot import() in a script that has a completion value.
    supported = box.run("javascript", "typeof require('vm').constants").value[0] == "'object'"
    assert value == (("6", "6") if supported else None)


@needs_node
@pytest.mark.parametrize("code, value", [
    ("let r = {}; setTimeout(() => { r.x = 1 }, 5); r", ("{ x: 1 }", '{"x":1}')),
    ("new Promise(done => setTimeout(done, 5, 7))", ("7", "7")),
    ("setTimeout(() => {}, 5); process.on('exit', () => {}); 3", ("3", "3")),
    ("const x = { a: 1 }; x.x = x", ("<ref *1> { a: 1, x: [Circular *1] }", None)),
    ("process.exit(0); 3", None),
    ("setTimeout(() => process.exit(0), 5); 3", ("3", "3")),
    ("process.exitCode = 1; 3", None),
    ("setTimeout(() => { throw 1 }, 5); 3", None),
    ("({ toJSON() { throw 1 }, [require('util').inspect.custom]() { throw 2 } })", None),
    ("Buffer.from('a')", ("<Buffer 61>", '{"type":"Buffer","data":[97]}')),
])
def test_node_value(box, code, value):
    assert box.run("javascript", code).value == value


# Bare JavaScript

@needs_node
@pytest.mark.parametrize("expression", [
    "console.log.constructor('return process')()",
    "console.constructor.constructor('return process')()",
    "this.constructor.constructor('return process')()",
    "constructor.constructor('return process')()",
    "Object.getPrototypeOf(function* () {}).constructor('yield process')().next()",
    "require('fs')", "process", "Buffer", "setTimeout", "global", "WebAssembly", "module", "fetch", "URL",
    "new Error().stack.constructor.constructor('return process')()",
    "(() => { try { null.x } catch (e) { return e.constructor.constructor('return process')() } })()",
    "(() => { try { new Array(-1) } catch (e) { return e.constructor.constructor('return process')() } })()",
    "(() => { try { eval('(') } catch (e) { return e.constructor.constructor('return process')() } })()",
    "(p => (p.catch(() => {}), p.constructor.constructor('return process')()))(import('fs'))",
])
def test_bare_has_nothing_of_the_host(box, expression):
    result = box.run("javascript-bare", f"let r; try {{ r = typeof ({expression}) }} catch (e) {{ r = e.name }}; r")
    assert result.value[0] in ("'undefined'", "'ReferenceError'", "'EvalError'", "'TypeError'")


@needs_node
def test_bare_import_rejects(box):
    code = "import('fs').catch(e => { try { return e.constructor.constructor('return process')() } " \
        "catch (e) { return e.name } })"
    assert box.run("javascript-bare", code).value == ("'ReferenceError'", '"ReferenceError"')


@needs_node
@pytest.mark.parametrize("expression", [
    "import('fs')", "eval(\"import('fs')\")", "Function(\"return import('fs')\")()", "import({ toString: () => 'fs' })",
])
def test_bare_import_error_is_the_contexts(box, expression):
    code = f"{expression}.catch(e => [e instanceof TypeError, /launchers|node:/.test(e.stack), e.message])"
    message = "Cannot import 'fs': there are no modules here"
    assert box.run("javascript-bare", code).value[1] == json.dumps([True, False, message], separators=(",", ":"))


@needs_node
def test_bare_call_sites(box):
    code = """
Error.prepareStackTrace = (e, sites) => sites;
const sites = new Error().stack;
[sites.constructor === Array, sites.every(s => s.constructor.constructor === Function),
 sites.slice(1).every(s => s.getFunction() === undefined && s.getThis() === undefined)]
"""
    assert box.run("javascript-bare", code).value[0] == "[ true, true, true ]"


@needs_node
def test_bare_overflow_gives_no_host_error(box):
    code = """
let foreign = 0;
const f = () => { try { console.log('x'); f() } catch (e) { if (!(e instanceof Error)) foreign++; throw e } };
try { f() } catch {}
foreign
"""
    assert box.run("javascript-bare", code).value == ("0", "0")


@needs_node
def test_bare_console_methods_show_nothing(box):
    result = box.run("javascript-bare", "console.log(console.log, Object.keys(console).length > 9)")
    assert result.stdout == "[Function: log] true\n"


@needs_node
@pytest.mark.parametrize("code, stderr", [
    ("function f() {\n  throw new Error('x')\n}\nf()",
     "{0}:2\n  throw new Error('x')\n  ^\n\nError: x\n    at f ({0}:2:9)\n    at {0}:4:1\n"),
    ("let x = ;\n", "{0}:1\nlet x = ;\n        ^\n\nSyntaxError: Unexpected token ';'\n"),
    ("import 'fs'", "{0}:1\nimport 'fs'\n^^^^^^\n\nSyntaxError: Cannot use import statement outside a module\n"),
    ("\nimport('fs')", "TypeError: Cannot import 'fs': there are no modules here\n    at {0}:2:1\n"),
    ("throw 5", "Uncaught 5\n"),
    ("throw { a: 1 }", "Uncaught { a: 1 }\n"),
    ("throw new Proxy({}, { get() { throw 1 } })", "Uncaught error\n"),
    ("Promise.reject(new TypeError('no'))", "TypeError: no\n    at {0}:1:16\n"),
    ("console.error('e'); console.warn('w'); throw null", "e\nw\nUncaught null\n"),
])
def test_bare_errors(box, code, stderr):
    result = box.run("javascript-bare", code)
    assert result.output() == ("", stderr.replace("{0}", str(box.box / "main.js")), 1)


@needs_node
@pytest.mark.parametrize("arguments, stdout", [
    ("'a', 1, [2, 'b']", "a 1 [ 2, 'b' ]"),
    ("", ""),
    ("'%s is %d%%, %i, %f, %j, %o', 'x', 4, 5.5, '1.5', { a: 1 }, [1], 'more'",
     "x is 4%, 5, 1.5, {\"a\":1}, [ 1 ] more"),
    ("'%s'", "%s"),
    ("'%s %s', 'a'", "a %s"),
    ("{ a: { b: { c: { d: 1 } } } }", "{ a: { b: { c: [Object] } } }"),
    ("[[[[1]]]]", "[ [ [ [Array] ] ] ]"),
    ("new Map([['a', { b: 1 }]]), new Set([1])", "Map(1) { 'a' => { b: 1 } } Set(1) { 1 }"),
    ("new (class P { x = 1; #y = 2 }), Object.create(null)", "P { x: 1 } [Object: null prototype] {}"),
    ("{ get a() { throw 1 }, 'b-c': 1, [Symbol('d')]: 2 }", "{ a: [Getter], 'b-c': 1, [Symbol(d)]: 2 }"),
    ("[undefined, null, -0, 10n, Symbol('s'), \"it's\"]", "[ undefined, null, -0, 10n, Symbol(s), \"it's\" ]"),
    ("new Date(0), /a/g, () => {}, class A {}, new Uint8Array(2)",
     "1970-01-01T00:00:00.000Z /a/g [Function (anonymous)] [class A] Uint8Array(2) [ 0, 0 ]"),
    ("new Proxy({}, { ownKeys() { throw 1 } })", "[object]"),
    ("Array.from({ length: 102 }, () => 1).slice(0, 3), Array(3)", "[ 1, 1, 1 ] [ undefined, undefined, undefined ]"),
    ("{ a: 'x'.repeat(40), b: 'y'.repeat(40) }", "{{\n  a: '{0}',\n  b: '{1}'\n}}".format("x" * 40, "y" * 40)),
])
def test_bare_console(box, arguments, stdout):
    result = box.run("javascript-bare", f"console.log({arguments})")
    assert result.output() == (stdout + "\n", "", 0)


@needs_node
def test_bare_console_survives_a_spoilt_prototype(box):
    code = "Array.prototype.push = String.prototype.replace = () => { throw 1 }; console.log([1]); console.log('x'); 5"
    result = box.run("javascript-bare", code)
    assert (result.stdout, result.code, result.value) == ("[object]\nx\n", 0, ("5", "5"))


# Bash

def test_bash(box):
    result = box.run("bash", "echo $0 \"$@\"\n\nfoo_is_missing\nexit 3\n", "a b", "c")
    script = box.box / "main.sh"
    assert result.output() == (f"{script} a b c\n", f"{script}: line 3: foo_is_missing: command not found\n", 3)
    assert result.value is None
