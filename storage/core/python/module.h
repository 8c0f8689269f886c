/* What the files module*.c share. They alone know Python: they convert objects and hold no logic. */
#ifndef IOI_MODULE_H
#define IOI_MODULE_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

static inline PyObject *bytes_of(const void *data, size_t size) {
    return PyBytes_FromStringAndSize((const char *)data, (Py_ssize_t)size);
}

/* The objects of a batch lie all over memory: whoever goes over its pairs asks early for one, then for what is in it. */
enum { PAIR_AHEAD = 16, PAIR_INSIDE_AHEAD = 8 };
static inline void prefetch_pair(PyObject *pair) { __builtin_prefetch(pair); }
static inline void prefetch_inside(PyObject *pair) {
    if (!PyTuple_CheckExact(pair) || PyTuple_GET_SIZE(pair) != 2) return;
    for (Py_ssize_t i = 0; i < 2; i++) { /* a hash and its header fill more than one cache line */
        __builtin_prefetch(PyTuple_GET_ITEM(pair, i));
        __builtin_prefetch((const void *)((uintptr_t)PyTuple_GET_ITEM(pair, i) + 64));
    }
}

/* Rows packed into a buffer: their number u64, then of each: key size u32 | row size u32 | key | row; native order. */
enum { PACKED_COUNT = 8, PACKED_HEAD = 8 };
/* Writes the number; the first row goes to what it returns. */
static inline uint8_t *packed_count(uint8_t *at, uint64_t count) {
    memcpy(at, &count, PACKED_COUNT);
    return at + PACKED_COUNT;
}
/* Writes the head; the key goes to what it returns, the row behind that. */
static inline uint8_t *packed_head(uint8_t *at, size_t key_size, size_t row_size) {
    uint32_t sizes[2] = {(uint32_t)key_size, (uint32_t)row_size};
    memcpy(at, sizes, PACKED_HEAD);
    return at + PACKED_HEAD;
}

/* Records of stale rows, one behind the other, as stale_rows takes them; each has at most 128 bytes. */
PyObject *joined_records(const void *from, size_t n, size_t (*record_of)(const void *from, size_t i, uint8_t *record));

#define BAD_ROW "its checksum does not match"
#define BAD_HASH "its hash is not the one recorded in its parent"

/* The slot that `object` is: NULL for None, else its kind is its size. False with an exception if it is none. */
bool parse_slot(PyObject *object, const uint8_t **slot, bool *leaf);

extern PyMethodDef seal_functions[], node_functions[], rows_functions[], stale_functions[];
extern PyType_Spec crown_spec, iavl_row_spec, iavl_stage_spec, subtree_spec, rows_spec, rows_iterator_spec;

#endif
