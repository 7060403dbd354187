# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# What quickstart, test and the system rung share: where the tree is, messages, building out of tree, reports.

top=$(realpath "$(dirname "${BASH_SOURCE[0]}")/..")

say()
{
    printf '==> %s\n' "$*"
}

die()
{
    printf '%s: %s\n' "${0##*/}" "$*" >&2
    exit 1
}

need_root()
{
    [ "$(id -u)" -eq 0 ] || die "this needs root, for namespaces and cgroups: run sudo scripts/${0##*/}"
}

# logged LOG SECONDS COMMAND...: runs it with its output in the log, whose tail shows when it fails.
logged()
{
    local log=$1 seconds=$2 status=0
    shift 2
    timeout --kill-after=10 "$seconds" "$@" >>"$log" 2>&1 </dev/null || status=$?
    [ "$status" -ne 0 ] || return 0
    tail -n 40 "$log" >&2
    [ "$status" -ne 124 ] || printf 'It took longer than %s seconds and was ended.\n' "$seconds" >&2
    printf '%s: %s failed; the whole log is in %s\n' "${0##*/}" "$1" "$log" >&2
    return 1
}

# build FOLDER CONFIGURE-OPTION...: configures once, makes what has changed; the log is in the folder.
build()
{
    local folder=$1 log=$1/build.log
    shift
    mkdir -p "$folder"
    : >"$log"
    [ ! -e "$top/config.status" ] ||
        die "the source folder itself is configured: run 'make distclean' in it first"
    if [ ! -x "$top/configure" ]; then
        say "autoreconf -fi"
        logged "$log" 300 autoreconf -fi "$top" || return 1
    fi
    if [ ! -e "$folder/Makefile" ]; then
        say "configure${*:+ $*}"
        logged "$log" 300 env -C "$folder" "$top/configure" --quiet --prefix=/usr \
            --sysconfdir=/etc --localstatedir=/var "$@" || return 1
    fi
    say "make in ${folder#"$top"/}"
    logged "$log" 600 make -C "$folder" -j "$(nproc)" all
}

# Adds up pytest's own report: "passed failed skipped", then a line for each skip and failure.
read_report()
{
    /usr/bin/python3 - "$1" <<'EOF'
import sys
import xml.etree.ElementTree as tree

cases = list(tree.parse(sys.argv[1]).getroot().iter("testcase"))
bad = [c for c in cases if c.find("failure") is not None or c.find("error") is not None]
skipped = [c for c in cases if c not in bad and c.find("skipped") is not None]
print(len(cases) - len(bad) - len(skipped), len(bad), len(skipped))
for c in bad:
    print(f"failed: {c.get('classname')}.{c.get('name')}")
for c in cases:
    if c.get("tries"):
        print(f"passed at the second try: {c.get('classname')}.{c.get('name')}")
for c in skipped:
    print(f"skipped: {c.get('classname')}.{c.get('name')}: {c.find('skipped').get('message')}")
EOF
}
