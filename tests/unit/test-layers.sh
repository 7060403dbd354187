#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Dependencies point down only: who may include what, and what the programs link.
set -u

top=${srcdir:-.}
failed=0

fail()
{
    echo "FAIL: $*"
    failed=1
}

# Includes of our own headers in a folder that begin with something else than what is allowed there.
# allow FOLDER PREFIX...
allow()
{
    local folder=$1 pattern
    shift
    pattern=$(IFS='|'; echo "$*")
    [ -d "$top/$folder" ] || fail "$folder is not there"
    while IFS= read -r line; do
        fail "$folder may include $* only: ${line#"$top/"}"
    done < <(grep -rnE --include='*.[ch]' '^[[:space:]]*#[[:space:]]*include[[:space:]]*"' \
        "$top/$folder" | grep -vE "include[[:space:]]*\"($pattern)/")
}

# A library that a folder leaves alone: forbid FOLDER HEADER
forbid()
{
    while IFS= read -r line; do
        fail "$1 may not include <$2>: ${line#"$top/"}"
    done < <(grep -rnE --include='*.[ch]' "^[[:space:]]*#[[:space:]]*include[[:space:]]*<$2" "$top/$1")
}

# links PROGRAM: the libraries that it asks for, one a line
links()
{
    readelf -d "$1" 2>/dev/null | sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p'
}

allow common common
allow proto common proto
allow client/lib common proto client/lib
allow client/ctl common client
allow daemon/wire common daemon/wire
allow daemon/monitor common daemon/wire daemon/monitor
allow daemon/frontend common proto daemon/wire daemon/frontend
allow daemon/init common daemon/wire daemon/init
allow daemon/bus common client/lib daemon/bus
forbid common protobuf-c
forbid client/ctl protobuf-c
forbid daemon/wire protobuf-c
forbid daemon/monitor protobuf-c
forbid daemon/init protobuf-c
forbid daemon/init seccomp
forbid daemon/frontend ini.h

# seccomp_subset A B: whatever A allows is allowed by B, for the same arguments
seccomp_subset()
{
    while IFS= read -r line; do
        fail "${2##*/} does not allow what ${1##*/} does: $line"
    done < <(awk '
        { sub(/ *#.*/, "") }
        /^\[/ { skip = $0 == "[deny]" }
        skip || !NF || /^\[/ { next }
        FNR == NR { some[$1] = 1; if (NF == 1) all[$1] = 1; for (i = 2; i <= NF; i++) has[$1, $i] = 1; next }
        { bad = !($1 in some); if (!($1 in all)) for (i = 2; i <= NF; i++) bad += !(($1, $i) in has) }
        bad' "$2" "$1")
}

[ -s "$top/policy/seccomp/frontend.seccomp" ] || fail "there is no policy/seccomp/frontend.seccomp"
seccomp_subset "$top/policy/seccomp/frontend.seccomp" "$top/policy/seccomp/frontend-sanitizers.seccomp"

for program in sandboxd sandboxd-frontend sandboxd-init; do
    [ -x "$program" ] || fail "$program is not built: run make first"
done
if links sandboxd | grep -q protobuf; then
    fail "sandboxd links $(links sandboxd | grep protobuf): it must not read what clients write"
fi
if links sandboxd-frontend | grep -q libinih; then
    fail "sandboxd-frontend links libinih: policy files are the monitor's"
fi
if [ -n "$(links sandboxd-init)" ]; then
    fail "sandboxd-init links $(links sandboxd-init | tr '\n' ' '): it must be static"
fi

# sandboxctl is a program like any other that uses the library.
header=$top/client/lib/sandbox.h
while IFS= read -r line; do
    fail "client/ctl may include client/lib/sandbox.h only of client/lib: ${line#"$top/"}"
done < <(grep -rnE --include='*.[ch]' '#[[:space:]]*include[[:space:]]*"client/lib/' "$top/client/ctl" |
    grep -v '"client/lib/sandbox\.h"')

# compiles LANGUAGE COMPILER...: the public header, alone and with every warning there is
compiles()
{
    local language=$1
    shift
    if ! printf '#include "%s"\n' "$header" | "$@" -pedantic -Wall -Wextra -Werror -fsyntax-only \
        -x "$language" -; then
        fail "client/lib/sandbox.h does not compile by '$*'"
    fi
}

header=$(realpath "$header")
for standard in c99 c11 c17; do
    compiles c "${CC:-cc}" -std=$standard
done
if command -v g++ >/dev/null; then
    compiles c++ g++ -std=c++17
    compiles c++ g++ -std=c++11
else
    fail "g++ is not there to compile client/lib/sandbox.h: install it with 'scripts/deps test'"
fi

library=.libs/libsandbox.so
[ -e "$library" ] || fail "$library is not built: run make first"
declared=$("${CC:-cc}" -E -P "$header" | tr '\n' ' ' | grep -o '\bsandbox_[a-z0-9_]*(' |
    tr -d '(' | sort -u)
exported=$(nm -D --defined-only "$library" | sed -n 's/^[0-9a-f]* T \([^@]*\).*/\1/p' | sort -u)
if [ "$declared" != "$exported" ]; then
    fail "what libsandbox.so exports is not what sandbox.h declares:"
    diff <(echo "$declared") <(echo "$exported")
fi

[ "$failed" -eq 0 ] && echo "PASS: layers"
exit "$failed"
