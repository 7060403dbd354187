// SPDX-License-Identifier: Apache-2.0
/*
 * A library for LD_PRELOAD: says who loads it.
 */
#include <stdio.h>
#include <unistd.h>

__attribute__((constructor)) static void loaded(void)
{
        dprintf(STDERR_FILENO, "loaded by uid %d pid %d\n", (int) getuid(), (int) getpid());
}
