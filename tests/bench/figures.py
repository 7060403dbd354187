# SPDX-License-Identifier: Apache-2.0
"""Samples of bench-client, and what is made of them. Times are milliseconds."""

import statistics


def percentile(values, percent):
    """Of sorted values, the nearest at or above."""
    return values[min(len(values) - 1, -(-len(values) * percent // 100) - 1)] if values else None


class Samples:
    """What came of one contender."""

    def __init__(self):
        self.usec, self.warm, self.setup, self.ids = [], [], [], []
        self.failed, self.why = 0, ""

    def add(self, usec, warm, setup, job_id):
        self.usec.append(usec)
        self.warm.append(warm)
        self.setup.append(setup)
        self.ids.append(job_id)

    def fail(self, why):
        self.failed += 1
        self.why = self.why or why

    def series(self, contender):
        """A contender that is to be parked is judged by the samples that were; `warm` says how many."""
        known = [w for w in self.warm if w >= 0]
        only_warm = contender.parked and any(known)
        kept = sorted(u / 1000 for u, w in zip(self.usec, self.warm) if not only_warm or w == 1)
        setup = [s / 1000 for s, w in zip(self.setup, self.warm) if w >= 0 and (not only_warm or w == 1)]
        p50, p99 = (statistics.median(kept), percentile(kept, 99)) if kept else (None, None)
        return {
            "name": contender.name, "label": contender.label, "group": contender.group,
            "samples": len(kept), "failed": self.failed, "why": self.why,
            "min": kept[0] if kept else None, "p50": p50, "p99": p99, "max": kept[-1] if kept else None,
            "p99_over_p50": p99 / p50 if p50 else None,
            "warm": sum(known) / len(known) if known else None,
            "setup_p50": statistics.median(setup) if setup else None,
        }


def read(text, count):
    """The lines of bench-client: ([Samples of each contender], seconds or None)."""
    samples, seconds = [Samples() for _ in range(count)], None
    for line in text.splitlines():
        kind, *fields = line.split("\t")
        if kind == "sample":
            samples[int(fields[0])].add(*map(int, fields[1:4]), fields[4])
        elif kind == "fail":
            samples[int(fields[0])].fail(fields[1])
        elif kind == "elapsed":
            seconds = int(fields[0]) / 1e6
    return samples, seconds


def ratio(a, b):
    return a / b if a is not None and b else None
