/* The class Subtree: a batch applied to one subtree. Its work is done without the interpreter's lock, so that threads can
 * have a subtree each; one is for one thread. */
#include "module.h"

#include <string.h>

#include "../jellyfish.h"

struct subtree {
    PyObject_HEAD
    struct jf_stage *stage;
    PyObject *held; /* list: the rows that were fed, and the crown */
    bool closed;    /* or failed */
};

struct crown_object {
    PyObject_HEAD
    struct crown crown;
};

static void crown_dealloc(PyObject *object) {
    PyTypeObject *type = Py_TYPE(object);
    crown_clear(&((struct crown_object *)object)->crown);
    type->tp_free(object);
    Py_DECREF(type);
}

static PyObject *crown_new(PyTypeObject *type, PyObject *args, PyObject *kwargs) {
    Py_ssize_t limit;
    static char *names[] = {"", NULL};
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "n", names, &limit)) return NULL;
    if (limit < 0) {
        PyErr_SetString(PyExc_ValueError, "a limit in bytes is not negative");
        return NULL;
    }
    struct crown_object *self = (struct crown_object *)type->tp_alloc(type, 0);
    if (self != NULL) self->crown.limit = (size_t)limit;
    return (PyObject *)self;
}

static PyType_Slot crown_slots[] = {
    {Py_tp_doc, "Crown(limit): the rows of a subtree's first levels, kept in so many bytes of memory; see crown.h."},
    {Py_tp_new, crown_new},
    {Py_tp_dealloc, crown_dealloc},
    {0, NULL},
};

PyType_Spec crown_spec = {"ioi_storage._core.Crown", sizeof(struct crown_object), 0, Py_TPFLAGS_DEFAULT, crown_slots};

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
    PyObject *crown_object = Py_None;
    if (!PyArg_ParseTuple(args, "IOy*K|O", &depth, &slot_object, &packed, &version, &crown_object)) return NULL;
    struct crown *crown = NULL;
    bool crown_ok = crown_object == Py_None;
    if (!crown_ok) {
        PyObject *crown_type = PyObject_GetAttrString(PyType_GetModule(type), "Crown");
        crown_ok = crown_type != NULL && Py_IS_TYPE(crown_object, (PyTypeObject *)crown_type);
        if (crown_ok) crown = &((struct crown_object *)crown_object)->crown;
        else if (crown_type != NULL) PyErr_SetString(PyExc_TypeError, "crown must be a Crown or None");
        Py_XDECREF(crown_type);
    }
    const uint8_t *slot;
    bool leaf;
    struct subtree *self = NULL;
    size_t count = (size_t)packed.len / sizeof(struct jf_entry);
    /* The packed entries may lie at any address: a copy is aligned. */
    struct jf_entry *entries = PyMem_Malloc((size_t)packed.len + 1);
    if (entries == NULL) {
        PyErr_NoMemory();
    } else if (crown_ok && parse_slot(slot_object, &slot, &leaf)) {
        memcpy(entries, packed.buf, (size_t)packed.len);
        struct jf_stage *stage = NULL;
        enum jf_result result = JF_BAD_BATCH;
        Py_BEGIN_ALLOW_THREADS
        if (count * sizeof *entries == (size_t)packed.len)
            result = jf_open(&stage, depth, slot, leaf, entries, count, version, crown);
        Py_END_ALLOW_THREADS
        if (result != JF_OK) raise_result(result);
        else self = (struct subtree *)type->tp_alloc(type, 0);
        if (self != NULL) self->stage = stage;
        else jf_free(stage);
        if (self != NULL && (self->held = Py_BuildValue("[O]", crown_object)) == NULL) Py_CLEAR(self);
    }
    PyMem_Free(entries);
    PyBuffer_Release(&packed);
    return (PyObject *)self;
}

