/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The policies that are mapped, and who needs them. Runs in the frontend; what it maps is the
 * monitor's, and sealed.
 */
#include "daemon/frontend/policies.h"

static void unmap(struct mapped_policy *p)
{
        policy_unmap(p->policy);
        free(p);
}

/* Lets go of what nobody needs: no job, and not we ourselves to tell the monitor so. */
static void sweep(struct policies *ps)
{
        struct mapped_policy **link = &ps->current->next;

        while (*link) {
                struct mapped_policy *p = *link;

                if (p->n_users > 0 || !p->retired) {
                        link = &p->next;
                        continue;
                }
                *link = p->next;
                unmap(p);
        }
}

int policies_add(struct policies *ps, uint32_t generation, int fd)
{
        _cleanup_free_ struct mapped_policy *p = calloc(1, sizeof(*p));
        int r;

        if (!p)
                return -ENOMEM;
        if (generation <= (ps->current ? ps->current->generation : 0))
                return -EBADMSG;
        r = policy_map(fd, &p->policy);
        if (r < 0)
                return r;
        p->generation = generation;
        p->next = ps->current;
        ps->current = TAKE_PTR(p);
        return 0;
}

void policies_done(struct policies *ps)
{
        while (ps->current) {
                struct mapped_policy *p = ps->current;

                ASSERT(p->n_users == 0);
                ps->current = p->next;
                unmap(p);
        }
}

struct mapped_policy *policies_take(struct policies *ps)
{
        ps->current->n_users++;
        ps->current->n_planned++;
        return ps->current;
}

void policies_end_plan(struct mapped_policy *p)
{
        ASSERT(p->n_planned > 0);
        p->n_planned--;
}

void policies_release(struct policies *ps, struct mapped_policy *p)
{
        ASSERT(p->n_users > p->n_planned);
        p->n_users--;
        sweep(ps);
}

struct mapped_policy *policies_find_spent(const struct policies *ps)
{
        for (struct mapped_policy *p = ps->current->next; p; p = p->next)
                if (p->n_planned == 0 && !p->retired)
                        return p;
        return NULL;
}

void policies_retire(struct policies *ps, struct mapped_policy *p)
{
        p->retired = true;
        sweep(ps);
}
