/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reads shell commands from stdin, one a line, and runs each in a sandbox of its own as soon as it is
 * there, all at once on one connection, in a loop of its own:
 *
 *      cc many-jobs.c $(pkg-config --cflags --libs libsandbox) -o many-jobs
 *      printf 'sleep 1; echo slow\necho fast\n' | ./many-jobs
 */
#define _POSIX_C_SOURCE 200809L

#include <poll.h>
#include <sandbox.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

struct loop {
        sandbox_client *client;
        char line[4096]; /* as far as it was read */
        size_t size;
        long running;
};

static void on_output(sandbox_job *job, enum sandbox_stream stream, const void *data, size_t size,
        void *userdata)
{
        (void) userdata;
        fprintf(stream == SANDBOX_STDOUT ? stdout : stderr, "%s: %.*s", sandbox_job_get_id(job),
                (int) size, (const char *) data);
}

static void on_end(sandbox_job *job, const sandbox_error *error, sandbox_result *result,
        void *userdata)
{
        struct loop *loop = userdata;

        loop->running--;
        if (error)
                fprintf(stderr, "refused: %s\n", error->message);
        else
                printf("%s: %s\n", sandbox_job_get_id(job),
                        sandbox_status_name(sandbox_result_get_status(result)));
}

static int start(struct loop *loop, const char *command)
{
        const char *argv[] = { "sh", "-c", NULL, NULL };
        sandbox_job_handlers handlers = { 0 };
        sandbox_spec *spec;
        int r;

        handlers.size = sizeof(handlers);
        handlers.on_output = on_output;
        handlers.on_end = on_end;
        argv[2] = command;
        r = sandbox_spec_new(&spec);
        if (r < 0)
                return r;
        r = sandbox_spec_set_argv(spec, argv);
        if (r == 0)
                r = sandbox_job_start(loop->client, spec, &handlers, loop, 0, NULL);
        sandbox_spec_free(spec);
        if (r == 0)
                loop->running++;
        return r;
}

/* Takes what stdin has: 1, 0 at its end, or negative. */
static int read_commands(struct loop *loop)
{
        ssize_t n =
                read(STDIN_FILENO, loop->line + loop->size, sizeof(loop->line) - loop->size - 1);
        char *end;

        if (n <= 0)
                return (int) n;
        loop->size += (size_t) n;
        loop->line[loop->size] = '\0';
        while ((end = strchr(loop->line, '\n'))) {
                *end = '\0';
                if (start(loop, loop->line) < 0)
                        return -1;
                loop->size -= (size_t) (end + 1 - loop->line);
                memmove(loop->line, end + 1, loop->size + 1);
        }
        return 1;
}

/* The library's point in time as poll() wants it. */
static int milliseconds_until(uint64_t usec)
{
        struct timespec now;
        uint64_t now_usec;

        if (usec == SANDBOX_FOREVER)
                return -1;
        clock_gettime(CLOCK_MONOTONIC, &now);
        now_usec = (uint64_t) now.tv_sec * 1000000 + (uint64_t) now.tv_nsec / 1000;
        return usec <= now_usec ? 0 : (int) ((usec - now_usec) / 1000 + 1);
}

static int run_loop(struct loop *loop)
{
        int reading = 1, r = 0;

        while (r >= 0 && (reading || loop->running > 0)) {
                struct pollfd fds[2];

                /* With no events it must not be polled at all. */
                fds[0].events = (short) sandbox_client_get_events(loop->client);
                fds[0].fd = fds[0].events ? sandbox_client_get_fd(loop->client) : -1;
                fds[1].fd = reading ? STDIN_FILENO : -1;
                fds[1].events = POLLIN;
                if (poll(fds, 2, milliseconds_until(sandbox_client_get_timeout(loop->client))) < 0)
                        return -1;
                if (reading && fds[1].revents) {
                        reading = read_commands(loop);
                        if (reading < 0)
                                return -1;
                }
                r = sandbox_client_process(loop->client);
        }
        return r;
}

int main(void)
{
        struct loop loop = { 0 };
        int r;

        r = sandbox_client_new(&loop.client);
        if (r < 0)
                return 1;
        r = sandbox_client_connect(loop.client, NULL);
        if (r == 0)
                r = run_loop(&loop);
        if (r < 0)
                fprintf(stderr, "%s\n", sandbox_client_get_error(loop.client)->message);
        sandbox_client_free(loop.client);
        return r < 0 ? 1 : 0;
}
