/* ioi_shm.View: what a VM in Python reads and writes through. */
#include "module.h"

#include <structmember.h>

#include "../ordered.h"
#include "depth.h"

/* The one a program makes is the prototype: it owns the ioi_view. `_begin` makes one for each incarnation, so that a VM
 * that kept one beyond its transaction is told so. */
typedef struct {
    PyObject_HEAD
    PyObject *owner; /* the Worker, or the prototype */
    ioi_worker *worker;
    ioi_view *view;
    PyObject *fetch, *over, *leave; /* base lookup; exception of a limit; exception that ends an incarnation */
    bool prototype;
    bool cut;            /* the incarnation cannot go on: every operation raises `leave` again */
    bool ended;          /* its transaction is over */
    uint64_t fetch_from; /* while recording: when _hint said what is missing */
} ViewObject;

static PyObject *view_new(PyTypeObject *type, PyObject *args, PyObject *Py_UNUSED(kwargs)) {
    PyObject *worker, *limits_tuple, *fetch, *over, *leave;
    ioi_limits limits;
    if (!PyArg_ParseTuple(args, "O!O!OOO:View", worker_type, &worker, &PyTuple_Type, &limits_tuple, &fetch, &over, &leave))
        return NULL;
    if (as_limits(limits_tuple, &limits) < 0) return NULL;
    ViewObject *self = (ViewObject *)type->tp_alloc(type, 0);
    if (!self) return NULL;
    self->owner = Py_NewRef(worker);
    self->worker = &((WorkerObject *)worker)->worker;
    self->view = ioi_view_new(self->worker);
    self->view->limits = limits;
    self->fetch = Py_NewRef(fetch);
    self->over = Py_NewRef(over);
    self->leave = Py_NewRef(leave);
    self->prototype = self->ended = true;
    return (PyObject *)self;
}

static int view_traverse(ViewObject *self, visitproc visit, void *arg) {
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(self->owner);
    Py_VISIT(self->fetch);
    Py_VISIT(self->over);
    Py_VISIT(self->leave);
    return 0;
}

static int view_clear(ViewObject *self) {
    Py_CLEAR(self->fetch);
    Py_CLEAR(self->over);
    Py_CLEAR(self->leave);
    Py_CLEAR(self->owner);
    return 0;
}

static void view_dealloc(ViewObject *self) {
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    if (self->prototype) ioi_view_free(self->view);
    view_clear(self);
    type->tp_free(self);
    Py_DECREF(type);
}

static PyObject *cut_short(ViewObject *self) {
    self->cut = true;
    PyErr_SetNone(self->leave);
    return NULL;
}

/* Sets the exception if the view is of no use any more. */
static bool unusable(ViewObject *self) {
    if (self->cut) PyErr_SetNone(self->leave);
    else if (self->ended)
        PyErr_SetString(PyExc_RuntimeError,
                        "the state was used after its transaction ended: a VM keeps nothing between transactions");
    return self->cut || self->ended;
}

/* An operation said IOI_STOP: clear what is in its way. 0: try again. -1: an exception is set. */
static int resolve(ViewObject *self) {
    ioi_view *view = self->view;
    switch (view->stop) {
    case IOI_STOP_BASE: {
        ioi_entry *entry = view->missing;
        ioi_worker *w = self->worker;
        uint64_t from = ioi_recording(w) ? ioi_recorder_look(&w->recorder) : 0;
        PyObject *key = PyBytes_FromStringAndSize((const char *)entry->key, entry->key_len);
        depth of_vm;
        depth_enter_engine(&of_vm);
        PyObject *value = key ? PyObject_CallOneArg(self->fetch, key) : NULL;
        depth_leave(&of_vm);
        Py_XDECREF(key);
        const uint8_t *bytes;
        size_t len;
        if (!value || as_bytes(value, true, "a base value", &bytes, &len) < 0) {
            Py_XDECREF(value);
            return -1;
        }
        bool kept = ioi_mv_set_base(&w->alloc, entry, bytes, (uint32_t)len);
        Py_DECREF(value);
        if (ioi_recording(w)) ioi_recorder_fetched(&w->recorder, from, view->tx, view->incarnation, ioi_offset(w->arena, entry));
        if (kept) return 0;
        ioi_stop_block(w->arena, IOI_BLOCK_FULL);
        break;
    }
    case IOI_STOP_ESTIMATE: {
        bool running;
        Py_BEGIN_ALLOW_THREADS
        running = ioi_wait_for(self->worker, view->blocker);
        Py_END_ALLOW_THREADS
        if (running) return 0;
        break;
    }
    case IOI_STOP_FULL: ioi_stop_block(self->worker->arena, IOI_BLOCK_FULL); break;
    default: break;
    }
    cut_short(self);
    return -1;
}

