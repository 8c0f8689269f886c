/* Preloaded: one allocation of the C library's, of those after `starve`, fails. */
#include <errno.h>
#include <stddef.h>

void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *block, size_t size);

static long left = -1; /* how many succeed before it; -1: all do */

/* The one after `n` more. Says whether the one before has come. */
int starve(long n) {
    int came = left < 0;
    left = n;
    return came;
}

static int fails(void) {
    if (left < 0 || left-- > 0) return 0;
    errno = ENOMEM;
    return 1;
}

void *malloc(size_t size) { return fails() ? NULL : __libc_malloc(size); }
void *calloc(size_t count, size_t size) { return fails() ? NULL : __libc_calloc(count, size); }
void *realloc(void *block, size_t size) { return fails() ? NULL : __libc_realloc(block, size); }
