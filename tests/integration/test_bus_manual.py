# SPDX-License-Identifier: Apache-2.0
"""man/org.sandboxd1.5.scd against the service that runs and what it is made of: members, options, results, errors,
actions. What is in one of them alone fails."""

import json
import re
import subprocess
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest

TOP = Path(__file__).resolve().parents[2]
MANUAL = (TOP / "man/org.sandboxd1.5.scd").read_text()
MANAGER, JOB = "org.sandboxd1.Manager", "org.sandboxd1.Job"
OBJECT_MANAGER = "org.freedesktop.DBus.ObjectManager"
EMITS = {"constant": "const", "changes are told": "true"}
UNITS = {"KIB": 1 << 10, "MIB": 1 << 20, "GIB": 1 << 30, "TIME_MOST": 365 * 24 * 3600 * 1000000}


# --- what the manual says

def sections(text, mark):
    """[(heading, what is below it)]"""
    parts = re.split(rf"(?m)^{mark} (.*)\n", text)
    return list(zip(parts[1::2], parts[2::2]))


def section(name):
    return dict(sections(MANUAL, "#"))[name]


def arguments(text):
    """"_s_ id, _o_ job" as [("s", "id"), ("o", "job")]"""
    return [re.fullmatch(r"_(\S+)_ (\w+)", part).groups() for part in text.split(", ")] if text else []


def manual_members():
    """{interface: {name: ...}}, in the form of described()."""
    out = {}
    for heading, text in sections(MANUAL, "#"):
        if not heading.startswith("INTERFACE "):
            continue
        members = out[heading.split()[1]] = {}
        for kind, lines in sections(text, "##"):
            for line in re.findall(r"(?m)^\*\w+\*.*", lines):
                name, member = manual_member(kind, line)
                assert name not in members, f"{name} is there twice"
                members[name] = member
    return out


def manual_member(kind, line):
    if kind == "PROPERTIES":
        name, signature, emits = re.fullmatch(r"\*(\w+)\* _(\S+)_ \((.*)\)", line).groups()
        return name, ("property", signature, EMITS[emits])
    name, args, _, ret = re.fullmatch(r"\*(\w+)\*\((.*?)\)( -> \((.*)\))?", line).groups()
    if kind == "SIGNALS":
        assert ret is None, line
        return name, ("signal", arguments(args))
    return name, ("method", arguments(args), arguments(ret))


def manual_fields(name):
    """{field: (type, whether it may be missing)} of a section."""
    found = re.findall(r"(?m)^\*(\w+)\* _(\S+)_( \?)?$", section(name))
    return {field: (kind, bool(optional)) for field, kind, optional in found}


# --- what there is

def described(xml):
    """The same of introspection data."""
    out = {}
    for interface in ElementTree.fromstring(xml).findall("interface"):
        out[interface.get("name")] = {m.get("name"): described_member(m) for m in interface if m.tag != "annotation"}
    return out


def described_member(m):
    if m.tag == "property":
        emits = [a.get("value") for a in m.findall("annotation") if a.get("name").endswith("EmitsChangedSignal")]
        assert m.get("access") == "read"
        return "property", m.get("type"), (emits or ["true"])[0]
    args = [(a.get("direction", "in"), (a.get("type"), a.get("name"))) for a in m.findall("arg")]
    if m.tag == "signal":
        return "signal", [a for _, a in args]
    return "method", [a for way, a in args if way == "in"], [a for way, a in args if way == "out"]


def introspect(bus, path):
    p = bus.busctl("introspect", "--xml-interface", "org.sandboxd1", path)
    assert p.returncode == 0, p
    return described(p.stdout)


@pytest.fixture
def execute(bus):
    """execute(language, code, *options) is the result, or the name and sentence of the error."""
    def call(language, code, *options):
        p = bus.busctl("--json=short", "call", "org.sandboxd1", "/org/sandboxd1", MANAGER, "Execute", "ssa{sv}",
                       language, code, len(options), *(word for option in options for word in option))
        return json.loads(p.stdout)["data"][0] if p.returncode == 0 else p.stderr
    return call


@pytest.mark.parametrize("interface", [MANAGER, JOB, OBJECT_MANAGER])
def test_members(bus, interface):
    path = "/org/sandboxd1"
    if interface == JOB:
        path = bus.caller().run("true")
    found = introspect(bus, path)
    assert found[interface] == manual_members()[interface]


def test_interfaces(bus):
    """And there is no further one of ours."""
    found = set(introspect(bus, "/org/sandboxd1")) | set(introspect(bus, bus.caller().run("true")))
    ours = {name for name in found if name.startswith("org.sandboxd1") or name == OBJECT_MANAGER}
    assert ours == set(manual_members())


