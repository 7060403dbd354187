/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The contenders of a benchmark: reads their list, and runs one of them once. Programs are started with an
 * empty environment, and their time goes from the call that starts them to the end of their output and of
 * themselves. A process of the benchmark.
 */
#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>

#include "tests/bench/bench.h"

static struct connection {
        const char *socket;
        size_t number;
        sandbox_client *client;
} * connections;
static size_t n_connections;

sandbox_client *contender_connect(const char *socket, size_t number)
{
        struct connection *k;

        for (size_t i = 0; i < n_connections; i++)
                if (connections[i].number == number && streq(connections[i].socket, socket))
                        return connections[i].client;
        connections =
                bench_must(reallocarray(connections, n_connections + 1, sizeof(*connections)));
        k = &connections[n_connections];
        *k = (struct connection) { .socket = socket, .number = number };
        if (sandbox_client_new(&k->client) < 0)
                bench_die("client", strerror(ENOMEM));
        if (sandbox_client_connect(k->client, socket) < 0)
                bench_die(socket, sandbox_client_get_error(k->client)->message);
        n_connections++;
        return k->client;
}

sandbox_client *contender_connection(size_t index)
{
        return index < n_connections ? connections[index].client : NULL;
}

void contender_disconnect_all(void)
{
        for (size_t i = 0; i < n_connections; i++)
                (void) sandbox_client_free(connections[i].client);
        free(connections);
        connections = NULL;
        n_connections = 0;
}

static void make_spec(struct contender *c)
{
        if (c->n_args < 3)
                bench_die(c->name, "a job has a socket, a runtime and code");
        if (sandbox_spec_new(&c->spec) < 0 || sandbox_spec_set_runtime(c->spec, c->args[1]) < 0 ||
                sandbox_spec_set_argv(c->spec, (const char *const *) c->args + 3) < 0)
                bench_die(c->name, strerror(ENOMEM));
        if (c->args[2][0] != '\0' &&
                sandbox_spec_set_code(c->spec, c->args[2], strlen(c->args[2])) < 0)
                bench_die(c->name, strerror(ENOMEM));
}

static void start_peer(struct contender *c)
{
        posix_spawn_file_actions_t actions;
        char *empty[] = { NULL };
        int to[2], from[2], r;

        if (pipe2(to, O_CLOEXEC) < 0 || pipe2(from, O_CLOEXEC) < 0)
                bench_die(c->name, strerror(errno));
        (void) posix_spawn_file_actions_init(&actions);
        (void) posix_spawn_file_actions_adddup2(&actions, to[0], STDIN_FILENO);
        (void) posix_spawn_file_actions_adddup2(&actions, from[1], STDOUT_FILENO);
        r = posix_spawn(&c->peer, c->args[0], &actions, NULL, c->args, empty);
        (void) posix_spawn_file_actions_destroy(&actions);
        if (r != 0)
                bench_die(c->name, strerror(r));
        (void) close(to[0]);
        (void) close(from[1]);
        c->to_peer = bench_must(fdopen(to[1], "w"));
        c->from_peer = bench_must(fdopen(from[0], "r"));
}

/* The setup of each kind, by its name in the list. */
static const struct kind {
        const char *name;
        void (*prepare)(struct contender *c);
} kinds[] = {
        [CONTENDER_JOB] = { "job", make_spec },
        [CONTENDER_SPAWN] = { "spawn", NULL },
        [CONTENDER_PEER] = { "peer", start_peer },
};

static void parse_contender(struct contender *c, char *line)
{
        char *rest = line, *name = strsep(&rest, "\t"), *kind = strsep(&rest, "\t"),
             *every = strsep(&rest, "\t"), *expect = strsep(&rest, "\t");

        *c = (struct contender) { .line = line, .name = name };
        while (c->kind < ELEMENTSOF(kinds) && kind && !streq(kinds[c->kind].name, kind))
                c->kind++;
        if (!rest || c->kind == ELEMENTSOF(kinds))
                bench_die(name, "not a contender");
        c->every = MAX(strtoull(every, NULL, 10), 1ULL);
        c->expect = streq(expect, "-") ? NULL : expect;
        while (rest) {
                c->args = bench_must(reallocarray(c->args, c->n_args + 2, sizeof(char *)));
                c->args[c->n_args++] = strsep(&rest, "\t");
                c->args[c->n_args] = NULL;
        }
        if (kinds[c->kind].prepare)
                kinds[c->kind].prepare(c);
}

void contenders_load(const char *path, struct contenders *ret)
{
        FILE *file = fopen(path, "re");
        char *line = NULL;
        size_t room = 0;
        ssize_t n;

        if (!file)
                bench_die(path, strerror(errno));
        *ret = (struct contenders) {};
        while ((n = getline(&line, &room, file)) > 0) {
                if (line[n - 1] == '\n')
                        line[n - 1] = '\0';
                ret->list =
                        bench_must(reallocarray(ret->list, ret->n + 1, sizeof(struct contender)));
                parse_contender(&ret->list[ret->n++], TAKE_PTR(line));
                room = 0;
        }
        free(line);
        (void) fclose(file);
        if (ret->n == 0)
                bench_die(path, "no contenders in it");
}

