/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A relay: a process that copies between one fd of a caller and one stream socket of its job, until either has
 * ended. A read or write of the caller's fd may block for as long as the caller likes, and its flags are
 * not ours to change: so each has a process, which the service kills when it is no longer wanted.
 *
 * Runs as `sandboxd-bus --relay`, executed afresh. It holds nothing of the service's, opens nothing, starts
 * nothing, and never looks at what it copies.
 */
#include "daemon/bus/relay.h"

#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/magic.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>

#include "common/io.h"
#include "common/parse.h"
#include "daemon/bus/memory.h"
#include "daemon/bus/relay-check.h"

#define CHUNK (64 * KIB)
#define SPLICE_MAX (1 * MIB)
/* The least that is tried of a packet that is too large for its socket. */
#define PACKET_MIN 256
/* Between two looks at how much memory there is: of all relays of a user together an eighth of it. */
#define LOOK_BYTES (1 * MIB)

struct copy {
        enum relay_stream stream;
        int from;
        int to;
        int type;             /* of the caller's socket; 0: it is none */
        size_t chunk;         /* written at one time at most */
        uint64_t block_size;  /* of a file that is written */
        uint64_t n_unlooked;  /* bytes of such since the last look */
        struct memory memory; /* where what is written may be ours */
};

/* With what the limit is for, so that nobody looks for it on a disk. */
#define NO_MEMORY                                                                                  \
        "too much memory is held by files on tmpfs and sockets that sandboxd-bus has written to: " \
        "delete some, read them, or pass a pipe"

/* Aligned for files that are open with O_DIRECT. */
static uint8_t buffer[CHUNK] __attribute__((aligned(4096)));

const char *relay_stream_name(enum relay_stream stream)
{
        static const char *const names[_RELAY_STREAMS] = {
                [RELAY_STDIN] = "stdin",
                [RELAY_STDOUT] = "stdout",
                [RELAY_STDERR] = "stderr",
        };

        ASSERT((unsigned) stream < _RELAY_STREAMS);
        return names[stream];
}

/* Waits for the caller's fd or the job's socket, whatever either of them has been set to. */
static int wait_for(int fd, short events)
{
        struct pollfd pfd = { .fd = fd, .events = events };

        while (poll(&pfd, 1, -1) < 0)
                if (errno != EINTR)
                        return -errno;
        return 0;
}

/* Until there is something to read; -EPIPE when the job no longer reads its stdin. The caller's reader is not
 * asked after: as with any pipe, that it has gone shows with the next byte for it. */
static int wait_input(const struct copy *c)
{
        struct pollfd pfds[] = {
                { .fd = c->from, .events = POLLIN },
                { .fd = c->stream == RELAY_STDIN ? c->to : -1 },
        };

        while (poll(pfds, ELEMENTSOF(pfds), -1) < 0)
                if (errno != EINTR)
                        return -errno;
        return pfds[1].revents & (POLLHUP | POLLERR) ? -EPIPE : 0;
}

/* Of a packet that is longer than the buffer the rest would be lost. */
static ssize_t read_some(const struct copy *c)
{
        ssize_t n;

        if (c->stream == RELAY_STDIN && c->type == SOCK_SEQPACKET) {
                n = recv(c->from, buffer, sizeof(buffer), MSG_TRUNC);
                if (n > (ssize_t) sizeof(buffer))
                        return -EMSGSIZE;
        } else
                n = read(c->from, buffer, sizeof(buffer));
        if (n < 0 && errno == ECONNRESET && c->stream != RELAY_STDIN)
                return 0; /* the daemon has ended */
        return n < 0 ? -errno : n;
}

static int write_all(struct copy *c, size_t size)
{
        for (size_t done = 0; done < size;) {
                ssize_t n = write(c->to, buffer + done, MIN(size - done, c->chunk));

                if (n >= 0)
                        done += (size_t) n;
                else if (errno == EAGAIN) {
                        int q = wait_for(c->to, POLLOUT);

                        if (q < 0)
                                return q;
                } else if (errno == EMSGSIZE && c->chunk > PACKET_MIN)
                        c->chunk /= 2;
                else if (errno != EINTR)
                        return errno == ECONNRESET ? -EPIPE : -errno;
        }
        return 0;
}

/* Returns 1 to go on, 0 at the end. */
static int copy_some(struct copy *c)
{
        ssize_t n = read_some(c);
        int q;

        if (n == -EAGAIN || n == -EINTR)
                return 1;
        if (n <= 0)
                return (int) n;
        q = write_all(c, (size_t) n);
        if (q < 0)
                return q;
        /* The caller has the file's offset, too: each write may be to a block of its own. */
        c->n_unlooked += MAX((uint64_t) n, c->block_size);
        if (c->n_unlooked < LOOK_BYTES)
                return 1;
        c->n_unlooked = 0;
        return memory_is_short(&c->memory) ? -ENOMEM : 1;
}

