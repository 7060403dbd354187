# SPDX-License-Identifier: Apache-2.0
"""What a job costs when others live and do nothing: 1, 100, 1,000, and 1 again, which shows how far the
machine itself has drifted. The spawn beside it shows what the kernel makes of so many processes."""

import pathlib
import time

import contenders
import figures
import harness
import report

NAME = "idle"
TITLE = "One at a time beside so many live idle jobs"


def available_kib():
    text = pathlib.Path("/proc/meminfo").read_text()
    return int(text.split("MemAvailable:")[1].split()[0])


def measured(bench, daemon):
    state = "pool" if bench.has_pool else "cold"
    found = [contenders.job(p, daemon.socket, state, "sandboxd") for p in contenders.PROGRAMS]
    return found + [contenders.spawn(contenders.PROGRAMS[0])]


def run(bench):
    levels = bench.pick([1, 100, 1000, 1], [1, 20, 1])
    result = {"title": TITLE, "levels": [], "notes": [] if bench.has_pool else [harness.NO_POOL]}
    room = {"MaxJobs": 1100, "MaxJobsPerUser": 1100}
    sleeper = contenders.Program("sleep", ["/usr/bin/sleep", "1000"], "", "", "", "sleep")
    with bench.daemon(settings={"Server": room}) as daemon:
        for level in levels:
            before = available_kib()
            with harness.Hold(bench, contenders.job(sleeper, daemon.socket, "idle", "an idle job"), level) as hold:
                time.sleep(1)
                held = before - available_kib()
                series = bench.compare(measured(bench, daemon), rounds=min(bench.rounds, 150))
            result["levels"].append({"idle": level, "held_kib": held, "start_seconds": hold.seconds, "series": series})
            bench.say(f"   {level} idle jobs")
    first, most = result["levels"][0], max(result["levels"], key=lambda x: x["idle"])
    result["most"] = most["idle"]
    result["ratios"] = {name: figures.ratio(most["series"][name]["p50"], first["series"][name]["p50"])
                        for name in first["series"]}
    return result


def tables(result):
    rows = []
    for name in result["levels"][0]["series"]:
        cells = [report.ms(x["series"][name]["p50"]) for x in result["levels"]]
        rows.append([name, *cells, report.ratio(result["ratios"][name])])
    rows.append(["KiB for each idle job", *(f"{x['held_kib'] / x['idle']:.0f}" if x["idle"] > 1 else "-"
                                            for x in result["levels"]), ""])
    rows.append(["seconds to start them", *(f"{x['start_seconds']:.2f}" for x in result["levels"]), ""])
    heads = [f"p50 at {x['idle']}" for x in result["levels"]]
    return [report.Table("", ["milliseconds", *heads, f"{result['most']} / 1"], rows)]
