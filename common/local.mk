# SPDX-License-Identifier: Apache-2.0
# What every process shares. No include goes upwards from here.
noinst_LIBRARIES += common/libcommon.a
common_libcommon_a_SOURCES = \
	common/error.c common/error.h \
	common/event.c common/event.h \
	common/io.c common/io.h \
	common/journal.c common/journal.h \
	common/limit.c common/limit.h \
	common/log.c common/log.h \
	common/macro.h \
	common/parse.c common/parse.h \
	common/pattern.c common/pattern.h \
	common/policy.c common/policy.h \
	common/status.c common/status.h \
	common/utf8.c common/utf8.h
