# SPDX-License-Identifier: Apache-2.0
"""What python.py does when it is parked: it warms up, waits for its job, and ends faster. Runs in the
launcher's own namespace, and is as unseen as that: no module, fd, variable or frame of it is left.

The job's arguments and variables come through CLAIM_FD, as strings that end with NUL: how many
arguments, these, how many variables, these, and 0 where there is no stdin. Nothing at all means that
there will be no job.
"""

old_modules = frozenset(sys.modules)

import atexit
import errno
import gc
import stat
import time
from _thread import _count as count_threads
from _weakref import ReferenceType

CLAIM_FD, READY_FD, FAULT_FD = 60, 61, 62
MAX_LONG = 1 << 63  # of exit codes
MAX_YOUNG = 10000  # of objects to look at before the end
# Extension modules that have nothing to do at the end of the process, not in C either.
HARMLESS = frozenset(
    "_bisect _contextvars _datetime _decimal _hashlib _heapq _json _opcode _queue _random _struct _uuid "
    "_zoneinfo mmap resource".split())

# Compiled and run before there is a job: what nearly every script makes the interpreter do.
EXAMPLE = '''
"""An example."""
import sys
from os import path
class Shape(object):
    sides = 0
    def __init__(self, *sides, name="shape", **more):
        self.sides, self.name = list(sides), name
    @property
    def around(self):
        return sum(side for side in self.sides if side > 0)
    def __str__(self):
        return f"{self.name!r:>10} {self.around:.2f} %s" % (self.sides,)
def total(n: int = 3) -> int:
    global count
    count = 0
    for i, x in enumerate(sorted(range(n), key=lambda x: -x)):
        if i % 2 and x != 1 or not i:
            continue
        count += x ** 2 // 3
    while count > 100:
        count -= 1
        break
    return count
try:
    with open(path.join("", "")) as file:
        lines = [line.split(",") for line in file.read().strip().splitlines()]
except (OSError, ValueError) as error:
    lines = {str(error): [1, 2.5, None, True, b"x"]}
finally:
    assert isinstance(lines, dict)
print("", end="")
print("".join(map(str, {*"ab"})).replace("a", "").upper()[:0], end="", file=sys.stdout)
sys.stdout.write("")
str(Shape(1, 2)), total(10), {k: v for k, v in lines.items()}, repr("é"), int("7"), 1 / 3
[42, "x"]
'''


def is_parked():
    """Whether the pipes are there: a job may set a variable of that name too."""
    try:
        return stat.S_ISFIFO(os.fstat(CLAIM_FD).st_mode) and stat.S_ISFIFO(os.fstat(READY_FD).st_mode)
    except OSError:
        return False


def warm_up():
    """Do once what a job does."""
    global json_functions
    json_functions = import_json()
    for source in (EXAMPLE, "1"):
        code, value = compile_parts(source, "<sandbox>")
        space = {"__name__": "<sandbox>", "__builtins__": builtins}
        exec(code, space)
        value = eval(value, space)
        repr(value), to_json(value)
    stderr, sys.stderr = sys.stderr, io.StringIO()
    try:
        exec(compile("def f():\n  1 / 0\nf()", __file__, "exec"), {"__name__": "<sandbox>"})
    except ZeroDivisionError as error:
        sys.excepthook(type(error), error, error.__traceback__)
    sys.stderr = stderr


def forget_modules():
    """Let the script import anew what was not there, as it may have one of that name."""
    for name in set(sys.modules) - old_modules:
        del sys.modules[name]


def read_claim():
    data = []
    while part := os.read(CLAIM_FD, 1 << 16):
        data.append(part)
    os.close(CLAIM_FD)
    return b"".join(data)


def parse_claim(record):
    """Give the arguments, the variables, and whether there is a stdin."""
    fields = record.split(b"\0")
    n = int(fields[0])
    args, rest = fields[1:n + 1], fields[n + 1:]
    m = int(rest[0])
    if len(rest) != m + 3 or rest[-1]:
        raise OSError(errno.EBADMSG, "the record of the claim is incomplete")
    return args, [assignment.split(b"=", 1) for assignment in rest[1:-2]], rest[-2] != b"0"


def empty_stdin():
    """Have fd 0 and sys.stdin as in a python that was started with /dev/null there."""
    null = os.open("/dev/null", os.O_RDONLY)
    os.dup2(null, 0)
    os.close(null)
    buffer = io.open(0, "rb", closefd=False)
    buffer.raw.name = "<stdin>"
    old = sys.stdin
    sys.stdin = sys.__stdin__ = io.TextIOWrapper(buffer, old.encoding, old.errors, "\n")
    sys.stdin.mode = "r"


