/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the frontend does with a frame's body before anything is made of it: decoding on a budget,
 * and the plan. A plan that comes out keeps what the monitor will check.
 */
#include "common/io.h"
#include "daemon/frontend/plan.h"
#include "daemon/frontend/result.h"
#include "proto/budget.h"
#include "tests/fuzz/fuzz.h"
#include "tests/unit/fixture-policy.h"

static void check_plan(const struct plan *p)
{
        for (size_t i = 0; i < _LIMIT_COUNT; i++) {
                uint64_t maximum = p->profile->maximums.value[i];

                ASSERT(maximum == 0 || p->limits.value[i] <= maximum);
        }
        for (size_t i = 0; i < p->spec.n_files; i++)
                ASSERT(spec_check_name(p->spec.file_names[i], strlen(p->spec.file_names[i]),
                               NULL) == 0);
        for (size_t i = 0; i < p->spec.n_get; i++)
                ASSERT(spec_check_name(p->spec.get[i], strlen(p->spec.get[i]), NULL) == 0);
        ASSERT(p->spec.argc > 0 && p->spec.exec[0]);
        ASSERT(p->spec.n_inline <= p->spec.n_files);
}

/* What is written of it, the payload's process takes. */
static void check_spec(const struct plan *p)
{
        _cleanup_close_ int fd = io_memfd_new("fuzz");
        struct spec_view view;
        uint64_t size = 0;

        ASSERT(fd >= 0);
        for (size_t i = 0; i < p->spec.n_inline; i++)
                size += p->spec.files[i].size;
        if (size > MIB)
                return;
        ASSERT(spec_write_head(fd, &p->spec) == 0);
        /* The bytes of its files, which are any. */
        ASSERT(ftruncate(fd, lseek(fd, 0, SEEK_CUR) + (off_t) size) == 0);
        ASSERT(io_memfd_seal(fd) == 0 && spec_view_open(&view, fd) == 0);
        spec_view_done(&view);
}

static const ProtobufCBinaryData *job_id(const Sandboxd__V1__Request *request)
{
        switch (request->body_case) {
        case SANDBOXD__V1__REQUEST__BODY_GET_JOB:
                return &request->get_job->job_id;
        case SANDBOXD__V1__REQUEST__BODY_WAIT_JOB:
                return &request->wait_job->job_id;
        case SANDBOXD__V1__REQUEST__BODY_READ_OUTPUT:
                return &request->read_output->job_id;
        case SANDBOXD__V1__REQUEST__BODY_GET_FILES:
                return &request->get_files->job_id;
        case SANDBOXD__V1__REQUEST__BODY_CANCEL_JOB:
                return &request->cancel_job->job_id;
        case SANDBOXD__V1__REQUEST__BODY_SIGNAL_JOB:
                return &request->signal_job->job_id;
        default:
                return NULL;
        }
}

/* An id has one way to be written. */
static void check_id(const ProtobufCBinaryData *text)
{
        char again[RESULT_ID_TEXT_MAX];
        uint64_t id;

        if (text && result_parse_id(text->data, text->len, &id) == 0)
                ASSERT(strlen(result_format_id(id, again)) == text->len &&
                        memcmp(again, text->data, text->len) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        static struct policy policy;
        Sandboxd__V1__Request *request;
        struct plan_error error = {};
        struct budget budget;
        struct plan plan;

        fixture_policy(&policy);
        budget_init(&budget, 4 * MIB);
        request = sandboxd__v1__request__unpack(&budget.allocator, size, data);
        if (!request)
                return 0;
        if (request->body_case == SANDBOXD__V1__REQUEST__BODY_RUN) {
                if (plan_make(&policy, &policy.profiles[0], request->run, &plan, &error) == 0) {
                        check_plan(&plan);
                        check_spec(&plan);
                        plan_done(&plan);
                } else {
                        ASSERT(error.text.text[0]);
                }
        }
        check_id(job_id(request));
        sandboxd__v1__request__free_unpacked(request, &budget.allocator);
        ASSERT(budget.used <= budget.max);
        return 0;
}
