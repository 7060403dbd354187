# SPDX-License-Identifier: Apache-2.0
# sandboxd-bus: the D-Bus service, a client of the daemon's socket.
# All but main(), so that the unit tests link it.
noinst_LIBRARIES += daemon/bus/libbus.a
daemon_bus_libbus_a_SOURCES = \
	daemon/bus/relay.c daemon/bus/relay.h \
	daemon/bus/relay-check.c daemon/bus/relay-check.h \
	daemon/bus/relays.c daemon/bus/relays.h
daemon_bus_libbus_a_CFLAGS = $(AM_CFLAGS) $(SYSTEMD_CFLAGS)
