/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From a verdict to a sentence that says what to do next. Pure; runs in the frontend.
 */
#include "daemon/frontend/result-message.h"

#include <inttypes.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>

#include "common/parse.h"

static void say(struct error *text, const char *format, ...) _printf_(2, 3);

static void say(struct error *text, const char *format, ...)
{
        va_list ap;

        va_start(ap, format);
        (void) vsnprintf(text->text, sizeof(text->text), format, ap);
        va_end(ap);
}

/* "what 5s: raise it with --timeout", or that it cannot be raised. */
static void say_limit(const struct result_message *v, enum limit_id id, const char *what,
        struct error *text)
{
        uint64_t value = v->limits->value[id];
        char shown[LIMIT_TEXT_MAX];

        (void) limit_format(id, value, shown);
        if (value == v->profile->maximums.value[id])
                say(text, "%s %s, the most that profile '%s' allows", what, shown,
                        v->profile->name);
        else
                say(text, "%s %s: raise it with %s", what, shown, limit_table[id].option);
}

static void say_exited(const struct result_message *v, struct error *text)
{
        say(text, "exited with code %" PRIi32, v->ended->exit_code);
}

static void say_signaled(const struct result_message *v, struct error *text)
{
        const char *name = sigabbrev_np(v->ended->signal);

        if (name)
                say(text, "died of signal %" PRIi32 " (SIG%s)", v->ended->signal, name);
        else
                say(text, "died of signal %" PRIi32, v->ended->signal);
}

static void say_timeout(const struct result_message *v, struct error *text)
{
        say_limit(v, LIMIT_WALL_TIME, "stopped after its wall-clock limit of", text);
}

static void say_cpu_limit(const struct result_message *v, struct error *text)
{
        say_limit(v, LIMIT_CPU_TIME, "stopped after its CPU-time limit of", text);
}

/* The kernel also kills in a job when its user's slice, or the host, has no memory left. What it had
 * then is well below its own limit, and raising that would not help. */
static void say_memory_limit(const struct result_message *v, struct error *text)
{
        uint64_t limit = v->limits->value[LIMIT_MEMORY], peak = v->ended->memory_peak_bytes;
        char shown[LIMIT_TEXT_MAX];

        if (peak > 0 && peak < limit - limit / 8)
                return say(text,
                        "killed for memory below its own limit of %s: its user's slice or the host "
                        "has no more: try again later",
                        limit_format(LIMIT_MEMORY, limit, shown));
        say_limit(v, LIMIT_MEMORY, "ran out of memory at its limit of", text);
}

static void say_output_limit(const struct result_message *v, struct error *text)
{
        char what[80];

        if (v->strict_output)
                say_limit(v, LIMIT_OUTPUT, "stopped for writing more than its output limit of",
                        text);
        else {
                (void) snprintf(what, sizeof(what),
                        "stopped for writing %d times its output limit of",
                        LIMIT_OUTPUT_KILL_FACTOR);
                say_limit(v, LIMIT_OUTPUT, what, text);
        }
}

static void say_violation(const struct result_message *v, struct error *text)
{
        say(text, "made a system call that the sandbox forbids (SIGSYS)");
}

static void say_cancelled(const struct result_message *v, struct error *text)
{
        if (v->ended->flags & CHANNEL_ENDED_SCOPE_STOPPED)
                return say(text,
                        "its scope was stopped by an administrator or by the shutdown of the host");
        say(text, "cancelled before it ended");
}

static void say_exec_error(const struct result_message *v, struct error *text)
{
        switch (v->ended->error) {
        case ENOENT:
                say(text, "%s: not found in the sandbox", v->command);
                break;
        case EACCES:
        case ENOEXEC:
        case EISDIR:
                say(text, "%s: not an executable program in the sandbox", v->command);
                break;
        case E2BIG:
                say(text, "%s: its arguments and environment are too large", v->command);
                break;
        default:
                say(text, "%s: could not be executed: %s", v->command,
                        strerrordesc_np(v->ended->error) ?: "unknown error");
        }
}