/* Output into a pipe of the caller's. Not the other way: who writes a byte a page into a pipe would have the
 * socket hold those pages and be charged for the bytes. */
static int splice_some(struct copy *c)
{
        ssize_t n = splice(c->from, NULL, c->to, NULL, SPLICE_MAX, SPLICE_F_MOVE);
        int q;

        if (n >= 0)
                return n > 0;
        if (errno == EINTR)
                return 1;
        if (errno != EAGAIN)
                return errno == ECONNRESET ? 0 : -errno;
        /* There was something to read, so it is the pipe that is full and does not block. */
        q = wait_for(c->to, POLLOUT);
        return q < 0 ? q : 1;
}

static int copy_all(struct copy *c)
{
        struct stat st;
        bool splices = c->stream != RELAY_STDIN && c->type == 0 && fstat(c->to, &st) >= 0 &&
                       S_ISFIFO(st.st_mode);
        int q;

        do {
                q = wait_input(c);
                if (q >= 0)
                        q = splices ? splice_some(c) : copy_some(c);
                if (q == -EINVAL && splices) {
                        splices = false;
                        q = 1;
                }
        } while (q > 0);
        return q;
}

#if defined(__x86_64__)
#define ARCHITECTURE AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define ARCHITECTURE AUDIT_ARCH_AARCH64
#elif defined(__riscv) && __riscv_xlen == 64
#define ARCHITECTURE AUDIT_ARCH_RISCV64
#endif

#define LOAD(field) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, field))
#define RETURN(action) BPF_STMT(BPF_RET | BPF_K, action)
#define ALLOW(call) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (call), 0, 1), RETURN(SECCOMP_RET_ALLOW)

/* From here on: read, write, wait, end. No file can be opened, no process made or reached. */
static int load_filter(void)
{
#ifdef ARCHITECTURE
        struct sock_filter filter[] = {
                LOAD(arch),
                BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ARCHITECTURE, 1, 0),
                RETURN(SECCOMP_RET_KILL_PROCESS),
                LOAD(nr),
                ALLOW(SYS_read),
                ALLOW(SYS_pread64),
                ALLOW(SYS_write),
                ALLOW(SYS_splice),
                ALLOW(SYS_recvfrom),
                ALLOW(SYS_ppoll),
#ifdef SYS_poll
                ALLOW(SYS_poll),
#endif
                ALLOW(SYS_shutdown),
                ALLOW(SYS_exit_group),
                ALLOW(SYS_restart_syscall),
                ALLOW(SYS_rt_sigreturn),
                /* What copy_all() and libc's fstat() ask. */
                ALLOW(SYS_fstat),
#ifdef SYS_newfstatat
                ALLOW(SYS_newfstatat),
#endif
#ifdef __SANITIZE_ADDRESS__
                /* What its run time does before _exit() and in order to report. */
                ALLOW(SYS_sigaltstack),
                ALLOW(SYS_mmap),
                ALLOW(SYS_munmap),
                ALLOW(SYS_getpid),
                ALLOW(SYS_gettid),
#endif
                RETURN(SECCOMP_RET_ERRNO | ENOSYS),
        };
        const struct sock_fprog program = {
                .len = ELEMENTSOF(filter),
                .filter = filter,
        };

        return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) < 0 ? -errno : 0;
#else
        /* Without the number of the architecture there is no filter that is sure to mean what it says. */
        return 0;
#endif
}

/* Nobody may look into this process, and it may not outlive the service. */
static int confine_early(void)
{
        struct pollfd service = { .fd = RELAY_REASON_FD };
        int q;

        (void) signal(SIGPIPE, SIG_IGN);
        (void) signal(SIGXFSZ, SIG_IGN);
        /* Many of these take more memory than the service may have: then one of them goes, and not the
         * service. Before nobody may look, since this file is root's then. */
        q = io_write_file(AT_FDCWD, "/proc/self/oom_score_adj", "1000");
        if (q < 0)
                return q;
        if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || prctl(PR_SET_DUMPABLE, 0) < 0 ||
                prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
                return -errno;
        /* It may have died before we said so. */
        if (poll(&service, 1, 0) != 0)
                return -ESRCH;
        return io_close_from(RELAY_REASON_FD + 1);
}

static int confine(void)
{
        static const struct {
                int resource;
                rlim_t max;
        } limits[] = {
                { RLIMIT_NOFILE, RELAY_REASON_FD + 1 },
                { RLIMIT_NPROC, 0 },
                { RLIMIT_MEMLOCK, 0 },
        };

        for (size_t i = 0; i < ELEMENTSOF(limits); i++)
                if (setrlimit(limits[i].resource,
                            &(struct rlimit) { limits[i].max, limits[i].max }) < 0)
                        return -errno;
        return load_filter();
}