def take_over():
    """Wait for the job, and make it this process's. What it cannot be told any more is in python.runtime."""
    global stdout, stderr, old_count, end_at_once, own_pid
    if not is_parked():
        forget_modules()
        return
    del os.environ["SANDBOXD_PARK"]
    for fd in CLAIM_FD, READY_FD, FAULT_FD:
        os.set_inheritable(fd, False)
    warm_up()
    forget_modules()
    stdout, stderr, own_pid = sys.stdout, sys.stderr, os.getpid()
    end_at_once = end_quickly
    gc.collect()
    gc.freeze()
    os.write(READY_FD, b"P")
    os.close(READY_FD)
    record = read_claim()
    if not record:
        os._exit(0)
    try:
        args, variables, has_stdin = parse_claim(record)
        if not has_stdin:
            empty_stdin()
            gc.freeze()  # it is no object of the script's
        for name, value in variables:
            os.environb[name] = value
        if b"TZ" in os.environb or b"TZDIR" in os.environb:
            time.tzset()
    except BaseException as error:
        os.write(FAULT_FD, bytes([getattr(error, "errno", None) or errno.EBADMSG]))
        os._exit(1)
    os.close(FAULT_FD)
    args = [os.fsdecode(arg) for arg in args]
    sys.argv += args
    sys.orig_argv += args
    old_count = count_collections()


@hide
def count_collections():
    return [generation["collections"] for generation in gc_stats()][1:]


@hide
def is_harmless(name, module):
    if type(module) is not type(sys):
        return False
    spec = module.__spec__
    if spec is None or spec.origin in ("built-in", "frozen"):
        return True
    return spec.origin.endswith(".py") or name in HARMLESS


@hide
def may_skip_finalization():
    """Whether finalization would do nothing but free memory.

    It runs what a script may have left for it: __del__, callbacks of weak references, what is suspended
    in a generator, handlers, threads, buffers of C's. Whatever could be one of these is a reason for it.
    An object that is not tracked has a class that is, so classes are looked at too.
    """
    if count_collections() != old_count or gc_count()[0] > MAX_YOUNG:
        return False  # too much to look at
    if sys.stdout is not stdout or sys.stderr is not stderr or sys.gettrace() or sys.getprofile():
        return False
    if count_threads() or count_handlers() or "PYTHONINSPECT" in os.environ:
        return False
    if not all(name in old_modules or is_harmless(name, module) for name, module in sys.modules.items()):
        return False
    objects = gc_objects()
    kinds = set(map(type, objects))
    if any(issubclass(kind, type) for kind in kinds):
        kinds.update([o for o in objects if isinstance(o, type)])
    if any("__del__" in vars(base) for kind in kinds for base in kind.__mro__):
        return False
    return not any(issubclass(kind, ReferenceType) for kind in kinds) or \
        not any(isinstance(o, ReferenceType) and o.__callback__ for o in objects)


@hide
def say_last_words(code):
    """Have the end told before there is one. Whoever listens ends us when the result is out, so that freeing
    our memory does not delay that; in a process that was forked nobody does."""
    try:
        os_write(os_open("/proc/self/comm", O_WRONLY), b".exited %d" % code)
        os_open(RETURN_FILE, O_RDONLY)
        if os_getpid() == own_pid:
            sleep(0.02)
    except BaseException:
        pass  # then it is told when it has come


@hide
def end_quickly(code, value=None, pid=None):
    """Return only where there is something to finalize, and then whether the value was reported."""
    global stdout, stderr
    reported = False
    try:
        if may_skip_finalization():
            if value is not None:
                reported = True
                report(value, pid)  # which runs code of the script's
                clear_handlers()  # what is registered by a handler is not run
            if not reported or may_skip_finalization():
                stdout.flush()
                stderr.flush()
                code = code & 0xff if -MAX_LONG <= code < MAX_LONG else 0xff
                os_closerange(0, 3)  # who reads them sees the end before the memory is freed
                say_last_words(code)
                os_exit(code)
    except BaseException:
        pass  # finalization says what is wrong
    # Or they would not be finalized with the others, and what is in cycles not either.
    stdout = stderr = None
    gc_unfreeze()
    return reported


gc_stats, gc_count, gc_objects, gc_unfreeze = gc.get_stats, gc.get_count, gc.get_objects, gc.unfreeze
count_handlers, clear_handlers = atexit._ncallbacks, atexit._clear
os_closerange, os_exit, os_open, os_write = os.closerange, os._exit, os.open, os.write
os_getpid, sleep, O_RDONLY, O_WRONLY = os.getpid, time.sleep, os.O_RDONLY, os.O_WRONLY
