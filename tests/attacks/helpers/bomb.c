// SPDX-License-Identifier: Apache-2.0
/*
 * Uses something up: `bomb fork` (children that fork on), `bomb zombies` (dead orphans, far more
 * than the pids limit), `bomb threads N` (threads that spin), `bomb vfork` (a child that never execs).
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static void *spin(void *arg)
{
        for (volatile unsigned long n = 0;; n++)
                ;
        return arg;
}

/* Orphans that are dead when init gets them: each stays a process until init reaps it. */
static int make_zombies(int count)
{
        for (int made = 0, refused = 0; made < count;) {
                pid_t pid = fork();

                if (pid == 0)
                        _exit(fork() < 0);
                if (pid < 0 && ++refused > 1000) {
                        printf("refused after %d\n", made);
                        return 1;
                }
                if (pid < 0) {
                        usleep(1000);
                        continue;
                }
                (void) waitpid(pid, NULL, 0);
                made++;
        }
        printf("all\n");
        return 0;
}

int main(int argc, char **argv)
{
        const char *mode = argc > 1 ? argv[1] : "";

        printf("begun\n");
        fflush(stdout);
        if (strcmp(mode, "fork") == 0)
                for (;;)
                        (void) !fork();
        if (strcmp(mode, "zombies") == 0)
                return make_zombies(2000);
        if (strcmp(mode, "threads") == 0) {
                pthread_attr_t attr;
                pthread_t t;

                pthread_attr_init(&attr);
                pthread_attr_setstacksize(&attr, 65536);
                for (int i = atoi(argv[2]); i > 1; i--)
                        if (pthread_create(&t, &attr, spin, NULL) != 0)
                                break;
                spin(NULL);
        }
        if (strcmp(mode, "vfork") == 0 && vfork() == 0)
                for (;;)
                        pause();
        return 0;
}
