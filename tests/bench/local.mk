# SPDX-License-Identifier: Apache-2.0
# Benchmarks: `make bench` as root prints tables and asserts nothing.
noinst_PROGRAMS += tests/bench/bench-bus tests/bench/bench-cold tests/bench/bench-jobs
tests_bench_bench_bus_SOURCES = tests/bench/bench-bus.c
tests_bench_bench_bus_CFLAGS = $(AM_CFLAGS) $(SYSTEMD_CFLAGS)
tests_bench_bench_bus_LDADD = client/lib/libsandbox-core.la common/libcommon.a $(SYSTEMD_LIBS)
tests_bench_bench_cold_SOURCES = tests/bench/bench-cold.c
tests_bench_bench_cold_CFLAGS = $(AM_CFLAGS)
tests_bench_bench_cold_LDADD = client/lib/libsandbox-core.la common/libcommon.a
tests_bench_bench_jobs_SOURCES = tests/bench/bench-jobs.c
tests_bench_bench_jobs_CFLAGS = $(AM_CFLAGS)
tests_bench_bench_jobs_LDADD = client/lib/libsandbox-core.la common/libcommon.a
EXTRA_DIST += tests/bench/bench.py tests/bench/bus tests/bench/jobs.py tests/bench/scope

.PHONY: bench bench-bus bench-jobs bench-scope
bench: all
	SANDBOXD_BUILD_DIR=$(abs_builddir) /usr/bin/python3 $(srcdir)/tests/bench/bench.py

bench-bus: all
	$(srcdir)/tests/system/container --build $(abs_builddir) -- /opt/sandboxd/tests/bench/bus

bench-jobs: all
	SANDBOXD_BUILD_DIR=$(abs_builddir) /usr/bin/python3 $(srcdir)/tests/bench/jobs.py

bench-scope: all
	$(srcdir)/tests/system/container --build $(abs_builddir) -- /opt/sandboxd/tests/bench/scope
