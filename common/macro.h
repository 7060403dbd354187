/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Language helpers that every process shares: cleanup attributes, ownership transfer, small
 * arithmetic. Header only, no state.
 */

#include <assert.h>
#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define _cleanup_(f) __attribute__((cleanup(f)))
#define _printf_(a, b) __attribute__((format(printf, a, b)))
#define _unused_ __attribute__((unused))
#define _noreturn_ __attribute__((noreturn))

#define ELEMENTSOF(x) (sizeof(x) / sizeof((x)[0]))
/* Arguments are evaluated twice: give them no side effects. */
#define MIN(a, b) ((a) < (b) ? (a) : (b))
#define MAX(a, b) ((a) > (b) ? (a) : (b))
#define container_of(ptr, type, member) ((type *) ((char *) (ptr) -offsetof(type, member)))
#define ROUND_UP(n, d) (((n) + (d) -1) / (d))

#define USEC_PER_SEC UINT64_C(1000000)
#define USEC_PER_MSEC UINT64_C(1000)
#define KIB UINT64_C(1024)
#define MIB (1024 * KIB)
#define GIB (1024 * MIB)

/* An assertion is for our own bugs, and stays in release builds: a daemon that holds privilege must
 * not go on in a state its author held to be impossible. */
#define ASSERT(expr)                                                                               \
        do {                                                                                       \
                if (__builtin_expect(!(expr), 0))                                                  \
                        assert_failed(#expr, __FILE__, __LINE__);                                  \
        } while (0)

_noreturn_ void assert_failed(const char *expression, const char *file, int line);

/* Hands a pointer or fd over to its next owner: the variable is emptied in the same step. */
#define TAKE_PTR(p)                                                                                \
        ({                                                                                         \
                __typeof__(p) _p = (p);                                                            \
                (p) = NULL;                                                                        \
                _p;                                                                                \
        })
#define TAKE_FD(fd)                                                                                \
        ({                                                                                         \
                int _fd = (fd);                                                                    \
                (fd) = -EBADF;                                                                     \
                _fd;                                                                               \
        })

/* Closes an fd if there is one, keeps errno, and returns the value an empty fd has. */
static inline int safe_close(int fd)
{
        if (fd >= 0) {
                int saved = errno;

                (void) close(fd);
                errno = saved;
        }
        return -EBADF;
}

static inline void closep(int *fd)
{
        *fd = safe_close(*fd);
}

static inline void freep(void *p)
{
        free(*(void **) p);
}

#define _cleanup_close_ _cleanup_(closep)
#define _cleanup_free_ _cleanup_(freep)

/* Defines NAMEp() for _cleanup_(): calls func unless the pointer is NULL. */
#define DEFINE_CLEANUP(type, func)                                                                 \
        static inline void func##p(type *p)                                                        \
        {                                                                                          \
                if (*p)                                                                            \
                        func(*p);                                                                  \
        }

static inline bool streq(const char *a, const char *b)
{
        return strcmp(a, b) == 0;
}

static inline bool strnull(const char *s)
{
        return !s || s[0] == '\0';
}

/* Copies a string into a fixed field; -ENAMETOOLONG when it does not fit with its NUL. */
static inline int str_copy(char *dst, size_t size, const char *src)
{
        size_t n = strlen(src);

        if (n >= size)
                return -ENAMETOOLONG;
        memcpy(dst, src, n + 1);
        return 0;
}
