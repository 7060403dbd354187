/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A connection to sandboxd. Runs in the client's process, with the client's rights; prints nothing,
 * touches no signal and no fd but its socket. What the daemon sends is decoded on a budget, as the
 * daemon does with what clients send.
 */
#include "client/lib/client.h"

#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "common/io.h"
#include "proto/budget.h"
#include "proto/frame.h"

/* What decoding one response may use: its bytes, and as much again for pointers and padding. */
#define RESPONSE_BUDGET (4 * FRAME_MAX_DEFAULT)

/* What is in a request beside its piece of data: tags, lengths, id and file number, at their
 * longest. */
#define PIECE_OVERHEAD 64
/* Larger pieces would save nothing. */
#define PIECE_MAX (64 * KIB)

struct client {
        int fd;
        bool sending_failed; /* the daemon no longer reads */
        size_t max_request;
        uint64_t last_id;
        struct frame_reader reader;
        struct budget budget;
        struct budget hello_budget;
        Sandboxd__V1__Response *response; /* given out last */
        Sandboxd__V1__Response *hello;
        uint8_t *out;
        size_t out_start;
        size_t out_end;
        size_t out_room;
};

static int connect_socket(const char *path)
{
        struct sockaddr_un address = { .sun_family = AF_UNIX };
        _cleanup_close_ int fd = -EBADF;
        int r;

        if (path[0] == '\0')
                return -ENOENT;
        r = str_copy(address.sun_path, sizeof(address.sun_path), path);
        if (r < 0)
                return r;
        fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (fd < 0)
                return -errno;
        if (connect(fd, (const struct sockaddr *) &address, sizeof(address)) < 0)
                return -errno;
        r = io_set_nonblock(fd);
        if (r < 0)
                return r;
        return TAKE_FD(fd);
}

int client_connect(const char *path, struct client **ret)
{
        _cleanup_close_ int fd = connect_socket(path);
        struct client *c;

        if (fd < 0)
                return fd;
        c = calloc(1, sizeof(*c));
        if (!c)
                return -ENOMEM;
        c->fd = TAKE_FD(fd);
        c->max_request = FRAME_MAX_DEFAULT;
        frame_reader_init(&c->reader, FRAME_MAX_DEFAULT);
        *ret = c;
        return 0;
}

static void drop_response(Sandboxd__V1__Response **response, struct budget *budget)
{
        if (*response)
                sandboxd__v1__response__free_unpacked(*response, &budget->allocator);
        *response = NULL;
}

struct client *client_free(struct client *c)
{
        if (!c)
                return NULL;
        drop_response(&c->response, &c->budget);
        drop_response(&c->hello, &c->hello_budget);
        frame_reader_done(&c->reader);
        safe_close(c->fd);
        free(c->out);
        free(c);
        return NULL;
}

int client_fd(const struct client *c)
{
        return c->fd;
}

uint64_t client_next_id(struct client *c)
{
        return ++c->last_id;
}

size_t client_max_request(const struct client *c)
{
        return c->max_request;
}

size_t client_max_piece(const struct client *c)
{
        if (c->max_request <= PIECE_OVERHEAD)
                return 1;
        return MIN(c->max_request - PIECE_OVERHEAD, PIECE_MAX);
}

size_t client_queued(const struct client *c)
{
        return c->out_end - c->out_start;
}

const Sandboxd__V1__Response *client_response(const struct client *c)
{
        return c->response;
}

const Sandboxd__V1__HelloReply *client_peer(const struct client *c)
{
        return c->hello ? c->hello->hello : NULL;
}

static int reserve_out(struct client *c, size_t size)
{
        size_t used = client_queued(c), room = c->out_room;
        uint8_t *grown;

        if (c->out_start > 0) {
                memmove(c->out, c->out + c->out_start, used);
                c->out_start = 0;
                c->out_end = used;
        }
        if (room - used >= size)
                return 0;
        room = MAX(room * 2, used + size);
        grown = realloc(c->out, room);
        if (!grown)
                return -ENOMEM;
        c->out = grown;
        c->out_room = room;
        return 0;
}

int client_queue(struct client *c, const Sandboxd__V1__Request *request)
{
        size_t size = sandboxd__v1__request__get_packed_size(request);
        int r;

        ASSERT(request->id != 0);
        if (size > c->max_request)
                return -EMSGSIZE;
        r = reserve_out(c, FRAME_HEADER_SIZE + size);
        if (r < 0)
                return r;
        frame_header(c->out + c->out_end, size);
        (void) sandboxd__v1__request__pack(request, c->out + c->out_end + FRAME_HEADER_SIZE);
        c->out_end += FRAME_HEADER_SIZE + size;
        return 0;
}