enum { KEY_READ_MAX = 1024 }; /* longer keys than any store takes: absent without asking */

/* Open a key of any length that can exist; `*none` when no such key can hold a value. The limit is one of writing: the
 * committed state may hold longer keys, from when the limit was another. */
static int view_key(ViewObject *self, PyObject *object, bool writing, ioi_key *key, bool *none) {
    const uint8_t *bytes;
    size_t len;
    if (as_bytes(object, false, "key", &bytes, &len) < 0 || unusable(self)) return -1;
    *none = len == 0 || len > (writing ? self->view->limits.key_bytes : KEY_READ_MAX);
    if (*none) {
        if (!writing) return 0;
        if (len == 0) PyErr_SetString(PyExc_ValueError, "the key is empty");
        else PyErr_Format(self->over, "key_bytes: a key has 1 to %u bytes, not %zu", self->view->limits.key_bytes, len);
        return -1;
    }
    int r;
    while ((r = ioi_view_key(self->view, bytes, len, key)) == IOI_STOP)
        if (resolve(self) < 0) return -1;
    return 0;
}

static PyObject *view_get(ViewObject *self, PyObject *object) {
    ioi_key key;
    bool none;
    if (view_key(self, object, false, &key, &none) < 0) return NULL;
    if (none) Py_RETURN_NONE;
    const uint8_t *value;
    size_t len;
    int r;
    while ((r = ioi_view_get(self->view, key, &value, &len)) == IOI_STOP)
        if (resolve(self) < 0) return NULL;
    return r == IOI_OK ? PyBytes_FromStringAndSize((const char *)value, (Py_ssize_t)len) : Py_NewRef(Py_None);
}

static PyObject *view_exists(ViewObject *self, PyObject *object) {
    ioi_key key;
    bool none;
    if (view_key(self, object, false, &key, &none) < 0) return NULL;
    if (none) Py_RETURN_FALSE;
    int r;
    while ((r = ioi_view_exists(self->view, key)) == IOI_STOP)
        if (resolve(self) < 0) return NULL;
    return PyBool_FromLong(r == IOI_OK);
}

static PyObject *write_one(ViewObject *self, PyObject *object, const uint8_t *value, size_t len) {
    ioi_key key;
    bool none;
    if (view_key(self, object, true, &key, &none) < 0) return NULL;
    if (len > UINT32_MAX) {
        PyErr_Format(self->over, "value_bytes: a value of %zu bytes", len);
        return NULL;
    }
    if (ioi_view_put(self->view, key, value, len) == IOI_LIMIT) {
        PyErr_Format(self->over, "%s: this write would go beyond the limit", self->view->limit);
        return NULL;
    }
    Py_RETURN_NONE;
}

static PyObject *view_put(ViewObject *self, PyObject *const *args, Py_ssize_t count) {
    const uint8_t *value;
    size_t len;
    if (count != 2) {
        PyErr_Format(PyExc_TypeError, "put takes a key and a value, not %zd arguments", count);
        return NULL;
    }
    if (!PyBytes_Check(args[0])) return as_bytes(args[0], false, "key", &value, &len), NULL;
    if (as_bytes(args[1], false, "value", &value, &len) < 0) return NULL;
    return write_one(self, args[0], value, len);
}

static PyObject *view_delete(ViewObject *self, PyObject *object) { return write_one(self, object, NULL, 0); }

static PyObject *view_mark(ViewObject *self, PyObject *Py_UNUSED(none)) {
    if (unusable(self)) return NULL;
    uint64_t mark;
    int r;
    while ((r = ioi_view_mark(self->view, &mark)) == IOI_STOP)
        if (resolve(self) < 0) return NULL;
    if (r == IOI_LIMIT) {
        PyErr_Format(self->over, "%s: checkpoints are nested too deep", self->view->limit);
        return NULL;
    }
    return PyLong_FromUnsignedLongLong(mark);
}

