# SPDX-License-Identifier: Apache-2.0
# Fuzz targets. `make check` replays their corpora; with --enable-fuzzers, `make fuzz` searches on.
FUZZ_SECONDS = 60
FUZZ_CFLAGS = $(AM_CFLAGS) $(PROTOBUF_C_CFLAGS) $(SYSTEMD_CFLAGS)
FUZZ_LIBS = daemon/frontend/libfrontend.a daemon/wire/libwire.a proto/libproto.a \
	common/libcommon.a $(PROTOBUF_C_LIBS) $(SYSTEMD_LIBS)
FUZZ_MONITOR_LIBS = daemon/monitor/libmonitor.a daemon/wire/libwire.a common/libcommon.a \
	$(SYSTEMD_LIBS) $(CAP_LIBS) $(SECCOMP_LIBS) $(INIH_LIBS)
FUZZ_NAMES = frame request spec names status fds connection

FUZZ_REPLAYS = tests/fuzz/replay-frame \
	tests/fuzz/replay-request \
	tests/fuzz/replay-spec \
	tests/fuzz/replay-names \
	tests/fuzz/replay-status \
	tests/fuzz/replay-fds \
	tests/fuzz/replay-connection
check_PROGRAMS += $(FUZZ_REPLAYS)
TESTS += $(FUZZ_REPLAYS)
noinst_HEADERS += tests/fuzz/fuzz.h tests/fuzz/host.h tests/fuzz/input.h tests/fuzz/world.h
EXTRA_DIST += tests/fuzz/corpus

tests_fuzz_replay_frame_SOURCES = tests/fuzz/replay.c tests/fuzz/fuzz-frame.c
tests_fuzz_replay_frame_CFLAGS = $(FUZZ_CFLAGS)
tests_fuzz_replay_frame_LDADD = $(FUZZ_LIBS)
tests_fuzz_replay_request_SOURCES = tests/fuzz/replay.c tests/fuzz/fuzz-request.c
tests_fuzz_replay_request_CFLAGS = $(FUZZ_CFLAGS)
tests_fuzz_replay_request_LDADD = $(FUZZ_LIBS)
tests_fuzz_replay_spec_SOURCES = tests/fuzz/replay.c tests/fuzz/fuzz-spec.c
tests_fuzz_replay_spec_CFLAGS = $(FUZZ_CFLAGS)
tests_fuzz_replay_spec_LDADD = $(FUZZ_LIBS)
tests_fuzz_replay_names_SOURCES = tests/fuzz/replay.c tests/fuzz/fuzz-names.c
tests_fuzz_replay_names_CFLAGS = $(FUZZ_CFLAGS)
tests_fuzz_replay_names_LDADD = $(FUZZ_LIBS)
tests_fuzz_replay_status_SOURCES = tests/fuzz/replay.c tests/fuzz/fuzz-status.c tests/fuzz/host.c
tests_fuzz_replay_status_CFLAGS = $(FUZZ_CFLAGS)
tests_fuzz_replay_status_LDADD = $(FUZZ_MONITOR_LIBS)
tests_fuzz_replay_fds_SOURCES = tests/fuzz/replay.c tests/fuzz/fuzz-fds.c tests/fuzz/host.c client/lib/arrivals.c
tests_fuzz_replay_fds_CFLAGS = $(FUZZ_CFLAGS)
tests_fuzz_replay_fds_LDADD = $(FUZZ_LIBS)
tests_fuzz_replay_connection_SOURCES = tests/fuzz/replay.c tests/fuzz/fuzz-connection.c tests/fuzz/host.c tests/fuzz/world-client.c tests/fuzz/world-monitor.c
tests_fuzz_replay_connection_CFLAGS = $(FUZZ_CFLAGS)
tests_fuzz_replay_connection_LDADD = $(FUZZ_LIBS)

.PHONY: fuzz
if ENABLE_FUZZERS
# With coverage in everything that is linked, not in the target alone.
AM_CFLAGS += -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=undefined
AM_LDFLAGS += -fsanitize=address,undefined

