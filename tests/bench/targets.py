# SPDX-License-Identifier: Apache-2.0
"""What sandboxd means to reach, and whether a run did. A target whose section was not run, or whose parked
jobs there were none of, is not measured."""

import figures
import report


def value_of(sections, *path):
    for key in path:
        if not isinstance(sections, dict) or key not in sections:
            return None
        sections = sections[key]
    return sections


def p50(sections, name, section="compare"):
    return value_of(sections, section, "series", name, "p50")


def parked(sections, group):
    """Only where its jobs were parked indeed."""
    return p50(sections, f"{group}/parked") if value_of(sections, "compare", "series", f"{group}/parked", "warm") else None


def against(group, other):
    return lambda s: figures.ratio(parked(s, group), p50(s, f"{group}/{other}"))


def cold_true(sections):
    return figures.ratio(p50(sections, "true/cold"), p50(sections, "true/bwrap"))


def scope_over(sections):
    values = [v for v in (value_of(sections, "scope", "over_cgroupfs_ms", "parked") or {}).values() if v is not None]
    return max(values, default=None)


def tail(sections):
    """The worst of ours, one at a time."""
    series = value_of(sections, "compare", "series") or {}
    ours = [s for name, s in series.items() if name == "true/cold" or (name.endswith("/parked") and s["warm"])]
    return max((s["p99_over_p50"] for s in ours if s["p99_over_p50"]), default=None)


def many_idle(sections):
    if value_of(sections, "idle", "most") != 1000:
        return None
    ratios = value_of(sections, "idle", "ratios")
    return max((r for name, r in ratios.items() if not name.endswith("/spawn") and r), default=None)


def sustained(group):
    def find(sections):
        return value_of(sections, "throughput", "sustained", group, "ratio")
    return find


def rss(group):
    def find(sections):
        found = [s["rss"] for s in value_of(sections, "memory", "sandboxes") or []
                 if s["group"] == group and s["state"] == "parked"]
        return max(found) / 1024 if found else None
    return find


# What, the most (or with True the least) it may be, and how it is found.
TARGETS = [
    ("parked bash / bwrap bash", 0.25, False, against("bash", "bwrap")),
    ("parked bash / un-isolated spawn", 1.0, False, against("bash", "spawn")),
    ("parked python / bwrap python3 -I -S", 0.12, False, against("python", "bwrap")),
    ("parked python / un-isolated spawn", 0.2, False, against("python", "spawn")),
    ("parked javascript / bwrap node", 0.08, False, against("javascript", "bwrap")),
    ("parked javascript / un-isolated spawn", 0.15, False, against("javascript", "spawn")),
    ("cold /bin/true / bwrap", 0.5, False, cold_true),
    ("/bin/true in a sandbox made before / bwrap", 0.5, False, against("true", "bwrap")),
    ("scope mode over cgroupfs, parked, ms", 0.3, False, scope_over),
    ("p99 / p50, the worst of ours", 3.0, False, tail),
    ("p50 with 1,000 idle jobs / with 1, the worst", 1.2, False, many_idle),
    ("sustained bash / un-isolated", 0.7, True, sustained("bash")),
    ("sustained python / un-isolated", 0.7, True, sustained("python")),
    ("sustained javascript / un-isolated", 0.7, True, sustained("javascript")),
    ("RSS of a parked bash, MiB", 2.0, False, rss("bash")),
    ("RSS of a parked python, MiB", 12.0, False, rss("python")),
    ("RSS of a parked node, MiB", 50.0, False, rss("javascript")),
]


def judge(sections):
    found = []
    for what, bound, least, find in TARGETS:
        value = find(sections)
        if value is None:
            verdict = "not measured"
        else:
            verdict = "met" if (value >= bound if least else value <= bound) else "missed"
        found.append({"target": what, "bound": bound, "at_least": least, "value": value, "verdict": verdict})
    return found


def table(judged):
    rows = [[t["target"], f"{'>=' if t['at_least'] else '<='} {t['bound']:g}", report.ratio(t["value"]), t["verdict"]]
            for t in judged]
    return report.Table("Targets", ["", "target", "measured", ""], rows)
