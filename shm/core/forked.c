#include "forked.h"

#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>
#include <unistd.h>

static struct {
    void *base;
    size_t size;
    bool forked;
} without;

static void in_child(void) {
    if (!without.base) return;
    without.forked = true;
    signal(SIGSEGV, SIG_DFL); /* faulthandler would write among what the worker says */
    /* Nothing else may come to lie there, to be taken for it. If this fails, it is a hole all the same. */
    mmap(without.base, without.size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0);
}

bool ioi_forked_without(void *base, size_t size) {
    static bool watched;                                  /* the handler stays */
    if (madvise(base, size, MADV_DONTFORK)) return false; /* the system sees to it, whatever makes the child */
    if (!watched && pthread_atfork(NULL, NULL, in_child)) return false;
    watched = true;
    without.base = base;
    without.size = size;
    without.forked = false;
    return true;
}

void ioi_forked_forget(const void *base) {
    if (without.base == base) without.base = NULL;
}

void ioi_forked_end(void) {
    if (without.forked) _exit(1);
}
