/* Sealed rows: of a table, one by one or many at once. */
#include "module.h"

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
            if (take_apart(PyList_GET_ITEM(pairs, next), &key, &row))
                same = PyObject_RichCompareBool(key, wanted, Py_EQ);
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

static PyObject *py_seal_puts(PyObject *self, PyObject *changes) {
    (void)self;
    if (!PyList_Check(changes)) {
        PyErr_SetString(PyExc_TypeError, "changes must be a list of (key, value or None)");
        return NULL;
    }
    PyObject *rows = PyList_New(0);
    for (Py_ssize_t i = 0; rows != NULL && i < PyList_GET_SIZE(changes); i++) {
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

/* (row key, row) of table values for what `entry` wrote; the layout is in rows.py. */
static PyObject *value_pair(uint64_t version, const struct jf_entry *entry, PyObject *key, PyObject *value) {
    uint8_t row_key[VALUE_KEY], head[VALUE_HEAD + 65535];
    size_t key_size = (size_t)PyBytes_GET_SIZE(key);
    if (key_size > 65535 || (value != Py_None && !PyBytes_Check(value))) {
        PyErr_SetString(PyExc_ValueError, "a key is too long for its row, or a value is neither bytes nor None");
        return NULL;
    }
    slot_set_version(row_key, version);
    memcpy(row_key + 8, entry->key_hash, SHA256_SIZE);
    head[0] = value != Py_None;
    head[1] = (uint8_t)(key_size >> 8);
    head[2] = (uint8_t)key_size;
    memcpy(head + VALUE_HEAD, PyBytes_AS_STRING(key), key_size);
    PyObject *row = sealed(row_key, sizeof row_key, head, VALUE_HEAD + key_size, value != Py_None ? value : NULL);
    return row == NULL ? NULL : Py_BuildValue("(y#N)", row_key, (Py_ssize_t)sizeof row_key, row);
}

static PyObject *py_value_rows(PyObject *self, PyObject *args) {
    (void)self;
    unsigned long long version;
    const char *packed, *effects;
    Py_ssize_t packed_size, count;
    PyObject *batch;
    if (!PyArg_ParseTuple(args, "Ky#y#O", &version, &packed, &packed_size, &effects, &count, &batch)) return NULL;
    PyObject *fast = PySequence_Fast(batch, "batch must be a sequence of (key, value)");
    if (fast == NULL) return NULL;
    PyObject *rows = PyList_New(0);
    if (packed_size != count * (Py_ssize_t)sizeof(struct jf_entry) || PySequence_Fast_GET_SIZE(fast) != count) {
        PyErr_SetString(PyExc_ValueError, "entries, effects and batch must belong together");
        Py_CLEAR(rows);
    }
    for (Py_ssize_t i = 0; rows != NULL && i < count; i++) {
        if (effects[i] == JF_NOTHING) continue;
        struct jf_entry entry;
        memcpy(&entry, packed + (size_t)i * sizeof entry, sizeof entry);
        PyObject *key = NULL, *value = NULL, *row = NULL;
        if ((Py_ssize_t)entry.index >= count) PyErr_SetString(PyExc_ValueError, "an entry is not of this batch");
        else if (take_apart(PySequence_Fast_GET_ITEM(fast, entry.index), &key, &value))
            row = value_pair(version, &entry, key, value);
        if (row == NULL || PyList_Append(rows, row) < 0) Py_CLEAR(rows);
        Py_XDECREF(row);
    }
    Py_DECREF(fast);
    return rows;
}

PyMethodDef seal_functions[] = {
    {"seal", py_seal, METH_VARARGS, "seal(key, body) -> body and its seal; see seal.h."},
    {"unseal", (PyCFunction)(void (*)(void))py_unseal, METH_FASTCALL, "unseal(key, row) -> body, None if damaged."},
    {"unseal_found", py_unseal_found, METH_VARARGS, "unseal_found(keys, rows found) -> (values, damaged key or None)."},
    {"seal_puts", py_seal_puts, METH_O, "seal_puts(changes) -> (key, sealed value) of those that are no deletes."},
    {"value_rows", py_value_rows, METH_VARARGS, "value_rows(version, entries, effects, batch) -> rows of table values."},
    {NULL, NULL, 0, NULL},
};
