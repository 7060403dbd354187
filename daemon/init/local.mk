# SPDX-License-Identifier: Apache-2.0
# sandboxd-init: pid 1 of every sandbox; static, since it runs where no library is.
pkglibexec_PROGRAMS += sandboxd-init
sandboxd_init_SOURCES = \
	daemon/init/main.c daemon/init/init.h \
	daemon/init/mount-api.h daemon/init/mounts.c \
	daemon/init/payload.c \
	daemon/init/proc.c \
	daemon/init/credentials.c \
	daemon/init/collect.c \
	daemon/init/entries.c daemon/init/entries.h \
	daemon/init/files.c \
	daemon/init/maker.c \
	daemon/init/handover.c \
	daemon/init/job-filter.c \
	daemon/init/own-filter.c \
	daemon/init/reaper.c \
	daemon/init/userns.c \
	common/error.c common/io.c common/pattern.c daemon/wire/spec.c daemon/wire/transfer.c
sandboxd_init_CFLAGS = -std=gnu17 -O2 -g $(WARN_CFLAGS) $(HARDEN_CFLAGS) $(SANITIZE_INIT_CFLAGS) \
	-fPIE
sandboxd_init_CPPFLAGS = $(AM_CPPFLAGS) $(INIT_CPPFLAGS)
sandboxd_init_LDFLAGS = $(HARDEN_LDFLAGS) $(INIT_LDFLAGS)
sandboxd_init_LDADD = $(INIT_LIBS)
# It may have a compiler, and so a libc, of its own: another one since it was configured anew.
$(sandboxd_init_OBJECTS) sandboxd-init$(EXEEXT): override CC = $(INIT_CC)
$(sandboxd_init_OBJECTS): config.status
