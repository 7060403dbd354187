# SPDX-License-Identifier: Apache-2.0
# sandboxd-frontend: no privilege, all the hostile bytes.
pkglibexec_PROGRAMS += sandboxd-frontend
# All but main(), so that the unit tests link it.
noinst_LIBRARIES += daemon/frontend/libfrontend.a
daemon_frontend_libfrontend_a_SOURCES = \
	daemon/frontend/access.c daemon/frontend/access.h \
	daemon/frontend/account.c daemon/frontend/account.h \
	daemon/frontend/admission.c daemon/frontend/admission.h \
	daemon/frontend/admission-queue.c daemon/frontend/admission-queue.h \
	daemon/frontend/changes.h \
	daemon/frontend/channel.c daemon/frontend/channel.h \
	daemon/frontend/connection.c daemon/frontend/connection.h \
	daemon/frontend/credit.h \
	daemon/frontend/feed.c daemon/frontend/feed.h \
	daemon/frontend/fetch.c daemon/frontend/fetch.h \
	daemon/frontend/frontend.c daemon/frontend/frontend.h \
	daemon/frontend/idle.c daemon/frontend/idle.h \
	daemon/frontend/input.c daemon/frontend/input.h \
	daemon/frontend/job.c daemon/frontend/job.h \
	daemon/frontend/job-end.c \
	daemon/frontend/job-files.c \
	daemon/frontend/job-io.c \
	daemon/frontend/job-output.c \
	daemon/frontend/job-reply.c \
	daemon/frontend/job-state.c daemon/frontend/job-state.h \
	daemon/frontend/kept-files.c daemon/frontend/kept-files.h \
	daemon/frontend/linger.c daemon/frontend/linger.h \
	daemon/frontend/listener.c daemon/frontend/listener.h \
	daemon/frontend/out-queue.c daemon/frontend/out-queue.h \
	daemon/frontend/output.c daemon/frontend/output.h \
	daemon/frontend/plan.c daemon/frontend/plan.h \
	daemon/frontend/plan-limits.c \
	daemon/frontend/plan-parts.c \
	daemon/frontend/policies.c daemon/frontend/policies.h \
	daemon/frontend/queue.c daemon/frontend/queue.h \
	daemon/frontend/record.c daemon/frontend/record.h \
	daemon/frontend/registry.c daemon/frontend/registry.h \
	daemon/frontend/reply.c daemon/frontend/reply.h \
	daemon/frontend/reply-files.c daemon/frontend/reply-files.h \
	daemon/frontend/reply-job.c daemon/frontend/reply-job.h \
	daemon/frontend/relay.c daemon/frontend/relay.h \
	daemon/frontend/request.c daemon/frontend/request.h \
	daemon/frontend/request-jobs.c daemon/frontend/request-jobs.h \
	daemon/frontend/result.c daemon/frontend/result.h \
	daemon/frontend/result-message.c daemon/frontend/result-message.h \
	daemon/frontend/results.c daemon/frontend/results.h \
	daemon/frontend/return-value.c daemon/frontend/return-value.h \
	daemon/frontend/startup.c daemon/frontend/startup.h \
	daemon/frontend/store.c daemon/frontend/store.h \
	daemon/frontend/stream-socket.c daemon/frontend/stream-socket.h \
	daemon/frontend/strv.c daemon/frontend/strv.h \
	daemon/frontend/table.c daemon/frontend/table.h \
	daemon/frontend/text.c daemon/frontend/text.h \
	daemon/frontend/upload.c daemon/frontend/upload.h \
	daemon/frontend/watch.c daemon/frontend/watch.h \
	daemon/frontend/watch-files.c daemon/frontend/watch-files.h \
	daemon/frontend/watch-jobs.c daemon/frontend/watch-jobs.h
daemon_frontend_libfrontend_a_CFLAGS = $(AM_CFLAGS) $(SYSTEMD_CFLAGS) $(PROTOBUF_C_CFLAGS)
sandboxd_frontend_SOURCES = daemon/frontend/main.c
sandboxd_frontend_CFLAGS = $(AM_CFLAGS) $(SYSTEMD_CFLAGS) $(PROTOBUF_C_CFLAGS)
sandboxd_frontend_LDADD = daemon/frontend/libfrontend.a daemon/wire/libwire.a proto/libproto.a \
	common/libcommon.a $(SYSTEMD_LIBS) $(PROTOBUF_C_LIBS)
