/* Memory in cells of 64 bytes from one stretch of the address space, which asks for huge pages once it is well used:
 * whoever reads all over it would else wait for the page tables as long as for the memory. Not for several threads.
 */
#ifndef IOI_CELLS_H
#define IOI_CELLS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { CELL = 64 /* bytes */, CELLS_SEARCHED = 4096 };

struct cells { /* all zero = closed */
    uint8_t *base, *mapped;
    size_t mapped_size;
    uint64_t *taken; /* a bit a cell */
    size_t count;    /* cells */
    size_t next;     /* where the search goes on: where the last one ended, or where a piece was given back */
    bool huge;
};

/* At most so many bytes; what was never taken costs none. False if there is no address space. */
bool cells_open(struct cells *cells, size_t bytes);
void cells_close(struct cells *cells);

/* `size` bytes on a boundary of a cell, not cleared. NULL if no cells in a row that are enough begin among the
 * CELLS_SEARCHED from `next` on: more searching is not worth it. */
void *cells_take(struct cells *cells, size_t size);

/* Gives a piece back, of the size it was taken with. */
void cells_give(struct cells *cells, void *piece, size_t size);

#endif
