/* ioi_shm.View: the back end in a worker, over the multi-version memory. Waits where it meets an ESTIMATE. */
#include "view_object.h"

#include "../scan.h"

enum { HINT_MAX = 1024 }; /* bytes of a key: no store takes longer ones */

static int cut_short(ViewObject *self) {
    self->back.cut = true;
    return -1;
}

static int out_of_room(ViewObject *self) {
    ioi_stop_block(self->worker->arena, IOI_BLOCK_FULL);
    return cut_short(self);
}

/* An operation said IOI_STOP: clear what is in its way. 0: try again. -1 as back ends say it. */
static int resolve(ViewObject *self) {
    ioi_view *view = self->view;
    switch (view->stop) {
    case IOI_STOP_BASE: {
        ioi_entry *entry = view->missing;
        ioi_worker *w = self->worker;
        uint64_t from = ioi_recording(w) ? ioi_recorder_look(&w->recorder) : 0;
        PyObject *key = PyBytes_FromStringAndSize((const char *)entry->key, entry->key_len);
        PyObject *value = key ? base_value(&self->back, key) : NULL;
        Py_XDECREF(key);
        const uint8_t *bytes;
        size_t len;
        if (!value || as_bytes(value, true, "a committed value", &bytes, &len) < 0) {
            Py_XDECREF(value);
            return -1;
        }
        bool kept = ioi_mv_fetched(&w->alloc, w->slot, entry, bytes, (uint32_t)len);
        Py_DECREF(value);
        if (ioi_recording(w)) ioi_recorder_fetched(&w->recorder, from, view->tx, view->incarnation, ioi_offset(w->arena, entry));
        return kept ? 0 : out_of_room(self);
    }
    case IOI_STOP_ESTIMATE: {
        bool running;
        Py_BEGIN_ALLOW_THREADS
        running = ioi_wait_for(self->worker, view->blocker);
        Py_END_ALLOW_THREADS
        return running ? 0 : cut_short(self);
    }
    case IOI_STOP_FULL: return out_of_room(self);
    case IOI_STOP_UNREADABLE: self->unreadable = false; return -1; /* with what the walk raised */
    default: return cut_short(self);
    }
}

static int known_key(ViewObject *self, PyObject *bytes, ioi_key *key) {
    while (ioi_view_key(self->view, (const uint8_t *)PyBytes_AS_STRING(bytes), (size_t)PyBytes_GET_SIZE(bytes), key) == IOI_STOP)
        if (resolve(self) < 0) return -1;
    return 0;
}

/* ---- reading and writing ---------------------------------------------------------------------------------------- */

/* What an operation of the core found: 1 with the bytes, or 0; -1 without memory. */
static int as_value(int result, const uint8_t *bytes, size_t len, PyObject **value) {
    if (result != IOI_OK) return 0;
    *value = PyBytes_FromStringAndSize((const char *)bytes, (Py_ssize_t)len);
    return *value ? 1 : -1;
}

static int view_get(BackObject *back, PyObject *bytes, PyObject **value) {
    ViewObject *self = (ViewObject *)back;
    ioi_key key;
    const uint8_t *at = NULL;
    size_t len = 0;
    int r;
    if (known_key(self, bytes, &key) < 0) return -1;
    while ((r = ioi_view_get(self->view, key, &at, &len)) == IOI_STOP)
        if (resolve(self) < 0) return -1;
    return as_value(r, at, len, value);
}

static int view_exists(BackObject *back, PyObject *bytes) {
    ViewObject *self = (ViewObject *)back;
    ioi_key key;
    int r;
    if (known_key(self, bytes, &key) < 0) return -1;
    while ((r = ioi_view_exists(self->view, key)) == IOI_STOP)
        if (resolve(self) < 0) return -1;
    return r == IOI_OK;
}

static int write_result(const ViewObject *self, int result) {
    if (result == IOI_OK) return WRITE_DONE;
    assert(self->view->limit == IOI_LIMIT_TX_KEYS || self->view->limit == IOI_LIMIT_TX_WRITE_BYTES);
    return self->view->limit == IOI_LIMIT_TX_KEYS ? WRITE_KEYS : WRITE_BYTES;
}

