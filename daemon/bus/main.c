/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sandboxd-bus: the D-Bus service org.sandboxd1, a client of sandboxd's socket on behalf of who calls. Runs as a
 * user of its own, without any privilege; with --relay it is a process that copies a stream (relay.c).
 */
#include <getopt.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>

#include "common/log.h"
#include "common/parse.h"
#include "daemon/bus/relay.h"
#include "daemon/bus/service.h"

#define POLKIT_USEC (10 * USEC_PER_SEC)
#define IDLE_USEC (60 * USEC_PER_SEC)

/* What is larger is given back to the kernel when it is freed. Left to itself malloc() keeps as much as it has
 * ever had of large pieces, and messages are. */
#define LARGE (256 * KIB)

enum option_code {
        OPTION_ADDRESS = 256,
        OPTION_SOCKET,
        OPTION_POLKIT_TIMEOUT,
        OPTION_IDLE_TIMEOUT,
        OPTION_VERSION,
        OPTION_HELP,
};

static const struct option long_options[] = {
        { "address", required_argument, NULL, OPTION_ADDRESS },
        { "socket", required_argument, NULL, OPTION_SOCKET },
        { "polkit-timeout", required_argument, NULL, OPTION_POLKIT_TIMEOUT },
        { "idle-timeout", required_argument, NULL, OPTION_IDLE_TIMEOUT },
        { "version", no_argument, NULL, OPTION_VERSION },
        { "help", no_argument, NULL, OPTION_HELP },
        {},
};

static const char help[] =
        "sandboxd-bus [OPTIONS]\n"
        "Offers sandboxd on the system bus, as org.sandboxd1.\n"
        "\n"
        "  --address ADDRESS       of the bus (default: the system bus)\n"
        "  --socket PATH           of sandboxd (default " SANDBOX_SOCKET ")\n"
        "  --polkit-timeout TIME   how long polkit may think before the answer is no (default "
        "10s)\n"
        "  --idle-timeout TIME     how long to stay without a call or subscription (default 60s;\n"
        "                          0: for ever)\n"
        "  --version, --help\n"
        "\n"
        "See sandboxd-bus(8) and org.sandboxd1(5).\n";

static int parse_timeout(const char *option, uint64_t *ret)
{
        if (parse_time(optarg, ret) == 0)
                return 0;
        log_error("%s is no time: give --%s as 10s or 500ms", optarg, option);
        return -EINVAL;
}

/* 1: go on; 0: done; negative: a bad command line, said on stderr. */
static int parse_options(int argc, char **argv, struct service_options *o)
{
        int c, r = 0;

        while (r >= 0 && (c = getopt_long(argc, argv, "", long_options, NULL)) >= 0) {
                switch (c) {
                case OPTION_ADDRESS:
                        o->address = optarg;
                        break;
                case OPTION_SOCKET:
                        o->socket_path = optarg;
                        break;
                case OPTION_POLKIT_TIMEOUT:
                        r = parse_timeout("polkit-timeout", &o->polkit_usec);
                        break;
                case OPTION_IDLE_TIMEOUT:
                        r = parse_timeout("idle-timeout", &o->idle_usec);
                        if (r >= 0 && o->idle_usec == 0)
                                o->idle_usec = UINT64_MAX;
                        break;
                case OPTION_VERSION:
                        puts(PACKAGE_STRING);
                        return 0;
                case OPTION_HELP:
                        fputs(help, stdout);
                        return 0;
                default:
                        log_error("see sandboxd-bus --help for the options there are");
                        return -EINVAL;
                }
        }
        if (r >= 0 && optind < argc) {
                log_error("'%s' is no option: see sandboxd-bus --help", argv[optind]);
                return -EINVAL;
        }
        return r < 0 ? r : 1;
}

static void block_signals(void)
{
        static const int numbers[] = { SIGTERM, SIGINT, SIGCHLD };
        sigset_t set;

        (void) sigemptyset(&set);
        for (size_t i = 0; i < ELEMENTSOF(numbers); i++)
                (void) sigaddset(&set, numbers[i]);
        (void) sigprocmask(SIG_BLOCK, &set, NULL);
        (void) signal(SIGPIPE, SIG_IGN);
}

int main(int argc, char **argv)
{
        struct service_options options = { .polkit_usec = POLKIT_USEC, .idle_usec = IDLE_USEC };
        static struct service service;
        int r;

        if (argc > 1 && streq(argv[1], "--relay"))
                return relay_main(argc, argv);
        log_open("sandboxd-bus");
        r = parse_options(argc, argv, &options);
        if (r <= 0)
                return r < 0 ? 2 : EXIT_SUCCESS;
        (void) mallopt(M_MMAP_THRESHOLD, LARGE);
        block_signals();
        r = service_init(&service, &options);
        if (r < 0)
                log_error("cannot serve on the bus: %s", strerrordesc_np(-r));
        else
                r = service_run(&service);
        service_done(&service);
        return r < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
