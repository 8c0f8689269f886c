/* Native virtual machines for ioi-exec: the whole contract between a VM written in C and the engine.
 *
 * A VM is a constant `ioi_vm` handed over in a PyCapsule named IOI_VM_CAPSULE; the engine calls it in its workers,
 * without the interpreter. Rules:
 *
 * - Deterministic: the outcome depends on the transaction, the context and what was read through `state`, alone. No
 *   clock, no randomness; what is kept between calls (see `memory`) must not decide anything. Reads may be stale or
 *   inconsistent with each other while the engine speculates; such an execution is thrown away, but it must not crash or
 *   loop forever.
 * - Every `state` operation may return IOI_STOP. Then return IOI_STOP at once, having released what you took: the
 *   transaction is started again later, from its beginning, or has run out of gas. Whatever a VM returns after an
 *   operation said so is not looked at.
 * - Memory handed out by `get` and `next` is valid until the next operation on the same `state`.
 * - Threads and processes: a VM is called by many processes at once, each with a `state` of its own.
 *
 * `abi` says which of the parts below a VM was built with: each ABI added to the ends of these tables, and so a VM of an older one
 * goes on working as it is. A VM of a later one is refused. What it may call is what its own header had.
 */
#ifndef IOI_VM_H
#define IOI_VM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define IOI_VM_ABI 3u
#define IOI_VM_CAPSULE "ioi_shm.vm"

/* Results of state operations and of VM functions. */
enum {
    IOI_OK = 0,
    IOI_ABSENT = 1,  /* get and exists: no value; next: no further pair */
    IOI_LIMIT = 2,   /* put, remove, add and emit: a limit is exceeded, nothing happened; the transaction should fail */
    IOI_REFUSED = 3, /* add: the counter would leave its bounds; nothing was written */
    IOI_LENGTH = 4,  /* add: what is there has another length than the counter's value */
    IOI_STOP = -1    /* return to the engine now */
};

typedef struct ioi_state ioi_state;
typedef struct ioi_scan ioi_scan; /* a scan under way; it ends with its transaction */
typedef uint64_t ioi_key;         /* a key made known to this state; valid until the transaction ends */

/* A counter: an unsigned big-endian integer of `width` bytes (1 to 16) from byte `offset` on of a value of `size` bytes. */
typedef unsigned __int128 ioi_u128;
typedef struct ioi_field {
    uint32_t offset, width, size;
} ioi_field;

/* It is done if the counter is from `minimum` to `maximum` afterwards, and in what it can hold. */
typedef struct ioi_addition {
    ioi_field field;
    bool negative;
    ioi_u128 delta; /* its magnitude */
    ioi_u128 minimum, maximum;
} ioi_addition;

/* An attribute of an event. Names have 1 to 255 bytes of UTF-8 and end with a zero byte. */
enum { IOI_BYTES = 1, IOI_TEXT = 2, IOI_INTEGER = 3 };
typedef struct ioi_attribute {
    const char *name;
    int kind;          /* IOI_BYTES; IOI_TEXT: UTF-8; IOI_INTEGER: its magnitude, big endian, in at most 32 bytes */
    const void *value; /* so many bytes */
    size_t len;
    bool negative; /* an integer below zero */
} ioi_attribute;

struct ioi_state {
    /* Every other operation takes a key by its handle: a key is hashed once. Lengths in bytes. */
    int (*key)(ioi_state *, const uint8_t *bytes, size_t len, ioi_key *key);
    int (*get)(ioi_state *, ioi_key key, const uint8_t **value, size_t *len);
    int (*exists)(ioi_state *, ioi_key key); /* cheaper than `get` in a conflict: only a change of presence matters */
    int (*put)(ioi_state *, ioi_key key, const uint8_t *value, size_t len);
    int (*remove)(ioi_state *, ioi_key key);
    /* Open a checkpoint; close it (and those inside it), undoing the writes made since or keeping them. Reads stay
     * recorded either way. IOI_LIMIT when checkpoints are nested too deep. */
    int (*mark)(ioi_state *, uint64_t *mark);
    int (*close)(ioi_state *, uint64_t mark, int undo);
    /* ---- from ABI 2 on -------------------------------------------------------------------------------------------- */
    /* The pairs from `low` to below `high` (NULL = no bound), in the order of keys or with `reverse` from the far end, as
     * the state stands now: what this transaction writes later is not seen. Nothing is looked at before `next` asks, and then
     * no more than it needs: what is not looked at does not conflict. `end` frees what a scan has taken before its
     * transaction ends. */
    int (*scan)(ioi_state *, const uint8_t *low, size_t low_len, const uint8_t *high, size_t high_len, int reverse,
                ioi_scan **scan);
    int (*next)(ioi_state *, ioi_scan *scan, const uint8_t **key, size_t *key_len, const uint8_t **value, size_t *len);
    void (*end)(ioi_state *, ioi_scan *scan);
    /* Gas. Where the state has a schedule, each operation costs what it says, and `charge` what the VM itself does; running
     * out is IOI_STOP, from then on of every operation. `gas_left`: how much there is; UINT64_MAX where nothing is metered, and
     * `charge` does nothing. */
    int (*charge)(ioi_state *, uint64_t amount);
    uint64_t (*gas_left)(const ioi_state *);
    /* ---- from ABI 3 on -------------------------------------------------------------------------------------------- */
    /* Add to a counter; an absent key is taken for zero bytes, and created. IOI_OK, IOI_REFUSED, IOI_LENGTH (*found bytes are
     * there), IOI_LIMIT, also for a field that is none. Conflicts only with what makes another of these of it. */
    int (*add)(ioi_state *, ioi_key key, const ioi_addition *, size_t *found);
    /* Add an event to the transaction, or to the block: what undoes its writes undoes it too. IOI_LIMIT, and there is no event: beyond 64
     * attributes or, of all its events, 1 MiB; or what an attribute cannot be. */
    int (*emit)(ioi_state *, const char *name, const ioi_attribute *attributes, size_t count);
};