FUZZ_TARGETS = tests/fuzz/fuzz-frame \
	tests/fuzz/fuzz-request \
	tests/fuzz/fuzz-spec \
	tests/fuzz/fuzz-names \
	tests/fuzz/fuzz-status \
	tests/fuzz/fuzz-fds \
	tests/fuzz/fuzz-connection
noinst_PROGRAMS += $(FUZZ_TARGETS)

tests_fuzz_fuzz_frame_SOURCES = tests/fuzz/fuzz-frame.c
tests_fuzz_fuzz_frame_CFLAGS = $(FUZZ_CFLAGS)
tests_fuzz_fuzz_frame_LDFLAGS = $(AM_LDFLAGS) -fsanitize=fuzzer
tests_fuzz_fuzz_frame_LDADD = $(FUZZ_LIBS)
tests_fuzz_fuzz_request_SOURCES = tests/fuzz/fuzz-request.c
tests_fuzz_fuzz_request_CFLAGS = $(FUZZ_CFLAGS)
tests_fuzz_fuzz_request_LDFLAGS = $(AM_LDFLAGS) -fsanitize=fuzzer
tests_fuzz_fuzz_request_LDADD = $(FUZZ_LIBS)
tests_fuzz_fuzz_spec_SOURCES = tests/fuzz/fuzz-spec.c
tests_fuzz_fuzz_spec_CFLAGS = $(FUZZ_CFLAGS)
tests_fuzz_fuzz_spec_LDFLAGS = $(AM_LDFLAGS) -fsanitize=fuzzer
tests_fuzz_fuzz_spec_LDADD = $(FUZZ_LIBS)
tests_fuzz_fuzz_names_SOURCES = tests/fuzz/fuzz-names.c
tests_fuzz_fuzz_names_CFLAGS = $(FUZZ_CFLAGS)
tests_fuzz_fuzz_names_LDFLAGS = $(AM_LDFLAGS) -fsanitize=fuzzer
tests_fuzz_fuzz_names_LDADD = $(FUZZ_LIBS)
tests_fuzz_fuzz_status_SOURCES = tests/fuzz/fuzz-status.c tests/fuzz/host.c
tests_fuzz_fuzz_status_CFLAGS = $(FUZZ_CFLAGS)
tests_fuzz_fuzz_status_LDFLAGS = $(AM_LDFLAGS) -fsanitize=fuzzer
tests_fuzz_fuzz_status_LDADD = $(FUZZ_MONITOR_LIBS)
tests_fuzz_fuzz_fds_SOURCES = tests/fuzz/fuzz-fds.c tests/fuzz/host.c client/lib/arrivals.c
tests_fuzz_fuzz_fds_CFLAGS = $(FUZZ_CFLAGS)
tests_fuzz_fuzz_fds_LDFLAGS = $(AM_LDFLAGS) -fsanitize=fuzzer
tests_fuzz_fuzz_fds_LDADD = $(FUZZ_LIBS)
tests_fuzz_fuzz_connection_SOURCES = tests/fuzz/fuzz-connection.c tests/fuzz/host.c tests/fuzz/world-client.c tests/fuzz/world-monitor.c
tests_fuzz_fuzz_connection_CFLAGS = $(FUZZ_CFLAGS)
tests_fuzz_fuzz_connection_LDFLAGS = $(AM_LDFLAGS) -fsanitize=fuzzer
tests_fuzz_fuzz_connection_LDADD = $(FUZZ_LIBS)

# What is found goes into the corpus beside the build, not into the source.
fuzz: $(FUZZ_TARGETS)
	for t in $(FUZZ_NAMES); do \
		$(MKDIR_P) tests/fuzz/found/$$t && \
		tests/fuzz/fuzz-$$t -max_total_time=$(FUZZ_SECONDS) -rss_limit_mb=2048 -timeout=10 \
			tests/fuzz/found/$$t $(srcdir)/tests/fuzz/corpus/$$t || exit 1; \
	done
else
fuzz:
	@echo "make fuzz needs a build with fuzzers: ./configure CC=clang --enable-fuzzers" >&2; exit 1
endif
