/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Times Execute of an empty bash job over D-Bus beside the same job through the socket, interleaved in one
 * run: as root, of whom polkit is not asked, and as a user, of whom it is. Then many callers at once. A
 * run of the benchmark is one process of root's; it asserts nothing but that all calls end well.
 *
 *      bench-bus SOCKET ROUNDS UID CALLERS [PAUSE_MS [ADDRESS]]
 *
 * PAUSE_MS is before each sample, such as what a parked sandbox takes to be replaced: 0 without it. ADDRESS is the bus, if not the system's; UID is a user whom polkit lets run code.
 */
#include <poll.h>
#include <stdio.h>
#include <systemd/sd-bus.h>
#include <unistd.h>

#include "client/lib/sandbox.h"
#include "common/io.h"

#define TIMEOUT_USEC (60 * USEC_PER_SEC)
#define WARM_UP 20
#define CALLERS_MAX 200

#define BUS_NAME "org.sandboxd1"
#define BUS_PATH "/org/sandboxd1"
#define BUS_MANAGER "org.sandboxd1.Manager"

struct series {
        const char *name;
        void (*once)(void *userdata);
        void *userdata;
        uint64_t *usec;
        size_t n;
};

/* One of many callers. */
struct flight {
        sd_bus *bus;
        uint64_t usec; /* when it began, then how long it took */
        bool ended;
        const char *error; /* NULL: none */
};

static _noreturn_ void die(const char *what, const char *why)
{
        (void) fprintf(stderr, "bench-bus: %s: %s\n", what, why);
        exit(EXIT_FAILURE);
}

static void must(int r, const char *what)
{
        if (r < 0)
                die(what, strerror(-r));
}

/* The bus asks the kernel for the effective ids of who connects. */
static sd_bus *connect_bus(const char *address, uid_t uid)
{
        sd_bus *bus = NULL;

        must(sd_bus_new(&bus), "bus");
        must(sd_bus_set_address(bus, address), address);
        must(sd_bus_set_bus_client(bus, 1), address);
        if (setegid((gid_t) uid) < 0 || seteuid(uid) < 0)
                die("seteuid", strerror(errno));
        must(sd_bus_start(bus), address);
        must(sd_bus_get_unique_name(bus, &(const char *) { NULL }), address);
        if (seteuid(0) < 0 || setegid(0) < 0)
                die("seteuid", strerror(errno));
        return bus;
}

static sandbox_client *connect_socket(const char *path)
{
        sandbox_client *c;

        must(sandbox_client_new(&c), path);
        if (sandbox_client_connect(c, path) < 0)
                die(path, sandbox_client_get_error(c)->message);
        return c;
}

static sd_bus_message *new_execute(sd_bus *bus)
{
        sd_bus_message *m = NULL;

        must(sd_bus_message_new_method_call(bus, &m, BUS_NAME, BUS_PATH, BUS_MANAGER, "Execute"),
                "Execute");
        must(sd_bus_message_append(m, "ssa{sv}", "bash", ":", 0), "Execute");
        return m;
}

static void once_execute(void *userdata)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL, *m = new_execute(userdata);
        _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;

        if (sd_bus_call(userdata, m, TIMEOUT_USEC, &error, &reply) < 0)
                die("Execute", error.message);
}

static void once_ping(void *userdata)
{
        _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;

        if (sd_bus_call_method(userdata, BUS_NAME, BUS_PATH, "org.freedesktop.DBus.Peer", "Ping",
                    &error, NULL, "") < 0)
                die("Ping", error.message);
}

static void once_socket(void *userdata)
{
        sandbox_client *c = userdata;
        sandbox_result *result;
        sandbox_spec *spec;
        int r;

        must(sandbox_spec_new(&spec), "job");
        must(sandbox_spec_set_runtime(spec, "bash"), "job");
        must(sandbox_spec_set_code(spec, ":", 1), "job");
        r = sandbox_run(c, spec, TIMEOUT_USEC, &result);
        (void) sandbox_spec_free(spec);
        if (r < 0)
                die("job", sandbox_client_get_error(c)->message);
        (void) sandbox_result_unref(result);
}

static int compare(const void *a, const void *b)
{
        const uint64_t *x = a, *y = b;

        return *x < *y ? -1 : *x > *y;
}

static double msec(const struct series *s, size_t percent)
{
        return (double) s->usec[(s->n - 1) * percent / 100] / USEC_PER_MSEC;
}

/* The first is what the others are compared with. */
static void print_table(const struct series *series, size_t n)
{
        printf("%-36s %9s %9s %9s %12s\n", "milliseconds", "min", "p50", "p99", "p50 - first");
        for (size_t i = 0; i < n; i++)
                printf("%-36s %9.3f %9.3f %9.3f %12.3f\n", series[i].name, msec(&series[i], 0),
                        msec(&series[i], 50), msec(&series[i], 99),
                        msec(&series[i], 50) - msec(&series[0], 50));
}

