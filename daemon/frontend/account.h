/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * What each user holds of what is scarce. Every connection and every job is charged when it is made
 * and released when it is freed; the books must be empty when the frontend ends.
 */

#include <sys/types.h>

#include "common/macro.h"

enum account_kind {
        ACCOUNT_CONNECTIONS,
        ACCOUNT_JOBS,
        _ACCOUNT_KINDS,
};

struct account;

struct account_book {
        struct account *accounts; /* of users that hold something */
        uint32_t total[_ACCOUNT_KINDS];
};

/* Charges uid one of kind. -EUSERS when all users together are at max_total, -EDQUOT when this user
 * is at max_user, -ENOMEM; nothing is charged then. */
int account_charge(struct account_book *book, uid_t uid, enum account_kind kind, uint32_t max_user,
        uint32_t max_total);
void account_release(struct account_book *book, uid_t uid, enum account_kind kind);
bool account_book_is_empty(const struct account_book *book);