static void subtree_dealloc(PyObject *object) {
    PyTypeObject *type = Py_TYPE(object);
    jf_free(((struct subtree *)object)->stage);
    Py_XDECREF(((struct subtree *)object)->held);
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
    struct subtree *self = (struct subtree *)object;
    struct jf_stage *stage = self->stage;
    if (self->closed) {
        PyErr_SetString(PyExc_ValueError, "the subtree is closed");
        return NULL;
    }
    PyObject *fast = PySequence_Tuple(rows); /* of its own: nobody else can take rows out of it */
    if (fast == NULL) return NULL;
    size_t n = jf_wanted(stage), bad = 0;
    enum jf_result result = JF_OK;
    bool ok = (size_t)PyTuple_GET_SIZE(fast) == n;
    if (!ok) PyErr_Format(PyExc_ValueError, "%zu rows are wanted, got %zd", n, PyTuple_GET_SIZE(fast));
    for (size_t i = 0; ok && result == JF_OK && i < n; i++) {
        PyObject *row = PyTuple_GET_ITEM(fast, (Py_ssize_t)i);
        ok = PyBytes_Check(row);
        if (!ok) {
            PyErr_Format(PyExc_TypeError, "rows[%zu] must be bytes, not %.100s", i, Py_TYPE(row)->tp_name);
            break;
        }
        bad = i;
        result = jf_feed(stage, i, (const uint8_t *)PyBytes_AS_STRING(row), (size_t)PyBytes_GET_SIZE(row));
    }
    if (ok) ok = PyList_Append(self->held, fast) == 0;
    Py_DECREF(fast);
    if (!ok) return NULL;
    if (result == JF_OK) {
        Py_BEGIN_ALLOW_THREADS
        result = jf_descend(stage, &bad);
        Py_END_ALLOW_THREADS
    }
    if (result == JF_OK) Py_RETURN_NONE;
    self->closed = true;
    if (result == JF_MEMORY) return PyErr_NoMemory();
    return Py_BuildValue("(ns)", (Py_ssize_t)bad, result == JF_BAD_ROW ? BAD_ROW : BAD_HASH);
}

static PyObject *rows_of(const struct jf_stage *stage) {
    size_t n = jf_rows(stage), size = PACKED_COUNT;
    uint8_t key[JF_KEY_MAX];
    for (size_t i = 0; i < n; i++) size += PACKED_HEAD + jf_row_key(stage, i, key) + jf_row_size(stage, i);
    PyObject *rows = bytes_of(NULL, size);
    if (rows == NULL) return NULL;
    uint8_t *at = packed_count((uint8_t *)PyBytes_AS_STRING(rows), n);
    Py_BEGIN_ALLOW_THREADS
    for (size_t i = 0; i < n; i++) {
        size_t key_size = jf_row_key(stage, i, key), row_size = jf_row_size(stage, i);
        at = packed_head(at, key_size, row_size);
        memcpy(at, key, key_size);
        at += key_size;
        at += jf_row(stage, i, at);
    }
    Py_END_ALLOW_THREADS
    return rows;
}

static size_t stale_of(const void *stage, size_t i, uint8_t *record) { return jf_stale(stage, i, record); }

static PyObject *subtree_close(PyObject *object, PyObject *unused) {
    (void)unused;
    struct subtree *self = (struct subtree *)object;
    if (jf_wanted(self->stage) > 0 || self->closed) {
        PyErr_SetString(PyExc_ValueError, "rows are still wanted, or the subtree is already closed");
        return NULL;
    }
    self->closed = true;
    enum jf_result result;
    Py_BEGIN_ALLOW_THREADS
    result = jf_close(self->stage);
    Py_END_ALLOW_THREADS
    if (result != JF_OK) return PyErr_NoMemory();
    bool leaf;
    const uint8_t *slot = jf_slot(self->stage, &leaf);
    PyObject *rows = rows_of(self->stage);
    PyObject *stales = rows != NULL ? joined_records(self->stage, jf_stales(self->stage), stale_of) : NULL;
    if (stales == NULL) {
        Py_XDECREF(rows);
        return NULL;
    }
    return Py_BuildValue("(y#NNy#)", slot,
                         (Py_ssize_t)(slot == NULL ? 0
                                      : leaf       ? NODE_LEAF
                                                   : NODE_INNER),
                         rows, stales, jf_effects(self->stage), (Py_ssize_t)jf_count(self->stage));
}

static PyMethodDef subtree_methods[] = {
    {"wanted", subtree_wanted, METH_NOARGS, "Keys of the rows that feed() needs next, in the order it needs them."},
    {"feed", subtree_feed, METH_O, "Hands in the wanted rows. None, or (index, reason) of a row that is corrupt."},
    {"close", subtree_close, METH_NOARGS, "(slot or None, packed rows, records of stale rows, effect of each entry)."},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot subtree_slots[] = {
    {Py_tp_doc, "Subtree(depth, slot, entries, version, crown=None): a batch applied to one subtree; see jellyfish.h."},
    {Py_tp_new, subtree_new},
    {Py_tp_dealloc, subtree_dealloc},
    {Py_tp_methods, subtree_methods},
    {0, NULL},
};

PyType_Spec subtree_spec = {"ioi_storage._core.Subtree", sizeof(struct subtree), 0, Py_TPFLAGS_DEFAULT, subtree_slots};
