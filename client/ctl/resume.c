/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sandboxctl resume: the end of drain. Runs in sandboxctl.
 */
#include "client/ctl/control.h"

const char resume_help[] = "Usage: sandboxctl resume [--json]\n"
                           "Have sandboxd take jobs again after 'sandboxctl drain'. For root.\n";

int verb_resume(struct ctl *ctl, int argc, char **argv)
{
        return ctl_control(ctl, resume_help, argc, argv, sandbox_resume, "draining", false);
}
