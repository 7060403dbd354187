# SPDX-License-Identifier: Apache-2.0
# sandboxd-bus: the D-Bus service, a client of the daemon's socket.
# All but main(), so that the unit tests link it.
noinst_LIBRARIES += daemon/bus/libbus.a
daemon_bus_libbus_a_SOURCES = \
	daemon/bus/call.c daemon/bus/call.h \
	daemon/bus/caller.c daemon/bus/caller.h \
	daemon/bus/capture.c daemon/bus/capture.h \
	daemon/bus/execute.c daemon/bus/execute.h \
	daemon/bus/feed.c daemon/bus/feed.h \
	daemon/bus/job-object.c daemon/bus/job-object.h \
	daemon/bus/jobs.c daemon/bus/jobs.h \
	daemon/bus/link.c daemon/bus/link.h \
	daemon/bus/listings.c daemon/bus/listings.h \
	daemon/bus/loans.c daemon/bus/loans.h \
	daemon/bus/manager.c \
	daemon/bus/memory.c daemon/bus/memory.h \
	daemon/bus/message.c daemon/bus/message.h \
	daemon/bus/options.c daemon/bus/options.h \
	daemon/bus/outbox.c daemon/bus/outbox.h \
	daemon/bus/questions.c daemon/bus/questions.h \
	daemon/bus/relay.c daemon/bus/relay.h \
	daemon/bus/relay-check.c daemon/bus/relay-check.h \
	daemon/bus/relays.c daemon/bus/relays.h \
	daemon/bus/result.c daemon/bus/result.h \
	daemon/bus/run.c daemon/bus/run.h \
	daemon/bus/service.c daemon/bus/service.h \
	daemon/bus/signals.c daemon/bus/signals.h \
	daemon/bus/submission.c daemon/bus/submission.h \
	daemon/bus/text.c daemon/bus/text.h
daemon_bus_libbus_a_CFLAGS = $(AM_CFLAGS) $(SYSTEMD_CFLAGS)

pkglibexec_PROGRAMS += sandboxd-bus
sandboxd_bus_SOURCES = daemon/bus/main.c
sandboxd_bus_CFLAGS = $(daemon_bus_libbus_a_CFLAGS)
sandboxd_bus_LDADD = daemon/bus/libbus.a client/lib/libsandbox-core.la common/libcommon.a \
	$(SYSTEMD_LIBS) $(SECCOMP_LIBS) $(PROTOBUF_C_LIBS)