static PyObject *view_close(ViewObject *self, PyObject *args) {
    unsigned long long mark;
    int undo;
    if (!PyArg_ParseTuple(args, "Kp:_close", &mark, &undo)) return NULL;
    if (self->ended || self->cut) Py_RETURN_TRUE; /* nothing is left to keep or undo */
    if (!ioi_view_innermost(self->view, mark)) Py_RETURN_FALSE;
    ioi_view_close(self->view, mark, undo);
    Py_RETURN_TRUE;
}

static PyObject *view_usable(ViewObject *self, PyObject *Py_UNUSED(none)) {
    if (unusable(self)) return NULL;
    Py_RETURN_NONE;
}

static PyObject *view_range_open(ViewObject *self, PyObject *args) {
    PyObject *low, *high;
    int reverse;
    const uint8_t *l, *h;
    size_t l_len, h_len;
    uint32_t range;
    if (!PyArg_ParseTuple(args, "OOp:_range_open", &low, &high, &reverse)) return NULL;
    if (unusable(self)) return NULL;
    if (as_bytes(low, true, "start", &l, &l_len) < 0 || as_bytes(high, true, "end", &h, &h_len) < 0) return NULL;
    while (ioi_view_range_open(self->view, l, l_len, h, h_len, reverse, &range) == IOI_STOP)
        if (resolve(self) < 0) return NULL;
    return PyLong_FromUnsignedLong(range);
}

static PyObject *view_range_reached(ViewObject *self, PyObject *const *args, Py_ssize_t count) {
    const uint8_t *key;
    size_t len;
    if (count != 2) {
        PyErr_SetString(PyExc_TypeError, "_range_reached takes a range and a key");
        return NULL;
    }
    unsigned long range = PyLong_AsUnsignedLong(args[0]);
    if (PyErr_Occurred() || as_bytes(args[1], true, "key", &key, &len) < 0) return NULL;
    if (unusable(self)) return NULL;
    ioi_view_range_reached(self->view, (uint32_t)range, key, len);
    Py_RETURN_NONE;
}

/* _below(key, base): what stands below this transaction; `base` is the committed value, which the scan knows. */
static PyObject *view_below(ViewObject *self, PyObject *const *args, Py_ssize_t count) {
    ioi_key key;
    bool none;
    const uint8_t *base, *value;
    size_t base_len, len;
    if (count != 2) {
        PyErr_SetString(PyExc_TypeError, "_below takes a key and its base value");
        return NULL;
    }
    if (as_bytes(args[1], true, "base", &base, &base_len) < 0 || view_key(self, args[0], false, &key, &none) < 0) return NULL;
    if (none) Py_RETURN_NONE;
    if (!ioi_mv_set_base(&self->worker->alloc, ioi_at(self->worker->arena, key), base, (uint32_t)base_len)) {
        ioi_stop_block(self->worker->arena, IOI_BLOCK_FULL);
        return cut_short(self);
    }
    int r;
    while ((r = ioi_view_get_below(self->view, key, &value, &len)) == IOI_STOP)
        if (resolve(self) < 0) return NULL;
    return r == IOI_OK ? PyBytes_FromStringAndSize((const char *)value, (Py_ssize_t)len) : Py_NewRef(Py_None);
}

static PyObject *entry_key(const ioi_entry *e) {
    return e ? PyBytes_FromStringAndSize((const char *)e->key, e->key_len) : Py_NewRef(Py_None);
}

/* _written_from(key or None, after): the first key >= (or >) it that the block wrote. */
static PyObject *view_written_from(ViewObject *self, PyObject *const *args, Py_ssize_t count) {
    const uint8_t *key;
    size_t len;
    if (count != 2) {
        PyErr_SetString(PyExc_TypeError, "_written_from takes a key and whether to start after it");
        return NULL;
    }
    int after = PyObject_IsTrue(args[1]);
    if (unusable(self) || after < 0 || as_bytes(args[0], true, "key", &key, &len) < 0) return NULL;
    return entry_key(ioi_ordered_forward(self->worker->arena, key, (uint32_t)len, after));
}

