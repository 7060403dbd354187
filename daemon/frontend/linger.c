/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sockets that are left to be read. Runs in the frontend, which neither sends nor reads by them any more.
 */
#include "daemon/frontend/linger.h"

#include <sys/socket.h>

#include "common/io.h"
#include "daemon/frontend/frontend.h"

/* Of the files that we may open, the part that lingering sockets may be. */
#define LINGERING_FILES_PART 4
/* Sockets that any user may leave. */
#define LINGERING_FEW 8
/* Who is refused asks again, and to look at all of them takes milliseconds. */
#define SWEEP_EVERY_USEC USEC_PER_SEC

struct lingering {
        LIST_ENTRY(lingering) entries;
        struct frontend *frontend;
        uid_t uid;
        uint64_t charge;
        size_t n_fds;
        int fd;
        sd_event_source *source;
};

/* Closing our end leaves what was sent to the reader. */
static void lingering_free(struct lingering *l)
{
        struct frontend *f = l->frontend;

        account_release(&f->accounts, l->uid, ACCOUNT_LINGERING, l->charge);
        account_release(&f->accounts, l->uid, ACCOUNT_SOCKETS, l->n_fds);
        LIST_REMOVE(l, entries);
        l->source = sd_event_source_disable_unref(l->source);
        l->fd = safe_close(l->fd);
        free(l);
        idle_update(f);
}

static void settle(struct lingering *l)
{
        size_t left = io_socket_unread(l->fd);
        uint64_t charge;

        if (left == 0) {
                lingering_free(l);
                return;
        }
        charge = MAX(left, l->frontend->lingering_least);
        if (charge < l->charge) {
                account_release(&l->frontend->accounts, l->uid, ACCOUNT_LINGERING,
                        l->charge - charge);
                l->charge = charge;
        }
}

static int on_lingering(sd_event_source *source, int fd, uint32_t revents, void *userdata)
{
        settle(userdata);
        return 0;
}

/* A Unix socket can be written to, and says so, when what it has sent and is not read fills no more than a
 * quarter of its buffer: of the smallest buffer that is a kilobyte. Told with each change (EPOLLET), since
 * it would say for ever that it is shut down. */
static int watch(struct lingering *l)
{
        const int least = 0;
        uint8_t dropped[4096];

        if (setsockopt(l->fd, SOL_SOCKET, SO_SNDBUF, &least, sizeof(least)) < 0)
                return -errno;
        if (shutdown(l->fd, SHUT_RDWR) < 0)
                return -errno;
        /* Nothing more comes in. What is there can be the reader's own end, on kernels that do not refuse
         * it: as long as it lay here it would be open. */
        while (read(l->fd, dropped, sizeof(dropped)) > 0)
                ;
        return sd_event_add_io(l->frontend->event, &l->source, l->fd, EPOLLOUT | EPOLLET,
                on_lingering, l);
}

void linger(struct frontend *f, uid_t uid, int socket, size_t n_fds)
{
        uint64_t left = io_socket_unread(socket);
        struct lingering *l = NULL;

        if (left > 0)
                l = calloc(1, sizeof(*l));
        if (!l) {
                account_release(&f->accounts, uid, ACCOUNT_SOCKETS, n_fds);
                (void) safe_close(socket);
                return;
        }
        *l = (struct lingering) { .frontend = f, .uid = uid, .fd = socket, .n_fds = n_fds };
        LIST_INSERT_HEAD(&f->lingering, l, entries);
        left = MAX(left, f->lingering_least);
        /* It is there, whatever may be. */
        if (account_charge(&f->accounts, uid, ACCOUNT_LINGERING, left, ACCOUNT_UNLIMITED,
                    ACCOUNT_UNLIMITED) >= 0)
                l->charge = left;
        if (l->charge == 0 || watch(l) < 0)
                lingering_free(l);
}

static bool is_over(struct frontend *f, uid_t uid)
{
        uint64_t most = MIN(account_share(&f->accounts, uid, ACCOUNT_LINGERING, LINGERING_MOST),
                LINGERING_USER_MOST);

        /* What jobs that ran already leave may be more than all are to have: who has left little is
         * served all the same. */
        return account_held(&f->accounts, uid, ACCOUNT_LINGERING) >=
               MAX(most, MAX(MIB, LINGERING_FEW * f->lingering_least));
}

bool linger_is_excessive(struct frontend *f, uid_t uid)
{
        struct lingering *l, *next;

        if (!is_over(f, uid))
                return false;
        if (io_now_usec() < f->lingering_sweep_usec)
                return true;
        f->lingering_sweep_usec = io_now_usec() + SWEEP_EVERY_USEC;
        /* Of what is read in part we are not told. */
        for (l = LIST_FIRST(&f->lingering); l; l = next) {
                next = LIST_NEXT(l, entries);
                settle(l);
        }
        return is_over(f, uid);
}

void linger_init(struct frontend *f)
{
        LIST_INIT(&f->lingering);
        f->lingering_least = MAX(LINGERING_LEAST,
                LINGERING_MOST / MAX(f->max_open_files / LINGERING_FILES_PART, UINT64_C(1)));
}

void linger_done(struct frontend *f)
{
        struct lingering *l;

        while ((l = LIST_FIRST(&f->lingering)))
                lingering_free(l);
}
