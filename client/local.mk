# SPDX-License-Identifier: Apache-2.0
# The client's side of the protocol, and the command line on top of it.
#
# libsandbox is one set of objects: an archive that sandboxctl and the unit tests link, so that
# sandboxctl is one file that runs from anywhere, and the shared library that is installed.
LIBSANDBOX_VERSION = 2:0:2

noinst_LTLIBRARIES += client/lib/libsandbox-core.la
client_lib_libsandbox_core_la_SOURCES = \
	client/lib/sandbox.h \
	client/lib/calls.c client/lib/calls.h \
	client/lib/client.c client/lib/connection.h \
	client/lib/convert.c client/lib/convert.h \
	client/lib/failure.c client/lib/failure.h \
	client/lib/fetch.c \
	client/lib/flow.c \
	client/lib/arrivals.c client/lib/arrivals.h \
	client/lib/incoming.c client/lib/incoming.h \
	client/lib/job.c client/lib/job.h \
	client/lib/job-info.c \
	client/lib/job-input.c \
	client/lib/job-request.c \
	client/lib/lists.c \
	client/lib/object.c client/lib/object.h \
	client/lib/request.c client/lib/request.h \
	client/lib/result.c \
	client/lib/run.c \
	client/lib/source.c \
	client/lib/spec.c client/lib/spec.h \
	client/lib/stream-calls.c \
	client/lib/wire.c client/lib/wire.h \
	common/error.c common/io.c common/limit.c common/parse.c common/status.c \
	proto/budget.c proto/frame.c
nodist_client_lib_libsandbox_core_la_SOURCES = proto/sandboxd.pb-c.c proto/sandboxd.pb-c.h
client_lib_libsandbox_core_la_CFLAGS = $(AM_CFLAGS) $(PROTOBUF_C_CFLAGS) -fvisibility=hidden
client_lib_libsandbox_core_la_LIBADD = $(PROTOBUF_C_LIBS)

lib_LTLIBRARIES += libsandbox.la
libsandbox_la_SOURCES =
libsandbox_la_LDFLAGS = $(AM_LDFLAGS) -version-info $(LIBSANDBOX_VERSION) -no-undefined \
	-Wl,--version-script=$(srcdir)/client/lib/libsandbox.sym
libsandbox_la_LIBADD = client/lib/libsandbox-core.la
libsandbox_la_DEPENDENCIES = client/lib/libsandbox-core.la client/lib/libsandbox.sym
EXTRA_DIST += client/lib/libsandbox.sym
include_HEADERS += client/lib/sandbox.h
pkgconfig_DATA += pkgconfig/libsandbox.pc

# The examples are built as their users do it, with the installed library's header and nothing else.
EXAMPLES = client/lib/examples/run-code client/lib/examples/many-jobs
noinst_PROGRAMS += $(EXAMPLES)
client_lib_examples_run_code_CPPFLAGS = -I$(srcdir)/client/lib
client_lib_examples_run_code_CFLAGS = -std=c11 -g $(WARN_CFLAGS) $(SANITIZE_CFLAGS)
client_lib_examples_run_code_LDADD = libsandbox.la
client_lib_examples_many_jobs_CPPFLAGS = -I$(srcdir)/client/lib
client_lib_examples_many_jobs_CFLAGS = -std=c11 -g $(WARN_CFLAGS) $(SANITIZE_CFLAGS)
client_lib_examples_many_jobs_LDADD = libsandbox.la
libexamplesdir = $(docdir)/libsandbox
dist_libexamples_DATA = client/lib/examples/run-code.c client/lib/examples/many-jobs.c

# What the verbs are made of, apart from them so that unit tests can link it.
noinst_LIBRARIES += client/ctl/libctl.a
client_ctl_libctl_a_SOURCES = \
	client/ctl/control.c client/ctl/control.h \
	client/ctl/ctl.c client/ctl/ctl.h \
	client/ctl/download.c client/ctl/download.h \
	client/ctl/findings.c client/ctl/findings.h \
	client/ctl/host.c client/ctl/host.h \
	client/ctl/host-bus.c \
	client/ctl/host-cgroup.c \
	client/ctl/interrupt.c client/ctl/interrupt.h \
	client/ctl/job-id.c client/ctl/job-id.h \
	client/ctl/job-report.c client/ctl/job-report.h \
	client/ctl/json.c client/ctl/json.h \
	client/ctl/kept-output.c client/ctl/kept-output.h \
	client/ctl/memory.c client/ctl/memory.h \
	client/ctl/options.c \
	client/ctl/progress.c client/ctl/progress.h \
	client/ctl/reach.c client/ctl/reach.h \
	client/ctl/result-report.c client/ctl/result-report.h \
	client/ctl/run-detach.c client/ctl/run-detach.h \
	client/ctl/run-options.c client/ctl/run-options.h \
	client/ctl/run-output.c client/ctl/run-output.h \
	client/ctl/run-pipe.c client/ctl/run-pipe.h \
	client/ctl/run-request.c client/ctl/run-request.h \
	client/ctl/signal-name.c client/ctl/signal-name.h \
	client/ctl/style.c client/ctl/style.h \
	client/ctl/table.c client/ctl/table.h
client_ctl_libctl_a_CFLAGS = $(AM_CFLAGS) $(PROTOBUF_C_CFLAGS) $(JANSSON_CFLAGS)

bin_PROGRAMS += sandboxctl
sandboxctl_SOURCES = \
	client/ctl/main.c \
	client/ctl/cancel.c \
	client/ctl/doctor.c \
	client/ctl/drain.c \
	client/ctl/get.c \
	client/ctl/logs.c \
	client/ctl/profiles.c \
	client/ctl/ps.c \
	client/ctl/resume.c \
	client/ctl/run.c \
	client/ctl/run-io.c client/ctl/run-loop.h \
	client/ctl/run-loop.c \
	client/ctl/runtimes.c \
	client/ctl/show.c \
	client/ctl/signal.c \
	client/ctl/stop-all.c \
	client/ctl/version.c \
	client/ctl/wait.c
sandboxctl_CFLAGS = $(AM_CFLAGS) $(PROTOBUF_C_CFLAGS) $(JANSSON_CFLAGS)
sandboxctl_LDADD = client/ctl/libctl.a client/lib/libsandbox-core.la \
	common/libcommon.a $(PROTOBUF_C_LIBS) $(JANSSON_LIBS)

# A desktop tool, as an example of the D-Bus API.
desktopexampledir = $(docdir)/examples/desktop
dist_desktopexample_DATA = client/desktop/README.md client/desktop/sandbox-snippets.desktop
dist_desktopexample_SCRIPTS = client/desktop/sandbox-snippets.py
