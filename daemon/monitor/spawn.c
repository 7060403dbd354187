/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Starting a program at the price of vfork() and with the flags of clone3(), for which libc has no
 * wrapper. Runs in the monitor.
 */
#include "daemon/monitor/spawn.h"

#include <sched.h>
#include <signal.h>
#include <sys/syscall.h>

#if defined(__x86_64__)

#define CHILD_STACK (16 * KIB)

/* The child has a stack of its own, so that the frame this returns from is as it was. It is in
 * assembly since the child must not return through libc's syscall(). */
static long clone3_on_stack(const struct clone_args *args, void (*child)(void *), void *userdata)
{
        register void (*entry)(void *) __asm__("r12") = child;
        register void *argument __asm__("r13") = userdata;
        long result;

        __asm__ volatile("syscall\n\t"
                         "test %%rax, %%rax\n\t"
                         "jnz 1f\n\t"
                         "xor %%ebp, %%ebp\n\t"
                         "mov %%r13, %%rdi\n\t"
                         "call *%%r12\n\t"
                         "hlt\n"
                         "1:"
                         : "=a"(result)
                         : "0"(SYS_clone3), "D"(args), "S"(sizeof(*args)), "r"(entry), "r"(argument)
                         : "rcx", "r11", "memory");
        return result;
}

static long clone3_lending_memory(const struct clone_args *args, void (*child)(void *),
        void *userdata)
{
        static char stack[CHILD_STACK] __attribute__((aligned(16)));
        struct clone_args lending = *args;

        lending.flags |= CLONE_VM | CLONE_VFORK;
        lending.stack = (uint64_t) (uintptr_t) stack;
        lending.stack_size = sizeof(stack);
        return clone3_on_stack(&lending, child, userdata);
}

#else

/* Other architectures take the slower way until somebody can measure theirs. */
static long clone3_lending_memory(const struct clone_args *args, void (*child)(void *),
        void *userdata)
{
        long pid = syscall(SYS_clone3, args, sizeof(*args));

        if (pid == 0)
                child(userdata);
        return pid < 0 ? -errno : pid;
}

#endif

pid_t spawn(const struct clone_args *args, void (*child)(void *userdata), void *userdata)
{
        sigset_t all, before;
        long pid;

        /* No handler may run in the child while it has our memory. */
        (void) sigfillset(&all);
        (void) sigprocmask(SIG_BLOCK, &all, &before);
        pid = clone3_lending_memory(args, child, userdata);
        (void) sigprocmask(SIG_SETMASK, &before, NULL);
        return (pid_t) pid;
}
