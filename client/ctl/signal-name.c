/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The names of signals. Runs in sandboxctl. Numbers are those of this machine, which is the job's
 * too.
 */
#include "client/ctl/signal-name.h"

#include <signal.h>
#include <strings.h>

#include "common/parse.h"

/* Second names, which libc does not list. */
static const struct {
        const char *name;
        int signal;
} aliases[] = {
        { "IOT", SIGABRT },
        { "CLD", SIGCHLD },
        { "IO", SIGIO },
        { "POLL", SIGPOLL },
};

/* "RTMIN", "RTMIN+3", "RTMAX-3". */
static int parse_realtime(const char *text, int *ret)
{
        bool from_least = strncasecmp(text, "RTMIN", 5) == 0;
        int edge = from_least ? SIGRTMIN : SIGRTMAX;
        uint32_t offset = 0;

        if (!from_least && strncasecmp(text, "RTMAX", 5) != 0)
                return -EINVAL;
        text += 5;
        if (text[0] != '\0') {
                if (text[0] != (from_least ? '+' : '-') || parse_u32(text + 1, &offset) < 0 ||
                        offset > (uint32_t) (SIGRTMAX - SIGRTMIN))
                        return -EINVAL;
        }
        *ret = from_least ? edge + (int) offset : edge - (int) offset;
        return 0;
}

static int parse_name(const char *text, int *ret)
{
        for (int i = 1; i < SIGNAL_NUMBER_MAX; i++) {
                const char *name = sigabbrev_np(i);

                if (name && strcasecmp(text, name) == 0) {
                        *ret = i;
                        return 0;
                }
        }
        for (size_t i = 0; i < ELEMENTSOF(aliases); i++)
                if (strcasecmp(text, aliases[i].name) == 0) {
                        *ret = aliases[i].signal;
                        return 0;
                }
        return parse_realtime(text, ret);
}

int signal_parse(const char *text, int *ret)
{
        uint32_t number;

        if (parse_u32(text, &number) == 0) {
                if (number < 1 || number > SIGNAL_NUMBER_MAX)
                        return -EINVAL;
                *ret = (int) number;
                return 0;
        }
        if (strncasecmp(text, "SIG", 3) == 0)
                text += 3;
        return parse_name(text, ret);
}
