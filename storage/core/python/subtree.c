/* The class Subtree: a batch applied to one subtree. */
#include "module.h"

#include <string.h>

#include "../jellyfish.h"

enum { STALE_ROW = 1900 }; /* bytes of stale records that go into one row, so that two rows fit a page */

struct subtree {
    PyObject_HEAD
    struct jf_stage *stage;
    bool closed;
};

static void *raise_result(enum jf_result result) {
    if (result == JF_MEMORY) PyErr_NoMemory();
    else PyErr_SetString(PyExc_ValueError, "entries must be packed, ascending by key hash, unique and under one prefix");
    return NULL;
}

static PyObject *subtree_new(PyTypeObject *type, PyObject *args, PyObject *kwargs) {
    if (kwargs != NULL && PyDict_GET_SIZE(kwargs) > 0) {
        PyErr_SetString(PyExc_TypeError, "Subtree takes no keyword arguments");
        return NULL;
    }
    unsigned depth;
    PyObject *slot_object;
    Py_buffer packed;
    unsigned long long version;
    if (!PyArg_ParseTuple(args, "IOy*K", &depth, &slot_object, &packed, &version)) return NULL;
    const uint8_t *slot;
    bool leaf;
    struct subtree *self = NULL;
    size_t count = (size_t)packed.len / sizeof(struct jf_entry);
    /* The packed entries may lie at any address: a copy is aligned. */
    struct jf_entry *entries = PyMem_Malloc((size_t)packed.len + 1);
    if (entries == NULL) {
        PyErr_NoMemory();
    } else if (parse_slot(slot_object, &slot, &leaf)) {
        memcpy(entries, packed.buf, (size_t)packed.len);
        struct jf_stage *stage = NULL;
        enum jf_result result = count * sizeof *entries == (size_t)packed.len
                                    ? jf_open(&stage, depth, slot, leaf, entries, count, version)
                                    : JF_BAD_BATCH;
        if (result != JF_OK) raise_result(result);
        else self = (struct subtree *)type->tp_alloc(type, 0);
        if (self != NULL) self->stage = stage;
        else jf_free(stage);
    }
    PyMem_Free(entries);
    PyBuffer_Release(&packed);
    return (PyObject *)self;
}

static void subtree_dealloc(PyObject *object) {
    PyTypeObject *type = Py_TYPE(object);
    jf_free(((struct subtree *)object)->stage);
    type->tp_free(object);
    Py_DECREF(type);
}

static PyObject *subtree_wanted(PyObject *object, PyObject *unused) {
    (void)unused;
    const struct jf_stage *stage = ((struct subtree *)object)->stage;
    size_t n = jf_wanted(stage);
    PyObject *keys = PyList_New((Py_ssize_t)n);
    for (size_t i = 0; keys != NULL && i < n; i++) {
        uint8_t key[JF_KEY_MAX];
        PyObject *item = bytes_of(key, jf_wanted_key(stage, i, key));
        if (item == NULL) Py_CLEAR(keys);
        else PyList_SET_ITEM(keys, (Py_ssize_t)i, item);
    }
    return keys;
}

static PyObject *subtree_feed(PyObject *object, PyObject *rows) {
    struct jf_stage *stage = ((struct subtree *)object)->stage;
    PyObject *fast = PySequence_Fast(rows, "rows must be a sequence");
    if (fast == NULL) return NULL;
    size_t n = jf_wanted(stage), bad = 0;
    enum jf_result result = JF_OK;
    bool ok = (size_t)PySequence_Fast_GET_SIZE(fast) == n;
    if (!ok) PyErr_Format(PyExc_ValueError, "%zu rows are wanted, got %zd", n, PySequence_Fast_GET_SIZE(fast));
    for (size_t i = 0; ok && result == JF_OK && i < n; i++) {
        PyObject *row = PySequence_Fast_GET_ITEM(fast, (Py_ssize_t)i);
        ok = PyBytes_Check(row);
        if (!ok) {
            PyErr_Format(PyExc_TypeError, "rows[%zu] must be bytes, not %.100s", i, Py_TYPE(row)->tp_name);
            break;
        }
        bad = i;
        result = jf_feed(stage, i, (const uint8_t *)PyBytes_AS_STRING(row), (size_t)PyBytes_GET_SIZE(row));
    }
    Py_DECREF(fast);
    if (!ok) return NULL;
    if (result == JF_OK) result = jf_descend(stage, &bad);
    if (result == JF_OK) Py_RETURN_NONE;
    if (result == JF_MEMORY) return PyErr_NoMemory();
    return Py_BuildValue("(ns)", (Py_ssize_t)bad,
                         result == JF_BAD_ROW ? "its checksum does not match" : "its hash is not the one recorded in its parent");
}

