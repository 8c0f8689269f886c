#include "pool.h"

#include <stdalign.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>

enum { CHUNK = 256 * 1024, SPARE = 64 /* chunks kept: 16 MiB, what a large batch takes for one subtree */ };

struct pool_chunk {
    struct pool_chunk *next;
    size_t size;
    alignas(16) unsigned char bytes[];
};

static struct {
    atomic_flag lock;
    struct pool_chunk *chunks;
    size_t count;
} spare = {ATOMIC_FLAG_INIT, NULL, 0};

/* Nobody waits for it: memory is to be had elsewhere, and in a child forked while a thread held it, it stays held. */
static bool lock_spare(void) { return !atomic_flag_test_and_set_explicit(&spare.lock, memory_order_acquire); }

static void unlock_spare(void) { atomic_flag_clear_explicit(&spare.lock, memory_order_release); }

static struct pool_chunk *spare_take(void) {
    if (!lock_spare()) return NULL;
    struct pool_chunk *chunk = spare.chunks;
    if (chunk != NULL) spare.chunks = chunk->next, spare.count--;
    unlock_spare();
    return chunk;
}

/* False: there are enough. */
static bool spare_give(struct pool_chunk *chunk) {
    if (!lock_spare()) return false;
    bool taken = spare.count < SPARE;
    if (taken) chunk->next = spare.chunks, spare.chunks = chunk, spare.count++;
    unlock_spare();
    return taken;
}

void *pool_take(struct pool *pool, size_t size) {
    size = (size + 15) & ~(size_t)15;
    if (pool->chunks == NULL || pool->chunks->size - pool->used < size) {
        size_t usual = pool->chunk > 0 ? pool->chunk : CHUNK, room = size > usual ? size : usual;
        struct pool_chunk *chunk = room == CHUNK ? spare_take() : NULL;
        if (chunk == NULL) chunk = malloc(sizeof *chunk + room);
        if (chunk == NULL) return NULL;
        chunk->next = pool->chunks;
        chunk->size = room;
        pool->chunks = chunk;
        pool->used = 0;
    }
    void *piece = pool->chunks->bytes + pool->used;
    pool->used += size;
    return piece;
}

void pool_free(struct pool *pool) {
    while (pool->chunks != NULL) {
        struct pool_chunk *chunk = pool->chunks;
        pool->chunks = chunk->next;
        if (chunk->size != CHUNK || !spare_give(chunk)) free(chunk);
    }
    pool->used = 0;
}

void pool_clear(struct pool *pool) {
    struct pool_chunk *kept = pool->chunks;
    if (kept == NULL) return;
    struct pool rest = {.chunks = kept->next};
    pool_free(&rest);
    kept->next = NULL;
    pool->used = 0;
}
