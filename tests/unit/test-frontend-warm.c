/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Jobs that a parked sandbox may take: which pipes are theirs is known when the monitor has said STARTED, and
 * until then nothing moves in any.
 */
#include <check.h>
#include <fcntl.h>
#include <sys/ioctl.h>

#include "tests/unit/fixture-frontend.h"

/* The monitor's ends of a parked sandbox's pipes, and those that it hands over. */
struct parked {
        int job[_CHANNEL_STARTED_FD_COUNT];
        int own[_CHANNEL_STARTED_FD_COUNT];
};

static void setup_warm(void)
{
        setup();
        policy.pool.maximum = 8;
        policy.runtimes[0].park = true;
        restart();
}

static struct parked open_parked(void)
{
        struct parked p;

        for (size_t i = 0; i < _CHANNEL_STARTED_FD_COUNT; i++) {
                bool own_reads = i != CHANNEL_STARTED_FD_STDIN;
                int fds[2];

                ck_assert_int_eq(pipe2(fds, O_CLOEXEC), 0);
                p.own[i] = fds[own_reads ? 0 : 1];
                p.job[i] = fds[own_reads ? 1 : 0];
                ck_assert_int_eq(io_set_nonblock(p.own[i]), 0);
        }
        return p;
}

static void close_parked(struct parked *p)
{
        io_close_all(p->job, ELEMENTSOF(p->job));
        io_close_all(p->own, ELEMENTSOF(p->own));
}

/* A warm STARTED; the frontend's ends are then its alone. */
static void take(const struct start *s, struct parked *p)
{
        monitor_started(s->message.header.job, p->own,
                s->message.flags & CHANNEL_START_STDIN ? 3 : 2);
        io_close_all(p->own, ELEMENTSOF(p->own));
}

static void begin(struct client *c, bool has_stdin, struct start *ret)
{
        Sandboxd__V1__Run run = SANDBOXD__V1__RUN__INIT;

        run.runtime = (ProtobufCBinaryData) { 6, (uint8_t *) "python" };
        run.code = (ProtobufCBinaryData) { 1, (uint8_t *) "1" };
        run.stdin = has_stdin;
        client_hello(c);
        client_run(c, 2, &run);
        monitor_expect_start(ret);
        ck_assert(ret->message.flags & CHANNEL_START_WARM);
        ck_assert_uint_eq(ret->message.runtime, 0);
        client_expect(c, 2, BODY(STARTED));
}

static void expect_output(struct client *c, const char *text)
{
        Sandboxd__V1__Response *r = client_expect(c, 2, BODY(OUTPUT));

        ck_assert_uint_eq(r->output->data.len, strlen(text));
        ck_assert_mem_eq(r->output->data.data, text, strlen(text));
}

static void expect_input(int fd, const char *text)
{
        char buf[64] = {};

        ck_assert_int_eq(io_read_full(fd, buf, strlen(text)), strlen(text));
        ck_assert_str_eq(buf, text);
}

static void end(struct client *c, struct start *s, struct parked *p, uint32_t flags)
{
        if (p)
                close_parked(p);
        start_close(s);
        monitor_ended(s, &(struct channel_ended) { .status = JOB_STATUS_OK, .flags = flags },
                -EBADF);
        /* Of its stdin may be told that nobody reads it any more. */
        while (client_receive(c)->body_case == BODY(STDIN_CREDIT))
                ;
        ck_assert_int_eq(c->last->body_case, BODY(RESULT));
        ck_assert_int_eq(c->last->result->warm, (flags & CHANNEL_ENDED_WARM) != 0);
        monitor_send(CHANNEL_OP_GONE, s->message.header.job);
        client_close(c);
}

START_TEST(test_warm)
{
        struct parked p = open_parked();
        struct client c;
        struct start s;

        begin(&c, true, &s);
        client_stdin(&c, 2, "early", 5, false);
        take(&s, &p);
        /* That the others come to their end is none of the job's. */
        start_close(&s);
        expect_input(p.job[CHANNEL_STARTED_FD_STDIN], "early");
        client_stdin(&c, 2, "late", 4, true);
        expect_input(p.job[CHANNEL_STARTED_FD_STDIN], "late");
        ck_assert_int_eq(io_write_full(p.job[CHANNEL_STARTED_FD_STDOUT], "one", 3), 0);
        while (client_receive(&c)->body_case == BODY(STDIN_CREDIT))
                ;
        ck_assert_int_eq(c.last->body_case, BODY(OUTPUT));
        ck_assert_int_eq(io_write_full(p.job[CHANNEL_STARTED_FD_STDERR], "two", 3), 0);
        expect_output(&c, "two");
        end(&c, &s, &p, CHANNEL_ENDED_WARM);
}
END_TEST

