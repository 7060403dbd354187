# SPDX-License-Identifier: Apache-2.0
"""libsandbox as another program uses it: the installed header and library, found by pkg-config."""

import os
import subprocess

import pytest

from lib.daemon import SOURCE

EXAMPLES = SOURCE / "client/lib/examples"


@pytest.fixture(scope="module")
def tree(build, tmp_path_factory):
    """What `make install` puts into a system of its own, of the library."""
    root = tmp_path_factory.mktemp("installed")
    subprocess.run(["make", "-s", "-C", build, f"DESTDIR={root}", "install-libLTLIBRARIES", "install-includeHEADERS",
                    "install-pkgconfigDATA", "install-dist_libexamplesDATA"], check=True, capture_output=True)
    return root


def pkg_config(tree, *args):
    pc = next(tree.rglob("libsandbox.pc"))
    environment = os.environ | {"PKG_CONFIG_PATH": str(pc.parent), "PKG_CONFIG_SYSROOT_DIR": str(tree)}
    return subprocess.run(["pkg-config", *args, "libsandbox"], env=environment, check=True, capture_output=True,
                          text=True).stdout.split()


@pytest.fixture(scope="module")
def compiled(tree):
    """Compiles an example as its first lines say it, and returns a function that runs it."""
    library = next(tree.rglob("libsandbox.so.0"))
    needed = subprocess.run(["readelf", "-d", library], check=True, capture_output=True, text=True).stdout
    # A library with sanitizers needs a program with them.
    sanitize = ["-fsanitize=address,undefined"] if "libasan" in needed else []

    def compile_example(name):
        program = tree / name
        subprocess.run(["cc", "-std=c11", "-pedantic", "-Wall", "-Wextra", "-Werror", *sanitize,
                        EXAMPLES / f"{name}.c", *pkg_config(tree, "--cflags", "--libs"), "-o", program], check=True)

        def run(socket, *args, stdin=""):
            environment = os.environ | {"LD_LIBRARY_PATH": str(library.parent), "SANDBOXD_SOCKET": str(socket)}
            return subprocess.run([program, *args], env=environment, input=stdin, capture_output=True, text=True,
                                  timeout=60)

        return run

    return compile_example


def test_what_is_installed(build, tree):
    names = {str(p.relative_to(tree)) for p in tree.rglob("*") if not p.is_dir()}
    for name in ("include/sandbox.h", "libsandbox.so", "libsandbox.so.0", "libsandbox.so.0.2.0", "libsandbox.pc",
                 "run-code.c", "many-jobs.c"):
        assert any(n.endswith(name) for n in names), names
    assert not any(n.endswith(".a") for n in names), names
    version = subprocess.run(["sed", "-n", "s/^PACKAGE_VERSION = //p", build / "Makefile"], capture_output=True,
                             text=True, check=True).stdout.strip()
    assert pkg_config(tree, "--modversion") == [version]


def test_blocking_example(daemon, compiled):
    run = compiled("run-code")
    r = run(daemon.socket, "print(6 * 7)")
    assert (r.returncode, r.stdout, r.stderr) == (0, "42\nOK\n", "")
    r = run(daemon.socket, "import sys; print('oops', file=sys.stderr); sys.exit(3)")
    assert (r.returncode, r.stdout, r.stderr) == (3, "EXITED\n", "oops\n")
    r = run("/nonexistent/socket")
    assert r.returncode == 1 and "/nonexistent/socket" in r.stderr, r


def test_loop_example(daemon, compiled):
    """Commands that are read one after the other run side by side; what ends first is told first."""
    run = compiled("many-jobs")
    commands = ["sleep 2; echo slow"] + [f"echo fast{i}; exit {i}" for i in range(5)]
    r = run(daemon.socket, stdin="\n".join(commands) + "\n")
    assert r.returncode == 0, r
    lines = [line.split(": ", 1) for line in r.stdout.splitlines()]
    assert [text for _, text in lines][-2:] == ["slow", "OK"], r.stdout
    assert sorted(text for _, text in lines[:-2]) == ["EXITED"] * 4 + ["OK"] + [f"fast{i}" for i in range(5)]
    assert len({job for job, _ in lines}) == 6, r.stdout
