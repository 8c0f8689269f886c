/* The class Writes: the write set of a block, packed. A pair of Python objects is made of a write where one is asked for. */
#include "module.h"

#include <assert.h>
#include <stdalign.h>
#include <structmember.h>

PyTypeObject *writes_type;

struct writes writes_of(PyObject *object) {
    const struct writes_object *self = (const struct writes_object *)object;
    static_assert(offsetof(PyBytesObject, ob_sval) % alignof(uint64_t) == 0, "ends in bytes are aligned");
    return (struct writes){(const uint8_t *)PyBytes_AS_STRING(self->blob),
                           (const uint64_t *)(const void *)PyBytes_AS_STRING(self->ends),
                           (size_t)PyBytes_GET_SIZE(self->ends) / (2 * sizeof(uint64_t))};
}

static PyObject *made(PyTypeObject *type, PyObject *blob, PyObject *ends) {
    struct writes_object *self = (struct writes_object *)type->tp_alloc(type, 0);
    if (self == NULL) return NULL;
    self->blob = Py_NewRef(blob);
    self->ends = Py_NewRef(ends);
    return (PyObject *)self;
}

static PyObject *writes_new(PyTypeObject *type, PyObject *args, PyObject *kwargs) {
    static char *names[] = {"", "", NULL};
    PyObject *blob, *ends;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "SS:Writes", names, &blob, &ends)) return NULL;
    PyObject *self = made(type, blob, ends);
    if (self == NULL) return NULL;
    struct writes w = writes_of(self);
    uint64_t at = 0;
    bool good = PyBytes_GET_SIZE(ends) % (Py_ssize_t)(2 * sizeof(uint64_t)) == 0;
    for (size_t i = 0; good && i < 2 * w.count; i++) {
        uint64_t end = w.ends[i] & ~(i % 2 ? WRITES_DELETED : 0);
        good = end >= at && (end == w.ends[i] || end == at);
        at = end;
    }
    if (good && at == (uint64_t)PyBytes_GET_SIZE(blob)) return self;
    PyErr_SetString(PyExc_ValueError, "ends are u64, of each key and each value, ascending, the last one the size of the blob; a "
                                      "delete's value is empty");
    Py_DECREF(self);
    return NULL;
}

static void writes_dealloc(PyObject *object) {
    struct writes_object *self = (struct writes_object *)object;
    PyTypeObject *type = Py_TYPE(object);
    Py_XDECREF(self->blob);
    Py_XDECREF(self->ends);
    type->tp_free(object);
    Py_DECREF(type);
}

/* key and value of pair i, borrowed, which are as they must be. False with an exception. */
static bool key_and_value(PyObject *pair, Py_ssize_t i, PyObject **key, PyObject **value) {
    if (!PyTuple_CheckExact(pair) || PyTuple_GET_SIZE(pair) != 2) {
        PyErr_Format(PyExc_TypeError, "batch[%zd] must be a tuple (key, value), not %R", i, pair);
        return false;
    }
    *key = PyTuple_GET_ITEM(pair, 0);
    *value = PyTuple_GET_ITEM(pair, 1);
    if (PyBytes_Check(*key) && (*value == Py_None || PyBytes_Check(*value))) return true;
    PyErr_Format(PyExc_TypeError, "batch[%zd]: key and value must be bytes, or the value None to delete", i);
    return false;
}

static size_t size_of(PyObject *bytes) { return bytes == Py_None ? 0 : (size_t)PyBytes_GET_SIZE(bytes); }

/* Writes.of(pairs): packed; what is packed already, as it is. */
static PyObject *writes_from(PyObject *type, PyObject *pairs) {
    if (Py_IS_TYPE(pairs, (PyTypeObject *)type)) return Py_NewRef(pairs);
    PyObject *fast = PySequence_Tuple(pairs), *blob = NULL, *ends = NULL, *result = NULL, *key, *value;
    if (fast == NULL) return NULL;
    size_t total = 0;
    Py_ssize_t count = PyTuple_GET_SIZE(fast);
    for (Py_ssize_t i = 0; i < count; i++) {
        if (!key_and_value(PyTuple_GET_ITEM(fast, i), i, &key, &value)) goto out;
        total += size_of(key) + size_of(value);
    }
    blob = bytes_of(NULL, total);
    ends = bytes_of(NULL, (size_t)count * 2 * sizeof(uint64_t));
    if (blob == NULL || ends == NULL) goto out;
    uint8_t *bytes = (uint8_t *)PyBytes_AS_STRING(blob);
    uint64_t *end = (uint64_t *)(void *)PyBytes_AS_STRING(ends), at = 0;
    for (Py_ssize_t i = 0; i < count; i++) {
        key_and_value(PyTuple_GET_ITEM(fast, i), i, &key, &value);
        memcpy(bytes + at, PyBytes_AS_STRING(key), size_of(key));
        *end++ = at += size_of(key);
        if (value != Py_None) memcpy(bytes + at, PyBytes_AS_STRING(value), size_of(value));
        at += size_of(value);
        *end++ = at | (value == Py_None ? WRITES_DELETED : 0);
    }
    result = made((PyTypeObject *)type, blob, ends);
out:
    Py_DECREF(fast);
    Py_XDECREF(blob);
    Py_XDECREF(ends);
    return result;
}