/* _written_before(key or None): the last key < it that the block wrote. */
static PyObject *view_written_before(ViewObject *self, PyObject *object) {
    const uint8_t *key;
    size_t len;
    if (unusable(self) || as_bytes(object, true, "key", &key, &len) < 0) return NULL;
    return entry_key(ioi_ordered_backward(self->worker->arena, key, (uint32_t)len));
}

/* _own(): this transaction's writes as they stand: {key: value or None}. */
static PyObject *view_own(ViewObject *self, PyObject *Py_UNUSED(none)) {
    PyObject *dict = PyDict_New();
    const ioi_entry *entry;
    const uint8_t *value;
    size_t len;
    for (uint32_t i = 0; dict && ioi_view_own(self->view, i, &entry, &value, &len); i++) {
        if (!entry) continue;
        PyObject *key = entry_key(entry), *object = bytes_or_none(value, len);
        if (!key || !object || PyDict_SetItem(dict, key, object) < 0) Py_CLEAR(dict);
        Py_XDECREF(key);
        Py_XDECREF(object);
    }
    return dict;
}

/* _begin(tx): the view of a new incarnation of `tx`. */
static PyObject *view_begin(ViewObject *self, PyObject *argument) {
    unsigned long tx = PyLong_AsUnsignedLong(argument);
    if (PyErr_Occurred()) return NULL;
    ViewObject *made = (ViewObject *)Py_TYPE(self)->tp_alloc(Py_TYPE(self), 0);
    if (!made) return NULL;
    made->owner = Py_NewRef((PyObject *)self);
    made->worker = self->worker;
    made->view = self->view;
    made->fetch = Py_NewRef(self->fetch);
    made->over = Py_NewRef(self->over);
    made->leave = Py_NewRef(self->leave);
    ioi_view_begin(self->view, (uint32_t)tx);
    return (PyObject *)made;
}

/* _end(): nothing may be read or written through this view any more. */
static PyObject *view_end(ViewObject *self, PyObject *Py_UNUSED(none)) {
    self->ended = true;
    Py_RETURN_NONE;
}

/* _finish(code, output, error, gas_wanted, gas_used, fault) */
static PyObject *view_finish(ViewObject *self, PyObject *args) {
    unsigned int code;
    const char *output, *error;
    Py_ssize_t output_len, error_len;
    unsigned long long gas_wanted, gas_used;
    int fault;
    if (!PyArg_ParseTuple(args, "Iy#s#KKp:_finish", &code, &output, &output_len, &error, &error_len, &gas_wanted, &gas_used,
                          &fault))
        return NULL;
    ioi_outcome outcome = {code, gas_wanted, gas_used, (const uint8_t *)output, error, (size_t)output_len, (size_t)error_len};
    self->ended = true;
    bool kept;
    Py_BEGIN_ALLOW_THREADS
    kept = ioi_view_finish(self->view, &outcome, fault);
    if (!kept) ioi_stop_block(self->worker->arena, IOI_BLOCK_FULL);
    Py_END_ALLOW_THREADS
    return PyBool_FromLong(kept);
}

/* _hint(keys): those of them whose base nobody has brought yet, ascending, each once. */
static PyObject *view_hint(ViewObject *self, PyObject *keys) {
    PyObject *iterator = PyObject_GetIter(keys), *missing = PySet_New(NULL), *item;
    while (iterator && missing && (item = PyIter_Next(iterator))) {
        ioi_key key;
        bool none = true;
        bool useful = PyBytes_Check(item); /* a wrong hint is harmless */
        if (useful && view_key(self, item, false, &key, &none) < 0) Py_CLEAR(missing);
        if (missing && !none && a64_load(&((ioi_entry *)ioi_at(self->worker->arena, key))->base) == 0 &&
            PySet_Add(missing, item) < 0)
            Py_CLEAR(missing);
        Py_DECREF(item);
    }
    PyObject *list = missing && iterator && !PyErr_Occurred() ? PySequence_List(missing) : NULL;
    Py_XDECREF(iterator);
    Py_XDECREF(missing);
    if (ioi_recording(self->worker)) self->fetch_from = ioi_recorder_look(&self->worker->recorder);
    return sorted_list(list);
}

