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

/* One comparison of an argument as 32 bits. */
static struct scmp_arg_cmp compare(unsigned arg, uint64_t mask, uint64_t value)
{
        return (struct scmp_arg_cmp) { .arg = arg,
                .op = SCMP_CMP_MASKED_EQ,
                .datum_a = mask,
                .datum_b = value };
}

/* What a line has said so far: the call, and at most one comparison before an "and". */
struct rule {
        int call;
        struct scmp_arg_cmp compares[2];
        unsigned n_compares;
};

static int add_compared(struct parser *p, const struct rule *rule, struct scmp_arg_cmp last)
{
        struct rule whole = *rule;

        whole.compares[whole.n_compares++] = last;
        return add_rule(p, whole.call, whole.n_compares, whole.compares);
}

/* A number of a condition: "V", or "V/MASK". */
struct value {
        uint64_t bits;
        uint64_t mask;
};

static int add_in(struct parser *p, const struct rule *rule, unsigned arg, struct value v)
{
        return add_compared(p, rule, compare(arg, v.mask, v.bits));
}

static int add_without(struct parser *p, const struct rule *rule, unsigned arg, struct value v)
{
        return add_compared(p, rule, compare(arg, v.bits, 0));
}

static int add_with(struct parser *p, const struct rule *rule, unsigned arg, struct value v)
{
        int r = 0;

        for (uint64_t bit = 1; bit <= UINT32_MAX && r == 0; bit <<= 1)
                if (v.bits & bit)
                        r = add_compared(p, rule, compare(arg, bit, bit));
        return r;
}

struct condition {
        const char *word;
        int (*add)(struct parser *p, const struct rule *rule, unsigned arg, struct value v);
};

static const struct condition conditions[] = {
        { "in", add_in },
        { "without", add_without },
        { "with", add_with },
};

static int parse_arg(struct parser *p, const char *word, unsigned *ret)
{
        if (!word || strncmp(word, "arg", 3) != 0 || word[3] < '0' || word[3] > '5' || word[4])
                return fail(p, "is not arg0 to arg5", word ?: "");
        *ret = (unsigned) (word[3] - '0');
        return 0;
}

static int parse_kind(struct parser *p, const char *word, const struct condition **ret)
{
        for (size_t i = 0; word && i < ELEMENTSOF(conditions); i++)
                if (streq(word, conditions[i].word)) {
                        *ret = &conditions[i];
                        return 0;
                }
        return fail(p, "is not one of in, with, without", word ?: "");
}

static int parse_value(struct parser *p, char *word, struct value *ret)
{
        struct value v = { .mask = UINT32_MAX };
        char *slash = strchr(word, '/');

        if (slash)
                *slash++ = '\0';
        if (parse_u64_hex(word, &v.bits) < 0 || v.bits > UINT32_MAX)
                return fail(p, "is not a number of 32 bits", word);
        if (slash && (parse_u64_hex(slash, &v.mask) < 0 || v.mask > UINT32_MAX))
                return fail(p, "is not a mask of 32 bits", slash);
        *ret = v;
        return 0;
}

/* "argN in V and argM ...": the first comparison waits in the rule for the second condition. */
static int take_first(struct parser *p, const struct condition *kind, struct rule *rule,
        unsigned arg, struct value v)
{
        if (kind->add != add_in || rule->n_compares > 0)
                return fail(p, "may join two conditions, the first of them with in", "and");
        rule->compares[rule->n_compares++] = compare(arg, v.mask, v.bits);
        return 0;
}

/* "argN KIND VALUE...". 1 when an "and" follows. */
static int parse_condition(struct parser *p, struct rule *rule, char *word, char **rest)
{
        const struct condition *kind = NULL;
        struct value value;
        unsigned arg = 0;
        int r;

        r = parse_arg(p, word, &arg);
        if (r == 0)
                r = parse_kind(p, strtok_r(NULL, BLANKS, rest), &kind);
        if (r < 0)
                return r;
        word = strtok_r(NULL, BLANKS, rest);
        if (!word)
                return fail(p, "needs a value behind it", kind->word);
        while (word && r == 0) {
                r = parse_value(p, word, &value);
                if (r < 0)
                        return r;
                word = strtok_r(NULL, BLANKS, rest);
                if (word && streq(word, "and")) {
                        r = take_first(p, kind, rule, arg, value);
                        return r < 0 ? r : 1;
                }
                r = kind->add(p, rule, arg, value);
        }
        return r;
}

static int parse_call(struct parser *p, char *line)
{
        char *rest = NULL, *name = strtok_r(line, BLANKS, &rest), *arg;
        bool optional = name[0] == '?';
        struct rule rule = {};
        int r;

        if (p->action == 0)
                return fail(p, "stands before [allow] or [deny]", name);
        rule.call = seccomp_syscall_resolve_name(name + optional);
        if (rule.call == __NR_SCMP_ERROR)
                return optional ? 0
                                : fail(p,
                                          "is no system call that libseccomp knows; write ?NAME "
                                          "where that is no mistake",
                                          name);
        arg = strtok_r(NULL, BLANKS, &rest);
        if (!arg)
                return add_rule(p, rule.call, 0, NULL);
        r = parse_condition(p, &rule, arg, &rest);
        return r > 0 ? parse_condition(p, &rule, strtok_r(NULL, BLANKS, &rest), &rest) : r;
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