static void bench_one_at_a_time(const char *socket, const char *address, uid_t uid, size_t rounds,
        useconds_t pause_usec)
{
        sd_bus *root = connect_bus(address, 0), *user = connect_bus(address, uid);
        sandbox_client *c = connect_socket(socket);
        struct series series[] = {
                { "bash ':', through the socket", once_socket, c, NULL, 0 },
                { "the same by Execute, root", once_execute, root, NULL, 0 },
                { "the same by Execute, polkit is asked", once_execute, user, NULL, 0 },
                { "Ping of the service", once_ping, root, NULL, 0 },
        };

        for (size_t k = 0; k < ELEMENTSOF(series); k++) {
                series[k].usec = calloc(rounds, sizeof(uint64_t));
                if (!series[k].usec)
                        die("memory", strerror(ENOMEM));
        }
        for (size_t i = 0; i < rounds + WARM_UP; i++)
                for (size_t k = 0; k < ELEMENTSOF(series); k++) {
                        uint64_t begin;

                        (void) usleep(pause_usec);
                        begin = io_now_usec();
                        series[k].once(series[k].userdata);
                        if (i >= WARM_UP)
                                series[k].usec[series[k].n++] = io_now_usec() - begin;
                }
        for (size_t k = 0; k < ELEMENTSOF(series); k++)
                qsort(series[k].usec, series[k].n, sizeof(uint64_t), compare);
        print_table(series, ELEMENTSOF(series));
        for (size_t k = 0; k < ELEMENTSOF(series); k++)
                free(series[k].usec);
        (void) sandbox_client_free(c);
        (void) sd_bus_flush_close_unref(user);
        (void) sd_bus_flush_close_unref(root);
}

static int on_reply(sd_bus_message *m, void *userdata, sd_bus_error *ret_error)
{
        struct flight *f = userdata;

        if (sd_bus_message_is_method_error(m, NULL))
                f->error = sd_bus_message_get_error(m)->message;
        if (f->error)
                (void) fprintf(stderr, "bench-bus: Execute: %s\n", f->error);
        f->usec = io_now_usec() - f->usec;
        f->ended = true;
        return 0;
}

static size_t count_ended(const struct flight *flights, size_t n)
{
        size_t ended = 0;

        for (size_t i = 0; i < n; i++)
                ended += flights[i].ended;
        return ended;
}

static void turn(struct flight *flights, size_t n)
{
        struct pollfd fds[CALLERS_MAX];

        for (size_t i = 0; i < n; i++)
                fds[i] = (struct pollfd) {
                        .fd = sd_bus_get_fd(flights[i].bus),
                        .events = (short) sd_bus_get_events(flights[i].bus),
                };
        if (poll(fds, n, TIMEOUT_USEC / USEC_PER_MSEC) == 0)
                die("callers", "calls did not end");
        for (size_t i = 0; i < n; i++) {
                int r = 1;

                while (r > 0)
                        r = sd_bus_process(flights[i].bus, NULL);
                must(r, "bus");
        }
}

static void bench_at_once(const char *address, uid_t uid, size_t n)
{
        struct flight flights[CALLERS_MAX] = {};
        uint64_t usec[CALLERS_MAX], begin;
        size_t failed = 0;

        for (size_t i = 0; i < n; i++)
                flights[i].bus = connect_bus(address, i % 2 ? uid : 0);
        begin = io_now_usec();
        for (size_t i = 0; i < n; i++) {
                _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = new_execute(flights[i].bus);

                flights[i].usec = io_now_usec();
                must(sd_bus_call_async(flights[i].bus, NULL, m, on_reply, &flights[i],
                             TIMEOUT_USEC),
                        "Execute");
        }
        while (count_ended(flights, n) < n)
                turn(flights, n);
        begin = io_now_usec() - begin;
        for (size_t i = 0; i < n; i++) {
                usec[i] = flights[i].usec;
                failed += flights[i].error != NULL;
                (void) sd_bus_flush_close_unref(flights[i].bus);
        }
        qsort(usec, n, sizeof(*usec), compare);
        printf("\n%zu callers at once, half of them root: %zu errors, %.1f ms for all, one p50 "
               "%.1f ms, "
               "max %.1f ms\n",
                n, failed, (double) begin / USEC_PER_MSEC, (double) usec[n / 2] / USEC_PER_MSEC,
                (double) usec[n - 1] / USEC_PER_MSEC);
        if (failed > 0)
                exit(EXIT_FAILURE);
}

int main(int argc, char **argv)
{
        const char *address = argc > 6 ? argv[6] : "unix:path=/run/dbus/system_bus_socket";
        size_t rounds, callers;
        useconds_t pause_usec;
        uid_t uid;

        if (argc < 5 || argc > 7) {
                (void) fprintf(stderr,
                        "usage: bench-bus SOCKET ROUNDS UID CALLERS [PAUSE_MS [ADDRESS]]\n");
                return 2;
        }
        rounds = MAX(strtoul(argv[2], NULL, 10), 1UL);
        uid = (uid_t) strtoul(argv[3], NULL, 10);
        callers = MIN(MAX(strtoul(argv[4], NULL, 10), 1UL), (unsigned long) CALLERS_MAX);
        pause_usec = argc > 5 ? (useconds_t) (strtoul(argv[5], NULL, 10) * USEC_PER_MSEC) : 0;
        bench_one_at_a_time(argv[1], address, uid, rounds, pause_usec);
        bench_at_once(address, uid, callers);
        return EXIT_SUCCESS;
}
