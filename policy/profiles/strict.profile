# SPDX-License-Identifier: Apache-2.0
# For code that nobody has looked at: less of everything, no network at all, fewer system calls. The
# keys are explained in default.profile. Change it in /etc/sandboxd/profiles/strict.profile.d/*.conf.

[Profile]
Description=Code from strangers: small, short, without loopback
SystemCallFilter=strict
OpenFiles=256
TmpInodes=4096
Loopback=no

[Limits]
WallTimeSec=5s
MaxWallTimeSec=1min
CPUTimeSec=5s
MaxCPUTimeSec=1min
Memory=128M
MaxMemory=512M
CPUQuota=100%
MaxCPUQuota=100%
Pids=16
MaxPids=64
Output=256K
MaxOutput=4M
TmpSize=16M
MaxTmpSize=64M
CodeSize=1M
FilesSize=4M
