/* What the files of this folder share: the Python face of the core. Conversion only; every decision is in the core. */
#ifndef IOI_MODULE_H
#define IOI_MODULE_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include "../block.h"
#include "../cache.h"
#include "../native.h"
#include "../rows.h"
#include "../base_range.h"
#include "../seal.h"
#include "../vm_abi.h"

#define CALL(function) ((PyCFunction)(void (*)(void))(function))

/* Walking over the committed state: range(low, high, reverse) -> iterator over pairs. What it raises stays with the thread. */
typedef struct {
    ioi_base_ranges ranges;
    PyObject *range;
    bool *broken;
} Walks;

void walks_init(Walks *walks, PyObject *range, bool *broken);

typedef struct {
    PyObject_HEAD
    ioi_arena arena;
} ArenaObject;

typedef struct {
    PyObject_HEAD
    PyObject *owner; /* the Arena */
    ioi_worker worker;
    ioi_view *view; /* of native runs; Python views have their own */
    ioi_native native;
    PyObject *capsule;  /* of the VM in `native` */
    PyObject *chain_id; /* and what its context has: bytes */
    PyObject *cache;    /* the Cache read last */
    PyObject *fetch;    /* while it runs: what reads a committed value */
    Walks walks;        /* likewise, of a range */
    PyObject *check;    /* and what looks at transactions before they are executed; None: nothing */
    PyObject *said;     /* what that said last */
    bool broken;        /* one of them raised something */
    uint32_t seen;
} WorkerObject;

typedef struct {
    PyObject_HEAD
    uint8_t *base;
    uint64_t size;
} CacheObject;

/* The native VM of a capsule; NULL with an exception if it is none, or speaks an ABI that this build does not know. */
const ioi_vm *as_vm(PyObject *capsule);

extern PyTypeObject *arena_type, *worker_type, *cache_type; /* set once, when the module is loaded */
extern PyType_Spec arena_spec, worker_spec, view_spec, cache_spec;

/* Whether its hashes are those of the arena. */
bool cache_fits(const CacheObject *cache, const ioi_arena *arena);

void context_random(const ioi_ctx *ctx, const uint8_t *label, size_t len, uint8_t seed[32]);

PyObject *run_sequential(PyObject *module, PyObject *args, PyObject *kwargs);
PyObject *emit_event(PyObject *module, PyObject *args);
PyObject *charge_gas(PyObject *module, PyObject *amount);
PyObject *gas_left(PyObject *module, PyObject *none);
PyObject *call_apart(PyObject *module, PyObject *const *args, Py_ssize_t count);

int check_transaction(PyObject *check, uint64_t tx, const uint8_t *bytes, size_t len, PyObject **held, ioi_outcome *outcome,
                      bool *fault); /* check.c */

/* bytes, or None for NULL. */
PyObject *bytes_or_none(const uint8_t *bytes, size_t len);

/* A bytes argument; `none` allows None, which gives NULL. -1 with an exception set. */
int as_bytes(PyObject *object, bool none, const char *what, const uint8_t **bytes, size_t *len);

/* (key_bytes, value_bytes, tx_keys, tx_write_bytes, checkpoint_depth, output_bytes[, gas]), as Limits.of_transaction has them. -1 with an exception set. */
int as_limits(PyObject *tuple, ioi_limits *limits);

/* Sort a list of keys, or of pairs with distinct keys; takes and returns the reference, NULL on error. */
PyObject *sorted_list(PyObject *list);

/* (blob, ends) of the receipts of transactions [from, to). */
PyObject *pack_receipts(const ioi_arena *arena, uint32_t from, uint32_t to);

#endif
