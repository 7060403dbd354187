# SPDX-License-Identifier: Apache-2.0
# The client's side of the protocol, and the command line on top of it.
noinst_LIBRARIES += client/lib/libclient.a client/ctl/libctl.a
client_lib_libclient_a_SOURCES = client/lib/client.c client/lib/client.h
client_lib_libclient_a_CFLAGS = $(AM_CFLAGS) $(PROTOBUF_C_CFLAGS)

# What the verbs are made of, apart from them so that unit tests can link it.
client_ctl_libctl_a_SOURCES = \
	client/ctl/ctl.c client/ctl/ctl.h \
	client/ctl/findings.c client/ctl/findings.h \
	client/ctl/host.c client/ctl/host.h \
	client/ctl/host-cgroup.c \
	client/ctl/json.c client/ctl/json.h \
	client/ctl/memory.c client/ctl/memory.h \
	client/ctl/options.c \
	client/ctl/reach.c client/ctl/reach.h \
	client/ctl/run-options.c client/ctl/run-options.h \
	client/ctl/run-output.c client/ctl/run-output.h \
	client/ctl/run-report.c client/ctl/run-report.h \
	client/ctl/run-request.c client/ctl/run-request.h \
	client/ctl/style.c client/ctl/style.h \
	client/ctl/table.c client/ctl/table.h
client_ctl_libctl_a_CFLAGS = $(AM_CFLAGS) $(PROTOBUF_C_CFLAGS) $(JANSSON_CFLAGS)

bin_PROGRAMS += sandboxctl
sandboxctl_SOURCES = \
	client/ctl/main.c \
	client/ctl/doctor.c \
	client/ctl/profiles.c \
	client/ctl/run.c \
	client/ctl/runtimes.c \
	client/ctl/version.c
sandboxctl_CFLAGS = $(AM_CFLAGS) $(PROTOBUF_C_CFLAGS) $(JANSSON_CFLAGS)
sandboxctl_LDADD = client/ctl/libctl.a client/lib/libclient.a proto/libproto.a \
	common/libcommon.a $(PROTOBUF_C_LIBS) $(JANSSON_LIBS)
