// SPDX-License-Identifier: Apache-2.0
/*
 * System calls by the foreign ABIs that an x86-64 kernel also takes: `abi int80`, `abi x32`. Says
 * "before" first; whatever comes after means that the call was let through.
 */
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define X32_SYSCALL_BIT 0x40000000L
#define I386_GETPID 20

static long call_int80(void)
{
        long result = I386_GETPID;

        __asm__ volatile("int $0x80" : "+a"(result) : : "memory", "r8", "r9", "r10", "r11");
        return result;
}

int main(int argc, char **argv)
{
        long result;

        if (argc != 2)
                return 2;
        (void) write(STDOUT_FILENO, "before\n", 7);
        if (strcmp(argv[1], "int80") == 0)
                result = call_int80();
        else
                result = syscall(X32_SYSCALL_BIT | SYS_getpid);
        printf("let through: %ld\n", result);
        return 0;
}
