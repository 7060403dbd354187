# SPDX-License-Identifier: Apache-2.0
# Policy: what is installed below $(pkgdatadir) is ours, what is in $(pkgsysconfdir) the administrator's.
profilesdir = $(pkgdatadir)/profiles
dist_profiles_DATA = \
	policy/profiles/default.profile \
	policy/profiles/strict.profile

runtimesdir = $(pkgdatadir)/runtimes
dist_runtimes_DATA = \
	policy/runtimes/bash.runtime \
	policy/runtimes/command.runtime \
	policy/runtimes/javascript.runtime \
	policy/runtimes/javascript-bare.runtime \
	policy/runtimes/python.runtime

launchersdir = $(pkgdatadir)/launchers
dist_launchers_DATA = \
	policy/launchers/bash.sh \
	policy/launchers/javascript-bare.js \
	policy/launchers/javascript-example.js \
	policy/launchers/javascript-parked.js \
	policy/launchers/javascript.js \
	policy/launchers/python-parked.py \
	policy/launchers/python.py

seccompdir = $(pkgdatadir)/seccomp
dist_seccomp_DATA = \
	policy/seccomp/default.seccomp \
	policy/seccomp/frontend.seccomp \
	policy/seccomp/strict.seccomp
# The frontend's filter in a build with --with-sanitizers.
EXTRA_DIST += policy/seccomp/frontend-sanitizers.seccomp
if WITH_SANITIZERS
seccomp_DATA = policy/seccomp/frontend-sanitizers.seccomp
endif

# What the system bus is told of sandboxd-bus, and what that asks polkit. configure has the folders.
dist_dbuspolicy_DATA = policy/dbus/org.sandboxd1.conf
nodist_dbussystemservices_DATA = policy/dbus/org.sandboxd1.service
dist_polkitaction_DATA = policy/polkit/org.sandboxd1.policy
EXTRA_DIST += policy/dbus/org.sandboxd1.service.in
CLEANFILES += policy/dbus/org.sandboxd1.service
policy/dbus/org.sandboxd1.service: policy/dbus/org.sandboxd1.service.in Makefile
	$(AM_V_GEN)$(MKDIR_P) $(@D) && $(SED) -e 's,@pkglibexecdir[@],$(pkglibexecdir),g' <$< >$@.tmp && mv $@.tmp $@

# Never over a file that somebody may have edited.
EXTRA_DIST += policy/sandboxd.conf
install-data-local: install-configuration
install-configuration:
	$(MKDIR_P) $(DESTDIR)$(pkgsysconfdir)
	test -e $(DESTDIR)$(pkgsysconfdir)/sandboxd.conf || \
		$(INSTALL_DATA) $(srcdir)/policy/sandboxd.conf $(DESTDIR)$(pkgsysconfdir)/sandboxd.conf
uninstall-local: uninstall-configuration
uninstall-configuration:
	! cmp -s $(srcdir)/policy/sandboxd.conf $(DESTDIR)$(pkgsysconfdir)/sandboxd.conf || \
		rm -f $(DESTDIR)$(pkgsysconfdir)/sandboxd.conf
.PHONY: install-configuration uninstall-configuration