/* The sandbox is not what it should have become, and the job is not why. */
static void say_lost(const struct result_message *v, struct error *text)
{
        if (v->ended->error == ETIMEDOUT)
                say(text, "the sandbox was not ready in time: the host is busy, or short of "
                          "something; run it again");
        else
                say(text, "the sandbox was killed from outside before it could tell the job's end: "
                          "run it again, or have an administrator see the journal");
}

/* detail is a few words of the monitor's, or a sentence of systemd's. */
static void say_no_scope(const struct result_message *v, int detail, struct error *text)
{
        if (detail > 0 && v->ended->detail[detail - 1] == '.')
                detail--;
        say(text,
                "the sandbox got no scope from systemd (%.*s): run it again, or have an "
                "administrator see the journal",
                detail, v->ended->detail);
}

static void say_setup_error(const struct result_message *v, struct error *text)
{
        const struct channel_ended *ended = v->ended;
        const char *name = strerrorname_np(ended->error) ?: "unknown error";
        char shown[LIMIT_TEXT_MAX];
        int detail = (int) strnlen(ended->detail, sizeof(ended->detail));

        if (ended->step == SETUP_STEP_EXEC)
                return say_exec_error(v, text);
        if (ended->step == SETUP_STEP_LOST)
                return say_lost(v, text);
        if (ended->step == SETUP_STEP_SCOPE)
                return say_no_scope(v, detail, text);
        if (ended->step == SETUP_STEP_RECEIVE && ended->error == ESTALE)
                return say(text, RESULT_POLICY_REPLACED);
        if (ended->step == SETUP_STEP_LIMITS && detail > 0)
                return say(text,
                        "this host cannot enforce the limit of %.*s: see 'sandboxctl doctor', or "
                        "list it in AllowMissing= in sandboxd.conf",
                        detail, ended->detail);
        if (ended->step == SETUP_STEP_FILES && ended->error == ENOSPC)
                return say(text,
                        "the files do not fit into the %s of /box: raise it with "
                        "--tmp-size",
                        limit_format(LIMIT_TMP_SIZE, v->limits->value[LIMIT_TMP_SIZE], shown));
        if (ended->step == SETUP_STEP_FILES && ended->error == ETIMEDOUT)
                return say(text,
                        "the files did not all come within %s: send them faster, or as fewer bytes",
                        format_time(shown, CHANNEL_INPUT_USEC));
        if (ended->step == SETUP_STEP_FILES && (ended->error == ENOENT || ended->error == ENOTDIR))
                return say(text,
                        "workdir or a file's folder cannot be used (%s): check workdir "
                        "'%.200s'",
                        name, v->workdir);
        say(text, "the sandbox could not be made: step %s failed with %s%s%.*s",
                setup_step_name(ended->step), name, detail > 0 ? " for " : "", detail,
                ended->detail);
}

const char *result_message_format(const struct result_message *v, struct error *text)
{
        static void (*const sentences[_JOB_STATUS_COUNT])(const struct result_message *,
                struct error *) = {
                [JOB_STATUS_EXITED] = say_exited,
                [JOB_STATUS_SIGNALED] = say_signaled,
                [JOB_STATUS_TIMEOUT] = say_timeout,
                [JOB_STATUS_CPU_LIMIT] = say_cpu_limit,
                [JOB_STATUS_MEMORY_LIMIT] = say_memory_limit,
                [JOB_STATUS_OUTPUT_LIMIT] = say_output_limit,
                [JOB_STATUS_VIOLATION] = say_violation,
                [JOB_STATUS_CANCELLED] = say_cancelled,
                [JOB_STATUS_SETUP_ERROR] = say_setup_error,
        };

        text->text[0] = '\0';
        if (v->ended->status < _JOB_STATUS_COUNT && sentences[v->ended->status])
                sentences[v->ended->status](v, text);
        return text->text;
}
