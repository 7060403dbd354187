/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whether org.sandboxd1 can be called, and whether polkit is there to be asked about who calls. Runs in
 * sandboxctl, looks at files only: a bus that does not answer does not hold it up, and nothing is started
 * by being looked at.
 */
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "client/ctl/host.h"

#define BUS_SOCKET "run/dbus/system_bus_socket"
/* Has this name while systemd runs the unit; the link leads to no file. */
#define BUS_RUNNING "run/systemd/units/invocation:sandboxd-bus.service"
#define BUS_OVERRIDE "etc/systemd/system/sandboxd-bus.service"

/* Where the system bus looks, in dbus-daemon's order. */
static const char *const service_dirs[] = { "etc/dbus-1", "run/dbus-1", "usr/local/share/dbus-1",
        "usr/share/dbus-1", "lib/dbus-1" };
static const char *const policy_dirs[] = { "usr/share/dbus-1", "etc/dbus-1" };

static bool is_in(const struct host *h, const char *const *dirs, size_t n_dirs, const char *name)
{
        for (size_t i = 0; i < n_dirs; i++) {
                char path[128];

                (void) snprintf(path, sizeof(path), "%s/%s", dirs[i], name);
                if (host_exists(h, path))
                        return true;
        }
        return false;
}

static bool is_service(const struct host *h, const char *name)
{
        char path[96];

        (void) snprintf(path, sizeof(path), "system-services/%s.service", name);
        return is_in(h, service_dirs, ELEMENTSOF(service_dirs), path);
}

static bool is_running(const struct host *h)
{
        struct stat st;

        return fstatat(h->root_fd, BUS_RUNNING, &st, AT_SYMLINK_NOFOLLOW) == 0;
}

/* Switched off by the administrator. */
static bool is_masked(const struct host *h)
{
        char to[32];
        ssize_t n = readlinkat(h->root_fd, BUS_OVERRIDE, to, sizeof(to) - 1);

        if (n < 0)
                return false;
        to[n] = '\0';
        return streq(to, "/dev/null");
}

static bool check_service(const struct host *h, struct findings *f)
{
        static const char cost[] = "programs cannot call org.sandboxd1; the socket, sandboxctl and "
                                   "libsandbox do without it";

        if (!host_exists(h, BUS_SOCKET))
                findings_add(f, FINDING_WARNING, "D-Bus", cost,
                        "apt-get install dbus, and start it",
                        "the system bus is not there: no /" BUS_SOCKET);
        else if (!is_service(h, "org.sandboxd1") ||
                 !is_in(h, policy_dirs, ELEMENTSOF(policy_dirs), "system.d/org.sandboxd1.conf"))
                findings_add(f, FINDING_WARNING, "D-Bus", cost,
                        "install sandboxd with --prefix=/usr, where the bus looks",
                        "the system bus does not know org.sandboxd1");
        else if (is_masked(h))
                findings_add(f, FINDING_WARNING, "D-Bus", cost,
                        "systemctl unmask sandboxd-bus.service, where D-Bus is wanted",
                        "sandboxd-bus.service is masked");
        else {
                findings_add(f, FINDING_OK, "D-Bus", "", "", "org.sandboxd1, %s",
                        is_running(h) ? "running" : "started by its first call");
                return true;
        }
        return false;
}

static void check_polkit(const struct host *h, struct findings *f)
{
        static const char cost[] = "over D-Bus root alone runs jobs and controls sandboxd; others "
                                   "see and cancel jobs of their own";

        if (!is_service(h, "org.freedesktop.PolicyKit1"))
                findings_add(f, FINDING_WARNING, "polkit", cost, "apt-get install polkitd",
                        "not installed");
        else if (!host_exists(h, "usr/share/polkit-1/actions/org.sandboxd1.policy"))
                findings_add(f, FINDING_WARNING, "polkit", cost,
                        "install sandboxd with --prefix=/usr, where polkit looks",
                        "does not know the actions of org.sandboxd1");
        else
                findings_add(f, FINDING_OK, "polkit", "", "", "is asked who may run jobs by D-Bus");
}

void host_check_bus(const struct host *h, struct findings *f)
{
        if (check_service(h, f))
                check_polkit(h, f);
}
