# SPDX-License-Identifier: Apache-2.0
# `make bench` as root compares, prints tables and asserts nothing; BENCH="SECTION ..." and options of
# tests/bench/bench.py choose what.
noinst_PROGRAMS += tests/bench/bench-bus tests/bench/bench-client
tests_bench_bench_bus_SOURCES = tests/bench/bench-bus.c
tests_bench_bench_bus_CFLAGS = $(AM_CFLAGS) $(SYSTEMD_CFLAGS)
tests_bench_bench_bus_LDADD = client/lib/libsandbox-core.la common/libcommon.a $(SYSTEMD_LIBS)
tests_bench_bench_client_SOURCES = \
	tests/bench/bench.h \
	tests/bench/bench-client.c \
	tests/bench/bench-compare.c \
	tests/bench/bench-contender.c \
	tests/bench/bench-hold.c \
	tests/bench/bench-load.c
tests_bench_bench_client_CFLAGS = $(AM_CFLAGS) -fvisibility=hidden
tests_bench_bench_client_LDADD = client/lib/libsandbox-core.la common/libcommon.a
EXTRA_DIST += BENCHMARKS.md \
	tests/bench/bench.py \
	tests/bench/bus \
	tests/bench/contenders.py \
	tests/bench/figures.py \
	tests/bench/harness.py \
	tests/bench/machine.py \
	tests/bench/node-vm.js \
	tests/bench/plot.py \
	tests/bench/report.py \
	tests/bench/targets.py \
	tests/bench/sections/__init__.py \
	tests/bench/sections/bytes.py \
	tests/bench/sections/compare.py \
	tests/bench/sections/idle.py \
	tests/bench/sections/jobs.py \
	tests/bench/sections/memory.py \
	tests/bench/sections/mixed.py \
	tests/bench/sections/scope.py \
	tests/bench/sections/throughput.py

# BENCH="SECTION... OPTION...": all without it.
RUN_BENCH = /usr/bin/python3 -B $(srcdir)/tests/bench/bench.py --build $(abs_builddir)

.PHONY: bench bench-bus bench-jobs bench-scope
bench: all
	$(RUN_BENCH) $(BENCH)

bench-bus: all
	$(srcdir)/tests/system/container --build $(abs_builddir) -- /opt/sandboxd/tests/bench/bus

bench-jobs: all
	$(RUN_BENCH) jobs bytes $(BENCH)

bench-scope: all
	$(RUN_BENCH) scope $(BENCH)
