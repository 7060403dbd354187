/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The frontend's process: started with an explicit list of fds and no privilege, started again when
 * it dies, within a rate.
 */

#include <signal.h>
#include <sys/types.h>
#include <systemd/sd-event.h>

#include "daemon/monitor/listen.h"

struct supervisor {
        sd_event *event;
        int program_fd; /* sandboxd-frontend, O_PATH; borrowed */
        uid_t uid;
        gid_t gid;
        int filter_fd;                        /* borrowed */
        const struct listen_table *listeners; /* borrowed */
        /* It died, and how; the channel is dead too. Called from the loop. */
        void (*died)(void *userdata, const siginfo_t *info);
        void *userdata;
        pid_t pid; /* 0: not running */
        int pidfd;
        sd_event_source *source;
        uint64_t starts[5]; /* when the last ones were, as a ring */
        unsigned next;
};

/* Finds the user that the frontend runs as: "sandboxd", or "nobody" where that does not exist. */
int supervisor_find_user(uid_t *ret_uid, gid_t *ret_gid, const char **ret_name,
        struct error *ret_error);
/* Starts the frontend; ret_channel is our end. -EAGAIN when it was started too often of late. */
int supervisor_start(struct supervisor *s, int *ret_channel, struct error *ret_error);
void supervisor_kill(struct supervisor *s);
void supervisor_done(struct supervisor *s);
