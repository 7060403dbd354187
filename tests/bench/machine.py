# SPDX-License-Identifier: Apache-2.0
"""What a run was made on: its numbers mean little without."""

import os
import pathlib
import platform
import re
import subprocess
import time

VERSIONS = {
    "bwrap": ["/usr/bin/bwrap", "--version"],
    "crun": ["/usr/bin/crun", "--version"],
    "firejail": ["/usr/bin/firejail", "--version"],
    "systemd": ["/usr/bin/systemctl", "--version"],
    "bash": ["/usr/bin/bash", "--version"],
    "python3": ["/usr/bin/python3", "--version"],
    "node": ["/usr/bin/node", "--version"],
}


def read(path):
    try:
        return pathlib.Path(path).read_text()
    except OSError:
        return ""


def first(pattern, text):
    found = re.search(pattern, text, re.M)
    return found.group(1).strip() if found else "unknown"


def version(command):
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=False, env={})
    except (OSError, subprocess.TimeoutExpired):
        return "not installed"
    return first(r"(\d+(?:\.\d+)*)", done.stdout or done.stderr)


def cgroup_layout():
    if os.path.exists("/sys/fs/cgroup/cgroup.controllers"):
        return "v2"
    return "hybrid" if os.path.exists("/sys/fs/cgroup/unified") else "v1"


def describe(bench):
    return {
        "date": time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime()),
        "processor": first(r"^model name\s*:\s*(.*)$", read("/proc/cpuinfo")),
        "processors": len(os.sched_getaffinity(0)),
        "hypervisor": "hypervisor" in first(r"^flags\s*:\s*(.*)$", read("/proc/cpuinfo")).split(),
        "memory_mib": int(first(r"^MemTotal:\s*(\d+)", read("/proc/meminfo"))) // 1024,
        "kernel": platform.release(),
        "system": first(r'^PRETTY_NAME="(.*)"', read("/etc/os-release")),
        "cgroups": cgroup_layout(),
        "load_before": [float(x) for x in read("/proc/loadavg").split()[:3]],
        "sandboxd": version([bench.build / "sandboxctl", "version"]),
        "parked_sandboxes": bench.has_pool,
        "versions": {name: version(command) for name, command in VERSIONS.items()},
    }


def lines(run):
    """For who reads its tables."""
    m = run["machine"]
    tools = ", ".join(f"{k} {v}" for k, v in m["versions"].items())
    where = "a virtual machine" if m["hypervisor"] else "a machine"
    return [f"{m['date']}: sandboxd {m['sandboxd']}"
            f"{'' if m['parked_sandboxes'] else ' (no parked sandboxes in this build)'}",
            f"{m['processors']} x {m['processor']}, {m['memory_mib']} MiB, {where}; {m['system']}, Linux {m['kernel']}, "
            f"cgroups {m['cgroups']}; load before {m['load_before'][0]:.2f}",
            tools,
            f"{'a --quick run: ' if run['quick'] else ''}{run['rounds']} rounds, {run['pause_ms']} ms before each sample",
            *(["THE MACHINE WAS BUSY: do not read much into these times"]
              if m["load_before"][0] > m["processors"] / 2 else [])]
