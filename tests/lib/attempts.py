# SPDX-License-Identifier: Apache-2.0
"""Attacks written in Python: each attempt's outcome is an errno's name or PASSED."""

import json

TRY = """
import errno, os, sys, json
def attempt(f, *a):
    try:
        v = f(*a)
        return 'PASSED' if v is None or isinstance(v, (int, bytes)) else v
    except OSError as e:
        return errno.errorcode[e.errno]
    except ValueError as e:
        return 'EINVAL'
def read(p):
    with open(p, 'rb') as f: return f.read(64) and 'READ'
def write(p, data=b'x', flags=os.O_WRONLY):
    fd = os.open(p, flags); os.write(fd, data); os.close(fd)
"""
GONE = {"ENOENT", "EACCES", "EPERM", "EROFS", "ESRCH", "ENOTDIR", "EIO", "ENXIO"}


def tries(daemon, body, *args, **options):
    """Runs Python that fills `out`; gives it back."""
    r = daemon.python(TRY + "out = {}\n" + body + "\nprint(json.dumps(out))", *args, **options)
    assert r.status == "OK", r
    return json.loads(r.stdout)


def denied(out):
    passed = {k: v for k, v in out.items() if v not in GONE}
    assert out and not passed, passed