/* Returns end, so that giving a reason and ending is one step. */
static enum relay_end say(enum relay_end end, const char *reason)
{
        size_t size = MIN(strlen(reason), (size_t) RELAY_REASON_MAX - 1);

        return write(RELAY_REASON_FD, reason, size) < 0 ? RELAY_FAILED : end;
}

static int socket_type(int fd)
{
        int type;

        return relay_socket_option(fd, SO_TYPE, &type) < 0 ? 0 : type;
}

/* A file in memory is that of whoever writes it, for as long as it is there; and what is sent on a Unix socket, until it
 * is read. What is in a pipe, and in other sockets, is counted for whose they are. */
static bool takes_memory(int fd, const struct stat *st, const struct statfs *fs)
{
        int domain;

        if (S_ISSOCK(st->st_mode))
                return relay_socket_option(fd, SO_DOMAIN, &domain) < 0 || domain == AF_UNIX;
        /* An overlay is on another one, which it does not tell of. */
        return S_ISREG(st->st_mode) &&
               (fs->f_type == TMPFS_MAGIC || fs->f_type == RAMFS_MAGIC ||
                       fs->f_type == HUGETLBFS_MAGIC || fs->f_type == OVERLAYFS_SUPER_MAGIC);
}

/* -ENOMEM when there is not to be more. */
static int open_memory(struct copy *c)
{
        struct stat st;
        struct statfs fs;
        int r;

        if (fstat(c->to, &st) < 0 || fstatfs(c->to, &fs) < 0)
                return -errno;
        if (!takes_memory(c->to, &st, &fs))
                return 0;
        c->block_size = S_ISREG(st.st_mode) ? (uint64_t) st.st_blksize : 0;
        r = memory_open(&c->memory);
        /* Where there is no such file there is no limit. */
        if (r < 0)
                return r == -ENOENT || r == -ENODATA ? 0 : -EIO;
        return memory_is_short(&c->memory) ? -ENOMEM : 0;
}

static enum relay_end run(enum relay_stream stream, uid_t caller)
{
        bool in = stream == RELAY_STDIN;
        struct copy c = {
                .stream = stream,
                .from = in ? RELAY_CALLER_FD : RELAY_SOCKET_FD,
                .to = in ? RELAY_SOCKET_FD : RELAY_CALLER_FD,
                .type = socket_type(RELAY_CALLER_FD),
                .chunk = CHUNK,
                .memory = MEMORY_NONE,
        };
        struct error e;
        int q;

        if (relay_check(RELAY_CALLER_FD, stream, caller, &e) < 0)
                return say(RELAY_REFUSED, e.text);
        q = in ? 0 : open_memory(&c);
        if (q == -ENOMEM)
                return say(RELAY_REFUSED, NO_MEMORY);
        if (q == 0)
                q = confine();
        if (q < 0) {
                (void) error_set(&e, q, "%s cannot be copied safely: %s", relay_stream_name(stream),
                        strerror(-q));
                return say(RELAY_REFUSED, e.text);
        }
        (void) say(RELAY_ENDED, (char[]) { RELAY_READY, '\0' });
        q = copy_all(&c);
        if (in && q == 0)
                (void) shutdown(RELAY_SOCKET_FD, SHUT_WR);
        /* Who is at the other end has gone, of the socket or of the caller's pipe: as it should be. */
        if (q == 0 || q == -EPIPE)
                return RELAY_ENDED;
        if (q == -ENOMEM)
                return say(RELAY_FAILED, NO_MEMORY);
        (void) error_set(&e, q, "%s could not be %s: %s", relay_stream_name(stream),
                in ? "read" : "written", strerror(-q));
        return say(RELAY_FAILED, e.text);
}

static int parse_stream(const char *name, enum relay_stream *ret)
{
        for (unsigned i = 0; i < _RELAY_STREAMS; i++)
                if (streq(name, relay_stream_name(i))) {
                        *ret = i;
                        return 0;
                }
        return -EINVAL;
}

int relay_main(int argc, char **argv)
{
        enum relay_stream stream;
        uint32_t uid;

        /* Nobody but the service starts this: there is nobody to explain anything to. */
        if (argc != 5 || !streq(argv[1], "--relay") || parse_stream(argv[2], &stream) < 0 ||
                !streq(argv[3], "--uid") || parse_u32(argv[4], &uid) < 0)
                return RELAY_FAILED;
        if (confine_early() < 0)
                return RELAY_FAILED;
        /* Nothing that libc or a library has to do at the end: the filter allows no more than this. */
        _exit((int) run(stream, (uid_t) uid));
}
