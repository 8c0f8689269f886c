/* Sealed rows: of a table, one by one or many at once. */
#include "module.h"

#include <assert.h>
#include <stdalign.h>
#include <string.h>

#include "../jellyfish.h"
#include "../seal.h"

/* Takes a tuple (bytes, object) apart; the references stay the tuple's. */
static bool take_apart(PyObject *pair, PyObject **first, PyObject **second) {
    if (!PyTuple_Check(pair) || PyTuple_GET_SIZE(pair) != 2 || !PyBytes_Check(PyTuple_GET_ITEM(pair, 0))) {
        PyErr_Format(PyExc_TypeError, "expected a tuple of bytes and a value, not %R", pair);
        return false;
    }
    *first = PyTuple_GET_ITEM(pair, 0);
    *second = PyTuple_GET_ITEM(pair, 1);
    return true;
}

/* body | seal, as bytes; `body` is in two parts. */
static PyObject *sealed(const uint8_t *key, size_t key_size, const void *head, size_t head_size, PyObject *rest) {
    size_t rest_size = rest != NULL ? (size_t)PyBytes_GET_SIZE(rest) : 0, size = head_size + rest_size;
    PyObject *row = bytes_of(NULL, size + SEAL_SIZE);
    if (row == NULL) return NULL;
    uint8_t *at = (uint8_t *)PyBytes_AS_STRING(row);
    if (head_size > 0) memcpy(at, head, head_size);
    if (rest_size > 0) memcpy(at + head_size, PyBytes_AS_STRING(rest), rest_size);
    if (seal_write(key, key_size, at, size, at + size)) return row;
    Py_DECREF(row);
    return PyErr_NoMemory();
}

static PyObject *py_seal(PyObject *self, PyObject *args) {
    (void)self;
    const char *key;
    Py_ssize_t key_size;
    PyObject *body;
    if (!PyArg_ParseTuple(args, "y#S", &key, &key_size, &body)) return NULL;
    return sealed((const uint8_t *)key, (size_t)key_size, NULL, 0, body);
}

/* The body of `row`, None if the seal is wrong, NULL with an exception. */
static PyObject *unsealed(PyObject *key, PyObject *row) {
    if (!PyBytes_Check(key) || !PyBytes_Check(row)) {
        PyErr_SetString(PyExc_TypeError, "key and row must be bytes");
        return NULL;
    }
    const uint8_t *bytes = (const uint8_t *)PyBytes_AS_STRING(row);
    size_t size = (size_t)PyBytes_GET_SIZE(row);
    switch (seal_check((const uint8_t *)PyBytes_AS_STRING(key), (size_t)PyBytes_GET_SIZE(key), bytes, size)) {
    case SEAL_GOOD: return bytes_of(bytes, size - SEAL_SIZE);
    case SEAL_BAD: Py_RETURN_NONE;
    default: return PyErr_NoMemory();
    }
}

static PyObject *py_unseal(PyObject *self, PyObject *const *args, Py_ssize_t count) {
    (void)self;
    if (count == 2) return unsealed(args[0], args[1]);
    PyErr_SetString(PyExc_TypeError, "unseal takes key and row");
    return NULL;
}

/* The values of `pairs`, which are the rows found of `keys`, in the same order: (values with None for the keys that were
 * not found, key of a damaged row or None). */