int client_flush(struct client *c)
{
        while (client_queued(c) > 0) {
                ssize_t n = send(c->fd, c->out + c->out_start, client_queued(c),
                        MSG_NOSIGNAL | MSG_DONTWAIT);

                if (n >= 0) {
                        c->out_start += (size_t) n;
                        continue;
                }
                if (errno == EINTR)
                        continue;
                if (errno == EAGAIN)
                        return 0;
                if (errno != EPIPE && errno != ECONNRESET)
                        return -errno;
                c->sending_failed = true;
                c->out_start = c->out_end = 0;
        }
        return 0;
}

static int decode(const uint8_t *body, size_t size, struct budget *budget,
        Sandboxd__V1__Response **response)
{
        budget_init(budget, RESPONSE_BUDGET);
        *response = sandboxd__v1__response__unpack(&budget->allocator, size, body);
        if (!*response)
                return budget->exceeded ? -ENOBUFS : -EBADMSG;
        return 1;
}

int client_receive(struct client *c, const Sandboxd__V1__Response **ret)
{
        const uint8_t *body;
        size_t size;
        ssize_t n;
        int r;

        drop_response(&c->response, &c->budget);
        for (;;) {
                r = frame_reader_next(&c->reader, &body, &size);
                if (r < 0)
                        return r;
                if (r > 0)
                        break;
                n = frame_reader_fill(&c->reader, c->fd);
                if (n == -EAGAIN)
                        return c->sending_failed ? -ECONNRESET : 0;
                if (n <= 0)
                        return n == 0 ? -ECONNRESET : (int) n;
        }
        r = decode(body, size, &c->budget, &c->response);
        if (r > 0)
                *ret = c->response;
        return r;
}

/* Waits until the socket can be read, sending what is queued meanwhile. */
static int wait_readable(struct client *c, uint64_t deadline_usec)
{
        for (;;) {
                struct pollfd p = { .fd = c->fd, .events = POLLIN };
                uint64_t now = io_now_usec();
                int r;

                r = client_flush(c);
                if (r < 0)
                        return r;
                if (client_queued(c) > 0)
                        p.events |= POLLOUT;
                if (now >= deadline_usec)
                        return -ETIMEDOUT;
                r = poll(&p, 1, (int) ROUND_UP(deadline_usec - now, USEC_PER_MSEC));
                if (r < 0 && errno != EINTR)
                        return -errno;
                if (r > 0 && p.revents & ~POLLOUT)
                        return 0;
        }
}

int client_call(struct client *c, Sandboxd__V1__Request *request, uint64_t timeout_usec,
        const Sandboxd__V1__Response **ret)
{
        uint64_t deadline_usec = io_now_usec() + timeout_usec;
        const Sandboxd__V1__Response *response;
        int r;

        request->id = client_next_id(c);
        r = client_queue(c, request);
        if (r == 0)
                r = client_flush(c);
        if (r < 0)
                return r;
        for (;;) {
                r = client_receive(c, &response);
                if (r < 0)
                        return r;
                if (r == 0) {
                        r = wait_readable(c, deadline_usec);
                        if (r < 0)
                                return r;
                        continue;
                }
                /* Id 0 is about the connection, and so about this request too. */
                if (response->id == request->id || response->id == 0) {
                        *ret = response;
                        return 0;
                }
        }
}

int client_hello(struct client *c, const char *name, uint64_t timeout_usec)
{
        Sandboxd__V1__Hello hello = SANDBOXD__V1__HELLO__INIT;
        Sandboxd__V1__Request request = SANDBOXD__V1__REQUEST__INIT;
        const Sandboxd__V1__Response *response;
        int r;

        ASSERT(!c->hello);
        hello.protocol = CLIENT_PROTOCOL;
        hello.client = (char *) name;
        request.body_case = SANDBOXD__V1__REQUEST__BODY_HELLO;
        request.hello = &hello;
        r = client_call(c, &request, timeout_usec, &response);
        if (r < 0)
                return r;
        if (response->body_case == SANDBOXD__V1__RESPONSE__BODY_ERROR)
                return 1;
        if (response->body_case != SANDBOXD__V1__RESPONSE__BODY_HELLO)
                return -EBADMSG;
        if (response->hello->protocol != CLIENT_PROTOCOL)
                return -EPROTONOSUPPORT;
        /* The reply outlives the responses that follow, and with it the memory it was decoded to.
         */
        c->hello = TAKE_PTR(c->response);
        c->hello_budget = c->budget;
        c->hello_budget.allocator.allocator_data = &c->hello_budget;
        if (c->hello->hello->max_frame_bytes > 0)
                c->max_request = c->hello->hello->max_frame_bytes;
        return 0;
}
