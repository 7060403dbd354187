/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Look-ups in a policy, and its way from monitor to frontend. Runs in both.
 */
#include "common/policy.h"

#include <sys/mman.h>
#include <sys/stat.h>

#include "common/io.h"

int policy_publish(const struct policy *p, int *ret_fd)
{
        _cleanup_close_ int fd = io_memfd_new("policy");
        int r;

        if (fd < 0)
                return fd;
        r = io_write_full(fd, p, sizeof(*p));
        if (r == 0)
                r = io_memfd_seal(fd);
        if (r < 0)
                return r;
        *ret_fd = TAKE_FD(fd);
        return 0;
}

static bool is_of_this_build(const struct policy *p)
{
        if (p->version != POLICY_VERSION || p->n_profiles > POLICY_PROFILES_MAX ||
                p->n_runtimes > POLICY_RUNTIMES_MAX || p->n_listeners > POLICY_LISTENERS_MAX)
                return false;
        for (uint32_t i = 0; i < p->n_listeners; i++)
                if (p->listener_profiles[i] >= p->n_profiles)
                        return false;
        return true;
}

int policy_map(int fd, const struct policy **ret)
{
        const struct policy *p;
        struct stat st;

        if (!io_memfd_is_sealed(fd) || fstat(fd, &st) < 0 || st.st_size != sizeof(*p))
                return -EBADMSG;
        p = mmap(NULL, sizeof(*p), PROT_READ, MAP_PRIVATE, fd, 0);
        if (p == MAP_FAILED)
                return -errno;
        if (!is_of_this_build(p)) {
                policy_unmap(p);
                return -EBADMSG;
        }
        *ret = p;
        return 0;
}

void policy_unmap(const struct policy *p)
{
        (void) munmap((void *) p, sizeof(*p));
}

const struct policy_profile *policy_find_profile(const struct policy *p, const char *name)
{
        for (uint32_t i = 0; i < p->n_profiles; i++)
                if (streq(p->profiles[i].name, name))
                        return &p->profiles[i];
        return NULL;
}

static bool runtime_is(const struct policy_runtime *r, const char *name)
{
        if (streq(r->name, name))
                return true;
        for (size_t i = 0; i < POLICY_ALIASES_MAX; i++)
                if (r->aliases[i][0] && streq(r->aliases[i], name))
                        return true;
        return false;
}

const struct policy_runtime *policy_find_runtime(const struct policy *p, const char *name)
{
        if (strnull(name))
                return NULL;
        for (uint32_t i = 0; i < p->n_runtimes; i++)
                if (runtime_is(&p->runtimes[i], name))
                        return &p->runtimes[i];
        return NULL;
}
