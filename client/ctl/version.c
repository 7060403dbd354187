/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sandboxctl version: its own and the daemon's. Runs in sandboxctl; that no daemon runs is no
 * error.
 */
#include "client/ctl/ctl.h"
#include "client/ctl/json.h"

const char version_help[] = "Usage: sandboxctl version [--json]\n"
                            "Show the version of sandboxctl, and of sandboxd when it is running.\n";

static void show_json(const Sandboxd__V1__HelloReply *peer)
{
        json_auto_t *object = json_new_object();
        json_t *features = json_new_array();

        json_set_text(object, "sandboxctl", PACKAGE_VERSION);
        if (peer)
                json_set_text(object, "sandboxd", peer->version);
        else
                json_set(object, "sandboxd", json_null());
        json_set_number(object, "protocol", CLIENT_PROTOCOL);
        for (size_t i = 0; peer && i < peer->n_features; i++)
                json_append_text(features, peer->features[i]);
        json_set(object, "features", features);
        json_show(object, stdout);
}

int verb_version(struct ctl *ctl, int argc, char **argv)
{
        _cleanup_(client_freep) struct client *c = NULL;
        const Sandboxd__V1__HelloReply *peer;
        struct error e;
        int r;

        r = ctl_parse_plain(ctl, version_help, argc, argv);
        if (r != 0)
                return r < 0 ? CTL_EXIT_USAGE : CTL_EXIT_OK;
        r = ctl_try_connect(ctl, &c, &e);
        peer = r < 0 ? NULL : client_peer(c);
        if (ctl->json) {
                show_json(peer);
                return CTL_EXIT_OK;
        }
        (void) puts("sandboxctl " PACKAGE_VERSION);
        if (peer)
                (void) printf("sandboxd   %s\n", peer->version);
        else {
                _cleanup_free_ char *why = text_untrusted(e.text);

                (void) printf("sandboxd   unknown: %s\n", why);
        }
        return CTL_EXIT_OK;
}
