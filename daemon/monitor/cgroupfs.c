/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The cgroupfs driver: a directory tree of the daemon's own in every hierarchy, made and removed
 * with mkdir(2) and rmdir(2). Runs in the monitor; never touches a cgroup outside that tree, but
 * for enabling controllers in the tree's parent on cgroup2.
 *
 *      cgroup2:  PARENT/sandboxd-INSTANCE/ID/{init,job}
 *      v1:       PARENT/sandboxd-INSTANCE/ID-job, for memory also ID-init
 *
 * On v1 a hierarchy takes a fifth of a millisecond for each level, so there is one level and init
 * has a leaf only where its charges would otherwise be the daemon's.
 */
#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <sys/stat.h>

#include "common/io.h"
#include "daemon/monitor/cgroup-dir.h"
#include "daemon/monitor/driver.h"
#include "daemon/monitor/privilege.h"

/* How long processes that an earlier life left may take to die. */
#define LEFTOVER_WAIT_USEC (5 * USEC_PER_SEC)

struct tree {
        bool v2;
        unsigned controllers;
        char parent[2 * CGROUP_PATH_MAX]; /* directory in which the tree stands */
        char name[64];                    /* of the tree's directory */
        int fd;
};

struct cgroupfs {
        struct driver driver;
        struct tree trees[CGROUP_HIERARCHIES_MAX];
        size_t n;
};

static bool is_directory(const struct dirent *e)
{
        return e->d_name[0] != '.' && e->d_type == DT_DIR;
}

static void kill_processes(int dir)
{
        _cleanup_free_ char *pids = NULL;

        /* Safe because dir is beneath our own tree, which holds what an earlier life left. */
        if (io_write_file(dir, "cgroup.kill", "1") == 0)
                return;
        if (io_read_file(dir, "cgroup.procs", 4 * MIB, &pids, NULL) < 0)
                return;
        for (char *p = pids; *p; p += strspn(p, "\n")) {
                /* Safe because the tree is ours alone: whatever runs in it is a sandbox of an
                 * earlier life. */
                long pid = strtol(p, &p, 10);

                if (pid > 1)
                        (void) kill((pid_t) pid, SIGKILL);
        }
}

