# SPDX-License-Identifier: Apache-2.0
"""The plot of a run as SVG, written by hand: bars of p50 with a line to p99 for one at a time, and jobs a
second against the number under way."""

import html
import math

import contenders

WIDTH, MARGIN, LABEL = 960, 20, 330
ROW, HEAD, CHART = 20, 44, 240
OURS, OTHERS, PLAIN = "#1f6feb", "#9aa4b2", "#d97706"
STYLE = ("text{font:12px sans-serif;fill:#1b1f24}.title{font-weight:bold;font-size:14px}.axis{fill:#6b7280}"
         ".grid{stroke:#e5e7eb}.whisker{stroke:#1b1f24}")


class Drawing:
    def __init__(self):
        self.parts, self.y = [], MARGIN

    def text(self, x, y, text, kind="", anchor="start"):
        self.parts.append(f'<text x="{x:.1f}" y="{y:.1f}" class="{kind}" text-anchor="{anchor}">'
                          f"{html.escape(text)}</text>")

    def line(self, x1, y1, x2, y2, kind):
        self.parts.append(f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" class="{kind}"/>')

    def bar(self, x, y, width, colour):
        self.parts.append(f'<rect x="{x:.1f}" y="{y:.1f}" width="{max(width, 1):.1f}" height="{ROW - 6}" '
                          f'fill="{colour}"/>')

    def curve(self, points, colour):
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
        self.parts.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>')

    def svg(self):
        height = self.y + MARGIN
        return (f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height:.0f}" '
                f'viewBox="0 0 {WIDTH} {height:.0f}"><style>{STYLE}</style>'
                f'<rect width="100%" height="100%" fill="white"/>{"".join(self.parts)}</svg>\n')


def colour_of(name):
    kind = name.split("/")[1]
    if kind.startswith("spawn"):
        return PLAIN
    ours = ("parked", "cold", "ctl-", "pool", "scope-", "cgroupfs-")
    return OURS if kind.startswith(ours) else OTHERS


def ticks(low, high):
    return [m * 10 ** e for e in range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
            for m in (1, 3) if low <= m * 10 ** e <= high]


def bars(drawing, title, series):
    """Milliseconds on a logarithmic scale, the quickest first."""
    series = sorted((s for s in series if s["p50"]), key=lambda s: s["p50"])
    if not series:
        return
    low, high = min(s["min"] or s["p50"] for s in series) * 0.8, max(s["p99"] for s in series) * 1.3
    low = max(low, 0.001)

    def x(value):
        value = max(value, low)
        return LABEL + (WIDTH - LABEL - 90) * math.log(value / low) / math.log(high / low)

    drawing.text(MARGIN, drawing.y + 14, title, "title")
    top, bottom = drawing.y + 26, drawing.y + 26 + ROW * len(series)
    for value in ticks(low, high):
        drawing.line(x(value), top, x(value), bottom, "grid")
        drawing.text(x(value), bottom + 13, f"{value:g}", "axis", "middle")
    for i, s in enumerate(series):
        y = top + i * ROW
        drawing.text(LABEL - 8, y + 14, s["label"], "", "end")
        drawing.bar(LABEL, y + 3, x(s["p50"]) - LABEL, colour_of(s["name"]))
        drawing.line(x(s["p50"]), y + ROW / 2, x(s["p99"]), y + ROW / 2, "whisker")
        drawing.text(max(x(s["p99"]), x(s["p50"])) + 6, y + 14, f"{s['p50']:.2f}")
    drawing.y = bottom + 34


def curves(drawing, title, levels, points):
    """Jobs a second against how many are under way."""
    names = list(dict.fromkeys(p["name"] for p in points))
    most = max((p["rate"] for p in points), default=0) * 1.1
    if not most:
        return
    top, bottom = drawing.y + 26, drawing.y + 26 + CHART - 60
    left, right = 90, WIDTH - 260

    def place(level, rate):
        at = levels.index(level) / max(len(levels) - 1, 1)
        return left + at * (right - left), bottom - (bottom - top) * rate / most

    drawing.text(MARGIN, drawing.y + 14, f"{title}: a second, by the number under way", "title")
    for i in range(5):
        _, y = place(levels[0], most * i / 4)
        drawing.line(left, y, right, y, "grid")
        drawing.text(left - 8, y + 4, f"{most * i / 4:.0f}", "axis", "end")
    for level in levels:
        drawing.text(place(level, 0)[0], bottom + 16, str(level), "axis", "middle")
    last = []
    for name in names:
        mine = [p for p in points if p["name"] == name]
        drawing.curve([place(p["concurrency"], p["rate"]) for p in mine],
                      "#0b3d91" if name.endswith("/pool") else colour_of(name))
        last.append((place(mine[-1]["concurrency"], mine[-1]["rate"])[1], mine[-1]["label"]))
    y = 0
    for at, label in sorted(last):
        y = max(at + 4, y + 15)
        drawing.text(right + 10, y, label)
    drawing.y = bottom + 40


def draw(run):
    """The whole of a run, as the text of an SVG file."""
    drawing, sections = Drawing(), run["sections"]
    machine = run["machine"]
    drawing.text(MARGIN, drawing.y + 14, f"sandboxd {machine['sandboxd']}, {machine['processors']} x "
                 f"{machine['processor']}, Linux {machine['kernel']}, {machine['date']}", "axis")
    drawing.text(MARGIN, drawing.y + 32, "milliseconds: bars p50, lines to p99", "axis")
    drawing.y += HEAD
    for group, title in contenders.GROUPS.items():
        series = sections.get("compare", {}).get("series", {}).values()
        bars(drawing, title, [s for s in series if s["group"] == group])
    for state, passed in sections.get("scope", {}).get("passes", {}).items():
        for group, title in contenders.GROUPS.items():
            bars(drawing, f"under systemd, {state}: {title}", [s for s in passed.values() if s["group"] == group])
    throughput = sections.get("throughput", {})
    for group, title in contenders.GROUPS.items():
        curves(drawing, title, throughput.get("levels"), [p for p in throughput.get("points", []) if p["group"] == group])
    return drawing.svg()
