/* Native virtual machines for ioi-exec: the whole contract between a VM written in C and the engine.
 *
 * A VM is a constant `ioi_vm` handed over in a PyCapsule named IOI_VM_CAPSULE; the engine calls it in its workers,
 * without the interpreter. Rules:
 *
 * - Deterministic: the outcome depends on the transaction, the context and what was read through `state`, alone. No
 *   clock, no randomness, no memory kept between calls. Reads may be stale or inconsistent with each other while the
 *   engine speculates; such an execution is thrown away, but it must not crash or loop forever.
 * - Every `state` operation may return IOI_STOP. Then return IOI_STOP at once, having released what you took: the
 *   transaction is started again later, from its beginning.
 * - Memory handed out by `get` is valid until the next operation on the same `state`.
 * - Threads and processes: a VM is called by many processes at once, each with a `state` of its own.
 *
 * Scans are for VMs written in Python; a native VM names its keys.
 */
#ifndef IOI_VM_H
#define IOI_VM_H

#include <stddef.h>
#include <stdint.h>

#define IOI_VM_ABI 1u
#define IOI_VM_CAPSULE "ioi_shm.vm"

/* Results of state operations and of VM functions. */
enum {
    IOI_OK = 0,
    IOI_ABSENT = 1, /* get and exists: no value */
    IOI_LIMIT = 2,  /* put and delete: a write limit is exceeded; the transaction should fail */
    IOI_STOP = -1   /* return to the engine now */
};

typedef struct ioi_state ioi_state;
typedef uint64_t ioi_key; /* a key made known to this state; valid until the transaction ends */

struct ioi_state {
    /* Every other operation takes a key by its handle: a key is hashed once. Lengths in bytes. */
    int (*key)(ioi_state *, const uint8_t *bytes, size_t len, ioi_key *key);
    int (*get)(ioi_state *, ioi_key key, const uint8_t **value, size_t *len);
    int (*exists)(ioi_state *, ioi_key key);
    int (*put)(ioi_state *, ioi_key key, const uint8_t *value, size_t len);
    int (*remove)(ioi_state *, ioi_key key);
    /* Open a checkpoint; close it (and those inside it), undoing the writes made since or keeping them. Reads stay
     * recorded either way. IOI_LIMIT when checkpoints are nested too deep. */
    int (*mark)(ioi_state *, uint64_t *mark);
    int (*close)(ioi_state *, uint64_t mark, int undo);
};

typedef struct ioi_ctx {
    uint64_t height, time_ns, tx_index;
    const uint8_t *proposer, *extra, *parent_root;
    size_t proposer_len, extra_len, parent_root_len;
} ioi_ctx;

/* What a transaction ends with. `code` 0 = done; anything else undoes its writes. `output` and `error` (UTF-8) must
 * stay valid until the engine has copied them, which it does before it calls the VM again. An output longer than
 * Limits.output_bytes fails the transaction; an error is cut after 1,024 bytes. */
typedef struct ioi_outcome {
    uint32_t code;
    uint64_t gas_wanted, gas_used;
    const uint8_t *output;
    const char *error;
    size_t output_len, error_len;
} ioi_outcome;

/* The finished block, for end_block. */
typedef struct ioi_results {
    uint64_t n;
    uint32_t (*code)(const struct ioi_results *, uint64_t tx);
    const uint8_t *(*transaction)(const struct ioi_results *, uint64_t tx, size_t *len);
} ioi_results;

typedef struct ioi_vm {
    uint32_t abi;     /* IOI_VM_ABI */
    uint32_t version; /* of the VM's rules: remembered in the state, another one is refused */
    const char *name;
    /* Execute one transaction. Fills *outcome (zeroed by the caller). IOI_OK, or IOI_STOP as a state operation said. */
    int (*execute)(const struct ioi_vm *, const uint8_t *tx, size_t len, ioi_state *, const ioi_ctx *, ioi_outcome *);
    /* Optional. The keys `tx` will likely touch: call `emit` for each. A hint; wrong ones are harmless. */
    void (*keys)(const struct ioi_vm *, const uint8_t *tx, size_t len, void (*emit)(void *, const uint8_t *key, size_t key_len),
                 void *context);
    /* Optional. Once after the last transaction; its writes belong to the block. A nonzero code stops the block. */
    int (*end_block)(const struct ioi_vm *, ioi_state *, const ioi_ctx *, const ioi_results *, ioi_outcome *);
} ioi_vm;

#endif
