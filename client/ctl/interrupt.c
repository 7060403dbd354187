/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is said on Ctrl-C. Runs in sandboxctl. The handler ends the program itself, so that there is
 * no moment at which the signal could be missed.
 */
#include "client/ctl/interrupt.h"

#include <signal.h>
#include <stdio.h>

#include "common/macro.h"

static char text[128];
static size_t text_size;

static void on_interrupt(int signal)
{
        ssize_t n = write(STDERR_FILENO, text, text_size);
        struct sigaction action = { .sa_handler = SIG_DFL };

        (void) n;
        (void) sigaction(signal, &action, NULL);
        (void) raise(signal); /* acts when the handler returns */
}

void interrupt_says_job_goes_on(const char *job_id)
{
        struct sigaction action = { .sa_handler = on_interrupt }, old;

        if (!isatty(STDERR_FILENO) || sigaction(SIGINT, NULL, &old) < 0 ||
                old.sa_handler == SIG_IGN)
                return;
        /* The cursor may be behind a ^C, or what the job wrote. */
        text_size = (size_t) snprintf(text, sizeof(text),
                "\nsandboxctl: the job goes on: 'sandboxctl cancel %s' ends it\n", job_id);
        ASSERT(text_size < sizeof(text));
        (void) sigaction(SIGINT, &action, NULL);
}
