/* A child forked while threads take and give memory has memory, too.
 *
 * argv: number of forks.
 */
#include <assert.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "pool.h"

enum { THREADS = 2, PATIENCE = 10 /* seconds */ };

static void use(size_t pieces) {
    struct pool pool = {0};
    for (size_t i = 0; i < pieces; i++) {
        unsigned char *piece = pool_take(&pool, 200 * 1024); /* one a chunk */
        assert(piece != NULL);
        piece[0] = (unsigned char)i;
    }
    pool_free(&pool);
}

static void *use_on(void *unused) {
    for (;;) use(8);
    return unused;
}

int main(int argc, char **argv) {
    assert(argc == 2);
    for (unsigned i = 0; i < THREADS; i++) {
        pthread_t thread;
        assert(pthread_create(&thread, NULL, use_on, NULL) == 0);
    }
    unsigned long forks = strtoul(argv[1], NULL, 10);
    for (unsigned long i = 0; i < forks; i++) {
        pid_t child = fork();
        assert(child >= 0);
        if (child == 0) {
            alarm(PATIENCE); /* ends it, if it waits for a thread that is not there */
            use(8);
            _exit(0);
        }
        int status;
        assert(waitpid(child, &status, 0) == child);
        if (status != 0) {
            fprintf(stderr, "fork %lu has no memory\n", i);
            exit(1);
        }
    }
    _exit(0); /* with its threads */
}
