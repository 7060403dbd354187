/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Small file and socket helpers: whole reads and writes, fds over SOCK_SEQPACKET, sealed memfds.
 * Return 0 (or what is said) or a negative errno.
 */

#include <sys/socket.h>
#include <sys/types.h>
#include <sys/un.h>

#include "common/macro.h"

/* The most fds one of our own SEQPACKET messages carries. */
#define IO_FDS_MAX 20

int io_write_full(int fd, const void *data, size_t size);
/* Reads up to size bytes until end of file; returns the count. */
ssize_t io_read_full(int fd, void *data, size_t size);
int io_set_nonblock(int fd);
/* Has the kernel refuse fds that are sent to a Unix socket, or to who connects to one that listens: the
 * sender gets EPERM. -ENOPROTOOPT where the kernel cannot, before Linux 6.16. */
int io_refuse_fds(int fd);
/* How much of what a Unix stream socket has sent its reader has not taken, in bytes as what they cost the
 * kernel: at least IO_SOCKET_SEND_MIN for each send; 0 when all is taken. */
size_t io_socket_unread(int fd);
#define IO_SOCKET_SEND_MIN 512

/* Reads a whole file of at most max bytes beneath dir_fd (AT_FDCWD allowed); the text is
 * NUL-terminated and owned by the caller. -EFBIG when it is larger. */
int io_read_file(int dir_fd, const char *path, size_t max, char **ret_text, size_t *ret_size);
/* As io_read_file, from an fd that is open. */
int io_read_fd(int fd, size_t max, char **ret_text, size_t *ret_size);
/* Writes text to an existing file in one write(2), as cgroup and proc files want it. */
int io_write_file(int dir_fd, const char *path, const char *text);

/* One message with fds. Never blocks on a non-blocking socket: -EAGAIN. */
int io_send_message(int fd, const void *data, size_t size, const int *fds, size_t n_fds);
/* Receives one whole message, MSG_CMSG_CLOEXEC. Returns the byte count, 0 at end of file. A message
 * that was cut, or carried more than max_fds fds, is -EBADMSG with every received fd closed. */
ssize_t io_receive_message(int fd, void *data, size_t size, int *ret_fds, size_t max_fds,
        size_t *ret_n_fds);

void io_close_all(int *fds, size_t n_fds);

/* The address of a Unix socket. */
struct io_address {
        struct sockaddr_un un;
        socklen_t size;
};

/* name is an absolute path, or "@" and an abstract name; -EINVAL for anything else, -ENAMETOOLONG. */
int io_address_init(struct io_address *a, const char *name);
/* A Unix datagram socket without a name, close-on-exec and non-blocking. */
int io_datagram_socket(void);
/* One datagram to whoever has that name now. Never blocks: -EAGAIN where its queue is full. */
int io_send_datagram(int fd, const struct io_address *to, const void *data, size_t size);

/* Closes every fd from first up. */
int io_close_from(int first);
/* Closes every fd but those of an array, in which negative ones stand for none. */
int io_close_except(const int *keep, size_t n_keep);

/* A memfd, close-on-exec, that can be sealed. */
int io_memfd_new(const char *name);
/* Forbids any further change of content or size. */
int io_memfd_seal(int fd);
/* Whether fd is a memfd sealed that way; asks no file system. */
bool io_memfd_is_sealed(int fd);

uint64_t io_now_usec(void);      /* CLOCK_MONOTONIC */
uint64_t io_realtime_usec(void); /* CLOCK_REALTIME */
