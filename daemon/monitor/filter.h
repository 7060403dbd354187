/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * System-call filters: policy/seccomp/NAME.seccomp compiled to BPF, at start and on reload.
 *
 *      # comment
 *      [allow]                   the call goes through
 *      [deny]                    the call fails with EPERM
 *      NAME                      the call, whatever its arguments
 *      ?NAME                     the same; no error where libseccomp does not know the name
 *      NAME argN in V V ...      when argument N, as 32 bits, is one of the values
 *      NAME argN in V/MASK ...   the same, of the bits of MASK alone
 *      NAME argN without MASK    when it has no bit of MASK
 *      NAME argN with MASK       when it has any bit of MASK
 *      NAME argN in V and ...    when argument N is V, and a second such condition holds
 *
 * What no line names fails with ENOSYS, so that libc falls back to an older call; a call of a
 * foreign ABI kills the process. Arguments are compared as 32 bits because the kernel takes them
 * so: a 64-bit compare is got round by setting a high bit.
 */

#include "common/error.h"

/* Compiles the file to a sealed memfd of struct sock_filter. */
int filter_compile(const char *path, int *ret_fd, struct error *ret_error);
