/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The table of events. Pure data.
 */
#include "common/event.h"

/* journald counts a service's notice and info against one limit and its warnings and errors against
 * others: however many jobs there are, they push no error out. */
const struct event_info event_table[_EVENT_COUNT] = {
        [EVENT_DAEMON_STARTED] = { "f3c4a78ae5ae4b21929e9591f5665c03", LOG_LEVEL_NOTICE,
                LOG_LEVEL_NOTICE },
        [EVENT_DAEMON_STOPPED] = { "5b601e03af3042e286c165299d23f33c", LOG_LEVEL_NOTICE,
                LOG_LEVEL_NOTICE },
        [EVENT_JOB_STARTED] = { "f048e59f8b9e41879ba68772325b91ca", LOG_LEVEL_INFO,
                LOG_LEVEL_DEBUG },
        [EVENT_JOB_ENDED] = { "f2de1a6bc0524c9fb14eabf72442647c", LOG_LEVEL_INFO, LOG_LEVEL_DEBUG },
        [EVENT_JOB_LOST] = { "9a6ac8e4b8024df49058c57102af2789", LOG_LEVEL_INFO, LOG_LEVEL_DEBUG },
        [EVENT_REFUSED] = { "b77fed8c2e844ecebc47720b4ac209f7", LOG_LEVEL_NOTICE,
                LOG_LEVEL_NOTICE },
        [EVENT_POLICY_RELOADED] = { "bfca6b502d8042b3b518c9aa414f99a0", LOG_LEVEL_NOTICE,
                LOG_LEVEL_NOTICE },
        [EVENT_POLICY_KEPT] = { "6642ce05ad7c4ee0b15e79a8b1d23685", LOG_LEVEL_ERROR,
                LOG_LEVEL_ERROR },
        [EVENT_FRONTEND_DIED] = { "746aaf5927b1415eb8ebf766ab44c0e9", LOG_LEVEL_ERROR,
                LOG_LEVEL_ERROR },
};
