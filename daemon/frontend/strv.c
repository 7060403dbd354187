/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The list of strings. Pure; runs in the frontend.
 */
#include "daemon/frontend/strv.h"

int strv_init(struct strv *v, size_t room)
{
        *v = (struct strv) { .room = room };
        v->items = calloc(room + 1, sizeof(*v->items));
        return v->items ? 0 : -ENOMEM;
}

void strv_done(struct strv *v)
{
        for (size_t i = 0; i < v->n; i++)
                free(v->items[i]);
        free(v->items);
        *v = (struct strv) {};
}

int strv_add(struct strv *v, const char *text, size_t size)
{
        char *copy;

        ASSERT(v->n < v->room);
        copy = malloc(size + 1);
        if (!copy)
                return -ENOMEM;
        if (size > 0)
                memcpy(copy, text, size);
        copy[size] = '\0';
        v->items[v->n++] = copy;
        return 0;
}

int strv_add_joined(struct strv *v, const char *first, const char *second)
{
        size_t n = strlen(first), m = strlen(second);
        char *text;

        ASSERT(v->n < v->room);
        text = malloc(n + m + 1);
        if (!text)
                return -ENOMEM;
        memcpy(text, first, n);
        memcpy(text + n, second, m + 1);
        v->items[v->n++] = text;
        return 0;
}

size_t strv_bytes(const struct strv *v)
{
        size_t size = 0;

        for (size_t i = 0; i < v->n; i++)
                size += strlen(v->items[i]) + 1;
        return size;
}
