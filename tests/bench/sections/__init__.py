# SPDX-License-Identifier: Apache-2.0
"""The sections of the benchmark. Each module has NAME, TITLE, run(bench), which returns what it measured as
JSON has it, and tables(result), which returns the same as report.Table."""
