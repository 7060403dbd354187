/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tables for people: collects the cells, then prints them with columns as wide as needed. Runs in
 * sandboxctl.
 */
#include "client/ctl/table.h"

#include <stdarg.h>

#include "client/ctl/memory.h"

#define COLUMN_GAP 2

struct cell {
        char *text;
        enum style style;
};

struct table {
        const char *const *headers;
        size_t columns;
        struct cell *cells;
        size_t n_cells;
        size_t room;
};

struct table *table_new(const char *const *headers, size_t columns)
{
        struct table *t = must(calloc(1, sizeof(*t)));

        t->headers = headers;
        t->columns = columns;
        return t;
}

struct table *table_free(struct table *t)
{
        if (!t)
                return NULL;
        for (size_t i = 0; i < t->n_cells; i++)
                free(t->cells[i].text);
        free(t->cells);
        free(t);
        return NULL;
}

void table_add(struct table *t, enum style style, const char *text)
{
        if (t->n_cells == t->room) {
                t->room = t->room > 0 ? 2 * t->room : 64;
                t->cells = must(reallocarray(t->cells, t->room, sizeof(*t->cells)));
        }
        t->cells[t->n_cells++] = (struct cell) { text_untrusted(text), style };
}

void table_add_format(struct table *t, enum style style, const char *format, ...)
{
        _cleanup_free_ char *text = NULL;
        va_list ap;
        int r;

        va_start(ap, format);
        r = vasprintf(&text, format, ap);
        va_end(ap);
        if (r < 0)
                text = NULL;
        table_add(t, style, must(text));
}

/* Characters, not bytes. */
static size_t text_width(const char *s)
{
        size_t n = 0;

        for (; *s; s++)
                n += (*s & 0xc0) != 0x80;
        return n;
}

static size_t column_width(const struct table *t, size_t column)
{
        size_t width = text_width(t->headers[column]);

        for (size_t i = column; i < t->n_cells; i += t->columns)
                width = MAX(width, text_width(t->cells[i].text));
        return width;
}

/* Prints one cell; the last of a row gets no blanks after it. */
static void print_cell(FILE *f, bool colors, enum style style, const char *text, size_t width,
        bool last)
{
        style_print(f, colors, style, text);
        if (last)
                (void) fputc('\n', f);
        else
                (void) fprintf(f, "%*s", (int) (width - text_width(text) + COLUMN_GAP), "");
}

void table_print(const struct table *t, FILE *f, bool colors)
{
        _cleanup_free_ size_t *widths = must(calloc(t->columns, sizeof(*widths)));

        ASSERT(t->n_cells % t->columns == 0);
        for (size_t i = 0; i < t->columns; i++)
                widths[i] = column_width(t, i);
        for (size_t i = 0; i < t->columns; i++)
                print_cell(f, colors, STYLE_BOLD, t->headers[i], widths[i], i + 1 == t->columns);
        for (size_t i = 0; i < t->n_cells; i++)
                print_cell(f, colors, t->cells[i].style, t->cells[i].text, widths[i % t->columns],
                        (i + 1) % t->columns == 0);
}
