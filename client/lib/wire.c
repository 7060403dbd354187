/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The bytes of a connection to sandboxd. Runs in the client's process, with the client's rights;
 * prints nothing, touches no signal and no fd but its socket and those that come by it. What
 * the daemon sends is decoded on a budget, as the daemon does with what clients send.
 */
#include "client/lib/wire.h"

#include <sys/socket.h>
#include <sys/un.h>

#include "client/lib/arrivals.h"
#include "proto/budget.h"

/* What decoding one response may use: its bytes, and as much again for pointers and padding. */
#define RESPONSE_BUDGET (4 * FRAME_MAX_DEFAULT)

/* What is in a request beside its piece of data: tags, lengths, id and file number, at their
 * longest. */
#define PIECE_OVERHEAD 64
/* Larger pieces would save nothing. */
#define PIECE_MAX (64 * KIB)

struct wire {
        int fd;
        bool sending_failed; /* the daemon no longer reads */
        size_t max_request;
        uint64_t last_id;
        struct frame_reader reader;
        struct budget budget;
        Sandboxd__V1__Response *response; /* given out last */
        uint8_t *out;
        size_t out_start;
        size_t out_end;
        size_t out_room;
        struct arrivals arrivals; /* fds that came with what is in the reader */
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
        fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        if (fd < 0)
                return -errno;
        if (connect(fd, (const struct sockaddr *) &address, sizeof(address)) < 0)
                return -errno;
        return TAKE_FD(fd);
}

int wire_connect(const char *path, struct wire **ret)
{
        _cleanup_close_ int fd = connect_socket(path);
        struct wire *w;

        if (fd < 0)
                return fd;
        w = calloc(1, sizeof(*w));
        if (!w)
                return -ENOMEM;
        w->fd = TAKE_FD(fd);
        w->max_request = FRAME_MAX_DEFAULT;
        frame_reader_init(&w->reader, FRAME_MAX_DEFAULT);
        *ret = w;
        return 0;
}

void wire_response_free(Sandboxd__V1__Response *response)
{
        struct budget b;

        /* Freeing needs nothing of the budget that it was allocated on. */
        budget_init(&b, 0);
        if (response)
                sandboxd__v1__response__free_unpacked(response, &b.allocator);
}

struct wire *wire_free(struct wire *w)
{
        if (!w)
                return NULL;
        wire_response_free(w->response);
        arrivals_done(&w->arrivals);
        frame_reader_done(&w->reader);
        safe_close(w->fd);
        free(w->out);
        free(w);
        return NULL;
}

int wire_fd(const struct wire *w)
{
        return w->fd;
}

uint64_t wire_next_id(struct wire *w)
{
        return ++w->last_id;
}

size_t wire_max_request(const struct wire *w)
{
        return w->max_request;
}

void wire_set_max_request(struct wire *w, size_t size)
{
        w->max_request = size;
}

size_t wire_max_piece(const struct wire *w)
{
        if (w->max_request <= PIECE_OVERHEAD)
                return 1;
        return MIN(w->max_request - PIECE_OVERHEAD, PIECE_MAX);
}

size_t wire_queued(const struct wire *w)
{
        return w->out_end - w->out_start;
}

static int reserve_out(struct wire *w, size_t size)
{
        size_t used = wire_queued(w), room = w->out_room;
        uint8_t *grown;

        if (w->out_room - w->out_end >= size)
                return 0;
        if (w->out_start > 0) {
                memmove(w->out, w->out + w->out_start, used);
                w->out_start = 0;
                w->out_end = used;
        }
        if (room - used >= size)
                return 0;
        room = MAX(room * 2, used + size);
        grown = realloc(w->out, room);
        if (!grown)
                return -ENOMEM;
        w->out = grown;
        w->out_room = room;
        return 0;
}

int wire_queue(struct wire *w, const Sandboxd__V1__Request *request)
{
        size_t size = sandboxd__v1__request__get_packed_size(request);
        int r;

        ASSERT(request->id != 0);
        if (size > w->max_request)
                return -EMSGSIZE;
        r = reserve_out(w, FRAME_HEADER_SIZE + size);
        if (r < 0)
                return r;
        frame_header(w->out + w->out_end, size);
        (void) sandboxd__v1__request__pack(request, w->out + w->out_end + FRAME_HEADER_SIZE);
        w->out_end += FRAME_HEADER_SIZE + size;
        return 0;
}

static ssize_t send_some(struct wire *w)
{
        ssize_t n = send(w->fd, w->out + w->out_start, wire_queued(w), MSG_NOSIGNAL | MSG_DONTWAIT);

        if (n < 0)
                return -errno;
        w->out_start += (size_t) n;
        return n;
}

int wire_flush(struct wire *w)
{
        while (wire_queued(w) > 0) {
                ssize_t n = send_some(w);

                if (n >= 0 || n == -EINTR)
                        continue;
                if (n == -EAGAIN)
                        return 0;
                if (n != -EPIPE && n != -ECONNRESET)
                        return (int) n;
                w->sending_failed = true;
                w->out_start = w->out_end = 0;
        }
        return 0;
}

static int decode(struct wire *w, const uint8_t *body, size_t size)
{
        budget_init(&w->budget, RESPONSE_BUDGET);
        w->response = sandboxd__v1__response__unpack(&w->budget.allocator, size, body);
        if (!w->response)
                return w->budget.exceeded ? -ENOBUFS : -EBADMSG;
        return 1;
}

int wire_receive(struct wire *w, const Sandboxd__V1__Response **ret)
{
        const uint8_t *body;
        size_t size;
        ssize_t n;
        int r;

        wire_response_free(TAKE_PTR(w->response));
        for (;;) {
                r = frame_reader_next(&w->reader, &body, &size);
                if (r < 0)
                        return r;
                if (r > 0)
                        break;
                r = arrivals_check(&w->arrivals, frame_reader_partial(&w->reader));
                if (r < 0)
                        return r;
                n = arrivals_receive(&w->arrivals, &w->reader, w->fd);
                if (n == -EAGAIN)
                        return w->sending_failed ? -ECONNRESET : 0;
                if (n <= 0)
                        return n == 0 ? -ECONNRESET : (int) n;
        }
        r = decode(w, body, size);
        if (r > 0)
                *ret = w->response;
        return r;
}

int wire_take_fds(struct wire *w, int *ret, size_t n)
{
        return arrivals_take(&w->arrivals, ret, n);
}

struct received wire_take(struct wire *w)
{
        ASSERT(w->response);
        return (struct received) {
                .response = TAKE_PTR(w->response),
                .memory = w->budget.used,
        };
}
