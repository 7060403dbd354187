/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The end of sandboxctl when memory runs out.
 */
#include "client/ctl/memory.h"

#include <stdio.h>

#include "client/ctl/ctl.h"

void *must(void *p)
{
        if (!p) {
                (void) fputs("sandboxctl: out of memory: end other programs and try again\n",
                        stderr);
                exit(CTL_EXIT_REFUSED);
        }
        return p;
}
