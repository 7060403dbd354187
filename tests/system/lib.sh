# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# What the runners of the system rung share: their options, and the machine that they boot.

# shellcheck source=scripts/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/../../scripts/lib.sh"

here=$top/tests/system
cache=${SANDBOXD_TEST_CACHE:-${XDG_CACHE_HOME:-/var/cache}/sandboxd-tests}
uml_modules=/usr/lib/uml/modules

world=${0##*/}
build=${SANDBOXD_BUILD_DIR:-$top/build/test}
shell=false
command=()
tests=(/opt/sandboxd/guest/run)
limit=600 # seconds that the command may take
cannot_run=77

usage()
{
    cat <<USAGE
Usage: $world [--build FOLDER] [--limit SECONDS] [--shell | [--] COMMAND [ARGUMENT...]]

Boots systemd in a Debian 12 where what the build folder holds is installed, and runs the system
tests in it, or the command as root, whose exit status it ends with. The folder is \$SANDBOXD_BUILD_DIR
or build/test; its tree's tests are in /opt/sandboxd/tests. Files that the command leaves in /results
are in FOLDER/system/$world afterwards.
USAGE
}

parse_options()
{
    while [ $# -gt 0 ]; do
        case $1 in
            --build | --limit)
                [ $# -ge 2 ] || die "$1 needs a value: see --help"
                if [ "$1" = --build ]; then build=$2; else limit=$2; fi
                shift
                ;;
            --shell) shell=true ;;
            --help)
                usage
                exit 0
                ;;
            --)
                shift
                break
                ;;
            -*) die "option $1 is unknown: see --help" ;;
            *) break ;;
        esac
        shift
    done
    command=("$@")
    build=$(realpath "$build")
    [ -e "$build/Makefile" ] || die "no Makefile in $build: configure there, or name the folder with --build"
    source=$(sed -n 's/^abs_top_srcdir = //p' "$build/Makefile")
    results=$build/system/$world
}

# cannot REASON...: the exit status, and a note for whoever counts, where this machine does not allow or does not have what
# the world needs.
cannot()
{
    echo "$*" >"$results/skipped"
    echo "$world: cannot run here: $*" >&2
    exit "$cannot_run"
}

# prepare PROGRAM...: an empty folder for what comes back, and whether the world can be made at all.
prepare()
{
    local program reason
    rm -rf "$results"
    mkdir -p "$results"
    [ "$(id -u)" -eq 0 ] || cannot "this needs root, for mounts, namespaces and cgroups"
    for program in mmdebstrap "$@"; do
        command -v "$program" >/dev/null || cannot "$program is not installed: run scripts/deps system"
    done
    reason=$(unshare --mount --pid --fork true 2>&1) || cannot "no namespaces can be made: $reason"
}

# Re-executes the runner in a mount namespace of its own: whatever it mounts ends with it.
own_mounts()
{
    [ -z "${SANDBOXD_TEST_MOUNTS-}" ] || return 0
    SANDBOXD_TEST_MOUNTS=1 exec unshare --mount --propagation private "$0" "$@"
}

# Every program of the build finds its libraries there; on another system than Debian 12 it may not.
check_libraries()
{
    local root=$1 missing
    missing=$(chroot "$root" ldd /usr/sbin/sandboxd /usr/bin/sandboxctl \
        /usr/libexec/sandboxd/sandboxd-{bus,frontend} 2>&1 | grep -E 'not found' | sort -u) || return 0
    if grep -q '^VERSION_CODENAME=bookworm' /etc/os-release; then
        die "the packages of tests/system/rootfs lack what this build links: $missing"
    fi
    cannot "Debian 12 has not what this build links: $missing"
}

# The tree's tests and the programs as they were built, for tests that start sandboxd by hand.
install_tests()
{
    local opt=$1/opt/sandboxd
    mkdir -p "$opt/build/tests/bench"
    cp -a "$source/tests" "$source/policy" "$opt/"
    cp -a "$build"/{sandboxd,sandboxd-frontend,sandboxd-init,sandboxctl} "$opt/build/"
    cp -a "$build"/tests/bench/bench-{bus,client} "$opt/build/tests/bench/"
    cp -a "$here/guest" "$opt/"
    cp -a "$opt/guest/etc" "$1/"
    mkdir "$opt/helpers"
    "$top/tests/attacks/helpers/compile" "$opt/helpers"
}

# stage ROOT: the machine, as an administrator would set it up.
stage()
{
    local root=$1 base log=$results/install.log
    base=$("$here/rootfs")
    cp -a "$base/." "$root/"
    mkdir "$root/results"
    logged "$log" 600 flock "$build/Makefile" env -u MAKEFLAGS make -C "$build" -j "$(nproc)" install DESTDIR="$root" || exit 1
    [ -e "$root/usr/sbin/sandboxd" ] ||
        die "$build installs elsewhere than in /usr: configure with --prefix=/usr --sysconfdir=/etc"
    install_tests "$root"
    check_libraries "$root"
    logged "$log" 60 chroot "$root" systemd-sysusers || exit 1
    logged "$log" 60 chroot "$root" journalctl --update-catalog || exit 1
    if [ -e "$root/usr/lib/systemd/system/sandboxd.socket" ]; then
        logged "$log" 60 chroot "$root" systemctl enable sandboxd.socket || exit 1
    fi
}