/* Which of two keys comes first, as memcmp says it. */
static int before(const uint8_t *a, size_t a_size, const uint8_t *b, size_t b_size) {
    int order = memcmp(a, b, a_size < b_size ? a_size : b_size);
    return order != 0 ? order : (a_size > b_size) - (a_size < b_size);
}

/* over(under): both, of which each key is in ascending order; of a key in both, this one's write. */
static PyObject *writes_over(PyObject *self, PyObject *other) {
    if (!Py_IS_TYPE(other, Py_TYPE(self))) {
        PyErr_Format(PyExc_TypeError, "over takes Writes, not %.100s", Py_TYPE(other)->tp_name);
        return NULL;
    }
    const struct writes top = writes_of(self), under = writes_of(other);
    const struct writes_object *mine = (struct writes_object *)self, *theirs = (struct writes_object *)other;
    PyObject *blob = bytes_of(NULL, (size_t)(PyBytes_GET_SIZE(mine->blob) + PyBytes_GET_SIZE(theirs->blob)));
    PyObject *ends = bytes_of(NULL, (top.count + under.count) * 2 * sizeof(uint64_t)), *result = NULL;
    if (blob == NULL || ends == NULL) goto out;
    uint8_t *bytes = (uint8_t *)PyBytes_AS_STRING(blob);
    uint64_t *first = (uint64_t *)(void *)PyBytes_AS_STRING(ends), *end = first, at = 0;
    for (size_t i = 0, j = 0; i < top.count || j < under.count;) {
        size_t a_size = 0, b_size = 0, size;
        const uint8_t *a = i < top.count ? writes_key(&top, i, &a_size) : NULL;
        const uint8_t *b = j < under.count ? writes_key(&under, j, &b_size) : NULL;
        int order = a == NULL ? 1 : b == NULL ? -1 : before(a, a_size, b, b_size);
        const uint8_t *value = order <= 0 ? writes_value(&top, i, &size) : writes_value(&under, j, &size);
        if (order > 0) a = b, a_size = b_size;
        memcpy(bytes + at, a, a_size);
        *end++ = at += a_size;
        if (value != NULL) memcpy(bytes + at, value, size), at += size;
        *end++ = at | (value == NULL ? WRITES_DELETED : 0);
        i += order <= 0;
        j += order >= 0;
    }
    if (_PyBytes_Resize(&blob, (Py_ssize_t)at) == 0 &&
        _PyBytes_Resize(&ends, (Py_ssize_t)((end - first) * (ptrdiff_t)sizeof *end)) == 0)
        result = made(Py_TYPE(self), blob, ends);
out:
    Py_XDECREF(blob);
    Py_XDECREF(ends);
    return result;
}

static Py_ssize_t writes_len(PyObject *self) { return (Py_ssize_t)writes_of(self).count; }

static PyObject *writes_item(PyObject *self, Py_ssize_t i) {
    struct writes w = writes_of(self);
    if (i < 0 || (size_t)i >= w.count) {
        PyErr_SetString(PyExc_IndexError, "there are not so many writes");
        return NULL;
    }
    size_t key_size, size;
    const uint8_t *key = writes_key(&w, (size_t)i, &key_size), *value = writes_value(&w, (size_t)i, &size);
    PyObject *k = bytes_of(key, key_size), *v = value != NULL ? bytes_of(value, size) : Py_NewRef(Py_None);
    PyObject *pair = k != NULL && v != NULL ? PyTuple_Pack(2, k, v) : NULL;
    Py_XDECREF(k);
    Py_XDECREF(v);
    return pair;
}

