# SPDX-License-Identifier: Apache-2.0
# `make check-system` as root boots what this builds, on cgroups of both versions.
EXTRA_DIST += tests/system

.PHONY: check-system
check-system: all
	$(srcdir)/tests/system/check $(abs_builddir)

clean-local:
	rm -rf system
