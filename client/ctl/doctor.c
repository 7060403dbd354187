/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sandboxctl doctor: what the host and the daemon lack, what that costs, what to do. Runs in
 * sandboxctl as any user; that no daemon runs is a finding and no error.
 */
#include <fcntl.h>
#include <inttypes.h>

#include "client/ctl/ctl.h"
#include "client/ctl/host.h"
#include "client/ctl/json.h"
#include "client/ctl/reach.h"
#include "client/ctl/table.h"

#define MISSING_MAX 128

const char doctor_help[] =
        "Usage: sandboxctl doctor [--json]\n"
        "Check what sandboxd needs of this host: kernel, cgroups, namespaces, file\n"
        "systems, seccomp, interpreters, security modules, sysctls, D-Bus and polkit.\n"
        "Says what each missing thing costs, and what to do. Needs no privilege and no\n"
        "running daemon.\n"
        "The exit code is 0 when nothing that is required is missing, else 1.\n";

static void add_pool(struct findings *f, const sandbox_host *host)
{
        unsigned max = sandbox_host_get_parked_max(host);

        if (max == 0)
                findings_add(f, FINDING_OK, "pool", "", "", "off: Maximum=0 in [Pool]");
        else
                findings_add(f, FINDING_OK, "pool", "", "",
                        "up to %u parked sandboxes; they took %" PRIu64
                        " jobs, and were missing for %" PRIu64,
                        max, sandbox_host_get_warm_jobs(host), sandbox_host_get_missed_jobs(host));
}

/* What the daemon says; each is one question to it. */
static void ask_host(const struct ctl *ctl, sandbox_client *c, struct findings *f,
        char missing[static MISSING_MAX])
{
        _cleanup_(sandbox_host_unrefp) sandbox_host *host = NULL;
        const char *controller;

        if (sandbox_get_host(c, &host) < 0) {
                (void) ctl_failed(ctl, sandbox_client_get_error(c));
                return;
        }
        for (size_t i = 0; (controller = sandbox_host_get_missing(host, i)); i++) {
                size_t n = strlen(missing);

                (void) snprintf(missing + n, MISSING_MAX - n, "%s ", controller);
        }
        findings_add(f, FINDING_OK, "sandboxd", "", "", "%s, driver %s, pid %u, %u running jobs",
                sandbox_client_get_daemon_version(c), sandbox_host_get_driver(host),
                (unsigned) sandbox_host_get_pid(host), sandbox_host_get_running_jobs(host));
        add_pool(f, host);
}

static void add_interpreter(struct findings *f, const sandbox_runtime_list *list, size_t i)
{
        const char *name = sandbox_runtime_list_get_name(list, i);
        const char *interpreter = sandbox_runtime_list_get_interpreter(list, i);
        const char *package = sandbox_runtime_list_get_package(list, i);
        char cost[128], advice[128];

        if (strnull(interpreter))
                return;
        if (sandbox_runtime_list_get_available(list, i)) {
                findings_add(f, FINDING_OK, "interpreter", "", "", "%s: %s", name, interpreter);
                return;
        }
        (void) snprintf(cost, sizeof(cost), "jobs in %s are refused", name);
        (void) snprintf(advice, sizeof(advice), "apt-get install %s, then restart sandboxd",
                strnull(package) ? interpreter : package);
        findings_add(f, FINDING_WARNING, "interpreter", cost, advice, "%s: %s is not installed",
                name, interpreter);
}

static void ask_runtimes(const struct ctl *ctl, sandbox_client *c, struct findings *f)
{
        _cleanup_(sandbox_runtime_list_unrefp) sandbox_runtime_list *list = NULL;

        if (sandbox_list_runtimes(c, &list) < 0) {
                (void) ctl_failed(ctl, sandbox_client_get_error(c));
                return;
        }
        for (size_t i = 0; i < sandbox_runtime_list_get_count(list); i++)
                add_interpreter(f, list, i);
}