static PyObject *writes_subscript(PyObject *self, PyObject *index) {
    if (!PySlice_Check(index)) {
        Py_ssize_t i = PyNumber_AsSsize_t(index, PyExc_IndexError);
        if (i == -1 && PyErr_Occurred()) return NULL;
        return writes_item(self, i < 0 ? i + writes_len(self) : i);
    }
    Py_ssize_t start, stop, step;
    if (PySlice_Unpack(index, &start, &stop, &step) < 0) return NULL;
    Py_ssize_t count = PySlice_AdjustIndices(writes_len(self), &start, &stop, step);
    PyObject *some = PyList_New(count);
    for (Py_ssize_t i = 0; some != NULL && i < count; i++) {
        PyObject *pair = writes_item(self, start + i * step);
        if (pair != NULL) PyList_SET_ITEM(some, i, pair);
        else Py_CLEAR(some);
    }
    return some;
}

static PyObject *writes_compare(PyObject *self, PyObject *other, int how) {
    if ((how != Py_EQ && how != Py_NE) || !(PyList_Check(other) || Py_IS_TYPE(other, Py_TYPE(self)))) Py_RETURN_NOTIMPLEMENTED;
    if (!PyList_Check(other)) {
        const struct writes_object *a = (struct writes_object *)self, *b = (struct writes_object *)other;
        int same = PyObject_RichCompareBool(a->ends, b->ends, Py_EQ);
        if (same > 0) same = PyObject_RichCompareBool(a->blob, b->blob, Py_EQ);
        return same < 0 ? NULL : PyBool_FromLong(same == (how == Py_EQ));
    }
    PyObject *all = PySequence_List(self), *result = all != NULL ? PyObject_RichCompare(all, other, how) : NULL;
    Py_XDECREF(all);
    return result;
}

static PyObject *writes_repr(PyObject *self) {
    PyObject *all = PySequence_List(self), *text = all != NULL ? PyObject_Repr(all) : NULL;
    Py_XDECREF(all);
    return text;
}

int writes_as_sequence(PyObject *type) {
    static const char *const mixed_in[] = {"index", "count"};
    PyObject *abc = PyImport_ImportModule("collections.abc");
    PyObject *sequence = abc != NULL ? PyObject_GetAttrString(abc, "Sequence") : NULL;
    PyObject *registered = sequence != NULL ? PyObject_CallMethod(sequence, "register", "O", type) : NULL;
    int result = registered != NULL ? 0 : -1;
    for (size_t i = 0; result == 0 && i < sizeof mixed_in / sizeof *mixed_in; i++) {
        PyObject *method = PyObject_GetAttrString(sequence, mixed_in[i]);
        result = method != NULL ? PyObject_SetAttrString(type, mixed_in[i], method) : -1;
        Py_XDECREF(method);
    }
    Py_XDECREF(registered);
    Py_XDECREF(sequence);
    Py_XDECREF(abc);
    return result;
}

static PyObject *writes_reduce(PyObject *object, PyObject *unused) {
    (void)unused;
    const struct writes_object *self = (struct writes_object *)object;
    return Py_BuildValue("O(OO)", Py_TYPE(object), self->blob, self->ends);
}

static PyMethodDef methods[] = {
    {"of", writes_from, METH_O | METH_CLASS, "of(pairs) -> them packed; what is packed already as it is."},
    {"over", writes_over, METH_O, "over(under) -> both, which ascend by key; of a key in both this one's write."},
    {"__reduce__", writes_reduce, METH_NOARGS, "For pickle."},
    {NULL, NULL, 0, NULL},
};

static PyMemberDef members[] = {
    {"blob", T_OBJECT_EX, offsetof(struct writes_object, blob), READONLY, "keys and values, one behind the other"},
    {"ends", T_OBJECT_EX, offsetof(struct writes_object, ends), READONLY, "u64: where each key and each value ends"},
    {NULL, 0, 0, 0, NULL},
};

static PyType_Slot slots[] = {
    {Py_tp_doc,
     "Writes(blob, ends): a sequence of (key, value or None to delete), packed. Immutable.\n\n"
     "ends: u64 in native order, where each key and each value ends in the blob, by turns; bit 63 of a value's says that "
     "the key is deleted."},
    {Py_tp_new, writes_new},
    {Py_tp_dealloc, writes_dealloc},
    {Py_tp_methods, methods},
    {Py_tp_members, members},
    {Py_tp_repr, writes_repr},
    {Py_tp_richcompare, writes_compare},
    {Py_tp_hash, PyObject_HashNotImplemented},
    {Py_sq_length, writes_len},
    {Py_sq_item, writes_item},
    {Py_mp_length, writes_len},
    {Py_mp_subscript, writes_subscript},
    {0, NULL},
};
PyType_Spec writes_spec = {"ioi_storage._core.Writes", sizeof(struct writes_object), 0, Py_TPFLAGS_DEFAULT, slots};