void contenders_free(struct contenders *c)
{
        for (size_t i = 0; i < c->n; i++) {
                struct contender *k = &c->list[i];

                (void) sandbox_spec_free(k->spec);
                /* A peer ends at the end of its stdin. */
                if (k->to_peer) {
                        (void) fclose(k->to_peer);
                        (void) fclose(k->from_peer);
                        (void) waitpid(k->peer, NULL, 0);
                }
                free(k->args);
                free(k->line);
        }
        free(c->list);
}

int child_start(struct child *child, char *const argv[])
{
        posix_spawn_file_actions_t actions;
        char *empty[] = { NULL };
        int fds[2], r;

        child->size = 0;
        if (pipe2(fds, O_CLOEXEC) < 0)
                return -errno;
        (void) posix_spawn_file_actions_init(&actions);
        (void) posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
        (void) posix_spawn_file_actions_adddup2(&actions, fds[1], STDOUT_FILENO);
        (void) posix_spawn_file_actions_adddup2(&actions, fds[1], STDERR_FILENO);
        r = posix_spawn(&child->pid, argv[0], &actions, NULL, argv, empty);
        (void) posix_spawn_file_actions_destroy(&actions);
        (void) close(fds[1]);
        if (r != 0)
                (void) close(fds[0]);
        child->fd = r == 0 ? fds[0] : -EBADF;
        return -r;
}

int child_read(struct child *child)
{
        char buffer[4096];
        ssize_t n = read(child->fd, buffer, sizeof(buffer));

        if (n <= 0)
                return n == 0 || errno != EINTR;
        n = MIN((ssize_t) (BENCH_OUTPUT_MAX - child->size), n);
        memcpy(child->output + child->size, buffer, (size_t) n);
        child->size += (size_t) n;
        return 0;
}

static void check_output(const struct contender *c, const char *output, size_t size,
        struct sample *s)
{
        if (!c->expect)
                return;
        while (size > 0 && output[size - 1] == '\n')
                size--;
        if (size != strlen(c->expect) || memcmp(output, c->expect, size) != 0)
                (void) snprintf(s->failure, sizeof(s->failure), "it printed '%.*s'",
                        (int) MIN(size, 200U), output);
}

void child_finish(struct child *child, const struct contender *c, struct sample *s)
{
        int status = 0;

        child->fd = safe_close(child->fd);
        (void) waitpid(child->pid, &status, 0);
        s->warm = -1;
        child->output[child->size] = '\0';
        if (status == 0)
                check_output(c, child->output, child->size, s);
        else
                (void) snprintf(s->failure, sizeof(s->failure), "it ended with %s %d: %.200s",
                        WIFSIGNALED(status) ? "signal" : "exit code",
                        WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status),
                        child->output);
}

static void run_job(struct contender *c, struct sample *s)
{
        sandbox_client *client = contender_connect(c->args[0], 0);
        uint64_t begin = io_now_usec();
        sandbox_result *result;
        const char *output;
        size_t size;

        if (sandbox_run(client, c->spec, BENCH_LOST_USEC, &result) < 0) {
                sample_fail(s, sandbox_client_get_error(client)->message);
                return;
        }
        s->usec = io_now_usec() - begin;
        sample_of_result(s, result);
        output = sandbox_result_get_stdout(result, &size);
        if (s->failure[0] == '\0')
                check_output(c, output ? output : "", size, s);
        (void) sandbox_result_unref(result);
}

static void run_spawn(struct contender *c, struct sample *s)
{
        uint64_t begin = io_now_usec();
        struct child child;
        int r;

        r = child_start(&child, c->args);
        if (r < 0) {
                sample_fail(s, strerror(-r));
                return;
        }
        while (child_read(&child) == 0)
                ;
        child_finish(&child, c, s);
        s->usec = io_now_usec() - begin;
}

static void run_peer(struct contender *c, struct sample *s)
{
        char line[512], *end;

        s->warm = -1;
        if (fputc('\n', c->to_peer) == EOF || fflush(c->to_peer) != 0 ||
                !fgets(line, sizeof(line), c->from_peer)) {
                sample_fail(s, "its process has ended");
                return;
        }
        s->usec = strtoull(line, &end, 10);
        if (end == line)
                sample_fail(s, line);
}

void contender_run(struct contender *c, struct sample *ret)
{
        static void (*const run[])(struct contender * c, struct sample * s) = {
                [CONTENDER_JOB] = run_job,
                [CONTENDER_SPAWN] = run_spawn,
                [CONTENDER_PEER] = run_peer,
        };

        *ret = (struct sample) {};
        run[c->kind](c, ret);
}
