/* SPDX-License-Identifier: Apache-2.0 */
/*
 * journald's native protocol: one datagram an entry, one field a line, in a binary form where the
 * value has lines of its own. Runs in monitor and frontend; never waits.
 */
#include "common/journal.h"

#include <endian.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/stat.h>

#define PRIORITY_WARNING 4

bool journal_is_stream(const char *stream, int fd)
{
        char expected[64];
        struct stat st;

        if (!stream || fstat(fd, &st) < 0)
                return false;
        (void) snprintf(expected, sizeof(expected), "%ju:%ju", (uintmax_t) st.st_dev,
                (uintmax_t) st.st_ino);
        return streq(stream, expected);
}

int journal_open(struct journal *j, const char *path)
{
        int r;

        *j = (struct journal) { .fd = -EBADF };
        r = io_address_init(&j->address, path);
        if (r < 0)
                return r;
        r = io_datagram_socket();
        if (r < 0)
                return r;
        j->fd = r;
        return 0;
}

void journal_close(struct journal *j)
{
        j->fd = safe_close(j->fd);
}

static void put(struct journal_entry *e, const void *data, size_t size)
{
        memcpy(e->data + e->size, data, size);
        e->size += size;
}

static void put_text(struct journal_entry *e, const char *text)
{
        put(e, text, strlen(text));
}

/* How much of value is kept. */
static size_t value_size(const char *value)
{
        size_t n = strnlen(value, JOURNAL_VALUE_MAX + 1);

        if (n <= JOURNAL_VALUE_MAX)
                return n;
        for (n = JOURNAL_VALUE_MAX; n > 0 && ((uint8_t) value[n] & 0xc0) == 0x80;)
                n--;
        return n;
}

void journal_entry_add(struct journal_entry *e, const char *name, const char *value)
{
        size_t size = value_size(value);
        uint64_t little = htole64(size);

        if (strlen(name) + 1 + sizeof(little) + size + 1 > sizeof(e->data) - e->size)
                return;
        put_text(e, name);
        if (memchr(value, '\n', size)) {
                put_text(e, "\n");
                put(e, &little, sizeof(little));
        } else
                put_text(e, "=");
        put(e, value, size);
        put_text(e, "\n");
}

void journal_entry_begin(struct journal_entry *e, int priority, const char *message)
{
        char number[16];

        e->size = 0;
        (void) snprintf(number, sizeof(number), "%d", priority);
        journal_entry_add(e, "PRIORITY", number);
        journal_entry_add(e, "SYSLOG_IDENTIFIER", JOURNAL_IDENTIFIER);
        journal_entry_add(e, "MESSAGE", message);
}

static int send_entry(const struct journal *j, const struct journal_entry *e)
{
        return io_send_datagram(j->fd, &j->address, e->data, e->size);
}

/* What was lost goes before what comes after it. */
static int send_lost(const struct journal *j)
{
        struct journal_entry e;
        char text[64];

        (void) snprintf(text, sizeof(text), "%" PRIu64 " %s lost: journald did not take %s",
                j->lost, j->lost == 1 ? "message was" : "messages were",
                j->lost == 1 ? "it" : "them");
        journal_entry_begin(&e, PRIORITY_WARNING, text);
        return send_entry(j, &e);
}

void journal_send(struct journal *j, const struct journal_entry *e)
{
        if (j->lost > 0 && send_lost(j) >= 0)
                j->lost = 0;
        if (j->lost > 0 || send_entry(j, e) < 0)
                j->lost++;
}
