# SPDX-License-Identifier: Apache-2.0
# Manual pages, written in scdoc(5).
MANUALS = \
	man/libsandbox.3 \
	man/org.sandboxd1.5 \
	man/sandboxctl.1 \
	man/sandboxd-bus.8 \
	man/sandboxd.8 \
	man/sandboxd.conf.5 \
	man/sandboxd.profile.5 \
	man/sandboxd.runtime.5
nodist_man_MANS = $(MANUALS)
EXTRA_DIST += $(MANUALS:=.scd)
CLEANFILES += $(MANUALS)

SUFFIXES = .scd
.scd:
	$(AM_V_GEN)$(MKDIR_P) man && $(SCDOC) <$< >$@.tmp && mv $@.tmp $@