/* _bring(keys, values): their committed values. */
static PyObject *view_bring(ViewObject *self, PyObject *args) {
    PyObject *keys, *values;
    if (!PyArg_ParseTuple(args, "O!O!:_bring", &PyList_Type, &keys, &PyList_Type, &values)) return NULL;
    if (PyList_GET_SIZE(keys) != PyList_GET_SIZE(values)) {
        PyErr_SetString(PyExc_ValueError, "as many values as keys");
        return NULL;
    }
    for (Py_ssize_t i = 0; i < PyList_GET_SIZE(keys); i++) {
        ioi_key key;
        bool none;
        const uint8_t *value;
        size_t len;
        if (as_bytes(PyList_GET_ITEM(values, i), true, "value", &value, &len) < 0 ||
            view_key(self, PyList_GET_ITEM(keys, i), false, &key, &none) < 0)
            return NULL;
        if (none) continue;
        if (!ioi_mv_set_base(&self->worker->alloc, ioi_at(self->worker->arena, key), value, (uint32_t)len)) {
            ioi_stop_block(self->worker->arena, IOI_BLOCK_FULL);
            return cut_short(self);
        }
    }
    ioi_worker *w = self->worker;
    if (ioi_recording(w)) ioi_recorder_fetched(&w->recorder, self->fetch_from, self->view->tx, self->view->incarnation, 0);
    Py_RETURN_NONE;
}

static PyMethodDef view_methods[] = {
    {"get", CALL(view_get), METH_O, "The value of a key, or None."},
    {"exists", CALL(view_exists), METH_O, "Whether a key has a value; only that is recorded."},
    {"put", CALL(view_put), METH_FASTCALL, "Write a value."},
    {"delete", CALL(view_delete), METH_O, "Remove a key."},
    {"_mark", CALL(view_mark), METH_NOARGS, "Open a checkpoint."},
    {"_close", CALL(view_close), METH_VARARGS, "Close the innermost checkpoint (mark, undo); False if it is not the innermost."},
    {"_range_open", CALL(view_range_open), METH_VARARGS, "Open a range (start, end, reverse)."},
    {"_range_reached", CALL(view_range_reached), METH_FASTCALL, "The scan has looked up to key, or with None to the end."},
    {"_below", CALL(view_below), METH_FASTCALL, "Pinned value below this transaction (key, base)."},
    {"_written_from", CALL(view_written_from), METH_FASTCALL, "First key at or after, written by the block."},
    {"_written_before", CALL(view_written_before), METH_O, "Last key before, written by the block."},
    {"_own", CALL(view_own), METH_NOARGS, "Own writes as they stand."},
    {"_begin", CALL(view_begin), METH_O, "Start the incarnation of a transaction."},
    {"_usable", CALL(view_usable), METH_NOARGS, "Raises if nothing may be read or written any more."},
    {"_end", CALL(view_end), METH_NOARGS, "End the view without finishing the incarnation."},
    {"_finish", CALL(view_finish), METH_VARARGS, "End it (code, output, error, gas_wanted, gas_used, fault)."},
    {"_hint", CALL(view_hint), METH_O, "Which of these keys have no base yet."},
    {"_bring", CALL(view_bring), METH_VARARGS, "Bring bases (keys, values)."},
    {NULL, NULL, 0, NULL}};
static PyMemberDef view_members[] = {{"_cut", T_BOOL, offsetof(ViewObject, cut), READONLY, "the incarnation cannot go on"},
                                     {NULL, 0, 0, 0, NULL}};
static PyType_Slot view_slots[] = {
    {Py_tp_new, view_new},
    {Py_tp_dealloc, view_dealloc},
    {Py_tp_traverse, view_traverse},
    {Py_tp_clear, view_clear},
    {Py_tp_methods, view_methods},
    {Py_tp_members, view_members},
    {Py_tp_doc, (void *)"View(worker, limits, fetch, over, leave): a transaction's view of the state."},
    {0, NULL}};
PyType_Spec view_spec = {"ioi_shm._core.View", sizeof(ViewObject), 0,
                         Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC, view_slots};
