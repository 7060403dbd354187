/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sandboxctl drain: no new jobs. Runs in sandboxctl.
 */
#include "client/ctl/control.h"

const char drain_help[] =
        "Usage: sandboxctl drain [--json]\n"
        "Have sandboxd take no new job; those that run or wait go on. For root.\n"
        "'sandboxctl resume' takes it back, 'sandboxctl stop-all' ends the jobs.\n";

int verb_drain(struct ctl *ctl, int argc, char **argv)
{
        return ctl_control(ctl, drain_help, argc, argv, sandbox_drain, "draining", true);
}
