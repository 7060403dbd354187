/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Compiles system-call filters with libseccomp. Runs in the monitor at start; reads policy files.
 */
#include "daemon/monitor/filter.h"

#include <fcntl.h>
#include <seccomp.h>
#include <stdio.h>

#include "common/io.h"
#include "common/parse.h"

#define FILTER_FILE_MAX (64 * KIB)
#define BLANKS " \t"

struct parser {
        scmp_filter_ctx context;
        const char *path;
        unsigned line;
        uint32_t action; /* 0 before the first section */
        struct error *error;
};

static void release_context(scmp_filter_ctx *c)
{
        if (*c)
                seccomp_release(*c);
}

static int fail(struct parser *p, const char *what, const char *word)
{
        return error_set(p->error, -EINVAL, "%s:%u: '%s' %s", p->path, p->line, word, what);
}

static int add_rule(struct parser *p, int call, unsigned n, const struct scmp_arg_cmp *compare)
{
        int r = seccomp_rule_add_array(p->context, p->action, call, n, compare);

        if (r < 0)
                return error_set(p->error, r, "%s:%u: libseccomp refuses this rule (%s)", p->path,
                        p->line, strerror(-r));
        return 0;
}

static int add_masked(struct parser *p, int call, unsigned arg, uint64_t mask, uint64_t value)
{
        struct scmp_arg_cmp compare = { .arg = arg,
                .op = SCMP_CMP_MASKED_EQ,
                .datum_a = mask,
                .datum_b = value };

        return add_rule(p, call, 1, &compare);
}

static int add_in(struct parser *p, int call, unsigned arg, uint64_t value)
{
        return add_masked(p, call, arg, UINT32_MAX, value);
}

static int add_without(struct parser *p, int call, unsigned arg, uint64_t mask)
{
        return add_masked(p, call, arg, mask, 0);
}

static int add_with(struct parser *p, int call, unsigned arg, uint64_t mask)
{
        int r = 0;

        for (unsigned bit = 0; bit < 32 && r == 0; bit++)
                if (mask & UINT64_C(1) << bit)
                        r = add_masked(p, call, arg, UINT64_C(1) << bit, UINT64_C(1) << bit);
        return r;
}

static const struct {
        const char *word;
        int (*add)(struct parser *p, int call, unsigned arg, uint64_t value);
} operators[] = {
        { "in", add_in },
        { "without", add_without },
        { "with", add_with },
};

/* "argN OPERATOR VALUE..." */
static int parse_condition(struct parser *p, int call, const char *arg, char **rest)
{
        const char *word = strtok_r(NULL, BLANKS, rest);
        size_t op = 0;
        int r;

        if (strncmp(arg, "arg", 3) != 0 || arg[3] < '0' || arg[3] > '5' || arg[4])
                return fail(p, "is not arg0 to arg5", arg);
        while (word && op < ELEMENTSOF(operators) && !streq(word, operators[op].word))
                op++;
        if (!word || op == ELEMENTSOF(operators))
                return fail(p, "is not one of in, with, without", word ?: "");
        word = strtok_r(NULL, BLANKS, rest);
        if (!word)
                return fail(p, "needs a value behind it", operators[op].word);
        for (; word; word = strtok_r(NULL, BLANKS, rest)) {
                uint64_t value;

                if (parse_u64_hex(word, &value) < 0 || value > UINT32_MAX)
                        return fail(p, "is not a number of 32 bits", word);
                r = operators[op].add(p, call, (unsigned) (arg[3] - '0'), value);
                if (r < 0)
                        return r;
        }
        return 0;
}

static int parse_call(struct parser *p, char *line)
{
        char *rest = NULL, *name = strtok_r(line, BLANKS, &rest), *arg;
        bool optional = name[0] == '?';
        int call;

        if (p->action == 0)
                return fail(p, "stands before [allow] or [deny]", name);
        call = seccomp_syscall_resolve_name(name + optional);
        if (call == __NR_SCMP_ERROR)
                return optional ? 0
                                : fail(p,
                                          "is no system call that libseccomp knows; write ?NAME "
                                          "where that is no mistake",
                                          name);
        arg = strtok_r(NULL, BLANKS, &rest);
        if (arg)
                return parse_condition(p, call, arg, &rest);
        return add_rule(p, call, 0, NULL);
}

static int parse_line(struct parser *p, char *line)
{
        size_t n;

        line[strcspn(line, "#")] = '\0';
        line += strspn(line, BLANKS);
        for (n = strlen(line); n > 0 && strchr(BLANKS, line[n - 1]); n--)
                line[n - 1] = '\0';
        if (line[0] == '\0')
                return 0;
        if (line[0] != '[')
                return parse_call(p, line);
        if (streq(line, "[allow]"))
                p->action = SCMP_ACT_ALLOW;
        else if (streq(line, "[deny]"))
                p->action = SCMP_ACT_ERRNO(EPERM);
        else
                return fail(p, "is neither [allow] nor [deny]", line);
        return 0;
}

static int export_filter(struct parser *p, int *ret_fd)
{
        _cleanup_close_ int fd = io_memfd_new("filter");
        int r;

        if (fd < 0)
                return error_set(p->error, fd, "%s: no memfd (%s)", p->path, strerror(-fd));
        r = seccomp_export_bpf(p->context, fd);
        if (r == 0)
                r = io_memfd_seal(fd);
        if (r < 0)
                return error_set(p->error, r, "%s: cannot be compiled (%s)", p->path, strerror(-r));
        *ret_fd = TAKE_FD(fd);
        return 0;
}

int filter_compile(const char *path, int *ret_fd, struct error *ret_error)
{
        _cleanup_(release_context) scmp_filter_ctx context = seccomp_init(SCMP_ACT_ERRNO(ENOSYS));
        struct parser p = { .context = context, .path = path, .error = ret_error };
        _cleanup_free_ char *text = NULL;
        char *rest;
        int r;

        if (!context)
                return error_set(ret_error, -ENOMEM, "out of memory");
        r = io_read_file(AT_FDCWD, path, FILTER_FILE_MAX, &text, NULL);
        if (r < 0)
                return error_set(ret_error, r, "%s: cannot be read (%s)", path, strerror(-r));
        /* A binary tree halves the time that the kernel takes to load and run the filter. */
        r = seccomp_attr_set(context, SCMP_FLTATR_CTL_OPTIMIZE, 2);
        if (r == 0)
                r = seccomp_attr_set(context, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS);
        if (r < 0)
                return error_set(ret_error, r, "%s: libseccomp is too old: install 2.5 or newer",
                        path);
        rest = text;
        for (char *line; (line = strsep(&rest, "\n"));) {
                p.line++;
                r = parse_line(&p, line);
                if (r < 0)
                        return r;
        }
        return export_filter(&p, ret_fd);
}
