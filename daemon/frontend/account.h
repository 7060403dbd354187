/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * What each user holds of what is scarce. Whatever makes something charges it, and whatever drops it
 * releases as much; the books must be empty when the frontend ends.
 */

#include <sys/types.h>

#include "common/macro.h"

enum account_kind {
        ACCOUNT_CONNECTIONS,
        ACCOUNT_JOBS,    /* that run, or will without waiting for another's end */
        ACCOUNT_STARTS,  /* those of them that the monitor is asked for and has not made */
        ACCOUNT_QUEUED,  /* jobs that wait for others to end, or will */
        ACCOUNT_UPLOADS, /* bytes of code and files, declared by jobs that are not complete yet */
        ACCOUNT_STRINGS, /* bytes of strings of jobs that are not started, or that are kept for them */
        ACCOUNT_INPUT,       /* bytes that jobs may be sent by stdin and not read */
        ACCOUNT_BUFFERED,    /* bytes received of frames that are not handled yet */
        ACCOUNT_UNREAD,      /* bytes of responses that its clients have not read, in large steps */
        ACCOUNT_RESULTS,     /* jobs that have ended, and whose results are kept */
        ACCOUNT_KEPT,        /* bytes of output, files and return values */
        ACCOUNT_WATCHES,     /* requests that wait for something of a job */
        ACCOUNT_SOCKETS,     /* ends of stream sockets that clients have not received yet */
        ACCOUNT_LINGERING,   /* bytes in stream sockets of streams that have ended */
        ACCOUNT_BUS,         /* connections of the bus service, of the user that it acts for */
        ACCOUNT_JOB_WATCHES, /* requests that are told of all jobs */
        ACCOUNT_OWED,        /* jobs that are gone, for each of those that has not told it */
        _ACCOUNT_KINDS,
};

struct account;

struct account_book {
        struct account *accounts; /* of users that hold something */
        uint64_t total[_ACCOUNT_KINDS];
};

#define ACCOUNT_UNLIMITED UINT64_MAX

/* Charges uid the amount. -EUSERS when all users together would be over max_total, -EDQUOT when this
 * user would be over max_user, -ENOMEM; nothing is charged then. */
int account_charge(struct account_book *book, uid_t uid, enum account_kind kind, uint64_t amount,
        uint64_t max_user, uint64_t max_total);
/* How much a user may hold where max_total is for all: half of what the others leave, so that however
 * many come, and however much each of them takes, something is left for the next. */
uint64_t account_share(struct account_book *book, uid_t uid, enum account_kind kind,
        uint64_t max_total);
uint64_t account_held(struct account_book *book, uid_t uid, enum account_kind kind);
void account_release(struct account_book *book, uid_t uid, enum account_kind kind, uint64_t amount);
bool account_book_is_empty(const struct account_book *book);
