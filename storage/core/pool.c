#include "pool.h"

#include <stdalign.h>
#include <stdlib.h>

enum { CHUNK = 256 * 1024 };

struct pool_chunk {
    struct pool_chunk *next;
    size_t size;
    alignas(16) unsigned char bytes[];
};

void *pool_take(struct pool *pool, size_t size) {
    size = (size + 15) & ~(size_t)15;
    if (pool->chunks == NULL || pool->chunks->size - pool->used < size) {
        size_t room = size > CHUNK ? size : CHUNK;
        struct pool_chunk *chunk = malloc(sizeof *chunk + room);
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
        struct pool_chunk *next = pool->chunks->next;
        free(pool->chunks);
        pool->chunks = next;
    }
    pool->used = 0;
}
