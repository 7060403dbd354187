/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sandboxctl stop-all: ends every job. Runs in sandboxctl.
 */
#include "client/ctl/control.h"

const char stop_all_help[] =
        "Usage: sandboxctl stop-all [--json]\n"
        "End every job of every user as CANCELLED, those that wait too. For root. New\n"
        "ones are taken all the same: 'sandboxctl drain' first, where that is not wanted.\n";

int verb_stop_all(struct ctl *ctl, int argc, char **argv)
{
        return ctl_control(ctl, stop_all_help, argc, argv, sandbox_stop_all, "stopped", true);
}
