/* Gas: what the operations of a transaction cost, by the schedule of the state, up to a limit.
 *
 * It counts what the transaction asked for and what it was given, and nothing of how that came about: not waits, fetches, restarts
 * or caches. An operation is paid for before it happens, the bytes that it gives when it has. Running out is for good: the operation
 * has no effect, nor has any after it, and whatever the VM then returns, the transaction has failed and used its limit. */
#ifndef IOI_GAS_H
#define IOI_GAS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "../ioi_shm/include/ioi_vm.h"

enum { IOI_CODE_OUT_OF_GAS = 11 }; /* of receipts, as cosmos-sdk has it */

/* Each cost is below 2^32. */
typedef struct ioi_gas {
    bool on; /* false: nothing is metered */
    uint64_t flat, get, put, remove, scan, read_byte, written_byte, emit;
    uint64_t most; /* that a transaction may use, below 2^63 */
} ioi_gas;

typedef struct ioi_meter {
    const ioi_gas *gas;
    uint64_t limit, used;
    bool out;
} ioi_meter;

/* A transaction begins; what it costs in any case is at most what it may use. */
static inline void ioi_meter_begin(ioi_meter *m, const ioi_gas *gas) { *m = (ioi_meter){gas, gas->most, gas->flat, false}; }

static inline bool ioi_meter_is_out(ioi_meter *m) {
    m->used = m->limit;
    m->out = true;
    return false;
}

/* False: there is not so much left, and none any more. */
static inline bool ioi_meter_take(ioi_meter *m, uint64_t amount) {
    if (m->out || amount > m->limit - m->used) return ioi_meter_is_out(m);
    m->used += amount;
    return true;
}

/* The limit that it asks for. */
static inline bool ioi_meter_limit(ioi_meter *m, uint64_t limit) {
    if (limit < m->limit) m->limit = limit;
    return m->used <= m->limit || ioi_meter_is_out(m);
}

/* What reading or writing so many bytes costs; lengths are below 2^31. */
static inline uint64_t ioi_gas_bytes(uint64_t each, uint64_t first, uint64_t second) { return each * (first + second); }

static inline uint64_t ioi_gas_write(const ioi_gas *gas, bool value, uint64_t key_len, uint64_t len) {
    return (value ? gas->put : gas->remove) + ioi_gas_bytes(gas->written_byte, key_len, len);
}

static inline uint64_t ioi_gas_event(const ioi_gas *gas, uint64_t packed) {
    return gas->emit + ioi_gas_bytes(gas->written_byte, packed, 0);
}

/* An addition reads and writes a value of `size` bytes, whatever is there. */
static inline uint64_t ioi_gas_add(const ioi_gas *gas, uint64_t key_len, uint64_t size) {
    return gas->get + ioi_gas_bytes(gas->read_byte, size, 0) + ioi_gas_write(gas, true, key_len, size);
}

/* A state for a native VM that lets another one do it, metered. */
typedef struct ioi_metered {
    ioi_state state; /* first */
    ioi_state *inner;
    size_t (*key_len)(const ioi_state *inner, ioi_key key);
    ioi_meter meter;
} ioi_metered;

/* charge and gas_left of a state where nothing is metered. */
int ioi_no_charge(ioi_state *state, uint64_t amount);
uint64_t ioi_no_gas_left(const ioi_state *state);

/* For the transaction that begins on `inner`. */
void ioi_metered_begin(ioi_metered *m, ioi_state *inner, size_t (*key_len)(const ioi_state *, ioi_key), const ioi_gas *gas);

/* What its execution came to. False: its outcome stands, with the gas; true: it ran out, and *outcome says so. */
bool ioi_metered_end(const ioi_metered *m, ioi_outcome *outcome);

#endif
