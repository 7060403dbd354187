/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Finds the host's cgroup hierarchies. Runs in the monitor at start; parses text of the kernel's.
 */
#include "daemon/monitor/cgroup-layout.h"

#include <fcntl.h>
#include <stdio.h>

#include "common/io.h"

static const struct {
        const char *name;
        enum cgroup_controller controller;
} controllers[] = {
        { "memory", CGROUP_MEMORY },
        { "cpu", CGROUP_CPU },
        { "pids", CGROUP_PIDS },
        { "cpuacct", CGROUP_CPUACCT },
};

const char *cgroup_controller_name(enum cgroup_controller c)
{
        for (size_t i = 0; i < ELEMENTSOF(controllers); i++)
                if (controllers[i].controller == c)
                        return controllers[i].name;
        return "unknown";
}

unsigned cgroup_controllers_parse(const char *list, char separator)
{
        const char stop[] = { separator, '\n', '\0' };
        unsigned mask = 0;

        while (*list) {
                size_t n = strcspn(list, stop);

                for (size_t i = 0; i < ELEMENTSOF(controllers); i++)
                        if (n == strlen(controllers[i].name) &&
                                memcmp(list, controllers[i].name, n) == 0)
                                mask |= controllers[i].controller;
                list += n;
                list += *list != '\0';
        }
        return mask;
}

/* Splits off the next field of *line at separator; NULL at the end. */
static char *next_field(char **line, char separator)
{
        char *field = *line, *end;

        if (!field)
                return NULL;
        end = strchr(field, separator);
        if (end)
                *end++ = '\0';
        *line = end;
        return field;
}

/* One line of /proc/self/cgroup, "4:memory:/path". Keeps hierarchies that matter to us. */
static void parse_own(struct cgroup_layout *l, char *line)
{
        char *id = next_field(&line, ':'), *names = next_field(&line, ':');
        struct cgroup_hierarchy *h = &l->hierarchies[l->n];

        if (!id || !names || strnull(line) || l->n >= ELEMENTSOF(l->hierarchies))
                return;
        *h = (struct cgroup_hierarchy) { .v2 = streq(id, "0") && names[0] == '\0' };
        h->controllers = cgroup_controllers_parse(names, ',');
        if (!h->v2 && h->controllers == 0)
                return;
        if (str_copy(h->own, sizeof(h->own), line) < 0)
                return;
        l->n++;
}

/* The cgroup's path below a mount whose root is not the hierarchy's: NULL when it is outside. */
static const char *path_below(const char *path, const char *root)
{
        size_t n = strlen(root);

        if (streq(root, "/"))
                return path;
        if (strncmp(path, root, n) != 0 || (path[n] != '/' && path[n] != '\0'))
                return NULL;
        return path[n] ? path + n : "/";
}

static void match_mount(struct cgroup_layout *l, bool v2, const char *options, const char *root,
        const char *mount)
{
        unsigned mask = v2 ? 0 : cgroup_controllers_parse(options, ',');

        for (size_t i = 0; i < l->n; i++) {
                struct cgroup_hierarchy *h = &l->hierarchies[i];
                const char *below = path_below(h->own, root);
                char own[CGROUP_PATH_MAX];

                if (h->mount[0] || h->v2 != v2 || !below || (!v2 && h->controllers != mask))
                        continue;
                if (str_copy(own, sizeof(own), below) < 0 ||
                        str_copy(h->mount, sizeof(h->mount), mount) < 0)
                        continue;
                memcpy(h->own, own, sizeof(own));
        }
}

/* "36 35 98:0 /root /mount options tags - type source superoptions". */
static void parse_mount(struct cgroup_layout *l, char *line)
{
        char *fields[5], *type;

        for (size_t i = 0; i < ELEMENTSOF(fields); i++) {
                fields[i] = next_field(&line, ' ');
                if (!fields[i])
                        return;
        }
        line = line ? strstr(line, " - ") : NULL;
        if (!line)
                return;
        line += 3;
        type = next_field(&line, ' ');
        (void) next_field(&line, ' ');
        if (!type || !line || (!streq(type, "cgroup") && !streq(type, "cgroup2")))
                return;
        match_mount(l, streq(type, "cgroup2"), line, fields[3], fields[4]);
}

static int each_line(struct cgroup_layout *l, const char *text,
        void (*parse)(struct cgroup_layout *l, char *line))
{
        _cleanup_free_ char *copy = strdup(text);
        char *rest = copy;

        if (!copy)
                return -ENOMEM;
        for (char *line; (line = next_field(&rest, '\n'));)
                parse(l, line);
        return 0;
}

/* Without cgroup2, cpuacct counts CPU time; with it, a lone cpuacct hierarchy is of no use. */
static void drop_useless(struct cgroup_layout *l)
{
        bool v2 = false;
        size_t n = 0;

        for (size_t i = 0; i < l->n; i++)
                v2 |= l->hierarchies[i].v2 && l->hierarchies[i].mount[0];
        for (size_t i = 0; i < l->n; i++) {
                struct cgroup_hierarchy *h = &l->hierarchies[i];

                if (v2)
                        h->controllers &= ~(unsigned) CGROUP_CPUACCT;
                if (h->mount[0] && (h->v2 || h->controllers))
                        l->hierarchies[n++] = *h;
        }
        l->n = n;
}

int cgroup_layout_parse(const char *self_cgroup, const char *self_mountinfo,
        struct cgroup_layout *ret)
{
        struct cgroup_layout l = {};
        int r;

        r = each_line(&l, self_cgroup, parse_own);
        if (r == 0)
                r = each_line(&l, self_mountinfo, parse_mount);
        if (r < 0)
                return r;
        drop_useless(&l);
        if (l.n == 0)
                return -ENOENT;
        *ret = l;
        return 0;
}

int cgroup_layout_read(struct cgroup_layout *ret, struct error *ret_error)
{
        _cleanup_free_ char *own = NULL, *mounts = NULL;
        int r;

        r = io_read_file(AT_FDCWD, "/proc/self/cgroup", MIB, &own, NULL);
        if (r == 0)
                r = io_read_file(AT_FDCWD, "/proc/self/mountinfo", 16 * MIB, &mounts, NULL);
        if (r < 0)
                return error_set(ret_error, r,
                        "/proc/self cannot be read (%s): mount proc on /proc", strerror(-r));
        r = cgroup_layout_parse(own, mounts, ret);
        if (r < 0)
                return error_set(ret_error, r,
                        "no cgroup hierarchy is mounted: mount cgroup2 on /sys/fs/cgroup");
        return 0;
}

const char *cgroup_layout_kind(const struct cgroup_layout *l)
{
        bool v1 = false, v2 = false;

        for (size_t i = 0; i < l->n; i++) {
                v1 |= !l->hierarchies[i].v2;
                v2 |= l->hierarchies[i].v2;
        }
        return v1 && v2 ? "hybrid" : v2 ? "unified" : "v1";
}
