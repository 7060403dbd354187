/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * clone3() for a child that does nothing but exec. Like vfork(), it lends the child our memory
 * until then: copying the monitor's page tables, and the faults that follow in both, would cost as
 * much as a tenth of a whole job.
 */

#include <linux/sched.h>
#include <sys/types.h>

#include "common/macro.h"

/* Runs child(userdata) in a new process; returns its pid once it has called exec or _exit(), or a
 * negative errno. child must call nothing but system calls, change no memory that matters to us,
 * and not return. args is as for clone3(2), without CLONE_VM, CLONE_VFORK and a stack. */
pid_t spawn(const struct clone_args *args, void (*child)(void *userdata), void *userdata);
