#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Every file that we wrote names its licence, and clang-format would change no C file.
set -u

top=${srcdir:-.}
cd "$top" || exit 1
failed=0

# The tree's files, in a clone or an unpacked tarball, whether or not something was built in it.
files()
{
    find Makefile.am configure.ac .ci client common daemon man policy proto scripts systemd tests \
        -name __pycache__ -prune -o -type f -name "$1" -print
}

sources()
{
    files '*.[ch]' | grep -v '\.pb-c\.[ch]$'
}

# Test data and documents have no line for it.
licensed()
{
    sources
    for name in Makefile.am configure.ac local.mk '*.sh' '*.py' '*.js' '*.scd' '*.proto' '*.conf' \
        '*.profile' '*.runtime' '*.seccomp' '*.socket' '*.service' '*.slice' '*.in' '*.catalog' '*.policy'; do
        files "$name"
    done
    find .ci scripts -type f
}

while IFS= read -r file; do
    if ! head -n 3 "$file" | grep -q 'SPDX-License-Identifier: Apache-2\.0\( \*/\| -->\)\?$'; then
        echo "FAIL: $file has no 'SPDX-License-Identifier: Apache-2.0' in its first lines"
        failed=1
    fi
done < <(licensed | sort -u)
[ "$failed" -eq 0 ] || exit 1

# Another version has other opinions.
if ! command -v clang-format-14 >/dev/null; then
    echo "SKIP: C files were not checked: clang-format-14 is missing: run 'scripts/deps test'"
    exit 77
fi
if ! sources | sort | xargs clang-format-14 --dry-run --Werror 2>&1; then
    echo "FAIL: clang-format-14 would change the files above: run clang-format-14 -i on them"
    exit 1
fi
echo "PASS: style"