static int view_write(BackObject *back, PyObject *bytes, PyObject *value) {
    static const uint8_t empty[1];
    ViewObject *self = (ViewObject *)back;
    ioi_key key;
    if (known_key(self, bytes, &key) < 0) return -1;
    size_t len = value ? (size_t)PyBytes_GET_SIZE(value) : 0;
    const uint8_t *at = !value ? NULL : len ? (const uint8_t *)PyBytes_AS_STRING(value) : empty;
    return write_result(self, ioi_view_put(self->view, key, at, len));
}

static int view_add(BackObject *back, PyObject *bytes, const ioi_addition *addition, size_t *found) {
    ViewObject *self = (ViewObject *)back;
    ioi_key key;
    int r;
    if (known_key(self, bytes, &key) < 0) return -1;
    while ((r = ioi_view_add(self->view, key, addition, found)) == IOI_STOP)
        if (resolve(self) < 0) return -1;
    if (r == IOI_REFUSED) return ADD_REFUSED;
    return r == IOI_LENGTH ? ADD_LENGTH : write_result(self, r);
}

static int view_emit(BackObject *back, const uint8_t *bytes, size_t len) {
    return ioi_view_emit(((ViewObject *)back)->view, bytes, len) == IOI_OK ? WRITE_DONE : WRITE_BYTES;
}

static int view_mark(BackObject *back, uint64_t *mark) {
    ViewObject *self = (ViewObject *)back;
    int r;
    while ((r = ioi_view_mark(self->view, mark)) == IOI_STOP)
        if (resolve(self) < 0) return -1;
    assert(r == IOI_OK); /* the front counts the depth */
    return 0;
}

static void view_close(BackObject *back, uint64_t mark, bool undo) {
    ioi_view *view = ((ViewObject *)back)->view;
    ioi_view_close(view, mark, undo);
}

/* ---- scans ------------------------------------------------------------------------------------------------------ */

struct BackScan {
    ioi_view *view;
    ioi_scan *scan;
};

static void view_scan_free(BackScan *s) {
    ioi_scan_end(s->view, s->scan);
    PyMem_Free(s);
}

static BackScan *view_scan(BackObject *back, PyObject *low, PyObject *high, bool reverse) {
    ViewObject *self = (ViewObject *)back;
    BackScan *s = PyMem_Calloc(1, sizeof *s);
    if (!s) return (BackScan *)PyErr_NoMemory();
    s->view = self->view;
    const uint8_t *l = low ? (const uint8_t *)PyBytes_AS_STRING(low) : NULL;
    const uint8_t *h = high ? (const uint8_t *)PyBytes_AS_STRING(high) : NULL;
    size_t l_len = low ? (size_t)PyBytes_GET_SIZE(low) : 0, h_len = high ? (size_t)PyBytes_GET_SIZE(high) : 0;
    while (ioi_scan_open(s->view, l, l_len, h, h_len, reverse, &s->scan) == IOI_STOP)
        if (resolve(self) < 0) {
            PyMem_Free(s);
            return NULL;
        }
    return s;
}

static int view_next(BackObject *back, BackScan *s, PyObject **key, PyObject **value) {
    ViewObject *self = (ViewObject *)back;
    ioi_pair pair;
    int r;
    while ((r = ioi_scan_next(s->view, s->scan, &pair)) == IOI_STOP)
        if (resolve(self) < 0) return -1;
    if (r != IOI_OK) return 0;
    *key = PyBytes_FromStringAndSize((const char *)pair.key, (Py_ssize_t)pair.key_len);
    *value = PyBytes_FromStringAndSize((const char *)pair.value, (Py_ssize_t)pair.len);
    return *key && *value ? 1 : -1;
}

static const BackEnd view_end = {view_get,  view_exists, view_write, view_add,  view_emit,
                                 view_mark, view_close,  view_scan,  view_next, view_scan_free};

/* ---- the object ------------------------------------------------------------------------------------------------- */

