/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sandboxctl version: its own and the daemon's. Runs in sandboxctl; that no daemon runs is no
 * error.
 */
#include "client/ctl/ctl.h"
#include "client/ctl/json.h"

const char version_help[] = "Usage: sandboxctl version [--json]\n"
                            "Show the version of sandboxctl, and of sandboxd when it is running.\n";

static void show_json(const sandbox_client *c)
{
        json_auto_t *object = json_new_object();
        json_t *features = json_new_array();
        const char *feature;

        json_set_text(object, "sandboxctl", PACKAGE_VERSION);
        if (c)
                json_set_text(object, "sandboxd", sandbox_client_get_daemon_version(c));
        else
                json_set(object, "sandboxd", json_null());
        json_set_number(object, "protocol", SANDBOX_PROTOCOL);
        for (size_t i = 0; c && (feature = sandbox_client_get_feature(c, i)); i++)
                json_append_text(features, feature);
        json_set(object, "features", features);
        json_show(object, stdout);
}

int verb_version(struct ctl *ctl, int argc, char **argv)
{
        _cleanup_(sandbox_client_freep) sandbox_client *c = NULL;
        struct error e;
        int r;

        r = ctl_parse_plain(ctl, version_help, argc, argv);
        if (r != 0)
                return r < 0 ? CTL_EXIT_USAGE : CTL_EXIT_OK;
        (void) ctl_try_connect(ctl, &c, &e);
        if (ctl->json) {
                show_json(c);
                return CTL_EXIT_OK;
        }
        (void) puts("sandboxctl " PACKAGE_VERSION);
        if (c)
                (void) printf("sandboxd   %s\n", sandbox_client_get_daemon_version(c));
        else {
                _cleanup_free_ char *why = text_untrusted(e.text);

                (void) printf("sandboxd   unknown: %s\n", why);
        }
        return CTL_EXIT_OK;
}
