# SPDX-License-Identifier: Apache-2.0
"""Started as "python3 python.py /box/main.py ARG...", runs what "python3 /box/main.py ARG..." does,
with stdout line-buffered and the value of the last expression reported in the return file. What is
done in a parked one alone is in python-parked.py.

It is the payload's first code, so it has no privilege and guards nothing. It has to be unseen: the
user's code runs in a __main__ of its own, with none of these frames below it. What python does
with a script it does here too, because python does it: finalization, exit codes, SIGINT, and
every script that does not compile.

Imported before the script's directory is on sys.path: built-in and frozen modules alone.
"""

import _ast
import io
import os
import sys

# The functions below keep to these when the script replaces some.
builtins, __builtins__ = __builtins__, vars(__builtins__).copy()

RETURN_FILE = os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + "/return"
RETURN_MAX = (1 << 20) - 64  # of a file of 1 MiB, what is left to all but its first line
FUTURE_FLAGS = 0x1FE0000  # every CO_FUTURE_* of code objects
RESUME, NOP = 151, 9  # opcodes of python 3.11 and 3.12


def hide(function):
    """Keep the function's frames out of tracebacks and of f_back.

    Where a frame cannot be hidden, as from faulthandler and profilers, its file is "<sandbox>".

    A frame counts as begun once it is past RESUME, so one without RESUME never does. Other pythons
    number their opcodes in other ways: there the frames of run() stay visible.
    """
    code = function.__code__.replace(co_filename="<sandbox>")
    if sys.version_info[:2] in ((3, 11), (3, 12)) and code.co_code[0] == RESUME:
        code = code.replace(co_code=bytes((NOP, 0)) + code.co_code[2:])
    function.__code__ = code
    return function


def compile_parts(source, path):
    """Give the code to execute, and the code whose value is the script's, or None."""
    tree = compile(source, path, "exec", _ast.PyCF_ONLY_AST, dont_inherit=True)
    last = None
    if tree.body and isinstance(tree.body[-1], _ast.Expr):
        # A constant has no effect and may be the docstring: it stays where it is too.
        constant = isinstance(tree.body[-1].value, _ast.Constant)
        last = tree.body[-1] if constant else tree.body.pop()
    body = compile(tree, path, "exec", dont_inherit=True)
    if last:
        flags = body.co_flags & FUTURE_FLAGS
        last = compile(_ast.Expression(last.value), path, "eval", flags, dont_inherit=True)
    return body, last


def load(path):
    """Compile the script, or become a plain python that says what is wrong with it."""
    stderr, sys.stderr = sys.stderr, io.StringIO()  # so that no warning is printed twice
    try:
        if sys.flags.inspect:
            raise ValueError
        with open(path, "rb") as file:
            parts = compile_parts(file.read(), path)
        warnings = sys.stderr.getvalue()
    except BaseException:
        os.execv(sys.executable, sys.orig_argv)
    sys.stderr = stderr
    if warnings:
        stderr.write(warnings)
    return parts


def new_main(path):
    main = type(sys)("__main__")
    main.__annotations__ = {}
    main.__builtins__ = builtins
    main.__cached__ = None
    main.__file__ = path
    main.__loader__ = type(__loader__)("__main__", path)
    sys.modules["__main__"] = main
    return vars(main)


@hide
def show(error):
    """Print an uncaught exception as PyErr_Print() does."""
    traceback = error.__traceback__
    while traceback and traceback.tb_frame.f_globals is globals():
        traceback = traceback.tb_next
    error.__traceback__ = traceback
    sys.last_type, sys.last_value, sys.last_traceback = type(error), error, traceback
    try:
        sys.excepthook(type(error), error, traceback)
    except SystemExit:
        raise
    except BaseException as second:
        print("Error in sys.excepthook:", file=sys.stderr)
        sys.__excepthook__(type(second), second, second.__traceback__)
        print("\nOriginal exception was:", file=sys.stderr)
        sys.__excepthook__(type(error), error, traceback)


@hide
def refuse(value):
    raise TypeError


@hide
def import_json():
    path, sys.path = sys.path, sys.path[not sys.flags.safe_path:]
    try:
        from _json import encode_basestring_ascii, make_encoder
    finally:
        sys.path = path
    return encode_basestring_ascii, make_encoder


@hide
def to_json(value):
    """json.dumps() without importing json, which takes as long as the whole of python's start."""
    if value is True or value is False:
        return str(value).lower()
    if type(value) is int:
        return repr(value)
    text, make_encoder = json_functions or import_json()
    encoder = make_encoder({}, refuse, text, None, ": ", ", ", False, False, False)
    return "".join(encoder(value, 0))


@hide
def report(value, pid):
    """Write the value. Its repr is the user's code, and nothing that does may fail the job."""
    try:
        if os.getpid() != pid:
            return
        text = repr(value).encode("utf-8", "backslashreplace")
        try:
            json = to_json(value).encode()
        except Exception:
            json = b""
        if len(text) + len(json) > RETURN_MAX:
            json = b""
        if len(text) > RETURN_MAX:
            text = text[:RETURN_MAX - 3].decode("utf-8", "ignore").encode() + "…".encode()
        with open(os.open(RETURN_FILE, os.O_WRONLY | os.O_TRUNC), "wb") as file:
            file.write(b"%d %d\n" % (len(text), len(json)) + text + json)
    except BaseException:
        pass


@hide
def run(*_):
    """Run the script. Called by the interpreter as sys.excepthook, see below."""
    sys.excepthook = sys.__excepthook__
    del sys.last_type, sys.last_value, sys.last_traceback
    pid = os.getpid()
    namespace = new_main(path)
    value = failure = None
    try:
        exec(body, namespace)
        if last:
            value = eval(last, namespace)
    except SystemExit as error:
        if end_at_once and (error.code is None or type(error.code) is int):
            end_at_once(error.code or 0)
        raise
    except BaseException as error:
        failure = error
    if failure is not None:
        show(failure)
        if type(failure) is KeyboardInterrupt:
            try:
                exec("raise KeyboardInterrupt")  # code from text, so the interpreter takes note
            except KeyboardInterrupt:
                return
        if end_at_once:
            end_at_once(1)
        raise SystemExit(1)
    if end_at_once and end_at_once(0, value, pid):
        value = None
    if value is not None:
        # After the threads have ended and before the handlers that the script registered.
        try:
            import atexit
            atexit.register(report, value, pid)
        except Exception:
            pass
    raise SystemExit(0)


# Set by a parked one, which is told of its job in take_over().
json_functions = end_at_once = None
if os.environ.get("SANDBOXD_PARK") == "1":
    with open(os.path.dirname(os.path.abspath(__file__)) + "/python-parked.py") as file:
        exec(compile(file.read(), "<sandbox>", "exec"))
    take_over()
path = sys.argv[1]
del sys.orig_argv[-len(sys.argv)], sys.argv[0]
body, last = load(path)
if not sys.flags.safe_path:
    sys.path[0] = os.path.dirname(path)
if sys.stdout:
    # A job that is killed keeps its lines this way; unbuffered would cost print() a write for each
    # of its arguments.
    sys.stdout.reconfigure(line_buffering=True)
sys.setrecursionlimit(sys.getrecursionlimit() + 2)  # what run() and exec() take of it

# The interpreter calls sys.excepthook when it has left this module's frame: nothing is below run().
# The SystemExit that run() ends with is then handled as any other. Where run() returns instead, the
# interpreter ends as it does after an uncaught KeyboardInterrupt, by SIGINT.
sys.excepthook = run
raise Exception