static PyObject *view_new(PyTypeObject *type, PyObject *args, PyObject *Py_UNUSED(kwargs)) {
    PyObject *worker, *limits, *fetch, *range, *over, *leave;
    if (!PyArg_ParseTuple(args, "O!O!OOOO:View", worker_type, &worker, &PyTuple_Type, &limits, &fetch, &range, &over, &leave))
        return NULL;
    ViewObject *self = (ViewObject *)type->tp_alloc(type, 0);
    if (!self) return NULL;
    self->owner = Py_NewRef(worker);
    self->worker = &((WorkerObject *)worker)->worker;
    self->view = ioi_view_new(self->worker);
    if (back_init(&self->back, &view_end, limits, fetch, range, over, leave) < 0) {
        Py_DECREF((PyObject *)self);
        return NULL;
    }
    walks_init(&self->walks, range, &self->unreadable);
    self->view->ranges = &self->walks.ranges;
    self->view->limits = self->back.limits;
    self->view->limits.checkpoint_depth = UINT32_MAX; /* the front counts them, and opens one more to hold */
    return (PyObject *)self;
}

static int view_traverse(ViewObject *self, visitproc visit, void *arg) {
    Py_VISIT(self->owner);
    return back_traverse(&self->back, visit, arg);
}

static int view_clear(ViewObject *self) {
    back_clear(&self->back);
    Py_CLEAR(self->owner);
    return 0;
}

static void view_dealloc(ViewObject *self) {
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    ioi_view_free(self->view);
    view_clear(self);
    type->tp_free(self);
    Py_DECREF(type);
}

/* begin(tx): the state of a new incarnation of `tx`. */
static PyObject *view_begin(ViewObject *self, PyObject *argument) {
    unsigned long tx = PyLong_AsUnsignedLong(argument);
    if (PyErr_Occurred()) return NULL;
    PyObject *state = state_begin(&self->back);
    if (state) ioi_view_begin(self->view, (uint32_t)tx);
    return state;
}

static PyObject *view_end_state(ViewObject *self, PyObject *Py_UNUSED(none)) {
    state_end(&self->back);
    Py_RETURN_NONE;
}

/* finish(code, output, error, gas_wanted, gas_used, fault, traceback, refused): publish what the incarnation did. */
static PyObject *view_finish(ViewObject *self, PyObject *args) {
    unsigned int code;
    const char *output, *error;
    const char *traceback;
    Py_ssize_t output_len, error_len, traceback_len;
    unsigned long long gas_wanted, gas_used;
    int fault, refused;
    if (!PyArg_ParseTuple(args, "Iy#y#KKpy#p:finish", &code, &output, &output_len, &error, &error_len, &gas_wanted, &gas_used,
                          &fault, &traceback, &traceback_len, &refused))
        return NULL;
    if (self->back.now || self->back.cut) {
        PyErr_SetString(PyExc_RuntimeError, "finish: the incarnation has not ended, or its outcome is worth nothing");
        return NULL;
    }
    ioi_outcome outcome = {code, gas_wanted, gas_used, (const uint8_t *)output, error, (size_t)output_len, (size_t)error_len};
    if (code) state_fall_back(&self->back);
    self->view->kept = self->back.held;
    Py_BEGIN_ALLOW_THREADS
    if (refused) ioi_view_note(self->view, IOI_TAIL_REFUSED, NULL, 0);
    if (traceback_len) ioi_view_note(self->view, IOI_TAIL_TRACEBACK, (const uint8_t *)traceback, (size_t)traceback_len);
    if (!ioi_view_finish(self->view, &outcome, fault)) ioi_stop_block(self->worker->arena, IOI_BLOCK_FULL);
    Py_END_ALLOW_THREADS
    Py_RETURN_NONE;
}

