/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The frontend with its clients and the monitor; see world.h. Whatever they do: every request has one last
 * answer, what is held is charged and within its maximum, the queues of connections are bounded, and at
 * the end the books are empty and no fd is left.
 */
#include <signal.h>
#include <sys/socket.h>

#include "daemon/frontend/connection.h"
#include "daemon/frontend/watch-jobs.h"
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/host.h"
#include "tests/fuzz/world.h"
#include "tests/unit/fixture-policy.h"

/* Beyond the mark at which a connection takes no more: what one turn may add to it. */
#define OUT_MAX (1 * MIB + 16 * WORLD_FRAME_MAX)
#define TURNS_MAX 200

static void fill_policy(struct policy *p, size_t i)
{
        struct policy_server *s = &p->server;

        fixture_policy(p);
        p->bus = (struct policy_bus) { .has_user = true, .user = WORLD_BUS };
        p->n_listeners = 0; /* clients come in by connection_new() */
        s->max_frame_bytes = WORLD_FRAME_MAX;
        s->max_jobs = 5;
        s->max_jobs_per_user = i == 0 ? 3 : 1;
        s->max_queued = 6;
        s->max_queued_per_user = i == 0 ? 4 : 0;
        s->max_upload_per_user = 3 * MIB;
        s->max_results_per_user = i == 0 ? 4 : 0;
        s->max_kept = 256 * KIB;
        s->max_kept_per_user = i == 0 ? 192 * KIB : 1000;
        s->idle_exit_usec = 30 * USEC_PER_SEC;
        for (size_t k = 0; k < p->n_profiles; k++) {
                p->profiles[k].defaults.value[LIMIT_FILES_SIZE] = 4 * MIB;
                p->profiles[k].maximums.value[LIMIT_FILES_SIZE] = 4 * MIB;
                p->profiles[k].defaults.value[LIMIT_TMP_SIZE] = 8 * MIB;
                p->profiles[k].defaults.value[LIMIT_OUTPUT] = 2 * MIB;
        }
}

int world_policy(size_t i)
{
        static int fds[WORLD_POLICIES];
        static struct policy p;

        if (fds[i] == 0) {
                fill_policy(&p, i);
                ASSERT(policy_publish(&p, &fds[i]) == 0);
        }
        return fds[i];
}

static void begin(struct world *w)
{
        struct policies policies = {};
        int pair[2], large = 1 << 20;

        ASSERT(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) == 0);
        (void) setsockopt(pair[0], SOL_SOCKET, SO_SNDBUF, &large, sizeof(large));
        w->channel = pair[0];
        w->generation = 1;
        ASSERT(policies_add(&policies, 1, world_policy(0)) == 0);
        ASSERT(frontend_new(pair[1], NULL, &policies, &w->frontend) == 0);
        for (size_t i = 0; i < WORLD_CLIENTS; i++)
                w->clients[i].fd = -EBADF;
        for (size_t i = 0; i < WORLD_SOCKETS; i++)
                w->sockets[i] = -EBADF;
}

static void check(struct world *w)
{
        const struct account_book *b = &w->frontend->accounts;
        struct connection *c;

        LIST_FOREACH (c, &w->frontend->connections, entries) {
                ASSERT(out_queue_size(&c->out) <= OUT_MAX);
                ASSERT(frame_reader_size(&c->reader) <= 2 * WORLD_FRAME_MAX);
        }
        ASSERT(b->total[ACCOUNT_JOBS] <= 5 && b->total[ACCOUNT_QUEUED] <= 6);
        ASSERT(b->total[ACCOUNT_KEPT] <= 256 * KIB);
        ASSERT(b->total[ACCOUNT_CONNECTIONS] + b->total[ACCOUNT_BUS] <= WORLD_CLIENTS);
        ASSERT(b->total[ACCOUNT_OWED] <= WORLD_CLIENTS * WORLD_IDS * JOB_WATCH_OWED_MAX);
}

static bool is_over(const struct world *w)
{
        return sd_event_get_state(w->frontend->event) == SD_EVENT_FINISHED;
}

void world_turn(struct world *w)
{
        for (size_t i = 0; i < TURNS_MAX; i++) {
                for (size_t k = 0; k < WORLD_CLIENTS; k++)
                        client_step(w, &w->clients[k]);
                if (is_over(w) || sd_event_run(w->frontend->event, 0) <= 0)
                        break;
                monitor_step(w);
        }
        /* It ends when it is told to, and for nothing that clients or jobs do. */
        ASSERT(!is_over(w) || w->stopped);
        check(w);
}

static void pass_time(struct world *w)
{
        static const uint64_t steps[] = { 1000, 150 * USEC_PER_MSEC, USEC_PER_SEC,
                35 * USEC_PER_SEC, 80 * USEC_PER_SEC };

        host_advance(steps[input_below(&w->in, ELEMENTSOF(steps))]);
}

static void read_pipe(struct world *w)
{
        static uint8_t bytes[16 * KIB];
        size_t i = input_below(&w->in, WORLD_SOCKETS), what = input_below(&w->in, 3);

        if (w->sockets[i] < 0)
                return;
        if (what == 0)
                w->sockets[i] = safe_close(w->sockets[i]);
        else if (what == 1)
                (void) !read(w->sockets[i], bytes, sizeof(bytes));
        else
                (void) send(w->sockets[i], bytes, sizeof(bytes), MSG_NOSIGNAL);
}

static void operate(struct world *w)
{
        uint8_t b = input_byte(&w->in);
        struct world_client *c = &w->clients[b / 16 % WORLD_CLIENTS];

        switch (b % 16) {
        case 0:
                client_open(w, c);
                break;
        case 1:
                client_close(c);
                break;
        case 2:
                c->reads = !c->reads;
                break;
        case 3:
                client_raw(w, c);
                break;
        case 4:
                pass_time(w);
                break;
        case 5:
                monitor_message(w);
                break;
        case 6:
                read_pipe(w);
                break;
        case 7:
        case 8:
        case 9:
        case 10:
                monitor_sandbox(w);
                break;
        default:
                client_request(w, c);
        }
        /* Else more is done in the same turn of the loop. */
        if (b < 192)
                world_turn(w);
}

static void end(struct world *w)
{
        world_turn(w);
        monitor_done(w);
        (void) frontend_run(w->frontend);
        frontend_free(w->frontend);
        for (size_t i = 0; i < WORLD_CLIENTS; i++)
                client_close(&w->clients[i]);
        for (size_t i = 0; i < WORLD_SOCKETS; i++)
                (void) safe_close(w->sockets[i]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        struct world w = { .in = { data, size } };
        size_t n_fds;

        (void) signal(SIGPIPE, SIG_IGN);
        for (size_t i = 0; i < WORLD_POLICIES; i++)
                (void) world_policy(i);
        n_fds = host_count_fds();
        begin(&w);
        while (w.in.left > 0 && !is_over(&w))
                operate(&w);
        end(&w);
        ASSERT(host_count_fds() == n_fds);
        return 0;
}
