# SPDX-License-Identifier: Apache-2.0
# sandboxd: the monitor. Holds privilege, reads no byte that a client wrote; links no protobuf.
noinst_LIBRARIES += daemon/monitor/libmonitor.a
daemon_monitor_libmonitor_a_SOURCES = \
	daemon/monitor/backlog.c daemon/monitor/backlog.h \
	daemon/monitor/cgroup-layout.c daemon/monitor/cgroup-layout.h \
	daemon/monitor/cgroupfs.c daemon/monitor/cgroup-dir.h daemon/monitor/driver.h \
	daemon/monitor/control.c daemon/monitor/control.h \
	daemon/monitor/filter.c daemon/monitor/filter.h \
	daemon/monitor/generation.c daemon/monitor/generation.h \
	daemon/monitor/launch.c daemon/monitor/launch.h \
	daemon/monitor/launch-park.c \
	daemon/monitor/leaf.c daemon/monitor/leaf.h \
	daemon/monitor/listen.c daemon/monitor/listen.h \
	daemon/monitor/monitor.c daemon/monitor/monitor.h \
	daemon/monitor/monitor-policy.c \
	daemon/monitor/notify.c daemon/monitor/notify.h \
	daemon/monitor/operation.c \
	daemon/monitor/pid1.c daemon/monitor/pid1.h \
	daemon/monitor/policy-access.c daemon/monitor/policy-access.h \
	daemon/monitor/policy-file.c daemon/monitor/policy-file.h \
	daemon/monitor/policy-key.c daemon/monitor/policy-key.h \
	daemon/monitor/policy-load.c daemon/monitor/policy-load.h \
	daemon/monitor/policy-profile.c \
	daemon/monitor/policy-runtime.c \
	daemon/monitor/pool.c daemon/monitor/pool.h \
	daemon/monitor/pool-demand.c daemon/monitor/pool-demand.h \
	daemon/monitor/pool-refill.c \
	daemon/monitor/privilege.c daemon/monitor/privilege.h \
	daemon/monitor/reload.c daemon/monitor/reload.h \
	daemon/monitor/sandbox.c daemon/monitor/sandbox.h \
	daemon/monitor/sandbox-end.c \
	daemon/monitor/sandbox-park.c daemon/monitor/sandbox-state.h \
	daemon/monitor/scope.c daemon/monitor/scope.h \
	daemon/monitor/scope-leaves.c daemon/monitor/scope-leaves.h \
	daemon/monitor/spares.c daemon/monitor/spares.h \
	daemon/monitor/spawn.c daemon/monitor/spawn.h \
	daemon/monitor/start.c \
	daemon/monitor/supervisor.c daemon/monitor/supervisor.h \
	daemon/monitor/template-files.c \
	daemon/monitor/template.c daemon/monitor/template.h \
	daemon/monitor/uid-pool.c daemon/monitor/uid-pool.h \
	daemon/monitor/verdict.c daemon/monitor/verdict.h \
	daemon/monitor/watchdog.c daemon/monitor/watchdog.h
daemon_monitor_libmonitor_a_CFLAGS = \
	$(AM_CFLAGS) $(SYSTEMD_CFLAGS) $(CAP_CFLAGS) $(SECCOMP_CFLAGS) $(INIH_CFLAGS)

sbin_PROGRAMS += sandboxd
sandboxd_SOURCES = daemon/monitor/main.c
sandboxd_CFLAGS = $(daemon_monitor_libmonitor_a_CFLAGS)
sandboxd_LDADD = daemon/monitor/libmonitor.a daemon/wire/libwire.a common/libcommon.a \
	$(SYSTEMD_LIBS) $(CAP_LIBS) $(SECCOMP_LIBS) $(INIH_LIBS)