static PyObject *py_unseal_found(PyObject *self, PyObject *args) {
    (void)self;
    PyObject *keys, *pairs, *damaged = Py_None;
    if (!PyArg_ParseTuple(args, "OO!", &keys, &PyList_Type, &pairs)) return NULL;
    PyObject *fast = PySequence_Fast(keys, "keys must be a sequence");
    if (fast == NULL) return NULL;
    Py_ssize_t n = PySequence_Fast_GET_SIZE(fast), next = 0;
    PyObject *values = PyList_New(n);
    for (Py_ssize_t i = 0; values != NULL && i < n; i++) {
        PyObject *wanted = PySequence_Fast_GET_ITEM(fast, i), *value = Py_None, *key = NULL, *row = NULL;
        Py_INCREF(value);
        if (next < PyList_GET_SIZE(pairs)) {
            int same = -1;
            if (take_apart(PyList_GET_ITEM(pairs, next), &key, &row)) same = PyObject_RichCompareBool(key, wanted, Py_EQ);
            if (same != 0) Py_DECREF(value);
            if (same != 0) value = same > 0 ? unsealed(key, row) : NULL;
            if (same > 0) next++;
            if (same > 0 && value == Py_None) damaged = key;
        }
        if (value == NULL) Py_CLEAR(values);
        else PyList_SET_ITEM(values, i, value);
    }
    if (values != NULL && next != PyList_GET_SIZE(pairs)) {
        PyErr_SetString(PyExc_ValueError, "pairs must be rows of keys, in their order");
        Py_CLEAR(values);
    }
    Py_DECREF(fast);
    return values == NULL ? NULL : Py_BuildValue("(NO)", values, damaged);
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

static PyObject *py_seal_puts(PyObject *self, PyObject *changes) {
    (void)self;
    if (!PyList_Check(changes)) {
        PyErr_SetString(PyExc_TypeError, "changes must be a list of (key, value or None)");
        return NULL;
    }
    PyObject *rows = PyList_New(0);
    for (Py_ssize_t i = 0, n; rows != NULL && i < (n = PyList_GET_SIZE(changes)); i++) {
        if (i + PAIR_AHEAD < n) prefetch_pair(PyList_GET_ITEM(changes, i + PAIR_AHEAD));
        if (i + PAIR_INSIDE_AHEAD < n) prefetch_inside(PyList_GET_ITEM(changes, i + PAIR_INSIDE_AHEAD));
        PyObject *key, *value;
        if (!take_apart(PyList_GET_ITEM(changes, i), &key, &value)) {
            Py_CLEAR(rows);
            break;
        }
        if (!PyBytes_Check(value)) continue;
        PyObject *row = sealed((const uint8_t *)PyBytes_AS_STRING(key), (size_t)PyBytes_GET_SIZE(key), NULL, 0, value);
        PyObject *pair = row != NULL ? PyTuple_Pack(2, key, row) : NULL;
        if (pair == NULL || PyList_Append(rows, pair) < 0) Py_CLEAR(rows);
        Py_XDECREF(pair);
        Py_XDECREF(row);
    }
    return rows;
}

enum { VALUE_KEY = 8 + SHA256_SIZE, VALUE_HEAD = 3 };

/* The row of table values for what an entry wrote, packed at *at; the layout is in rows.py. False: no memory. */
static bool pack_value(uint8_t **at, uint64_t version, const uint8_t *key_hash, const struct writes *w, size_t i) {
    size_t key_size, value_size;
    const uint8_t *key = writes_key(w, i, &key_size), *value = writes_value(w, i, &value_size);
    size_t size = VALUE_HEAD + key_size + value_size;
    uint8_t *row_key = packed_head(*at, VALUE_KEY, size + SEAL_SIZE), *row = row_key + VALUE_KEY;
    slot_set_version(row_key, version);
    memcpy(row_key + 8, key_hash, SHA256_SIZE);
    row[0] = value != NULL;
    row[1] = (uint8_t)(key_size >> 8);
    row[2] = (uint8_t)key_size;
    memcpy(row + VALUE_HEAD, key, key_size);
    if (value_size > 0) memcpy(row + VALUE_HEAD + key_size, value, value_size);
    *at = row + size + SEAL_SIZE;
    return seal_write(row_key, VALUE_KEY, row, size, row + size);
}

enum { AHEAD = 16 }; /* entries: in the order of hashes, so their writes lie all over the batch */

static void prefetch_of(const struct jf_entry *entries, size_t i, size_t count, const struct writes *w) {
    if (i + AHEAD < count && entries[i + AHEAD].index < w->count)
        __builtin_prefetch(&w->ends[2 * (size_t)entries[i + AHEAD].index]);
    if (i + AHEAD / 2 >= count || entries[i + AHEAD / 2].index >= w->count) return;
    size_t size;
    const uint8_t *key = writes_key(w, entries[i + AHEAD / 2].index, &size);
    __builtin_prefetch(key);
    __builtin_prefetch(key + 64);
}

/* Bytes of the packed rows of entries [0, count) that did something; 0 if they do not fit the batch. Needs no interpreter. */
static size_t values_size(const struct jf_entry *entries, const char *effects, size_t count, const struct writes *w,
                          uint64_t *rows) {
    size_t total = PACKED_COUNT;
    *rows = 0;
    for (size_t i = 0; i < count; i++) {
        if (effects[i] == JF_NOTHING) continue;
        if (entries[i].index >= w->count) return 0;
        size_t key_size, value_size;
        writes_key(w, entries[i].index, &key_size);
        writes_value(w, entries[i].index, &value_size);
        if (key_size > 65535) return 0;
        ++*rows;
        total += PACKED_HEAD + VALUE_KEY + VALUE_HEAD + key_size + value_size + SEAL_SIZE;
    }
    return total;
}

/* False: no memory. Needs no interpreter. */
static bool pack_values(uint8_t *at, uint64_t version, const struct jf_entry *entries, const char *effects, size_t count,
                        const struct writes *w) {
    for (size_t i = 0; i < count; i++) {
        prefetch_of(entries, i, count, w);
        if (effects[i] == JF_NOTHING) continue;
        if (!pack_value(&at, version, entries[i].key_hash, w, entries[i].index)) return false;
    }
    return true;
}

static PyObject *py_value_rows(PyObject *self, PyObject *args) {
    (void)self;
    unsigned long long version;
    PyObject *packed, *effects, *batch;
    Py_ssize_t begin, end;
    if (!PyArg_ParseTuple(args, "KSSO!nn", &version, &packed, &effects, writes_type, &batch, &begin, &end)) return NULL;
    Py_ssize_t count = PyBytes_GET_SIZE(effects);
    if (PyBytes_GET_SIZE(packed) != count * (Py_ssize_t)sizeof(struct jf_entry) || begin < 0 || end < begin || end > count) {
        PyErr_SetString(PyExc_ValueError, "entries and effects must belong together, and the part lie within them");
        return NULL;
    }
    struct writes w = writes_of(batch);
    static_assert(offsetof(PyBytesObject, ob_sval) % alignof(struct jf_entry) == 0, "entries in bytes are aligned");
    const struct jf_entry *entries = (const struct jf_entry *)PyBytes_AS_STRING(packed) + begin;
    const char *part = PyBytes_AS_STRING(effects) + begin;
    size_t n = (size_t)(end - begin), size;
    uint64_t number;
    Py_BEGIN_ALLOW_THREADS
    size = values_size(entries, part, n, &w, &number);
    Py_END_ALLOW_THREADS
    if (size == 0) {
        PyErr_SetString(PyExc_ValueError, "the entries are not of this batch, or a key is too long for its row");
        return NULL;
    }
    PyObject *rows = bytes_of(NULL, size);
    if (rows == NULL) return NULL;
    uint8_t *at = packed_count((uint8_t *)PyBytes_AS_STRING(rows), number);
    bool ok;
    Py_BEGIN_ALLOW_THREADS
    ok = pack_values(at, version, entries, part, n, &w);
    Py_END_ALLOW_THREADS
    if (ok) return rows;
    Py_DECREF(rows);
    return PyErr_NoMemory();
}

PyMethodDef seal_functions[] = {
    {"seal", py_seal, METH_VARARGS, "seal(key, body) -> body and its seal; see seal.h."},
    {"unseal", (PyCFunction)(void (*)(void))py_unseal, METH_FASTCALL, "unseal(key, row) -> body, None if damaged."},
    {"unseal_found", py_unseal_found, METH_VARARGS, "unseal_found(keys, rows found) -> (values, damaged key or None)."},
    {"seal_puts", py_seal_puts, METH_O, "seal_puts(changes) -> (key, sealed value) of those that are no deletes."},
    {"value_rows", py_value_rows, METH_VARARGS,
     "value_rows(version, entries, effects, batch, begin, end) -> rows of table values for entries [begin, end), packed."},
    {NULL, NULL, 0, NULL},
};
