# SPDX-License-Identifier: Apache-2.0
# What systemd is told of sandboxd. configure has the folders from pkg-config. A unit that names a program
# is made from its .in file, since only make knows where programs go.
MADE_UNITS = \
	systemd/sandboxd.service \
	systemd/sandboxd-bus.service \
	systemd/examples/sandbox-greeting.service \
	systemd/examples/sandbox-script@.service
EXTRA_DIST += $(MADE_UNITS:=.in)
CLEANFILES += $(MADE_UNITS)

$(MADE_UNITS): %: %.in Makefile
	$(AM_V_GEN)$(MKDIR_P) $(@D) && $(SED) -e 's,@sbindir[@],$(sbindir),g' -e 's,@bindir[@],$(bindir),g' \
		-e 's,@pkglibexecdir[@],$(pkglibexecdir),g' <$< >$@.tmp && mv $@.tmp $@

dist_systemdsystemunit_DATA = systemd/sandboxd.socket systemd/sandbox.slice
nodist_systemdsystemunit_DATA = systemd/sandboxd.service systemd/sandboxd-bus.service

# One drop-in twice: for the slice of all jobs, and for each user's, whose name begins with "sandbox-".
slicedropindir = $(systemdsystemunitdir)/sandbox.slice.d
dist_slicedropin_DATA = systemd/sandbox.slice.d/50-accounting.conf
userslicedropindir = $(systemdsystemunitdir)/sandbox-.slice.d
userslicedropin_DATA = systemd/sandbox.slice.d/50-accounting.conf

dist_sysusers_DATA = systemd/sysusers.d/sandboxd.conf
dist_tmpfiles_DATA = systemd/tmpfiles.d/sandboxd.conf
# Explains the events of common/event.c.
dist_catalog_DATA = systemd/sandboxd.catalog

# Units that nothing starts: to be copied and changed.
examplesdir = $(docdir)/examples
dist_examples_DATA = systemd/examples/sandboxd-strict.socket
nodist_examples_DATA = \
	systemd/examples/sandbox-greeting.service \
	systemd/examples/sandbox-script@.service

# What the scripts of a package do, for an installation by hand into the system that runs: its users,
# directory and units are there at once and not at the next boot. Nothing is enabled or started. The bus
# has seen its new policy already, but that names a user that was not there then.
install-data-hook:
	@case "$(DESTDIR):$(systemdsystemunitdir)" in \
	:/lib/systemd/system | :/usr/lib/systemd/system | :/usr/local/lib/systemd/system) \
		test ! -d /run/systemd/system || { \
			systemd-sysusers $(sysusersdir)/sandboxd.conf && \
			systemd-tmpfiles --create $(tmpfilesdir)/sandboxd.conf && \
			journalctl --update-catalog && \
			systemctl daemon-reload && { \
				test ! -S /run/dbus/system_bus_socket || \
				busctl --system --quiet call org.freedesktop.DBus /org/freedesktop/DBus \
					org.freedesktop.DBus ReloadConfig; \
			}; \
		} ;; \
	esac
