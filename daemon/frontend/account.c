/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The books of who holds what. Runs in the frontend. An account exists while its user holds
 * something, so the list is never longer than the connections and jobs there are.
 */
#include "daemon/frontend/account.h"

struct account {
        struct account *next;
        uid_t uid;
        uint64_t held[_ACCOUNT_KINDS];
};

/* The link that points to uid's account, or the one at the end of the list. */
static struct account **find(struct account_book *book, uid_t uid)
{
        struct account **link = &book->accounts;

        while (*link && (*link)->uid != uid)
                link = &(*link)->next;
        return link;
}

static bool has_room(uint64_t held, uint64_t amount, uint64_t max)
{
        return held <= max && amount <= max - held;
}

int account_charge(struct account_book *book, uid_t uid, enum account_kind kind, uint64_t amount,
        uint64_t max_user, uint64_t max_total)
{
        struct account **link = find(book, uid);

        if (amount == 0)
                return 0;
        if (!has_room(book->total[kind], amount, max_total))
                return -EUSERS;
        if (!has_room(*link ? (*link)->held[kind] : 0, amount, max_user))
                return -EDQUOT;
        if (!*link) {
                *link = calloc(1, sizeof(**link));
                if (!*link)
                        return -ENOMEM;
                (*link)->uid = uid;
        }
        (*link)->held[kind] += amount;
        book->total[kind] += amount;
        return 0;
}

uint64_t account_held(struct account_book *book, uid_t uid, enum account_kind kind)
{
        const struct account *account = *find(book, uid);

        return account ? account->held[kind] : 0;
}

uint64_t account_share(struct account_book *book, uid_t uid, enum account_kind kind,
        uint64_t max_total)
{
        uint64_t others = book->total[kind] - account_held(book, uid, kind);

        return others < max_total ? (max_total - others) / 2 : 0;
}

void account_release(struct account_book *book, uid_t uid, enum account_kind kind, uint64_t amount)
{
        struct account **link = find(book, uid), *account = *link;

        if (amount == 0)
                return;
        ASSERT(account && account->held[kind] >= amount && book->total[kind] >= amount);
        account->held[kind] -= amount;
        book->total[kind] -= amount;
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
