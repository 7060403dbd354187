/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sandboxd-frontend: speaks with clients, holds no privilege. The monitor starts it, already as an
 * ordinary user, with the fds of daemon/wire/frontend.h; it opens no file, starts no process, and
 * after its start can make no system call that would.
 */
#include <malloc.h>
#include <signal.h>
#include <sys/resource.h>

#include "common/log.h"
#include "daemon/frontend/frontend.h"
#include "daemon/frontend/startup.h"
#include "daemon/wire/frontend.h"

#ifdef WITH_SANITIZERS
/* The leak checker traces the process from a second one, which the filter does not allow. The unit
 * tests check the same code for leaks. */
const char *__asan_default_options(void);

const char *__asan_default_options(void)
{
        return "detect_leaks=0";
}
#endif

/* The monitor decides when the frontend ends, by CHANNEL_OP_STOP or by closing the channel: a
 * terminal's ^C or a stop of the unit reaches both, and must not end this one first. */
static void ignore_signals(void)
{
        static const int ignored[] = { SIGPIPE, SIGHUP, SIGINT, SIGTERM };

        for (size_t i = 0; i < ELEMENTSOF(ignored); i++)
                (void) signal(ignored[i], SIG_IGN);
}

/* Each job needs fds: take as many as we may have. */
static void raise_fd_limit(void)
{
        struct rlimit limit;

        if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
                return;
        limit.rlim_cur = limit.rlim_max;
        (void) setrlimit(RLIMIT_NOFILE, &limit);
}

/* Keeps large blocks (a frame, its message) out of the heap, however often there are some, so that
 * their memory goes back when they are done. */
static void limit_heap(void)
{
        (void) mallopt(M_MMAP_THRESHOLD, 128 * KIB);
        (void) mallopt(M_TRIM_THRESHOLD, 128 * KIB);
}

static int start(struct frontend **ret, struct error *error)
{
        _cleanup_(frontend_freep) struct frontend *f = NULL;
        _cleanup_(policies_done) struct policies policies = {};
        int listen_fds[POLICY_LISTENERS_MAX];
        int r;

        r = startup_check_privileges(error);
        if (r < 0)
                return r;
        r = startup_check_fds(error);
        if (r < 0)
                return r;
        r = startup_receive_policy(FRONTEND_FD_CHANNEL, &policies, error);
        if (r < 0)
                return r;
        r = startup_check_listeners(policies.current->policy, error);
        if (r < 0)
                return r;
        for (int i = 0; i < POLICY_LISTENERS_MAX; i++)
                listen_fds[i] = FRONTEND_FD_LISTEN + i;
        r = frontend_new(FRONTEND_FD_CHANNEL, listen_fds, &policies, &f);
        if (r < 0)
                return error_set(error, r, "cannot set up the event loop: %s", strerror(-r));
        r = startup_load_filter(FRONTEND_FD_FILTER, error);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(f);
        return 0;
}

int main(void)
{
        _cleanup_(frontend_freep) struct frontend *f = NULL;
        struct error error;
        int r;

        log_open("sandboxd-frontend");
        ignore_signals();
        raise_fd_limit();
        limit_heap();
        r = start(&f, &error);
        if (r < 0) {
                log_error("%s", error.text);
                return EXIT_FAILURE;
        }
        r = frontend_run(f);
        if (r < 0)
                log_error("the event loop failed: %s", strerror(-r));
        return r < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
