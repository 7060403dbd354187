# SPDX-License-Identifier: Apache-2.0
"""The system rung tries what fails once more: what may be made of two reports."""

import subprocess
import xml.etree.ElementTree as tree

import pytest

from lib.daemon import SOURCE

MERGE = SOURCE / "tests/system/guest/merge-reports"
FAILED, BROKEN, SKIPPED, PASSED = "<failure/>", "<error/>", "<skipped/>", ""


def write(path, outcomes):
    cases = "".join(f'<testcase classname="c" name="{n}">{what}</testcase>' for n, what in outcomes.items())
    path.write_text(f"<testsuites><testsuite>{cases}</testsuite></testsuites>")
    return path


def merge(tmp_path, first, second):
    """The exit status, and {name: (children, tries)} of what the first report says then."""
    paths = write(tmp_path / "first", first), write(tmp_path / "second", second)
    status = subprocess.run(["/usr/bin/python3", MERGE, *paths], stdout=subprocess.DEVNULL).returncode
    cases = tree.parse(paths[0]).getroot().iter("testcase")
    return status, {c.get("name"): ([child.tag for child in c], c.get("tries")) for c in cases}


def test_passed_at_last(tmp_path):
    assert merge(tmp_path, {"a": PASSED, "b": FAILED, "c": BROKEN, "d": SKIPPED}, {"b": PASSED, "c": PASSED}) == (
        0, {"a": ([], None), "b": ([], "2"), "c": ([], "2"), "d": (["skipped"], None)})


@pytest.mark.parametrize("second", [{"a": FAILED}, {"a": BROKEN}, {"a": SKIPPED}, {}, {"b": PASSED}])
def test_not_seen_to_pass(tmp_path, second):
    assert merge(tmp_path, {"a": FAILED}, second) == (1, {"a": (["failure"], None)})


def test_too_many(tmp_path):
    names = "abcdef"
    status, cases = merge(tmp_path, dict.fromkeys(names, FAILED), dict.fromkeys(names, PASSED))
    assert status == 1 and all(case == (["failure"], None) for case in cases.values())
    status, cases = merge(tmp_path, dict.fromkeys(names[1:], FAILED), dict.fromkeys(names, PASSED))
    assert status == 0 and all(case == ([], "2") for case in cases.values())
