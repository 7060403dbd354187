# SPDX-License-Identifier: Apache-2.0
# What the processes of the daemon say to each other.
noinst_LIBRARIES += daemon/wire/libwire.a
daemon_wire_libwire_a_SOURCES = \
	daemon/wire/channel.h \
	daemon/wire/frontend.h \
	daemon/wire/interpreter.c daemon/wire/interpreter.h \
	daemon/wire/launch.h \
	daemon/wire/spec.c daemon/wire/spec.h \
	daemon/wire/transfer.c daemon/wire/transfer.h
