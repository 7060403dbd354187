/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Names of files against patterns. Linked into every process, the static init too: needs nothing but the
 * C library. Both texts are hostile.
 */
#include "common/pattern.h"

#include <limits.h>

/* What may stand for something else. */
#define SPECIAL "*?["

bool pattern_is(const char *pattern)
{
        return strpbrk(pattern, SPECIAL);
}

/* Not fnmatch(3), which takes a thousand times as long for some patterns as for others: who names one has
 * others wait for it. Here each element of a pattern is looked at once, and moves all the places in the
 * name that what is before it can end at. */

#define WORD_BITS 64
#define WORDS_MAX (PATTERN_PART_MAX / WORD_BITS + 1)

/* Places between the bytes of a part of a name, a bit each: 0 is before its first. */
struct places {
        uint64_t words[WORDS_MAX];
};

struct matching {
        uint64_t below[WORDS_MAX][UCHAR_MAX + 2]; /* places before a byte smaller than the index */
        struct places ends;                       /* of what was looked at of the pattern */
        size_t size;                              /* of the part */
        size_t n_words;
        size_t cost;
};

static void begin(struct matching *m, const char *part, size_t size)
{
        m->size = size;
        m->n_words = size / WORD_BITS + 1;
        m->cost = m->n_words * ELEMENTSOF(m->below[0]);
        memset(m->below, 0, m->n_words * sizeof(m->below[0]));
        for (size_t i = 0; i < size; i++)
                m->below[i / WORD_BITS][(unsigned char) part[i] + 1] |= UINT64_C(1)
                                                                        << i % WORD_BITS;
        for (size_t w = 0; w < m->n_words; w++)
                for (size_t c = 1; c < ELEMENTSOF(m->below[w]); c++)
                        m->below[w][c] |= m->below[w][c - 1];
        m->ends = (struct places) { .words = { 1 } };
}

/* Adds the places before a byte that is in a range. */
static void add_range(struct matching *m, struct places *p, unsigned char low, unsigned char high)
{
        for (size_t w = 0; w < m->n_words; w++)
                p->words[w] |= m->below[w][high + 1] & ~m->below[w][low];
        m->cost += m->n_words;
}

/* Goes on behind the byte, from where that is one of those at p. False: from nowhere. */
static bool step(struct matching *m, const struct places *p)
{
        uint64_t carry = 0, any = 0;

        for (size_t w = 0; w < m->n_words; w++) {
                uint64_t word = m->ends.words[w] & p->words[w];

                m->ends.words[w] = word << 1 | carry;
                carry = word >> (WORD_BITS - 1);
                any |= word;
        }
        m->cost += m->n_words;
        return any != 0;
}

/* From the first place on, all. */
static void step_star(struct matching *m)
{
        bool all = false;

        for (size_t w = 0; w < m->n_words; w++) {
                uint64_t word = m->ends.words[w];

                m->ends.words[w] = all ? UINT64_MAX : word | -word;
                all |= word != 0;
        }
        m->cost += m->n_words;
}

/* The set whose '[' is at *p, which goes behind its ']'. */
static void add_set(struct matching *m, struct places *places, const char **p)
{
        const char *s = *p + 1, *first;
        bool inverted = *s == '!' || *s == '^';

        s += inverted;
        /* A ']' that comes first is one of the set. */
        for (first = s; *s != ']' || s == first; s++) {
                unsigned char low = (unsigned char) *s, high = low;

                if (s[1] == '-' && s[2] != ']') {
                        s += 2;
                        high = (unsigned char) *s;
                }
                if (low <= high)
                        add_range(m, places, low, high);
        }
        for (size_t w = 0; inverted && w < m->n_words; w++)
                places->words[w] = ~places->words[w] & m->below[w][UCHAR_MAX + 1];
        *p = s + 1;
}

/* What is at *p, which is no '*'; *p goes behind it. A '[' that is not closed stands for itself: last is
 * the last ']' there is. */
static bool step_element(struct matching *m, const char **p, const char *last)
{
        struct places places = {};
        const char *s = *p;

        if (*s == '[' && last && last >= s + 2 + (s[1] == '!' || s[1] == '^')) {
                add_set(m, &places, p);
                return step(m, &places);
        }
        *p = s + 1;
        if (*s == '?')
                add_range(m, &places, 0, UCHAR_MAX);
        else
                add_range(m, &places, (unsigned char) *s, (unsigned char) *s);
        return step(m, &places);
}

static bool match(struct matching *m, const char *pattern)
{
        const char *last = strrchr(pattern, ']');

        while (*pattern != '\0') {
                if (*pattern == '*') {
                        pattern++;
                        step_star(m);
                } else if (!step_element(m, &pattern, last))
                        return false;
        }
        return m->ends.words[m->size / WORD_BITS] >> m->size % WORD_BITS & 1;
}

/* Whether a part ends with a text that is nothing but itself. */
static bool ends_with(const char *part, size_t size, const char *text)
{
        size_t n = strlen(text);

        return n <= size && memcmp(part + size - n, text, n) == 0;
}

bool pattern_part_matches(const char *pattern, const char *part, size_t *cost)
{
        const char *whole = pattern;
        struct matching m;
        size_t size;
        bool r;

        if (*part == '.' && *pattern != '.')
                return false;
        while (*part != '\0' && *pattern == *part && !strchr(SPECIAL, *pattern)) {
                pattern++;
                part++;
        }
        if (cost)
                *cost += (size_t) (pattern - whole) + 1;
        if (*pattern == '\0' || !strchr(SPECIAL, *pattern))
                return *pattern == *part;
        size = strlen(part);
        if (size > PATTERN_PART_MAX)
                return false;
        if (*pattern == '*' && !pattern_is(pattern + 1))
                return ends_with(part, size, pattern + 1);
        begin(&m, part, size);
        r = match(&m, pattern);
        if (cost)
                *cost += m.cost;
        return r;
}

/* Copies the part at *text and goes on behind it. False for one that is no part of any name. */
static bool take_part(const char **text, char part[static PATTERN_PART_MAX + 1], size_t *cost)
{
        size_t n = strcspn(*text, "/");

        if (cost)
                *cost += n;
        if (n > PATTERN_PART_MAX)
                return false;
        memcpy(part, *text, n);
        part[n] = '\0';
        *text += n;
        *text += **text == '/';
        return true;
}

bool pattern_matches(const char *pattern, const char *name, size_t *cost)
{
        char wanted[PATTERN_PART_MAX + 1], part[PATTERN_PART_MAX + 1];

        while (*pattern != '\0') {
                if (*name == '\0' || !take_part(&pattern, wanted, cost) ||
                        !take_part(&name, part, cost) || !pattern_part_matches(wanted, part, cost))
                        return false;
        }
        return true;
}
