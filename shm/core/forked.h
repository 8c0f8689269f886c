/* What a VM forks off a worker is not a worker: it has nothing of the shared memory, and ends where it would go on as one. */
#ifndef IOI_FORKED_H
#define IOI_FORKED_H

#include <stdbool.h>
#include <stddef.h>

/* No process forked off this one has this mapping, one at a time: a touch of it there ends the process, without a word. False:
 * errno says why not. What is forked and runs another program does not notice. */
bool ioi_forked_without(void *base, size_t size);

/* Before it is unmapped. */
void ioi_forked_forget(const void *base);

/* After a call of a VM: end the process if it was forked since ioi_forked_without. */
void ioi_forked_end(void);

#endif
