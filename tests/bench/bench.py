#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""`make bench`: everything that sandboxd is compared with, side by side in one run. Prints tables, and
writes bench.json, bench.svg and bench.md into build/bench. Asserts no time."""

import argparse
import json
import os
import pathlib
import resource
import sys
import time
import traceback

import harness
import machine
import plot
import report
import targets
from sections import bytes as bytes_section
from sections import compare, idle, jobs, memory, mixed, scope, throughput

SECTIONS = {m.NAME: m for m in (compare, throughput, mixed, memory, idle, scope, jobs, bytes_section)}
LAST_RUN = "## The last run"


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("sections", nargs="*", metavar="SECTION",
                        help=f"which of {', '.join(SECTIONS)} (default: all)")
    parser.add_argument("--quick", action="store_true", help="a few rounds of each: to see that it works")
    parser.add_argument("--rounds", type=int, help="samples of each contender (default 200, quick 20)")
    parser.add_argument("--pause", type=int, metavar="MS",
                        help="before each sample, long enough for a parked sandbox to be replaced")
    parser.add_argument("--build", default=os.environ.get("SANDBOXD_BUILD_DIR", "."), help="where the programs are")
    parser.add_argument("--output", metavar="FOLDER", help="where the files go (default: bench, in the build)")
    parser.add_argument("--save", metavar="FILE", help=f"also put the tables into FILE, below its line '{LAST_RUN}'")
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)  # in the container of `scope`
    options = parser.parse_args()
    unknown = [s for s in options.sections if s not in SECTIONS]
    if unknown:
        parser.error(f"there is no section '{unknown[0]}': use some of {', '.join(SECTIONS)}")
    if options.rounds is not None and options.rounds < 1:
        parser.error("--rounds takes a number from 1 on")
    return options


def run_section(bench, module, inside):
    begin = time.monotonic()
    if not inside:
        bench.say(f"\n== {module.TITLE}")
    try:
        result = module.inside(bench) if inside else module.run(bench)
    except harness.Failed as e:
        result = {"title": module.TITLE, "failed": str(e)}
    except Exception as e:  # the sections after it are of use without it
        traceback.print_exc()
        result = {"title": module.TITLE, "failed": f"{type(e).__name__}: {e}"}
    result["seconds"] = round(time.monotonic() - begin, 1)
    return result


def section_lines(name, result, form):
    """form: the method of report.Table that shows one."""
    if "failed" in result:
        return [f"not measured: {result['failed']}"]
    lines = []
    for table in SECTIONS[name].tables(result):
        lines += [getattr(table, form)(), ""]
    remarks = report.remarks(result)
    return lines + ([f"* {r}" for r in remarks] if form == "markdown" else remarks)


def markdown(run):
    lines = [*machine.lines(run)]
    lines = [f"{line}  " for line in lines] + ["", targets.table(run["targets"]).markdown()]
    for name, result in run["sections"].items():
        lines += ["", f"### {result['title']} (`{name}`)", "", *section_lines(name, result, "markdown")]
    return "\n".join(lines) + "\n"


def write(run, folder):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "bench.json").write_text(json.dumps(run, indent=1) + "\n")
    (folder / "bench.svg").write_text(plot.draw(run))
    (folder / "bench.md").write_text(markdown(run))


def save(run, path):
    """Replaces the tables that a document has of the run before."""
    before, found, _ = path.read_text().partition(f"{LAST_RUN}\n")
    if not found:
        sys.exit(f"bench: {path} has no line '{LAST_RUN}' that the tables could go below")
    path.write_text(f"{before}{found}\n{markdown(run)}")


def main():
    options = parse_arguments()
    if os.geteuid() != 0:
        sys.exit("bench: this needs root: sandboxes, and what they are compared with")
    # Connections, pipes and pidfds of thousands of jobs: as many files as may be.
    resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
    try:
        bench = harness.Bench(options.build, options)
    except harness.Failed as e:
        sys.exit(f"bench: {e}")
    with bench.cleanup:
        run = {"machine": machine.describe(bench), "quick": options.quick, "rounds": bench.rounds,
               "pause_ms": bench.pause_ms, "sections": {}}
        if not options.inside:
            bench.say("\n".join(machine.lines(run)))
        for name in options.sections or SECTIONS:
            result = run["sections"][name] = run_section(bench, SECTIONS[name], options.inside)
            if not options.inside:
                bench.say("\n" + "\n".join(section_lines(name, result, "text")))
        run["targets"] = targets.judge(run["sections"])
    folder = pathlib.Path(options.output or bench.build / "bench")
    write(run, folder)
    if options.save:
        save(run, pathlib.Path(options.save))
    if not options.inside:
        bench.say("\n" + targets.table(run["targets"]).text())
        bench.say(f"\nAlso in {folder}: bench.json, bench.svg, bench.md")
    return 1 if any("failed" in r for r in run["sections"].values()) else 0


if __name__ == "__main__":
    sys.exit(main())