/* Kills and removes everything beneath name, then name itself; one pass. */
static int sweep(int at, const char *name)
{
        int fd = openat(at, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
        struct dirent *e;
        DIR *dir;

        if (fd < 0)
                return errno == ENOENT ? 0 : -errno;
        kill_processes(fd);
        dir = fdopendir(fd);
        if (!dir) {
                (void) close(fd);
                return -ENOMEM;
        }
        while ((e = readdir(dir)))
                if (is_directory(e))
                        (void) sweep(fd, e->d_name);
        (void) closedir(dir);
        return cgroup_remove_dir(at, name);
}

static int sweep_until_gone(int at, const char *name)
{
        uint64_t deadline = io_now_usec() + LEFTOVER_WAIT_USEC;
        int r;

        while ((r = sweep(at, name)) == -EBUSY && io_now_usec() < deadline)
                (void) usleep(1000);
        return r;
}

static unsigned read_controllers(const char *dir, const char *file)
{
        char path[2 * CGROUP_PATH_MAX + 64];
        _cleanup_free_ char *text = NULL;

        (void) snprintf(path, sizeof(path), "%s/%s", dir, file);
        if (io_read_file(AT_FDCWD, path, MIB, &text, NULL) < 0)
                return 0;
        return cgroup_controllers_parse(text, ' ');
}

static bool has_processes(const char *dir)
{
        char path[2 * CGROUP_PATH_MAX + 64];
        _cleanup_free_ char *text = NULL;

        (void) snprintf(path, sizeof(path), "%s/cgroup.procs", dir);
        return io_read_file(AT_FDCWD, path, 16 * MIB, &text, NULL) < 0 || text[0] != '\0';
}

/* On cgroup2 a group with processes cannot hand controllers down, and the daemon's own group has at
 * least one: take the nearest group above that has the controllers and no processes, or the root.
 */
static void find_v2_parent(const struct cgroup_hierarchy *h, struct tree *t)
{
        char own[CGROUP_PATH_MAX];

        memcpy(own, h->own, sizeof(own));
        for (;;) {
                char *slash = strrchr(own, '/');

                (void) snprintf(t->parent, sizeof(t->parent), "%s%s", h->mount,
                        streq(own, "/") ? "" : own);
                t->controllers = read_controllers(t->parent, "cgroup.controllers") & CGROUP_NEEDED;
                if (!slash || own[0] == '\0' || streq(own, "/"))
                        return;
                if (t->controllers == CGROUP_NEEDED && !has_processes(t->parent))
                        return;
                *slash = '\0';
        }
}

static int enable_controllers(int dir, unsigned controllers)
{
        for (unsigned c = CGROUP_MEMORY; c <= CGROUP_PIDS; c <<= 1) {
                char text[32];
                int r;

                if (!(controllers & c))
                        continue;
                (void) snprintf(text, sizeof(text), "+%s", cgroup_controller_name(c));
                r = io_write_file(dir, "cgroup.subtree_control", text);
                if (r < 0)
                        return r;
        }
        return 0;
}

static int make_tree(struct tree *t, const char *instance, struct error *ret_error)
{
        _cleanup_close_ int parent = cgroup_open_dir(AT_FDCWD, t->parent);
        int r = parent;

        /* Safe because what follows names nothing but the tree, in a directory of the kernel's. */
        if (r >= 0)
                r = privilege_override_modes(true);
        (void) snprintf(t->name, sizeof(t->name), "sandboxd-%s", instance);
        if (r >= 0)
                r = sweep_until_gone(parent, t->name);
        if (r >= 0 && t->v2)
                r = enable_controllers(parent, t->controllers);
        if (r >= 0)
                t->fd = r = cgroup_make_dir(parent, t->name);
        if (r >= 0 && t->v2)
                r = enable_controllers(t->fd, t->controllers);
        (void) privilege_override_modes(false);
        if (r < 0)
                return error_set(ret_error, r,
                        "cgroup %s/%s cannot be set up (%s): run sandboxd as root and see that no "
                        "other sandboxd uses this runtime directory",
                        t->parent, t->name, strerror(-r));
        return 0;
}

static int make_v2_leaves(const struct tree *t, const char *name, struct leaf_dir *d)
{
        int r;

        d->sandbox_fd = r = cgroup_make_dir(t->fd, name);
        if (r >= 0)
                d->init_fd = r = cgroup_make_dir(d->sandbox_fd, "init");
        if (r >= 0)
                d->job_fd = r = cgroup_make_dir(d->sandbox_fd, "job");
        if (r >= 0)
                r = enable_controllers(d->sandbox_fd, t->controllers);
        return r;
}

static void v1_leaf_name(char buf[static 32], const char *name, const char *leaf)
{
        (void) snprintf(buf, 32, "%.20s-%s", name, leaf);
}

static int make_v1_leaves(const struct tree *t, const char *name, struct leaf_dir *d)
{
        char leaf[32];
        int r;

        v1_leaf_name(leaf, name, "job");
        d->job_fd = r = cgroup_make_dir(t->fd, leaf);
        if (r >= 0 && t->controllers & CGROUP_MEMORY) {
                v1_leaf_name(leaf, name, "init");
                d->init_fd = r = cgroup_make_dir(t->fd, leaf);
        }
        return r;
}

static int remove_v1_leaves(const struct tree *t, const char *name)
{
        char job[32], init[32];
        int r, q;

        v1_leaf_name(job, name, "job");
        v1_leaf_name(init, name, "init");
        r = cgroup_remove_dir(t->fd, job);
        q = t->controllers & CGROUP_MEMORY ? cgroup_remove_dir(t->fd, init) : 0;
        return r < 0 ? r : q;
}

static int remove_v2_leaves(const struct tree *t, const char *name, struct leaf_dir *d)
{
        int r = 0;

        if (d->sandbox_fd >= 0) {
                r = cgroup_remove_dir(d->sandbox_fd, "job");
                if (r == 0)
                        r = cgroup_remove_dir(d->sandbox_fd, "init");
        }
        return r < 0 ? r : cgroup_remove_dir(t->fd, name);
}

static int remove_leaves(struct cgroupfs *c, struct leaves *l)
{
        int result = 0;

        for (size_t i = 0; i < l->n; i++) {
                int r;

                if (c->trees[i].v2)
                        r = remove_v2_leaves(&c->trees[i], l->name, &l->dirs[i]);
                else
                        r = remove_v1_leaves(&c->trees[i], l->name);
                if (r < 0)
                        result = r;
        }
        if (result == 0) {
                leaves_close(l);
                l->n = 0;
        }
        return result;
}

static int cgroupfs_remove(struct driver *driver, struct placement *p)
{
        return remove_leaves(container_of(driver, struct cgroupfs, driver), &p->leaves);
}

static void cgroupfs_detach(struct driver *driver, struct placement *p)
{
        leaves_close(&p->leaves);
}

static int cgroupfs_make(struct driver *driver, struct placement *p, pid_t init,
        struct error *ret_error)
{
        struct cgroupfs *c = container_of(driver, struct cgroupfs, driver);
        struct leaves l;
        int r;

        leaves_init(&l);
        (void) snprintf(l.name, sizeof(l.name), "%016" PRIx64, p->id);
        for (size_t i = 0; i < c->n; i++) {
                struct leaf_dir *d = &l.dirs[i];

                d->v2 = c->trees[i].v2;
                d->controllers = c->trees[i].controllers;
                l.n = i + 1;
                r = d->v2 ? make_v2_leaves(&c->trees[i], l.name, d)
                          : make_v1_leaves(&c->trees[i], l.name, d);
                if (r < 0) {
                        (void) remove_leaves(c, &l);
                        leaves_close(&l);
                        return error_set(ret_error, r, "%s",
                                d->v2 ? "cgroup2" : cgroup_controller_name(d->controllers));
                }
        }
        p->leaves = l;
        return 0;
}

static void cgroupfs_free(struct driver *driver)
{
        struct cgroupfs *c = container_of(driver, struct cgroupfs, driver);

        /* Safe for the same reason as in make_tree(). */
        (void) privilege_override_modes(true);
        for (size_t i = 0; i < c->n; i++) {
                _cleanup_close_ int parent = cgroup_open_dir(AT_FDCWD, c->trees[i].parent);

                c->trees[i].fd = safe_close(c->trees[i].fd);
                if (parent >= 0)
                        (void) sweep_until_gone(parent, c->trees[i].name);
        }
        (void) privilege_override_modes(false);
        free(c);
}

static const struct driver_ops cgroupfs_ops = {
        .name = "cgroupfs",
        .make = cgroupfs_make,
        .remove = cgroupfs_remove,
        .detach = cgroupfs_detach,
        .free = cgroupfs_free,
};

static void plan_tree(struct tree *t, const struct cgroup_hierarchy *h)
{
        *t = (struct tree) { .v2 = h->v2, .controllers = h->controllers, .fd = -EBADF };
        if (h->v2)
                find_v2_parent(h, t);
        if (!h->v2 || t->controllers == 0)
                (void) snprintf(t->parent, sizeof(t->parent), "%s%s", h->mount,
                        streq(h->own, "/") ? "" : h->own);
}

int cgroupfs_driver_new(const char *instance, struct driver **ret, struct error *ret_error)
{
        _cleanup_(driver_freep) struct driver *driver = NULL;
        struct cgroup_layout layout;
        struct cgroupfs *c;
        unsigned found = 0;
        int r;

        r = cgroup_layout_read(&layout, ret_error);
        if (r < 0)
                return r;
        c = calloc(1, sizeof(*c));
        if (!c)
                return error_set(ret_error, -ENOMEM, "out of memory");
        c->driver.ops = &cgroupfs_ops;
        driver = &c->driver;
        /* cgroup2 first: its cgroup.kill ends what an earlier life left in all of them. */
        for (size_t pass = 0; pass < 2; pass++)
                for (size_t i = 0; i < layout.n; i++) {
                        struct tree *t = &c->trees[c->n];

                        if (layout.hierarchies[i].v2 != (pass == 0))
                                continue;
                        plan_tree(t, &layout.hierarchies[i]);
                        c->n++;
                        r = make_tree(t, instance, ret_error);
                        if (r < 0)
                                return r;
                        found |= t->controllers;
                }
        c->driver.missing = CGROUP_NEEDED & ~found;
        (void) snprintf(c->driver.description, sizeof(c->driver.description), "cgroupfs (%s)",
                cgroup_layout_kind(&layout));
        *ret = TAKE_PTR(driver);
        return 0;
}
