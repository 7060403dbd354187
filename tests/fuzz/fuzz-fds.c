/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fds that come from the daemon, as the library receives them: frames with any number of fds at any of
 * their bytes, received in any pieces, some while this process may have no more files open. Each fd is handed
 * over once, to a frame that it can belong to, or closed; none stays.
 */
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include "client/lib/arrivals.h"
#include "common/io.h"
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/host.h"
#include "tests/fuzz/input.h"

#define SEND_MAX 9
#define HANDED_MAX 32
#define FRAME_MAX 4096

static struct {
        struct input in;
        int daemon, client;
        struct arrivals arrivals;
        struct frame_reader reader;
        int handed[HANDED_MAX]; /* as jobs have them */
        size_t n_handed;
        bool failed; /* the connection would be closed */
} world;

static void send_with(const uint8_t *data, size_t size, size_t n)
{
        union {
                struct cmsghdr header;
                uint8_t room[CMSG_SPACE(SEND_MAX * sizeof(int))];
        } control = {};
        struct iovec iov = { (void *) data, size };
        struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };
        int fds[SEND_MAX];

        for (size_t i = 0; i < n; i++) {
                fds[i] = eventfd(0, EFD_CLOEXEC);
                ASSERT(fds[i] >= 0);
        }
        if (n > 0) {
                msg.msg_control = &control;
                msg.msg_controllen = CMSG_SPACE(n * sizeof(int));
                control.header = (struct cmsghdr) {
                        .cmsg_len = CMSG_LEN(n * sizeof(int)),
                        .cmsg_level = SOL_SOCKET,
                        .cmsg_type = SCM_RIGHTS,
                };
                memcpy(CMSG_DATA(&control.header), fds, n * sizeof(int));
        }
        (void) sendmsg(world.daemon, &msg, MSG_NOSIGNAL);
        io_close_all(fds, n);
}

/* A frame whose body says how many fds it is for, mostly with as many; perhaps in two parts. */
static void send_frame(void)
{
        uint8_t frame[FRAME_HEADER_SIZE + 256] = {};
        size_t size = 1 + input_byte(&world.in), n = input_below(&world.in, ARRIVALS_FDS_MAX + 1);
        size_t all = FRAME_HEADER_SIZE + size, first = all, come = n;

        if (input_below(&world.in, 8) == 7)
                come = input_below(&world.in, SEND_MAX + 1);
        if (input_below(&world.in, 4) == 3)
                first = input_below(&world.in, (uint32_t) all) + 1;
        frame_header(frame, size);
        frame[FRAME_HEADER_SIZE] = (uint8_t) n;
        send_with(frame, first, come);
        if (first < all)
                send_with(frame + first, all - first, input_below(&world.in, 8) == 7);
}

/* Leaves room for a few fds more, or takes that back. */
static void limit_fds(rlim_t more)
{
        struct rlimit limit;
        int lowest = dup(world.client);

        ASSERT(getrlimit(RLIMIT_NOFILE, &limit) == 0);
        (void) close(lowest);
        limit.rlim_cur = more < 250 ? (rlim_t) lowest + more : limit.rlim_max;
        ASSERT(setrlimit(RLIMIT_NOFILE, &limit) == 0);
}

static void take(size_t n)
{
        int fds[ARRIVALS_FDS_MAX] = { -EBADF, -EBADF, -EBADF }, r;

        r = arrivals_take(&world.arrivals, fds, n);
        ASSERT(r == 0 || r == -EBADMSG || r == -EMFILE);
        for (size_t i = 0; i < ELEMENTSOF(fds); i++)
                ASSERT((fds[i] >= 0) == (r == 0 && i < n));
        if (r == -EBADMSG)
                world.failed = true;
        for (size_t i = 0; r == 0 && i < n; i++) {
                if (world.n_handed == HANDED_MAX)
                        (void) close(world.handed[--world.n_handed]);
                world.handed[world.n_handed++] = fds[i];
        }
}

/* As wire_receive() does. */
static void receive(void)
{
        bool few = input_below(&world.in, 8) == 7;
        const uint8_t *body;
        size_t size;
        ssize_t n;
        int r = 0;

        while (!world.failed && (r = frame_reader_next(&world.reader, &body, &size)) > 0)
                if (body[0] > 0)
                        take(MIN((size_t) body[0], (size_t) ARRIVALS_FDS_MAX));
        if (world.failed || r < 0 ||
                arrivals_check(&world.arrivals, frame_reader_partial(&world.reader)) < 0) {
                world.failed = true;
                return;
        }
        if (few)
                limit_fds(input_below(&world.in, 4));
        n = arrivals_receive(&world.arrivals, &world.reader, world.client);
        if (few)
                limit_fds(250);
        world.failed = n == 0 || (n < 0 && n != -EAGAIN);
}

static void check(size_t n_fds)
{
        size_t held = world.n_handed;

        ASSERT(world.arrivals.n <= ELEMENTSOF(world.arrivals.list));
        for (size_t i = 0; i < world.arrivals.n; i++) {
                ASSERT(world.arrivals.list[i].n <= ARRIVALS_FDS_MAX);
                held += world.arrivals.list[i].n;
        }
        ASSERT(host_count_fds() == n_fds + held);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        size_t n_fds;
        int pair[2];

        memset(&world, 0, sizeof(world));
        world.in = (struct input) { data, size };
        ASSERT(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) == 0);
        world.daemon = pair[0];
        world.client = pair[1];
        n_fds = host_count_fds();
        frame_reader_init(&world.reader, FRAME_MAX);
        while (world.in.left > 0 && !world.failed) {
                if (input_below(&world.in, 2) == 0)
                        send_frame();
                else
                        receive();
                check(n_fds);
        }
        arrivals_done(&world.arrivals);
        io_close_all(world.handed, world.n_handed);
        frame_reader_done(&world.reader);
        ASSERT(host_count_fds() == n_fds);
        io_close_all(pair, 2);
        return 0;
}
