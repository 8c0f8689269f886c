/* The class Rows: rows packed into buffers, taken apart only when they are looked at. */
#include "module.h"

struct rows {
    PyObject_HEAD
    Py_ssize_t count, parts;
    Py_buffer *views;
};

struct rows_iterator {
    PyObject_HEAD
    struct rows *rows;
    Py_ssize_t part, at;
};

/* The row at `at`, false if there is none whole. */
static bool sizes_at(const Py_buffer *view, Py_ssize_t at, uint32_t sizes[2]) {
    if (view->len - at < PACKED_HEAD) return false;
    memcpy(sizes, (const uint8_t *)view->buf + at, PACKED_HEAD);
    return (uint64_t)sizes[0] + sizes[1] <= (uint64_t)(view->len - at - PACKED_HEAD);
}

static void rows_dealloc(PyObject *object) {
    struct rows *self = (struct rows *)object;
    PyTypeObject *type = Py_TYPE(object);
    for (Py_ssize_t i = 0; i < self->parts; i++) PyBuffer_Release(&self->views[i]);
    PyMem_Free(self->views);
    type->tp_free(object);
    Py_DECREF(type);
}

/* Only how many there are said to be: looking at each costs as much as writing it did. */
static bool count_rows(struct rows *self, const Py_buffer *view) {
    uint64_t count = 0;
    if (view->len >= PACKED_COUNT) memcpy(&count, view->buf, PACKED_COUNT);
    if (view->len < PACKED_COUNT || count > (uint64_t)view->len / PACKED_HEAD) {
        PyErr_SetString(PyExc_ValueError, "not packed rows");
        return false;
    }
    self->count += (Py_ssize_t)count;
    return true;
}

static PyObject *rows_new(PyTypeObject *type, PyObject *args, PyObject *kwargs) {
    PyObject *parts;
    static char *names[] = {"", NULL};
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "O", names, &parts)) return NULL;
    PyObject *fast = PySequence_Fast(parts, "parts must be a sequence of buffers");
    if (fast == NULL) return NULL;
    struct rows *self = (struct rows *)type->tp_alloc(type, 0);
    Py_ssize_t n = PySequence_Fast_GET_SIZE(fast);
    bool ok = self != NULL && (self->views = PyMem_Calloc((size_t)n + 1, sizeof *self->views)) != NULL;
    if (self != NULL && !ok) PyErr_NoMemory();
    for (Py_ssize_t i = 0; ok && i < n; i++) {
        ok = PyObject_GetBuffer(PySequence_Fast_GET_ITEM(fast, i), &self->views[i], PyBUF_SIMPLE) == 0;
        if (ok) self->parts++;
        ok = ok && count_rows(self, &self->views[i]);
    }
    Py_DECREF(fast);
    if (!ok) Py_CLEAR(self);
    return (PyObject *)self;
}

static Py_ssize_t rows_len(PyObject *object) { return ((struct rows *)object)->count; }

static PyObject *rows_iter(PyObject *object) {
    PyObject *module = PyType_GetModule(Py_TYPE(object));
    PyObject *type = module != NULL ? PyObject_GetAttrString(module, "_RowsIterator") : NULL;
    if (type == NULL) return NULL;
    struct rows_iterator *iterator = (struct rows_iterator *)((PyTypeObject *)type)->tp_alloc((PyTypeObject *)type, 0);
    Py_DECREF(type);
    if (iterator == NULL) return NULL;
    Py_INCREF(object);
    iterator->rows = (struct rows *)object;
    iterator->at = PACKED_COUNT;
    return (PyObject *)iterator;
}

static void iterator_dealloc(PyObject *object) {
    PyTypeObject *type = Py_TYPE(object);
    Py_XDECREF(((struct rows_iterator *)object)->rows);
    type->tp_free(object);
    Py_DECREF(type);
}

static PyObject *iterator_next(PyObject *object) {
    struct rows_iterator *self = (struct rows_iterator *)object;
    const struct rows *rows = self->rows;
    uint32_t sizes[2];
    while (self->part < rows->parts && !sizes_at(&rows->views[self->part], self->at, sizes)) {
        self->part++;
        self->at = PACKED_COUNT;
    }
    if (self->part == rows->parts) return NULL;
    const uint8_t *row = (const uint8_t *)rows->views[self->part].buf + self->at + PACKED_HEAD;
    self->at += PACKED_HEAD + (Py_ssize_t)sizes[0] + (Py_ssize_t)sizes[1];
    PyObject *key = bytes_of(row, sizes[0]), *value = bytes_of(row + sizes[0], sizes[1]);
    PyObject *pair = key != NULL && value != NULL ? PyTuple_New(2) : NULL;
    if (pair == NULL) {
        Py_XDECREF(key);
        Py_XDECREF(value);
        return NULL;
    }
    PyTuple_SET_ITEM(pair, 0, key);
    PyTuple_SET_ITEM(pair, 1, value);
    return pair;
}

static PyObject *py_packed_row(PyObject *self, PyObject *args) {
    (void)self;
    const char *key, *row;
    Py_ssize_t key_size, size;
    if (!PyArg_ParseTuple(args, "y#y#", &key, &key_size, &row, &size)) return NULL;
    PyObject *packed = bytes_of(NULL, PACKED_COUNT + PACKED_HEAD + (size_t)key_size + (size_t)size);
    if (packed == NULL) return NULL;
    uint8_t *at = packed_head(packed_count((uint8_t *)PyBytes_AS_STRING(packed), 1), (size_t)key_size, (size_t)size);
    memcpy(at, key, (size_t)key_size);
    memcpy(at + key_size, row, (size_t)size);
    return packed;
}

PyMethodDef rows_functions[] = {
    {"packed_row", py_packed_row, METH_VARARGS, "packed_row(key, row) -> one row as Rows takes it."},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot rows_slots[] = {
    {Py_tp_doc, "Rows(buffers): (key, row) pairs that lie packed in buffers, in their order."},
    {Py_tp_new, rows_new},
    {Py_tp_dealloc, rows_dealloc},
    {Py_tp_iter, rows_iter},
    {Py_sq_length, rows_len},
    {0, NULL},
};

static PyType_Slot iterator_slots[] = {
    {Py_tp_dealloc, iterator_dealloc},
    {Py_tp_iter, PyObject_SelfIter},
    {Py_tp_iternext, iterator_next},
    {0, NULL},
};

PyType_Spec rows_spec = {"ioi_storage._core.Rows", sizeof(struct rows), 0, Py_TPFLAGS_DEFAULT, rows_slots};
PyType_Spec rows_iterator_spec = {"ioi_storage._core._RowsIterator", sizeof(struct rows_iterator), 0,
                                  Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION, iterator_slots};
