/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The journal's entries about jobs and refusals. Runs in the frontend. Says who, what and how it
 * ended; of what the client sent only what a sentence to it quotes, cleaned.
 */
#include "daemon/frontend/record.h"

#include <inttypes.h>
#include <stdio.h>

#include "common/io.h"
#include "common/log.h"
#include "daemon/frontend/job.h"

/* Of each kind, within the interval, besides the first of each user. */
#define WINDOW_MOST 20
#define WINDOW_USEC (30 * USEC_PER_SEC)

/* The fields that tell one job from the others. */
enum job_field {
        FIELD_JOB,
        FIELD_UID,
        FIELD_RUNTIME,
        FIELD_PROFILE,
        FIELD_STATUS,
        _FIELD_COUNT,
};

struct job_fields {
        char id[RESULT_ID_TEXT_MAX];
        char uid[16];
        struct log_field list[_FIELD_COUNT + 1];
};

static void fill(struct job_fields *f, const struct job *j)
{
        *f = (struct job_fields) {};
        (void) result_format_id(j->id, f->id);
        (void) snprintf(f->uid, sizeof(f->uid), "%u", (unsigned) j->uid);
        f->list[FIELD_JOB] = (struct log_field) { "SANDBOX_JOB", f->id };
        f->list[FIELD_UID] = (struct log_field) { "SANDBOX_UID", f->uid };
        f->list[FIELD_RUNTIME] = (struct log_field) { "SANDBOX_RUNTIME", j->runtime->name };
        f->list[FIELD_PROFILE] = (struct log_field) { "SANDBOX_PROFILE", j->profile->name };
}

void record_job_started(const struct job *j)
{
        struct job_fields f;

        if (!log_wants(EVENT_JOB_STARTED))
                return;
        fill(&f, j);
        log_event(EVENT_JOB_STARTED, f.list, "Job %s of uid %s (%s) started with profile %s", f.id,
                f.uid, j->runtime->name, j->profile->name);
}

/* "TIMEOUT after 5.0 s"; for a sandbox that could not be made, why. */
static void describe_end(const struct job *j, char *text, size_t size)
{
        const char *status = job_status_name(j->result->ended.status);
        double msec = (double) j->result->ended.wall_usec / USEC_PER_MSEC;
        struct error message;

        if (j->result->ended.status == JOB_STATUS_NONE) {
                (void) snprintf(text, size, "%s, without a report", status);
                return;
        }
        if (j->result->ended.status == JOB_STATUS_SETUP_ERROR) {
                job_format_message(j, &message);
                (void) snprintf(text, size, "%s, %s", status, message.text);
                return;
        }
        if (msec < 1000)
                (void) snprintf(text, size, "%s after %.1f ms", status, msec);
        else
                (void) snprintf(text, size, "%s after %.1f s", status, msec / 1000);
}

void record_job_ended(const struct job *j)
{
        const char *status = job_status_name(j->result->ended.status);
        char end[ERROR_TEXT_MAX + 32];
        struct job_fields f;

        if (!log_wants(EVENT_JOB_ENDED))
                return;
        fill(&f, j);
        f.list[FIELD_STATUS] = (struct log_field) { "SANDBOX_STATUS", status };
        describe_end(j, end, sizeof(end));
        log_event(EVENT_JOB_ENDED, f.list, "Job %s of uid %s (%s) ended: %s", f.id, f.uid,
                j->runtime->name, end);
}

/* Whether this is the user's first. With more users than can be told apart, it no longer is. */
static bool is_first(struct record_window *w, uid_t uid)
{
        for (uint32_t i = 0; i < w->n_uids; i++)
                if (w->uids[i] == uid)
                        return false;
        if (w->n_uids == RECORD_UIDS_MAX)
                return false;
        w->uids[w->n_uids++] = uid;
        return true;
}

bool record_window_take(struct record_window *w, uid_t uid, uint64_t now_usec,
        uint64_t *ret_suppressed)
{
        if (w->begun_usec == 0 || now_usec - w->begun_usec >= WINDOW_USEC) {
                w->begun_usec = now_usec;
                w->recorded = 0;
                w->n_uids = 0;
        }
        if (!is_first(w, uid) && w->recorded >= WINDOW_MOST) {
                w->suppressed++;
                return false;
        }
        w->recorded++;
        *ret_suppressed = w->suppressed;
        w->suppressed = 0;
        return true;
}

static const struct {
        Sandboxd__V1__ErrorCode code;
        const char *name;
} refusals[_RECORD_REFUSALS] = {
        [RECORD_OVER_LIMIT] = { SANDBOXD__V1__ERROR_CODE__OVER_LIMIT, "OVER_LIMIT" },
        [RECORD_BUSY] = { SANDBOXD__V1__ERROR_CODE__BUSY, "BUSY" },
        [RECORD_DENIED] = { SANDBOXD__V1__ERROR_CODE__DENIED, "DENIED" },
};

static void write_refusal(uid_t client, const char *name, const char *text, uint64_t suppressed)
{
        char uid[16], count[64] = "";
        const struct log_field fields[] = {
                { "SANDBOX_UID", uid },
                { "SANDBOX_ERROR", name },
                {},
        };

        (void) snprintf(uid, sizeof(uid), "%u", (unsigned) client);
        if (suppressed > 0)
                (void) snprintf(count, sizeof(count), " (%" PRIu64 " more before it)", suppressed);
        log_event(EVENT_REFUSED, fields, "Refused uid %s (%s): '%s'%s", uid, name, text, count);
}

void record_refusal(struct record_book *book, uid_t uid, Sandboxd__V1__ErrorCode code,
        const char *text)
{
        uint64_t suppressed;

        for (size_t i = 0; i < _RECORD_REFUSALS; i++)
                if (refusals[i].code == code &&
                        record_window_take(&book->refusals[i], uid, io_now_usec(), &suppressed))
                        write_refusal(uid, refusals[i].name, text, suppressed);
}
