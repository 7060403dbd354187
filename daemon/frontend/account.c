/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The books of who holds what. Runs in the frontend. An account exists while its user holds
 * something, so the list is never longer than the connections and jobs there are.
 */
#include "daemon/frontend/account.h"

struct account {
        struct account *next;
        uid_t uid;
        uint32_t held[_ACCOUNT_KINDS];
};

/* The link that points to uid's account, or the one at the end of the list. */
static struct account **find(struct account_book *book, uid_t uid)
{
        struct account **link = &book->accounts;

        while (*link && (*link)->uid != uid)
                link = &(*link)->next;
        return link;
}

int account_charge(struct account_book *book, uid_t uid, enum account_kind kind, uint32_t max_user,
        uint32_t max_total)
{
        struct account **link = find(book, uid);

        if (book->total[kind] >= max_total)
                return -EUSERS;
        if ((*link ? (*link)->held[kind] : 0) >= max_user)
                return -EDQUOT;
        if (!*link) {
                *link = calloc(1, sizeof(**link));
                if (!*link)
                        return -ENOMEM;
                (*link)->uid = uid;
        }
        (*link)->held[kind]++;
        book->total[kind]++;
        return 0;
}

void account_release(struct account_book *book, uid_t uid, enum account_kind kind)
{
        struct account **link = find(book, uid), *account = *link;

        ASSERT(account && account->held[kind] > 0 && book->total[kind] > 0);
        account->held[kind]--;
        book->total[kind]--;
        for (size_t i = 0; i < _ACCOUNT_KINDS; i++)
                if (account->held[i] > 0)
                        return;
        *link = account->next;
        free(account);
}

bool account_book_is_empty(const struct account_book *book)
{
        for (size_t i = 0; i < _ACCOUNT_KINDS; i++)
                if (book->total[i] > 0)
                        return false;
        return !book->accounts;
}
