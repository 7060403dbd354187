# SPDX-License-Identifier: Apache-2.0
# The ladder. `make check` runs what needs no privilege; scripts/test adds what needs root.
include tests/unit/local.mk
include tests/fuzz/local.mk
include tests/bench/local.mk
include tests/system/local.mk
EXTRA_DIST += tests/conftest.py tests/lib tests/integration tests/attacks
