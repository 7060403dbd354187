/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fds that a client passes: bytes with fds of all kinds on a socket, received in any order with Runs that
 * take them, some while fds run out. Each fd is received once and in its order, is charged while it is
 * held, and none is left open but those that may not be closed, which are counted.
 */
#include <fcntl.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "common/io.h"
#include "daemon/frontend/passed.h"
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/host.h"
#include "tests/fuzz/input.h"

#define SEND_MAX 9
#define SENT_MAX 256
#define HANDED_MAX 16
#define MAX_PIPES 12
#define UID 1000

static struct {
        struct input in;
        int client, daemon;
        struct account_book accounts;
        struct passed passed;
        struct frame_reader reader;
        ino_t sent[SENT_MAX]; /* of the pipes that were passed, in order; 0 for what is none */
        size_t n_sent, n_received;
        int handed[HANDED_MAX]; /* as jobs have them */
        size_t n_handed;
        bool failed; /* the connection would be closed */
} world;

/* Its inode, when it is a pipe. */
static ino_t pipe_inode(int fd)
{
        struct stat st;

        ASSERT(fstat(fd, &st) == 0);
        return S_ISFIFO(st.st_mode) && fcntl(fd, F_GETPIPE_SZ) > 0 ? st.st_ino : 0;
}

static int open_any(void)
{
        int ends[2], kind = (int) input_below(&world.in, 10);

        switch (kind) {
        case 6:
                return eventfd(0, EFD_CLOEXEC);
        case 7:
                return io_memfd_new("fuzz");
        case 8:
                return open("/", O_PATH | O_CLOEXEC);
        case 9:
                return socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        }
        ASSERT(pipe2(ends, O_CLOEXEC) == 0);
        (void) close(ends[kind % 2]);
        return ends[!(kind % 2)];
}

/* Bytes, and with the first of them some fds. */
static void send_some(void)
{
        static const uint8_t bytes[300];
        union {
                struct cmsghdr header;
                uint8_t room[CMSG_SPACE(SEND_MAX * sizeof(int))];
        } control = {};
        struct iovec iov = { (void *) bytes, 1 + input_byte(&world.in) };
        struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };
        int fds[SEND_MAX];
        size_t n = input_below(&world.in, SEND_MAX + 1);

        if (world.n_sent + n > SENT_MAX)
                return;
        for (size_t i = 0; i < n; i++)
                fds[i] = open_any();
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
        if (sendmsg(world.client, &msg, MSG_NOSIGNAL) > 0)
                for (size_t i = 0; i < n; i++)
                        world.sent[world.n_sent++] = pipe_inode(fds[i]);
        io_close_all(fds, n);
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

static void receive(void)
{
        uint8_t few = input_byte(&world.in);
        size_t before = world.passed.n_waiting;
        ssize_t n;

        if (few >= 248)
                limit_fds(few - 248);
        n = passed_receive(&world.passed, &world.reader, world.daemon, MAX_PIPES);
        limit_fds(SIZE_MAX);
        if (n == -EAGAIN)
                return;
        if (n <= 0) {
                world.failed = true;
                return;
        }
        ASSERT(world.passed.n_waiting >= before && world.passed.n_waiting <= PASSED_WAITING_MAX);
        for (size_t i = before; i < world.passed.n_waiting; i++) {
                int fd = world.passed.waiting[i];
                ino_t sent = world.sent[world.n_received++];

                ASSERT(world.n_received <= world.n_sent);
                ASSERT(sent == 0 ? fd < 0 : fd >= 0 && pipe_inode(fd) == sent);
                ASSERT(fd < 0 || fcntl(fd, F_GETFD) & FD_CLOEXEC);
        }
}

/* A Run is handled: what it takes is its job's, or dropped with it. */
static void run(void)
{
        static const int modes[_PASSED_STREAMS] = { O_RDONLY, O_WRONLY, O_WRONLY };
        uint32_t streams = (uint32_t) input_below(&world.in, 10);
        bool refused = input_below(&world.in, 4) == 3;
        int fds[_PASSED_STREAMS];
        const char *name;

        if (passed_take(&world.passed, streams) < 0) {
                world.failed = true;
                return;
        }
        if (passed_check(&world.passed, streams, &name) == 0 && !refused &&
                world.n_handed + _PASSED_STREAMS <= HANDED_MAX) {
                passed_hand_over(&world.passed, fds);
                for (size_t i = 0; i < _PASSED_STREAMS; i++) {
                        bool named = streams & 1U << i;

                        ASSERT(named ? fds[i] >= 0 : fds[i] < 0);
                        if (!named)
                                continue;
                        ASSERT(pipe_inode(fds[i]) != 0);
                        ASSERT((fcntl(fds[i], F_GETFL) & O_ACCMODE) == modes[i]);
                        world.handed[world.n_handed++] = fds[i];
                }
        }
        passed_drop_taken(&world.passed);
}

static void end_job(void)
{
        if (world.n_handed > 0)
                (void) passed_close(&world.accounts, UID, world.handed[--world.n_handed]);
}

/* What is held is what is charged. */
static void check(size_t n_fds)
{
        size_t pipes = world.n_handed;

        for (size_t i = 0; i < world.passed.n_waiting; i++)
                pipes += world.passed.waiting[i] >= 0;
        ASSERT(account_held(&world.accounts, UID, ACCOUNT_PIPES) == pipes && pipes <= MAX_PIPES);
        ASSERT(host_count_fds() ==
                n_fds + pipes + account_held(&world.accounts, UID, ACCOUNT_HELD));
        ASSERT(account_held(&world.accounts, UID, ACCOUNT_HELD) <
                PASSED_HELD_MAX + PASSED_WAITING_MAX);
}

/* Those that stay open in a frontend, as long as it lives. */
static void close_held(const struct host_fds *before)
{
        ASSERT(host_close_new_fds(before) == account_held(&world.accounts, UID, ACCOUNT_HELD));
        account_forget(&world.accounts, ACCOUNT_HELD);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        struct host_fds before;
        size_t n_fds;
        int pair[2];

        memset(&world, 0, sizeof(world));
        world.in = (struct input) { data, size };
        ASSERT(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) == 0);
        world.client = pair[0];
        world.daemon = pair[1];
        host_note_fds(&before);
        n_fds = host_count_fds();
        frame_reader_init(&world.reader, MIB);
        passed_init(&world.passed, &world.accounts, UID);
        while (world.in.left > 0 && !world.failed) {
                switch (input_below(&world.in, 4)) {
                case 0:
                        send_some();
                        break;
                case 1:
                        receive();
                        break;
                case 2:
                        run();
                        break;
                default:
                        end_job();
                }
                check(n_fds);
        }
        passed_done(&world.passed);
        while (world.n_handed > 0)
                end_job();
        frame_reader_done(&world.reader);
        close_held(&before);
        ASSERT(host_count_fds() == n_fds && account_book_is_empty(&world.accounts));
        io_close_all(pair, 2);
        return 0;
}