static int examine(const struct ctl *ctl, struct findings *f)
{
        _cleanup_close_ int root_fd = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
        _cleanup_(sandbox_client_freep) sandbox_client *c = NULL;
        char missing[MISSING_MAX] = "", command[REACH_COMMAND_MAX];
        struct host host;
        struct error e;
        int r;

        if (root_fd < 0) {
                (void) error_set(&e, -errno, "cannot open /: %s: run outside of chroot",
                        strerror(errno));
                return ctl_error(ctl, "INTERNAL", NULL, e.text);
        }
        r = ctl_try_connect(ctl, &c, &e);
        if (r == 0)
                ask_host(ctl, c, f, missing);
        else if (r == -ENOENT || r == -ECONNREFUSED)
                findings_add(f, FINDING_WARNING, "sandboxd", "no job can run until it is",
                        reach_command(root_fd, ctl->socket_path, command), "not running at %s",
                        ctl->socket_path);
        else
                findings_add(f, FINDING_WARNING, "sandboxd", "you cannot run jobs",
                        "see what was found, and the log of sandboxd", "%s", e.text);
        host_init(&host, root_fd, missing);
        host_check(&host, f);
        if (c)
                ask_runtimes(ctl, c, f);
        else
                host_check_interpreters(&host, f);
        return 0;
}

static void show_json(const struct findings *f)
{
        json_auto_t *array = json_new_array();

        for (size_t i = 0; i < f->n_items; i++) {
                const struct finding *item = &f->items[i];
                json_t *object = json_new_object();

                json_set_text(object, "check", item->check);
                json_set_text(object, "state", finding_state_name(item->state));
                json_set_text(object, "detail", item->detail);
                json_set_text(object, "cost", item->cost);
                json_set_text(object, "advice", item->advice);
                json_append(array, object);
        }
        json_show(array, stdout);
}

static void add_note(struct table *t, const char *name, const char *text)
{
        if (text[0] == '\0')
                return;
        table_add(t, STYLE_NONE, "");
        table_add(t, STYLE_NONE, "");
        table_add_format(t, STYLE_DIM, "%s: %s", name, text);
}

static void show_table(const struct ctl *ctl, const struct findings *f)
{
        static const char *const headers[] = { "CHECK", "STATE", "FOUND" };
        static const enum style styles[_FINDING_STATE_COUNT] = {
                [FINDING_OK] = STYLE_GREEN,
                [FINDING_WARNING] = STYLE_YELLOW,
                [FINDING_MISSING] = STYLE_RED,
        };
        _cleanup_(table_freep) struct table *t = table_new(headers, ELEMENTSOF(headers));
        size_t counts[_FINDING_STATE_COUNT] = {};

        for (size_t i = 0; i < f->n_items; i++) {
                const struct finding *item = &f->items[i];

                counts[item->state]++;
                table_add(t, STYLE_NONE, item->check);
                table_add(t, styles[item->state], finding_state_name(item->state));
                table_add(t, STYLE_NONE, item->detail);
                add_note(t, "costs", item->cost);
                add_note(t, "do", item->advice);
        }
        table_print(t, stdout, color_enabled(ctl->color, stdout));
        (void) printf("%zu ok, %zu warning%s, %zu missing\n", counts[FINDING_OK],
                counts[FINDING_WARNING], counts[FINDING_WARNING] == 1 ? "" : "s",
                counts[FINDING_MISSING]);
}

int verb_doctor(struct ctl *ctl, int argc, char **argv)
{
        _cleanup_(findings_done) struct findings f = {};
        int r;

        r = ctl_parse_plain(ctl, doctor_help, argc, argv);
        if (r != 0)
                return r < 0 ? CTL_EXIT_USAGE : CTL_EXIT_OK;
        r = examine(ctl, &f);
        if (r != 0)
                return r;
        if (ctl->json)
                show_json(&f);
        else
                show_table(ctl, &f);
        return findings_complete(&f) ? CTL_EXIT_OK : CTL_EXIT_FAILURE;
}
