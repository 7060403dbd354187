/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Entries for journald, in its native protocol. sd_journal_send() is not for a loop that may not
 * wait, nor for a process that may not make a socket: it opens one at its first use, and blocks where
 * journald does not read. This never waits: what journald does not take is dropped and counted, and
 * the count is the first thing it is told when it takes entries again.
 */

#include "common/io.h"

#define JOURNAL_SOCKET "/run/systemd/journal/socket"
#define JOURNAL_IDENTIFIER "sandboxd" /* of monitor and frontend: they are one service */

/* Longer values are cut, at a whole character: journalctl shows text that is no UTF-8 as a blob. */
#define JOURNAL_VALUE_MAX 1024
#define JOURNAL_ENTRY_MAX 4096

struct journal_entry {
        size_t size;
        uint8_t data[JOURNAL_ENTRY_MAX];
};

struct journal {
        int fd;
        struct io_address address;
        uint64_t lost; /* entries since journald last took one */
};

/* Whether fd is what $JOURNAL_STREAM, "device:inode", says that stderr is. The variable outlives
 * redirections, so it alone says nothing. */
bool journal_is_stream(const char *stream, int fd);

/* The socket is not connected: each entry names path anew, and so finds a journald that was started
 * again where a connection would be refused for ever. */
int journal_open(struct journal *j, const char *path);
void journal_close(struct journal *j);

void journal_entry_begin(struct journal_entry *e, int priority, const char *message);
/* A field for which there is no room is left out. */
void journal_entry_add(struct journal_entry *e, const char *name, const char *value);
void journal_send(struct journal *j, const struct journal_entry *e);