/* There was none: what came meanwhile goes where it belongs. */
START_TEST(test_cold)
{
        struct client c;
        struct start s;
        int unread;

        begin(&c, true, &s);
        client_stdin(&c, 2, "early", 5, true);
        client_wait(&c);
        ck_assert_int_eq(ioctl(s.fds[CHANNEL_FD_STDIN], FIONREAD, &unread), 0);
        ck_assert_int_eq(unread, 0);
        monitor_started(s.message.header.job, NULL, 0);
        expect_input(s.fds[CHANNEL_FD_STDIN], "early");
        ck_assert_int_eq(read(s.fds[CHANNEL_FD_STDIN], &unread, 1), 0);
        ck_assert_int_eq(io_write_full(s.fds[CHANNEL_FD_STDOUT], "one", 3), 0);
        expect_output(&c, "one");
        end(&c, &s, NULL, 0);
}
END_TEST

/* Nor is it the end when that comes first. */
START_TEST(test_closed_before_it_is_known)
{
        struct parked p = open_parked();
        struct client c;
        struct start s;

        begin(&c, false, &s);
        start_close(&s);
        client_wait(&c);
        take(&s, &p);
        ck_assert_int_eq(io_write_full(p.job[CHANNEL_STARTED_FD_STDOUT], "one", 3), 0);
        expect_output(&c, "one");
        end(&c, &s, &p, CHANNEL_ENDED_WARM);
}
END_TEST

START_TEST(test_ended_before_it_is_known)
{
        struct client c;
        struct start s;

        begin(&c, true, &s);
        end(&c, &s, NULL, 0);
}
END_TEST

/* Whose client is gone has no use for them: the ends are closed, and what writes there is told. */
START_TEST(test_pipes_of_a_job_that_is_abandoned)
{
        struct parked p = open_parked();
        struct client c, other;
        struct start s;

        begin(&c, true, &s);
        client_close(&c);
        monitor_expect_kill(&s, JOB_STATUS_CANCELLED);
        take(&s, &p);
        client_hello(&other);
        client_wait(&other);
        ck_assert_int_eq(io_write_full(p.job[CHANNEL_STARTED_FD_STDOUT], "one", 3), -EPIPE);
        ck_assert_int_eq(read(p.job[CHANNEL_STARTED_FD_STDIN], &s, 1), 0);
        close_parked(&p);
        start_close(&s);
        monitor_ended(&s, &(struct channel_ended) { .status = JOB_STATUS_CANCELLED }, -EBADF);
        monitor_send(CHANNEL_OP_GONE, s.message.header.job);
        client_close(&other);
}
END_TEST

START_TEST(test_pipes_of_no_job)
{
        struct parked p = open_parked();
        struct client c;

        monitor_started(4711, p.own, 3);
        io_close_all(p.own, ELEMENTSOF(p.own));
        client_hello(&c);
        client_wait(&c);
        ck_assert_int_eq(io_write_full(p.job[CHANNEL_STARTED_FD_STDOUT], "one", 3), -EPIPE);
        close_parked(&p);
        client_close(&c);
}
END_TEST

int main(void)
{
        Suite *suite = suite_create("frontend-warm");
        TCase *tc = tcase_create("frontend-warm");

        (void) signal(SIGPIPE, SIG_IGN);
        tcase_add_checked_fixture(tc, setup_warm, teardown);
        tcase_add_test(tc, test_warm);
        tcase_add_test(tc, test_cold);
        tcase_add_test(tc, test_closed_before_it_is_known);
        tcase_add_test(tc, test_ended_before_it_is_known);
        tcase_add_test(tc, test_pipes_of_a_job_that_is_abandoned);
        tcase_add_test(tc, test_pipes_of_no_job);
        suite_add_tcase(suite, tc);
        return run_suite(suite);
}