def test_result(execute):
    """Each field and its type; the three forms of output and of the label."""
    fields = manual_fields("RESULT")
    found = {}
    for options in [(), (("output_fd", "b", "true"),)]:
        found |= execute("python", "import sys; print(1); print(2, file=sys.stderr); 6 * 7", ("label", "s", "x"), *options)
    found |= execute("bash", r"printf '\377'; printf '\377' >&2")
    kinds = {name: value["type"] for name, value in found.items()}
    assert kinds | {"label_raw": "ay"} == {name: kind for name, (kind, _) in fields.items()}
    plain = execute("bash", ":")
    assert {name for name, (_, optional) in fields.items() if not optional} <= set(plain)


@pytest.mark.parametrize("name", manual_fields("OPTIONS"))
def test_option_of_another_type(execute, name):
    """It is known, by both spellings; and the type that is missed is that of the manual."""
    kind, _ = manual_fields("OPTIONS")[name]
    for key in (name, name.replace("_", "-")):
        sentence = execute("bash", ":", (key, "d", "1.5"))
        assert isinstance(sentence, str) and f"'{name}'" in sentence, sentence
        wanted = {"int": "an integer", "s|ay": "s or ay"}.get(kind, f" {kind}")
        assert wanted in sentence, sentence


@pytest.mark.parametrize("number", range(4))
def test_examples(bus, number):
    """As root types them."""
    text = section("EXAMPLES").split("```")[1::2][number].replace("\\\\", "\\")
    assert section("EXAMPLES").count("```") == 8
    job = bus.caller().run("true").rsplit("/", 1)[-1]
    p = subprocess.run(["sh", "-ec", re.sub(r"\b[0-9a-f]{16}\b", job, text)], stdin=subprocess.DEVNULL,
                       capture_output=True, text=True, timeout=60,
                       env={"PATH": "/usr/bin:/bin", "DBUS_SYSTEM_BUS_ADDRESS": bus.bus.address})
    assert bus.busctl("call", "org.sandboxd1", "/org/sandboxd1", MANAGER, "Resume").returncode == 0
    assert (p.returncode, p.stderr) == (0, ""), p


# --- what it is made of

def test_options_are_those_of_the_table():
    table = re.findall(r'(?m)^\s+\{ "(\w+)",\s+"([^"]*)",\s+read_', (TOP / "daemon/bus/options.c").read_text())
    kinds = {"": "int", "s or ay": "s|ay"}
    assert {name: kinds.get(kind, kind) for name, kind in table} == \
        {name: kind for name, (kind, _) in manual_fields("OPTIONS").items()}


def test_ranges_of_limits():
    rows = re.findall(r'\{ "\w+", "(\w+)", "[^"]*", \w+, ([^,]+),\s*([^,]+), \w+ \}',
                      (TOP / "common/limit.c").read_text())
    text = section("OPTIONS")
    assert len(rows) == 7
    for name, least, most in rows:
        numbers = tuple(str(eval(value, {}, UNITS)) for value in (least, most))
        said = re.search(rf"(?m)^\*{name}\* _int_\n\t.*: (\d+)(?: \([^)]*\))? to (\d+)", text)
        assert said and said.groups() == numbers, name


def test_errors_are_those_of_the_service():
    source = "".join(path.read_text() for path in (TOP / "daemon/bus").glob("*.c"))
    made = r'ERROR_PREFIX "(\w+)"', r'\{ SANDBOX_ERROR_\w+, "(\w+)" \}', r'call_fail\(\w+, "(\w+)"'
    assert set().union(*(re.findall(pattern, source) for pattern in made)) == set(re.findall(r"(?m)^\*org\.sandboxd1\.Error\.(\w+)\*$", section("ERRORS")))


def test_actions_are_those_of_polkit():
    said = re.findall(r"(?m)^\*(org\.sandboxd1\.[\w-]+)\* (\w+), (\w+), (\w+)$", section("AUTHORISATION"))
    root = ElementTree.parse(TOP / "policy/polkit/org.sandboxd1.policy").getroot()
    actions = {}
    for action in root.findall("action"):
        defaults = action.find("defaults")
        actions[action.get("id")] = tuple(defaults.find(f"allow_{who}").text for who in ("any", "inactive", "active"))
        assert action.find("annotate").get("key") == "org.freedesktop.policykit.owner"
        assert action.find("annotate").text == "unix-user:sandboxd-bus"
    assert {name: tuple(answers) for name, *answers in said} == actions and len(actions) == 4
