/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Names of files against patterns. Linked into every process, the static init too: needs nothing but the
 * C library. Both texts are hostile.
 */
#include "common/pattern.h"

bool pattern_is(const char *pattern)
{
        return strpbrk(pattern, "*?[");
}

/* Not fnmatch(3), which takes a thousand times as long for some patterns as for others: who names one
 * has others wait for it. */

/* Whether a byte is in the set whose '[' is at *p, which goes behind its ']'. */
static bool set_has(const char **p, unsigned char c)
{
        const char *s = *p + 1, *first;
        bool inverted = *s == '!' || *s == '^', has = false;

        s += inverted;
        /* A ']' that comes first is one of the set. */
        for (first = s; *s != ']' || s == first; s++) {
                unsigned char low = (unsigned char) *s, high = low;

                if (s[1] == '-' && s[2] != ']') {
                        s += 2;
                        high = (unsigned char) *s;
                }
                has |= low <= c && c <= high;
        }
        *p = s + 1;
        return has != inverted;
}

/* Whether what is at *p, which is no '*', stands for a byte; *p goes behind it. A '[' that is not closed
 * stands for itself: last is the last ']' there is. */
static bool element_matches(const char **p, const char *last, char c)
{
        const char *s = *p;

        if (*s == '[' && last && last >= s + 2 + (s[1] == '!' || s[1] == '^'))
                return set_has(p, (unsigned char) c);
        *p = s + 1;
        return *s == '?' || *s == c;
}

/* What a star stands for is tried from nothing on. When there is another star, the first has found its
 * place: so this takes no longer than length times length. */
bool pattern_part_matches(const char *pattern, const char *part)
{
        const char *last = strrchr(pattern, ']'), *star = NULL, *from = part;

        if (*part == '.' && *pattern != '.')
                return false;
        while (*part != '\0') {
                if (*pattern == '*') {
                        star = ++pattern;
                        from = part;
                        continue;
                }
                if (*pattern != '\0' && element_matches(&pattern, last, *part)) {
                        part++;
                        continue;
                }
                if (!star)
                        return false;
                pattern = star;
                part = ++from;
        }
        pattern += strspn(pattern, "*");
        return *pattern == '\0';
}

/* Copies the part at *text and goes on behind it. False for one that is no part of any name. */
static bool take_part(const char **text, char part[static PATTERN_PART_MAX + 1])
{
        size_t n = strcspn(*text, "/");

        if (n > PATTERN_PART_MAX)
                return false;
        memcpy(part, *text, n);
        part[n] = '\0';
        *text += n;
        *text += **text == '/';
        return true;
}

bool pattern_matches(const char *pattern, const char *name)
{
        char wanted[PATTERN_PART_MAX + 1], part[PATTERN_PART_MAX + 1];

        while (*pattern != '\0') {
                if (*name == '\0' || !take_part(&pattern, wanted) || !take_part(&name, part) ||
                        !pattern_part_matches(wanted, part))
                        return false;
        }
        return true;
}
