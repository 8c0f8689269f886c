/* What the consensus decided beside the transactions, of which ioi_exec/block/decided.py keeps the bytes: votes and misbehaviour, for a
 * native VM's context. */
#ifndef IOI_DECIDED_H
#define IOI_DECIDED_H

#include <stdbool.h>

#include "../ioi_shm/include/ioi_vm.h"

typedef struct ioi_decided {
    ioi_vote *votes;
    ioi_misbehaviour *misbehaviour;
    size_t votes_count, misbehaviour_count;
} ioi_decided;

/* Take the bytes apart; what comes of it points into them. No bytes are neither votes nor misbehaviour. False, and there is nothing
 * to free: no memory, or bytes that nobody packed. */
bool ioi_decided_read(ioi_decided *decided, const uint8_t *bytes, size_t len);
void ioi_decided_free(ioi_decided *decided);

/* Put them into a context. */
void ioi_decided_tell(const ioi_decided *decided, ioi_ctx *ctx);

#endif
