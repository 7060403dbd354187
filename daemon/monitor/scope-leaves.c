/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Makes and removes the leaves inside a scope: the part of the tree that systemd delegated to us.
 * Runs in the monitor; touches nothing outside the scope's own directory.
 *
 *      cgroup2 with controllers:  SCOPE/{init,job}
 *      v1, and cgroup2 beside it: SCOPE/job; init stays in the scope, which v1 allows
 */
#include "daemon/monitor/scope-leaves.h"

#include <fcntl.h>
#include <stdio.h>

#include "common/io.h"
#include "daemon/monitor/cgroup-dir.h"

int scope_read_mounts(char **ret)
{
        _cleanup_free_ char *text = NULL;
        char *to, *line, *rest;
        int r;

        r = io_read_file(AT_FDCWD, "/proc/self/mountinfo", 16 * MIB, &text, NULL);
        if (r < 0)
                return r;
        to = rest = text;
        while ((line = strsep(&rest, "\n"))) {
                size_t n = strlen(line);

                if (!strstr(line, " - cgroup"))
                        continue;
                memmove(to, line, n);
                to[n] = '\n';
                to += n + 1;
        }
        *to = '\0';
        *ret = TAKE_PTR(text);
        return 0;
}

static unsigned read_controllers(int dir)
{
        _cleanup_free_ char *text = NULL;

        if (io_read_file(dir, "cgroup.controllers", MIB, &text, NULL) < 0)
                return 0;
        return cgroup_controllers_parse(text, ' ') & CGROUP_NEEDED;
}

unsigned scope_root_controllers(const char *mount)
{
        _cleanup_close_ int dir = cgroup_open_dir(AT_FDCWD, mount);

        return dir < 0 ? 0 : read_controllers(dir);
}

static bool is_scope(const char *path, const char *name)
{
        const char *last = strrchr(path, '/');

        return last && streq(last + 1, name);
}

/* Safe because the directory is a scope that systemd delegated to us, with init in it. */
static int make_in(const struct cgroup_hierarchy *h, struct leaf_dir *d)
{
        char path[2 * CGROUP_PATH_MAX];
        int r;

        (void) snprintf(path, sizeof(path), "%s%s", h->mount, h->own);
        d->v2 = h->v2;
        d->controllers = h->controllers;
        d->sandbox_fd = r = cgroup_open_dir(AT_FDCWD, path);
        if (r >= 0 && h->v2)
                d->enable = d->controllers = read_controllers(d->sandbox_fd);
        /* cgroup2 hands controllers down only from a group without processes of its own. */
        if (r >= 0 && d->enable)
                d->init_fd = r = cgroup_make_dir(d->sandbox_fd, "init");
        if (r >= 0)
                d->job_fd = r = cgroup_make_dir(d->sandbox_fd, "job");
        return MIN(r, 0);
}

static int make_all(const struct cgroup_layout *layout, const char *name, struct leaves *l,
        struct error *ret_error)
{
        for (size_t i = 0; i < layout->n; i++) {
                const struct cgroup_hierarchy *h = &layout->hierarchies[i];
                int r;

                if (!is_scope(h->own, name)) {
                        if (h->v2)
                                return error_set(ret_error, -ENOENT, "it is not in its scope");
                        continue;
                }
                r = make_in(h, &l->dirs[l->n++]);
                if (r < 0)
                        return error_set(ret_error, r, "the leaves in it cannot be made");
        }
        return l->n > 0 ? 0 : error_set(ret_error, -ENOENT, "it is in no scope");
}

int scope_leaves_make(const char *mounts, pid_t pid, const char *name, struct leaves *ret,
        struct error *ret_error)
{
        _cleanup_free_ char *text = NULL;
        struct cgroup_layout layout;
        struct leaves l;
        char path[32];
        int r;

        leaves_init(&l);
        (void) snprintf(path, sizeof(path), "/proc/%d/cgroup", pid);
        r = io_read_file(AT_FDCWD, path, MIB, &text, NULL);
        if (r == 0)
                r = cgroup_layout_parse(text, mounts, &layout);
        if (r < 0)
                return error_set(ret_error, r, "its cgroup cannot be read");
        r = make_all(&layout, name, &l, ret_error);
        if (r < 0) {
                (void) scope_leaves_remove(&l);
                leaves_close(&l);
                return r;
        }
        *ret = l;
        return 0;
}

int scope_leaves_remove(struct leaves *l)
{
        int result = 0;

        for (size_t i = 0; i < l->n; i++) {
                const struct leaf_dir *d = &l->dirs[i];
                int r = 0;

                if (d->sandbox_fd >= 0)
                        r = cgroup_remove_dir(d->sandbox_fd, "job");
                if (r == 0 && d->init_fd >= 0)
                        r = cgroup_remove_dir(d->sandbox_fd, "init");
                if (r < 0)
                        result = r;
        }
        if (result == 0) {
                leaves_close(l);
                l->n = 0;
        }
        return result;
}
