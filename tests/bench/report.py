# SPDX-License-Identifier: Apache-2.0
"""Tables, as text for a terminal and as Markdown."""

import dataclasses


@dataclasses.dataclass
class Table:
    title: str
    columns: list
    rows: list

    def text(self):
        rows = [[str(c) for c in row] for row in [self.columns, *self.rows]]
        widths = [max(len(row[i]) for row in rows) for i in range(len(self.columns))]
        lines = [f"-- {self.title}"] if self.title else []
        for row in rows:
            cells = [c.ljust(w) if i == 0 else c.rjust(w) for i, (c, w) in enumerate(zip(row, widths))]
            lines.append("  ".join(cells).rstrip())
        return "\n".join(lines)

    def markdown(self):
        escaped = [[str(c).replace("|", "\\|") for c in row] for row in [self.columns, *self.rows]]
        lines = [f"**{self.title}**", ""] if self.title else []
        lines.append("| " + " | ".join(escaped[0]) + " |")
        lines.append("|---|" + "--:|" * (len(self.columns) - 1))
        lines += ["| " + " | ".join(row) + " |" for row in escaped[1:]]
        return "\n".join(lines)


def ms(value):
    return "-" if value is None else f"{value:.3f}" if value < 10 else f"{value:.1f}"


def ratio(value):
    return "-" if value is None else f"{value:.2f}"


def share(value):
    return "" if value is None else f"{value * 100:.0f}%"


def number(value):
    return "-" if value is None else f"{value:.0f}"


def series_table(title, series, base=None, other=None):
    """Times of contenders; ratios to two of them, where they are there."""
    by_name = {s["name"]: s for s in series}
    bases = [(name, head) for name, head in ((base, f"x {str(base).rsplit('/')[-1]}"),
                                             (other, f"x {str(other).rsplit('/')[-1]}")) if name in by_name]
    rows = []
    for s in sorted(series, key=lambda s: s["p50"] if s["p50"] is not None else float("inf")):
        ratios = [ratio(s["p50"] / by_name[name]["p50"] if s["p50"] and by_name[name]["p50"] else None)
                  for name, _ in bases]
        rows.append([s["label"], ms(s["min"]), ms(s["p50"]), ms(s["p99"]), ratio(s["p99_over_p50"]), *ratios,
                     share(s["warm"]), ms(s["setup_p50"]) if s["setup_p50"] is not None else "",
                     s["samples"]])
    return Table(title, ["milliseconds", "min", "p50", "p99", "p99/p50", *(h for _, h in bases), "warm", "setup",
                         "n"], rows)


def all_series(value):
    """Every series in what a section measured, however deep."""
    if isinstance(value, dict) and "p99_over_p50" in value:
        yield value
    elif isinstance(value, (dict, list)):
        for inner in value.values() if isinstance(value, dict) else value:
            yield from all_series(inner)


def remarks(result):
    """What is to be read with a section's tables."""
    lines = [f"note: {n}" for n in result.get("notes", [])]
    lines += [f"left out: {n}" for n in dict.fromkeys(result.get("left_out", []))]
    for s in all_series(result):
        if s["failed"]:
            lines.append(f"note: {s['name']} failed {s['failed']} times: {s['why']}")
        if s["name"].endswith("parked") and s["warm"] == 0:
            lines.append(f"note: {s['name']}: every one of its jobs ran cold")
        elif s["name"].endswith("parked") and s["warm"] is not None and s["warm"] < 1:
            lines.append(f"note: {s['name']}: {(1 - s['warm']) * 100:.0f}% of its jobs ran cold, "
                         "and are not in its times")
    return lines