/* What does not apply has no bytes. */
typedef struct ioi_ctx {
    uint64_t height, time_ns, tx_index; /* of end_block: the number of transactions; of begin_block: none */
    const uint8_t *proposer, *extra, *parent_root;
    size_t proposer_len, extra_len, parent_root_len;
    /* ---- from ABI 2 on -------------------------------------------------------------------------------------------- */
    void *memory; /* what memory_new returned in this worker */
    /* ---- from ABI 3 on -------------------------------------------------------------------------------------------- */
    const uint8_t *chain_id; /* what the state was created with: UTF-8, of no bytes if nothing */
    size_t chain_id_len;
    /* 32 bytes from the root that the block stands on, its height, tx_index and a label: the same on every node, and known to whoever
     * knows that root. What ctx.random of a VM in Python begins with. Not for `hints`. */
    void (*random)(const struct ioi_ctx *, const uint8_t *label, size_t len, uint8_t seed[32]);
} ioi_ctx;

/* What a transaction ends with. `code` 0 = done; anything else undoes its writes. `output` and `error` (UTF-8) must
 * stay valid until the engine has copied them, which it does before it calls the VM again. An output longer than
 * Limits.output_bytes fails the transaction; an error is cut after 1,024 bytes. gas_wanted and gas_used are the VM's own where the
 * state has no schedule of gas; else the engine sets them. */
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
    /* ---- from ABI 2 on -------------------------------------------------------------------------------------------- */
    const uint8_t *(*output)(const struct ioi_results *, uint64_t tx, size_t *len);
    uint64_t (*gas_used)(const struct ioi_results *, uint64_t tx);
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
    /* ---- from ABI 2 on; the engine reads no further in a VM of an older one ------------------------------------------------ */
    /* Optional, instead of `keys`: it is also told of the block's header (tx_index is that of `tx`). */
    void (*hints)(const struct ioi_vm *, const uint8_t *tx, size_t len, const ioi_ctx *,
                  void (*emit)(void *, const uint8_t *key, size_t key_len), void *context);
    /* Optional. Memory of one worker, which no other uses: ctx->memory from its first call to its last, which may be one
     * block's or many blocks'. For buffers and tables that are costly to make; NULL is passed on as it is. */
    void *(*memory_new)(const struct ioi_vm *);
    void (*memory_free)(const struct ioi_vm *, void *memory);
    /* Optional. The gas a transaction may use, which it says itself; at most the schedule's `tx_limit`, which holds without it.
     * Asked only where there is a schedule. Depends on the transaction alone. */
    uint64_t (*gas_limit)(const struct ioi_vm *, const uint8_t *tx, size_t len);
    /* ---- from ABI 3 on -------------------------------------------------------------------------------------------- */
    /* Optional. Before `execute`, in the same transaction, on the same state and gas. With the code 0 it has let the transaction in: what it
     * wrote and emitted stays though `execute` fails, and its output is dropped. Any other code refuses the transaction: it should not
     * be in a block, and changes nothing. A transaction that `verify` or gas_limit does not let in is refused too. */
    int (*ante)(const struct ioi_vm *, const uint8_t *tx, size_t len, ioi_state *, const ioi_ctx *, ioi_outcome *);
    /* Optional. Once before the first transaction, in one process: its writes lie under those of all transactions, its events are the
     * block's. Nothing is metered. A nonzero code stops the block. */
    int (*begin_block)(const struct ioi_vm *, ioi_state *, const ioi_ctx *, ioi_outcome *);
} ioi_vm;

#endif
