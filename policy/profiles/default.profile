# SPDX-License-Identifier: Apache-2.0
# The profile of a job that names none. A value is what a job gets when it asks for nothing; its Max is
# the most that it can ask for. Change it in /etc/sandboxd/profiles/default.profile.d/*.conf.

[Profile]
Description=Everyday code: tests, scripts, answers to questions
SystemCallFilter=default
OpenFiles=1024
TmpInodes=16384
Loopback=yes

[Limits]
WallTimeSec=30s
MaxWallTimeSec=10min

# CPU time of all processes together; empty for the maximum.
CPUTimeSec=
MaxCPUTimeSec=10min

# What the job's processes use, and its files in /tmp, /box and /dev/shm.
Memory=256M
MaxMemory=2G

# Of one CPU: 200% is two.
CPUQuota=100%
MaxCPUQuota=200%

# Processes and threads at one time.
Pids=64
MaxPids=512

# What is kept of stdout, and of stderr.
Output=1M
MaxOutput=64M

# Each of /tmp, /box and /dev/shm.
TmpSize=64M
MaxTmpSize=1G

# Of a request: its code, and all its files together.
CodeSize=1M
FilesSize=16M
