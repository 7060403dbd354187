# SPDX-License-Identifier: Apache-2.0
"""`make bench`: that its parts run and say what they measured in the form that is written down. No test
here asks how fast anything was."""

import json
import subprocess
import sys
import xml.etree.ElementTree as xml

import pytest

from lib.daemon import SOURCE

BENCH = SOURCE / "tests/bench"
SERIES = {"name", "label", "group", "samples", "failed", "why", "min", "p50", "p99", "max", "p99_over_p50", "warm",
          "setup_p50"}
ROUNDS = 3


@pytest.fixture(scope="module")
def modules():
    """The benchmark's own modules; their folder is on the path of its program alone."""
    before = set(sys.modules)
    sys.path.insert(0, str(BENCH))
    try:
        import contenders
        import figures
        import targets
        from sections import scope
        yield {"contenders": contenders, "figures": figures, "targets": targets, "scope": scope}
    finally:
        sys.path.remove(str(BENCH))
        for name in set(sys.modules) - before:
            if str(BENCH) in str(getattr(sys.modules[name], "__file__", "")):
                del sys.modules[name]


@pytest.fixture
def bench(build, sanitized, tmp_path):
    if sanitized:
        pytest.skip("nobody times a sanitizer build")

    def run(*sections):
        done = subprocess.run(["/usr/bin/python3", "-B", BENCH / "bench.py", "--quick", "--rounds", str(ROUNDS),
                               "--pause", "0", "--build", build, "--output", tmp_path, *sections],
                              capture_output=True, text=True, timeout=300, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        return json.loads((tmp_path / "bench.json").read_text()), done.stdout
    return run


def check_series(series, rounds=ROUNDS):
    assert set(series) == SERIES
    assert series["failed"] == 0, series["why"]
    assert 1 <= series["samples"] <= rounds
    assert 0 < series["min"] <= series["p50"] <= series["p99"] <= series["max"]


def test_contenders_stand_side_by_side(bench, tmp_path):
    run, text = bench("compare")
    compare = run["sections"]["compare"]
    for group in ("true", "bash", "python", "javascript"):
        for kind in ("cold", "ctl-cold", "spawn"):
            check_series(compare["series"][f"{group}/{kind}"])
        assert compare["series"][f"{group}/cold"]["warm"] == 0, "the pool is off"
        # What is not measured is named.
        for kind, label in (("bwrap", "bwrap"), ("crun", "crun"), ("firejail", "firejail")):
            if f"{group}/{kind}" in compare["series"]:
                check_series(compare["series"][f"{group}/{kind}"])
            else:
                assert any(line.startswith(label) for line in compare["left_out"])
                assert f"left out: {label}" in text
    check_series(compare["series"]["javascript/vm"])
    assert run["machine"]["processors"] > 0 and run["machine"]["kernel"]
    assert {t["verdict"] for t in run["targets"]} <= {"met", "missed", "not measured"}
    plot = xml.parse(tmp_path / "bench.svg").getroot()
    assert plot.tag.endswith("svg")
    assert "sandboxd, cold" in "".join(plot.itertext())
    assert "| sandboxd, cold |" in (tmp_path / "bench.md").read_text()


def test_the_other_sections_run(bench):
    run, _ = bench("mixed", "memory", "idle", "jobs", "bytes")
    sections = run["sections"]
    for series in (*sections["mixed"]["series"].values(), *sections["mixed"]["quiet"].values()):
        check_series(series)
    waiting = {(s["group"], s["state"]): s for s in sections["memory"]["sandboxes"]}
    for group in ("bash", "python", "javascript"):
        cold, plain = waiting[group, "cold, idle"], waiting[group, "un-isolated"]
        assert cold["processes"] >= 2 and cold["sandbox_pss"] >= cold["pss"] > 0, "init is there beside it"
        assert plain["processes"] == 1 and plain["rss"] > 0
    assert [level["idle"] for level in sections["idle"]["levels"]] == [1, 20, 1]
    for level in sections["idle"]["levels"]:
        for series in level["series"].values():
            check_series(series)
    for many in sections["jobs"]["many"]:
        assert many["samples"] == many["different_ids"] == many["asked"]
    assert not sections["jobs"]["notes"]
    assert sections["bytes"]["file"]["same"]


def test_throughput_counts_every_level(bench):
    run, _ = bench("throughput")
    throughput = run["sections"]["throughput"]
    for group in ("true", "bash", "python", "javascript"):
        rates = {(p["name"], p["concurrency"]): p["rate"] for p in throughput["points"] if p["group"] == group}
        assert {level for _, level in rates} == set(throughput["levels"])
        assert all(rate > 0 for rate in rates.values())
        sustained = throughput["sustained"][group]
        assert sustained["spawn"] == max(rate for (name, _), rate in rates.items() if name == f"{group}/spawn")
        assert sustained["bwrap"] == max((rate for (name, _), rate in rates.items() if name == f"{group}/bwrap"),
                                         default=None)
        assert sustained["ratio"] == pytest.approx((sustained["pool"] or sustained["cold"]) / sustained["spawn"])


def test_a_contender_that_does_something_else_is_named(build, sanitized, tmp_path):
    """A sandbox that fails is quick: it must not be taken for one that works."""
    if sanitized:
        pytest.skip("nobody times a sanitizer build")
    lines = ["right\tspawn\t1\t42\t/usr/bin/echo\t42", "wrong\tspawn\t1\t42\t/usr/bin/echo\t43",
             "exits\tspawn\t1\t-\t/bin/false", "missing\tspawn\t1\t-\t/nowhere"]
    (tmp_path / "list").write_text("\n".join(lines) + "\n")
    done = subprocess.run([build / "tests/bench/bench-client", "compare", tmp_path / "list", "rounds=2"],
                          capture_output=True, text=True, timeout=60, check=True)
    said = [line.split("\t") for line in done.stdout.splitlines()]
    assert sorted(line[:2] for line in said) == sorted(2 * [["sample", "0"], ["fail", "1"], ["fail", "2"], ["fail", "3"]])
    assert {line[2] for line in said if line[:2] == ["fail", "1"]} == {"it printed '43'"}


def test_cold_jobs_are_not_counted_as_parked(modules):
    lines = "".join(f"sample\t0\t{usec}\t{warm}\t{usec // 2}\tid\n" for usec, warm in
                    [(1000, 1), (1200, 1), (1100, 1), (9000, 0)])
    samples, seconds = modules["figures"].read(lines + "elapsed\t2000000\n", 1)
    contender = modules["contenders"].job(modules["contenders"].PROGRAMS[1], "sock", "parked", "x", parked=True)
    series = samples[0].series(contender)
    assert seconds == 2
    assert (series["samples"], series["p50"], series["p99"], series["setup_p50"]) == (3, 1.1, 1.2, 0.55)
    assert series["warm"] == 0.75


@pytest.mark.parametrize("warm, p50, verdict", [(1, 1.2, "met"), (1, 1.3, "missed"), (0, 1.2, "not measured")])
def test_a_target_is_judged_by_parked_jobs_alone(modules, warm, p50, verdict):
    series = {"bash/parked": {"p50": p50, "warm": warm, "p99_over_p50": 1.0}, "bash/bwrap": {"p50": 5.0}}
    judged = modules["targets"].judge({"compare": {"series": series}})
    assert next(t for t in judged if t["target"] == "parked bash / bwrap bash")["verdict"] == verdict


def test_scope_and_cgroupfs_are_compared_where_both_were_parked(modules):
    def series(warm):
        return {f"bash/{mode}-parked": {"p50": p50, "warm": w} for mode, p50, w in
                [("scope", 1.5, warm), ("cgroupfs", 1.25, 1.0)]}
    assert modules["scope"].difference(series(0.9), "bash", "parked") == 0.25
    assert modules["scope"].difference(series(0), "bash", "parked") is None
    assert modules["scope"].difference(series(1), "python", "parked") is None
