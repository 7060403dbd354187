/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From what a person typed to the id of a job. Runs in sandboxctl. The daemon knows whole ids alone:
 * for a shorter one its list of the caller's jobs is searched here.
 */
#include "client/ctl/job-id.h"

#include <ctype.h>

int job_id_parse(const char *text, char ret[static SANDBOX_JOB_ID_SIZE])
{
        size_t n = strlen(text);

        if (n == 0 || n >= SANDBOX_JOB_ID_SIZE || strspn(text, "0123456789abcdefABCDEF") != n)
                return -EINVAL;
        for (size_t i = 0; i < n; i++)
                ret[i] = (char) tolower((unsigned char) text[i]);
        ret[n] = '\0';
        return n + 1 == SANDBOX_JOB_ID_SIZE;
}

/* 0 with the id of the one job that begins so, -ENOENT, or -ENOTUNIQ. */
static int search(const sandbox_job_list *list, const char *begin,
        char ret[static SANDBOX_JOB_ID_SIZE])
{
        const sandbox_job_info *info;
        const char *found = NULL;

        for (size_t i = 0; (info = sandbox_job_list_get(list, i)); i++) {
                const char *id = sandbox_job_info_get_id(info);

                if (strncmp(id, begin, strlen(begin)) != 0)
                        continue;
                if (found)
                        return -ENOTUNIQ;
                found = id;
        }
        return found ? str_copy(ret, SANDBOX_JOB_ID_SIZE, found) : -ENOENT;
}

static int refuse(int error, enum sandbox_error_code code, const char *name, struct error *e,
        sandbox_error *ret_error)
{
        *ret_error = (sandbox_error) {
                .error = error,
                .code = code,
                .name = name,
                .field = "job_id",
                .message = e->text,
        };
        return error;
}

int job_id_find(sandbox_client *c, const char *text, char ret[static SANDBOX_JOB_ID_SIZE],
        struct error *e, sandbox_error *ret_error)
{
        char begin[SANDBOX_JOB_ID_SIZE];
        sandbox_job_list *list;
        int r;

        r = job_id_parse(text, begin);
        if (r < 0) {
                (void) error_set(e, r,
                        "'%s' is no id of a job, which has 16 hex digits: see 'sandboxctl ps "
                        "--all'",
                        text);
                return refuse(r, SANDBOX_ERROR_INVALID_ARGUMENT, "INVALID_ARGUMENT", e, ret_error);
        }
        if (r > 0)
                return str_copy(ret, SANDBOX_JOB_ID_SIZE, begin);
        r = sandbox_list_jobs(c, true, &list);
        if (r < 0) {
                *ret_error = *sandbox_client_get_error(c);
                return r;
        }
        r = search(list, begin, ret);
        sandbox_job_list_unref(list);
        if (r == 0)
                return 0;
        if (r == -ENOTUNIQ) {
                (void) error_set(e, r,
                        "the ids of several jobs begin with '%s': give more of the one you mean",
                        text);
                return refuse(r, SANDBOX_ERROR_INVALID_ARGUMENT, "INVALID_ARGUMENT", e, ret_error);
        }
        (void) error_set(e, r,
                "no job of yours has an id that begins with '%s': see 'sandboxctl ps --all'", text);
        return refuse(r, SANDBOX_ERROR_NO_SUCH_JOB, "NO_SUCH_JOB", e, ret_error);
}

int ctl_find_job(const struct ctl *ctl, sandbox_client *c, const char *text,
        char ret[static SANDBOX_JOB_ID_SIZE])
{
        sandbox_error error;
        struct error e;

        if (job_id_find(c, text, ret, &e, &error) < 0)
                return ctl_failed(ctl, &error);
        return 0;
}