static PyObject *rows_of(const struct jf_stage *stage) {
    size_t n = jf_rows(stage);
    PyObject *rows = PyList_New((Py_ssize_t)n);
    for (size_t i = 0; rows != NULL && i < n; i++) {
        uint8_t key[JF_KEY_MAX], row[NODE_MAX];
        size_t key_size = jf_row_key(stage, i, key), row_size = jf_row(stage, i, row);
        PyObject *pair = Py_BuildValue("(y#y#)", key, (Py_ssize_t)key_size, row, (Py_ssize_t)row_size);
        if (pair == NULL) Py_CLEAR(rows);
        else PyList_SET_ITEM(rows, (Py_ssize_t)i, pair);
    }
    return rows;
}

/* Whole records, packed into pieces of at most STALE_ROW bytes. */
static PyObject *stales_of(const struct jf_stage *stage) {
    PyObject *pieces = PyList_New(0);
    uint8_t piece[STALE_ROW];
    size_t used = 0, n = jf_stales(stage);
    for (size_t i = 0; pieces != NULL && i <= n; i++) {
        uint8_t record[JF_STALE_MAX];
        size_t size = i < n ? jf_stale(stage, i, record) : 0;
        if (used > 0 && (i == n || used + size > sizeof piece)) {
            PyObject *item = bytes_of(piece, used);
            if (item == NULL || PyList_Append(pieces, item) < 0) Py_CLEAR(pieces);
            Py_XDECREF(item);
            used = 0;
        }
        if (size > 0) memcpy(piece + used, record, size);
        used += size;
    }
    return pieces;
}

static PyObject *subtree_close(PyObject *object, PyObject *unused) {
    (void)unused;
    struct subtree *self = (struct subtree *)object;
    if (jf_wanted(self->stage) > 0 || self->closed) {
        PyErr_SetString(PyExc_ValueError, "rows are still wanted, or the subtree is already closed");
        return NULL;
    }
    self->closed = true;
    if (jf_close(self->stage) != JF_OK) return PyErr_NoMemory();
    bool leaf;
    const uint8_t *slot = jf_slot(self->stage, &leaf);
    PyObject *rows = rows_of(self->stage);
    PyObject *stales = rows != NULL ? stales_of(self->stage) : NULL;
    if (stales == NULL) {
        Py_XDECREF(rows);
        return NULL;
    }
    return Py_BuildValue("(y#NNy#)", slot, (Py_ssize_t)(slot == NULL ? 0 : leaf ? NODE_LEAF : NODE_INNER), rows, stales,
                         jf_effects(self->stage), (Py_ssize_t)jf_count(self->stage));
}

static PyMethodDef subtree_methods[] = {
    {"wanted", subtree_wanted, METH_NOARGS, "Keys of the rows that feed() needs next, in the order it needs them."},
    {"feed", subtree_feed, METH_O, "Hands in the wanted rows. None, or (index, reason) of a row that is corrupt."},
    {"close", subtree_close, METH_NOARGS, "(slot or None, new rows, pieces of stale records, effect of each entry)."},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot subtree_slots[] = {
    {Py_tp_doc, "Subtree(depth, slot, entries, version): a batch applied to one subtree; see jellyfish.h."},
    {Py_tp_new, subtree_new},
    {Py_tp_dealloc, subtree_dealloc},
    {Py_tp_methods, subtree_methods},
    {0, NULL},
};

PyType_Spec subtree_spec = {"ioi_storage._core.Subtree", sizeof(struct subtree), 0, Py_TPFLAGS_DEFAULT,
                                   subtree_slots};
