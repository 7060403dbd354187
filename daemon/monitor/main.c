/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sandboxd, the monitor: command line, privileges, start and stop. Runs as root with a bounded
 * capability set; everything that reads what clients send is in sandboxd-frontend.
 */
#include <getopt.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <sys/stat.h>
#include <systemd/sd-daemon.h>

#include "common/log.h"
#include "daemon/monitor/monitor.h"
#include "daemon/monitor/privilege.h"

#define DEFAULT_RUNTIME_DIR "/run/sandboxd"

enum option_code {
        OPTION_STANDALONE = 256,
        OPTION_SOCKET,
        OPTION_CONFIG,
        OPTION_POLICY_DIR,
        OPTION_RUNTIME_DIR,
        OPTION_RELOAD,
        OPTION_VERSION,
        OPTION_HELP,
};

static const struct option long_options[] = {
        { "standalone", no_argument, NULL, OPTION_STANDALONE },
        { "socket", required_argument, NULL, OPTION_SOCKET },
        { "config", required_argument, NULL, OPTION_CONFIG },
        { "policy-dir", required_argument, NULL, OPTION_POLICY_DIR },
        { "runtime-dir", required_argument, NULL, OPTION_RUNTIME_DIR },
        { "reload", no_argument, NULL, OPTION_RELOAD },
        { "version", no_argument, NULL, OPTION_VERSION },
        { "help", no_argument, NULL, OPTION_HELP },
        {},
};

static const char help[] =
        "sandboxd [OPTIONS]\n"
        "Runs untrusted code for local clients, each job in a sandbox of its own. Serves the\n"
        "sockets that systemd passes, or makes one.\n"
        "\n"
        "  --standalone        make cgroups without systemd, which need not run then\n"
        "  --socket PATH       listen there (default " MONITOR_DEFAULT_SOCKET ")\n"
        "  --config FILE       read this sandboxd.conf instead of the installed one\n"
        "  --policy-dir DIR    take profiles, runtimes and filters from DIR alone\n"
        "  --runtime-dir DIR   keep locks and mount points there (default " DEFAULT_RUNTIME_DIR
        ")\n"
        "  --reload            have the sandboxd that runs in --runtime-dir read its policy "
        "again,\n"
        "                      and fail if that is broken\n"
        "  --version, --help\n"
        "\n"
        "See sandboxd(8) and sandboxd.conf(5).\n";

/* 1: go on; 0: done; negative: a bad command line, said on stderr. */
static int parse_options(int argc, char **argv, struct monitor_options *o)
{
        int c;

        while ((c = getopt_long(argc, argv, "", long_options, NULL)) >= 0) {
                switch (c) {
                case OPTION_STANDALONE:
                        o->standalone = true;
                        break;
                case OPTION_SOCKET:
                        o->socket_path = optarg;
                        break;
                case OPTION_CONFIG:
                        o->config_file = optarg;
                        break;
                case OPTION_POLICY_DIR:
                        o->policy_dir = optarg;
                        break;
                case OPTION_RUNTIME_DIR:
                        o->runtime_dir = optarg;
                        break;
                case OPTION_RELOAD:
                        o->reload = true;
                        break;
                case OPTION_VERSION:
                        puts(PACKAGE_STRING);
                        return 0;
                case OPTION_HELP:
                        fputs(help, stdout);
                        return 0;
                default:
                        log_error("see sandboxd --help for the options there are");
                        return -EINVAL;
                }
        }
        if (optind < argc) {
                log_error("'%s' is no option: see sandboxd --help", argv[optind]);
                return -EINVAL;
        }
        if (!o->standalone && !o->reload && sd_booted() <= 0) {
                log_error("systemd does not run here, and would make the jobs' scopes: start it "
                          "with --standalone");
                return -EINVAL;
        }
        return 1;
}

/* Relative paths mean the directory we were started in, which we are going to leave. */
static int make_absolute(const char **path, char buf[static PATH_MAX])
{
        char cwd[PATH_MAX];

        if (!*path || **path == '/')
                return 0;
        if (!getcwd(cwd, sizeof(cwd)) || snprintf(buf, PATH_MAX, "%s/%s", cwd, *path) >= PATH_MAX) {
                log_error("%s cannot be made an absolute path", *path);
                return -ENAMETOOLONG;
        }
        *path = buf;
        return 0;
}

static int make_all_absolute(struct monitor_options *o)
{
        static char buffers[4][PATH_MAX];
        const char **const paths[] = {
                &o->socket_path,
                &o->config_file,
                &o->policy_dir,
                &o->runtime_dir,
        };

        for (size_t i = 0; i < ELEMENTSOF(paths); i++)
                if (make_absolute(paths[i], buffers[i]) < 0)
                        return -ENAMETOOLONG;
        return 0;
}

/* Two reloads, the one under way and the one that is asked for, and a daemon that is busy. */
#define RELOAD_PATIENCE_USEC (15 * USEC_PER_SEC)

static int reload(const struct monitor_options *o)
{
        struct error error = {};

        if (control_reload(o->runtime_dir, RELOAD_PATIENCE_USEC, &error) == 0)
                return EXIT_SUCCESS;
        log_error("%s", error.text);
        return EXIT_FAILURE;
}

/* From here on they wait for the loop: one that comes while we start still ends us cleanly. */
static void block_signals(void)
{
        sigset_t set;

        (void) sigemptyset(&set);
        for (size_t i = 0; i < ELEMENTSOF(monitor_signals); i++)
                (void) sigaddset(&set, monitor_signals[i]);
        (void) sigprocmask(SIG_BLOCK, &set, NULL);
}

int main(int argc, char **argv)
{
        struct monitor_options options = { .runtime_dir = DEFAULT_RUNTIME_DIR };
        static struct monitor monitor;
        struct error error = {};
        int r;

        log_open("sandboxd");
        r = parse_options(argc, argv, &options);
        if (r <= 0)
                return r < 0 ? 2 : EXIT_SUCCESS;
        if (make_all_absolute(&options) < 0)
                return 2;
        if (options.reload)
                return reload(&options);
        (void) umask(022);
        (void) signal(SIGPIPE, SIG_IGN);
        block_signals();
        r = privilege_bound(&error);
        if (r == 0) {
                r = monitor_setup(&monitor, &options, &error);
                if (r == 0)
                        r = monitor_run(&monitor, &error);
                monitor_done(&monitor);
        }
        if (r < 0)
                log_error("%s", error.text);
        return r < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
