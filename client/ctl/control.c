/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The verbs that control the daemon. Runs in sandboxctl; who may is for the daemon to say.
 */
#include "client/ctl/control.h"

int ctl_control(struct ctl *ctl, const char *help, int argc, char **argv,
        int (*request)(sandbox_client *c), const char *key, bool value)
{
        _cleanup_(sandbox_client_freep) sandbox_client *c = NULL;
        json_auto_t *object = json_new_object();
        int r;

        r = ctl_parse_plain(ctl, help, argc, argv);
        if (r != 0)
                return r < 0 ? CTL_EXIT_USAGE : CTL_EXIT_OK;
        r = ctl_connect_to(ctl, "drain", &c);
        if (r != 0)
                return r;
        if (request(c) < 0)
                return ctl_failed(ctl, sandbox_client_get_error(c));
        if (ctl->json) {
                json_set_bool(object, key, value);
                json_show(object, stdout);
        }
        return CTL_EXIT_OK;
}
