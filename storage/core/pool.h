/* Memory that is given out piece by piece and given back all at once. Pointers stay valid until pool_free. */
#ifndef IOI_POOL_H
#define IOI_POOL_H

#include <stddef.h>

struct pool_chunk;

struct pool { /* all zero = empty */
    struct pool_chunk *chunks;
    size_t used;  /* bytes of the newest chunk */
    size_t chunk; /* bytes of those to come; 0: many, for a batch */
};

/* `size` bytes aligned to 16, not cleared; NULL if there is no memory. */
void *pool_take(struct pool *pool, size_t size);

/* Some of the memory is kept for the next pool of whatever thread: fetching it from the system and clearing it costs
 * more than a batch does with it. */
void pool_free(struct pool *pool);

/* Empties the pool for more of the same. */
void pool_clear(struct pool *pool);

#endif
