# SPDX-License-Identifier: Apache-2.0
# The wire protocol: the generated messages, frames, the budgeted allocator.
noinst_LIBRARIES += proto/libproto.a
nodist_proto_libproto_a_SOURCES = proto/sandboxd.pb-c.c proto/sandboxd.pb-c.h
proto_libproto_a_SOURCES = \
	proto/budget.c proto/budget.h \
	proto/frame.c proto/frame.h
# The generated code is not ours to warn about.
proto_libproto_a_CFLAGS = $(AM_CFLAGS) $(PROTOBUF_C_CFLAGS)
BUILT_SOURCES += proto/sandboxd.pb-c.c proto/sandboxd.pb-c.h
CLEANFILES += proto/sandboxd.pb-c.c proto/sandboxd.pb-c.h
EXTRA_DIST += proto/sandboxd.proto proto/PROTOCOL.md

proto/sandboxd.pb-c.c: proto/sandboxd.proto
	$(AM_V_GEN)$(MKDIR_P) proto && $(PROTOC_C) -I$(srcdir)/proto --c_out=proto $(srcdir)/proto/sandboxd.proto
proto/sandboxd.pb-c.h: proto/sandboxd.pb-c.c
	@test -f $@ || { rm -f proto/sandboxd.pb-c.c; $(MAKE) $(AM_MAKEFLAGS) proto/sandboxd.pb-c.c; }
