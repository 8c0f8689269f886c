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

/* A packed write set: writes.c. `ends` of each key and each value by turns; WRITES_DELETED in a value's: a delete. */
#define WRITES_DELETED (UINT64_C(1) << 63)
struct writes {
    const uint8_t *blob;
    const uint64_t *ends;
    size_t count;
};
struct writes_object {
    PyObject_HEAD
    PyObject *blob, *ends; /* bytes */
};
extern PyTypeObject *writes_type; /* set once, when the module is loaded */
struct writes writes_of(PyObject *object);
int writes_as_sequence(PyObject *type); /* make it a collections.abc.Sequence; -1 with an exception */

static inline const uint8_t *writes_key(const struct writes *w, size_t i, size_t *size) {
    uint64_t begin = i > 0 ? w->ends[2 * i - 1] & ~WRITES_DELETED : 0;
    *size = (size_t)(w->ends[2 * i] - begin);
    return w->blob + begin;
}
/* NULL: a delete. */
static inline const uint8_t *writes_value(const struct writes *w, size_t i, size_t *size) {
    uint64_t begin = w->ends[2 * i], end = w->ends[2 * i + 1];
    *size = (size_t)((end & ~WRITES_DELETED) - begin);
    return end & WRITES_DELETED ? NULL : w->blob + begin;
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
extern PyType_Spec crown_spec, iavl_row_spec, iavl_stage_spec, subtree_spec, rows_spec, rows_iterator_spec, writes_spec;

#endif
