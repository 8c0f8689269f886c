/* The Program VM of the tool (native/program.h) in virtual time: burning and sleeping only move the clock. */
#ifndef IOI_SIMULATION_VM_H
#define IOI_SIMULATION_VM_H

#include <stdbool.h>

#include "ioi_vm.h"

/* What one execution touched, by the handles of the state it ran on, and what its program says it costs. */
typedef struct sim_notes {
    ioi_key *reads, *writes;
    size_t reads_count, writes_count, reads_capacity, writes_capacity;
    uint64_t cost_ns;
    bool adds; /* some execution so far added to a counter, of which there is no other note */
} sim_notes;

/* Execute a transaction and note what it does. reads: of values of others, in order, a key may come twice. writes: that
 * were not undone, likewise. */
int sim_vm_note(sim_notes *notes, const uint8_t *tx, size_t len, ioi_state *state, const ioi_ctx *ctx, ioi_outcome *outcome);
void sim_notes_free(sim_notes *notes);

/* What sleeps of programs take longer than they say, from now on. */
void sim_vm_oversleep(uint64_t ns);

#endif
