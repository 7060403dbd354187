# SPDX-License-Identifier: Apache-2.0
#
# What bash reads before the script, as its BASH_ENV. A parked bash waits here for its job: for the
# arguments and the variables, which come through fd 60. The script itself is opened after this.
#
# It is the payload's first code, so it has no privilege and guards nothing. It has to be unseen: it
# leaves no name, no fd, no option, and $_, $RANDOM and $SECONDS as they are in a bash that has just
# been started. In one that was not parked it does nothing at all.

unset BASH_ENV
if [[ ${SANDBOXD_PARK-} == 1 && -p /dev/fd/60 && -p /dev/fd/61 ]]; then
    unset SANDBOXD_PARK
    echo -n P >&61
    exec 61>&-
    mapfile -t -d '' -u 60 __sandboxd
    exec 60<&-
    if ((${#__sandboxd[@]} == 0)); then
        exit 0
    fi
    # Of the strings "N", the N arguments, "M", the M assignments, "1", or "0" where there is no stdin.
    if [[ $__sandboxd != [0-9]* ]] || ((${#__sandboxd[@]} < __sandboxd + 3 ||
            ${#__sandboxd[@]} != __sandboxd + 3 + __sandboxd[__sandboxd + 1])); then
        echo -n J >&62  # EBADMSG
        exit 1
    fi
    exec 62>&-
    if [[ ${__sandboxd[-1]} == 0 ]]; then
        exec < /dev/null
    fi
    set -- "${__sandboxd[@]:1:__sandboxd}"
    __sandboxd=("${__sandboxd[@]:__sandboxd + 2:__sandboxd[__sandboxd + 1]}")
    mapfile -t -d '' __sandboxd_command < /proc/$$/cmdline

    # What a started bash cannot make true: names that it would only have handed on, and BASH_ARGV.
    __sandboxd_odd=("${__sandboxd[@]%%=*}")
    __sandboxd_odd=("${__sandboxd_odd[@]/#[0-9]*/-}")
    printf -v __sandboxd_odd %s "${__sandboxd_odd[@]//[A-Za-z0-9_]/}"
    if (($# > 0)) && [[ ! $__sandboxd_odd ]]; then
        mapfile __sandboxd_odd < "${__sandboxd_command[1]}"
        [[ ${__sandboxd_odd[*]} == *BASH_ARG[CV]* ]] || __sandboxd_odd=
    fi
    if [[ $__sandboxd_odd ]]; then
        exec /usr/bin/env -u _ -- "${__sandboxd[@]}" "${__sandboxd_command[@]}" "$@"
    fi
    if ((${#__sandboxd[@]} > 0)); then
        export -- "${__sandboxd[@]}"
    fi
    unset __sandboxd __sandboxd_command __sandboxd_odd
    RANDOM=$SRANDOM
    SECONDS=0
fi
: "$BASH"