/* hint(keys): those of them whose base nobody has brought yet, ascending, each once; None: they are of no use any more. */
static PyObject *view_hint(ViewObject *self, PyObject *keys) {
    PyObject *iterator = PyObject_GetIter(keys), *missing = iterator ? PySet_New(NULL) : NULL, *item;
    bool useless = false;
    while (missing && !useless && (item = PyIter_Next(iterator))) {
        ioi_key key;
        /* A wrong hint is harmless. */
        PyObject *bytes = PyBytes_Check(item) && PyBytes_GET_SIZE(item) > 0 && PyBytes_GET_SIZE(item) <= HINT_MAX
                              ? PyBytes_FromStringAndSize(PyBytes_AS_STRING(item), PyBytes_GET_SIZE(item))
                              : NULL;
        if (bytes && known_key(self, bytes, &key) < 0) useless = true;
        else if (bytes && !ioi_mv_base(self->worker->arena, ioi_at(self->worker->arena, key)) && PySet_Add(missing, bytes) < 0)
            Py_CLEAR(missing);
        Py_XDECREF(bytes);
        Py_DECREF(item);
    }
    PyObject *list = NULL;
    if (useless) list = Py_NewRef(Py_None);
    else if (missing && !PyErr_Occurred()) list = sorted_list(PySequence_List(missing));
    Py_XDECREF(iterator);
    Py_XDECREF(missing);
    if (ioi_recording(self->worker)) self->fetch_from = ioi_recorder_look(&self->worker->recorder);
    return list;
}

/* bring(keys, values): their committed values. */
static PyObject *view_bring(ViewObject *self, PyObject *args) {
    PyObject *keys, *values;
    if (!PyArg_ParseTuple(args, "O!O!:bring", &PyList_Type, &keys, &PyList_Type, &values)) return NULL;
    if (PyList_GET_SIZE(keys) != PyList_GET_SIZE(values)) {
        PyErr_SetString(PyExc_ValueError, "as many values as keys");
        return NULL;
    }
    for (Py_ssize_t i = 0; i < PyList_GET_SIZE(keys); i++) {
        const uint8_t *bytes, *value;
        size_t bytes_len, len;
        ioi_key key;
        if (as_bytes(PyList_GET_ITEM(keys, i), false, "a key", &bytes, &bytes_len) < 0 ||
            as_bytes(PyList_GET_ITEM(values, i), true, "a committed value", &value, &len) < 0)
            return NULL;
        if (known_key(self, PyList_GET_ITEM(keys, i), &key) < 0) break; /* the arena is full, and the block over */
        ioi_worker *w = self->worker;
        if (!ioi_mv_fetched(&w->alloc, w->slot, ioi_at(w->arena, key), value, (uint32_t)len)) {
            out_of_room(self);
            break;
        }
    }
    ioi_worker *w = self->worker;
    if (ioi_recording(w)) ioi_recorder_fetched(&w->recorder, self->fetch_from, self->view->tx, self->view->incarnation, 0);
    Py_RETURN_NONE;
}

static PyMethodDef view_methods[] = {
    {"begin", CALL(view_begin), METH_O, "The state of a new incarnation of a transaction."},
    {"end", CALL(view_end_state), METH_NOARGS, "Nothing may be read or written through it any more."},
    {"finish", CALL(view_finish), METH_VARARGS,
     "Publish what the ended incarnation did (code, output, error, gas_wanted, gas_used, fault, traceback, refused)."},
    {"turns", CALL(view_turns), METH_VARARGS,
     "Execute transactions (vm, ante, decode, hint, settle, renewed, context type, fields, output_bytes, depth) until another "
     "task."},
    {"hint", CALL(view_hint), METH_O, "Which of these keys have no base yet; None: of no use any more."},
    GAS_METHODS,
    {"bring", CALL(view_bring), METH_VARARGS, "Bring bases (keys, values)."},
    {NULL, NULL, 0, NULL}};
static PyType_Slot view_slots[] = {
    {Py_tp_new, view_new},
    {Py_tp_dealloc, view_dealloc},
    {Py_tp_traverse, view_traverse},
    {Py_tp_clear, view_clear},
    {Py_tp_methods, view_methods},
    {Py_tp_members, back_members},
    {Py_tp_doc, (void *)"View(worker, limits, fetch, range, over, leave): the state of a worker's transactions."},
    {0, NULL}};
PyType_Spec view_spec = {"ioi_shm._core.View", sizeof(ViewObject), 0, Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC, view_slots};
