/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Progress on a terminal. Runs in sandboxctl. Writes nothing that a terminal could take for a
 * command but carriage returns, and nothing at all where no terminal is.
 */
#include "client/ctl/progress.h"

#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <sys/ioctl.h>

#include "client/ctl/style.h"
#include "common/io.h"

/* How long nothing must have been written before the line is drawn. */
#define QUIET_USEC (2 * USEC_PER_SEC)
#define INTERVAL_USEC USEC_PER_SEC
/* A job that has used less than this since it was last asked about may wait for input. */
#define COMPUTES_USEC (50 * USEC_PER_MSEC)
#define WIDTH_DEFAULT 80

void progress_init(struct progress *p, sandbox_client *c, bool wanted, bool typing)
{
        const char *term = getenv("TERM");
        uint64_t now = io_now_usec();

        *p = (struct progress) {
                .client = c,
                .on = wanted && isatty(STDERR_FILENO) && !strnull(term) && !streq(term, "dumb"),
                .typing = typing,
                .at_line_start = true,
                .since_usec = now,
                .quiet_usec = now,
                .next_usec = now + QUIET_USEC,
        };
}

/* Whether stderr takes a line at once: a terminal that was stopped does not. */
static bool is_writable(void)
{
        struct pollfd p = { .fd = STDERR_FILENO, .events = POLLOUT };

        return poll(&p, 1, 0) > 0 && (p.revents & POLLOUT);
}

static size_t terminal_width(void)
{
        struct winsize size;

        if (ioctl(STDERR_FILENO, TIOCGWINSZ, &size) < 0 || size.ws_col == 0)
                return WIDTH_DEFAULT;
        return size.ws_col;
}

/* Writes text over what is drawn. The last column stays free: the cursor would go to the next line. */
static void draw(struct progress *p, const char *text)
{
        size_t n = MIN(strlen(text), terminal_width() - 1);
        size_t rest = p->shown > n ? p->shown - n : 0;

        if (!is_writable())
                return;
        (void) fprintf(stderr, "\r%.*s%*s", (int) n, text, (int) rest, "");
        if (n == 0)
                (void) fputc('\r', stderr);
        p->shown = n;
}

static void hide(struct progress *p)
{
        if (p->shown > 0)
                draw(p, "");
}

void progress_done(struct progress *p)
{
        if (p->question)
                sandbox_request_abandon(p->question);
        p->question = NULL;
        hide(p);
        p->on = false;
}

uint64_t progress_timeout(const struct progress *p)
{
        uint64_t now = io_now_usec();

        if (!p->on)
                return SANDBOX_FOREVER;
        return p->next_usec > now ? p->next_usec - now : 0;
}

/* "0:07", "3:05", "1:02:03". */
static char *clock_text(char buf[static HUMAN_MAX], uint64_t usec)
{
        uint64_t s = usec / USEC_PER_SEC;

        if (s < 3600)
                (void) snprintf(buf, HUMAN_MAX, "%" PRIu64 ":%02" PRIu64, s / 60, s % 60);
        else
                (void) snprintf(buf, HUMAN_MAX, "%" PRIu64 ":%02" PRIu64 ":%02" PRIu64, s / 3600,
                        s / 60 % 60, s % 60);
        return buf;
}

char *progress_upload_text(char buf[static PROGRESS_TEXT_MAX], uint64_t sent, uint64_t size,
        uint64_t usec)
{
        char a[HUMAN_MAX], b[HUMAN_MAX], c[HUMAN_MAX];
        double percent = size > 0 ? (double) sent / (double) size * 100 : 100;

        (void) snprintf(buf, PROGRESS_TEXT_MAX, "sending files %s: %s of %s (%d%%)",
                clock_text(c, usec), human_size(a, sent), human_size(b, size), (int) percent);
        return buf;
}

char *progress_job_text(char buf[static PROGRESS_TEXT_MAX], const sandbox_job_info *info,
        uint64_t usec)
{
        static const char *const states[] = {
                [SANDBOX_JOB_RECEIVING] = "its files are on their way",
                [SANDBOX_JOB_QUEUED] = "waiting for other jobs to end",
                [SANDBOX_JOB_RUNNING] = "running",
                [SANDBOX_JOB_FINISHED] = "ending",
        };
        int state = sandbox_job_info_get_state(info);
        bool known = state > 0 && state < (int) ELEMENTSOF(states);
        char a[HUMAN_MAX], b[HUMAN_MAX], c[HUMAN_MAX];
        sandbox_usage u;

        if (sandbox_job_info_get_usage(info, &u) > 0)
                (void) snprintf(buf, PROGRESS_TEXT_MAX, "running %s: CPU %s, memory %s",
                        clock_text(c, u.wall_usec),
                        human_time(a, u.cpu_user_usec + u.cpu_system_usec),
                        human_size(b, u.memory_peak_bytes));
        else
                (void) snprintf(buf, PROGRESS_TEXT_MAX, "%s %s", known ? states[state] : "going on",
                        clock_text(c, usec));
        return buf;
}

/* Whether it may be waiting for somebody who types, and would see the line move under the words. */
static bool may_read(struct progress *p, const sandbox_job_info *info)
{
        uint64_t before = p->cpu_usec;
        sandbox_usage u;

        if (!p->typing || sandbox_job_info_get_state(info) != SANDBOX_JOB_RUNNING)
                return false;
        if (sandbox_job_info_get_usage(info, &u) <= 0)
                return true;
        p->cpu_usec = u.cpu_user_usec + u.cpu_system_usec;
        return p->cpu_usec < before + COMPUTES_USEC;
}

static bool has_room(const struct progress *p, uint64_t now)
{
        return p->at_line_start && now >= p->quiet_usec + QUIET_USEC;
}

static void on_answer(sandbox_client *c _unused_, const sandbox_error *error,
        sandbox_job_info *info, void *userdata)
{
        char text[PROGRESS_TEXT_MAX];
        struct progress *p = userdata;
        uint64_t now = io_now_usec();

        p->question = NULL;
        /* That the job is not there any more is told by its own end. */
        if (error || !p->on || !has_room(p, now))
                return;
        if (may_read(p, info))
                hide(p);
        else
                draw(p, progress_job_text(text, info, now - p->since_usec));
}

/* Asks the daemon about the job; the answer is drawn. */
static void ask(struct progress *p, const sandbox_job *job)
{
        const char *id = job ? sandbox_job_get_id(job) : NULL;

        if (id)
                (void) str_copy(p->job_id, sizeof(p->job_id), id);
        if (p->job_id[0] == '\0' || p->question || !sandbox_client_has_feature(p->client, "jobs"))
                return;
        (void) sandbox_get_job_async(p->client, p->job_id, on_answer, p, &p->question);
}

void progress_tick(struct progress *p, const sandbox_job *job)
{
        uint64_t now = io_now_usec(), sent = 0, size = 0;
        char text[PROGRESS_TEXT_MAX];

        if (!p->on || now < p->next_usec)
                return;
        p->next_usec = now + INTERVAL_USEC;
        if (!has_room(p, now))
                return;
        if (job)
                sandbox_job_get_upload(job, &sent, &size);
        if (sent < size)
                draw(p, progress_upload_text(text, sent, size, now - p->since_usec));
        else
                ask(p, job);
}

void progress_make_room(struct progress *p, int fd)
{
        if (p->on && isatty(fd))
                hide(p);
}

void progress_wrote(struct progress *p, int fd, char last)
{
        if (!p->on || !isatty(fd))
                return;
        p->quiet_usec = io_now_usec();
        p->at_line_start = last == '\n' || last == '\r';
}
