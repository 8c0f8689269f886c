/* ioi_shm.Plain: the back end where transactions execute one after another, in plain dictionaries. No versions, no
 * recording, no shared memory: too simple to be wrong, for it is what every other execution must equal. */
#include "../events.h"
#include "state.h"

/* What a checkpoint has to put back: of each key that was written since, what the transaction had written before, or Ellipsis if nothing;
 * and how long its events were. */
typedef struct {
    PyObject *replaced; /* {key: value, None or Ellipsis}; NULL before the first */
    size_t events;
} Undo;

typedef struct {
    BackObject back;     /* first */
    PyObject *block;     /* {key: value or None}: what the transactions so far wrote */
    PyObject *ordered;   /* its keys in order, but for those in `unordered`: kept as far as scans have asked for it */
    PyObject *unordered; /* list */
    PyObject *own;       /* {key: value or None}: what this transaction wrote */
    uint64_t own_bytes;  /* their keys and values */
    Undo *undo;          /* of the open checkpoints, the innermost last */
    size_t undo_count, undo_room;
    ioi_bytes events; /* of this transaction, packed */
} PlainObject;

static int found(PyObject *value, PyObject **out) {
    *out = value == Py_None ? NULL : Py_NewRef(value);
    return *out != NULL;
}

static int plain_get(BackObject *back, PyObject *key, PyObject **value) {
    PlainObject *self = (PlainObject *)back;
    PyObject *written = PyDict_GetItemWithError(self->own, key);
    if (!written && !PyErr_Occurred()) written = PyDict_GetItemWithError(self->block, key);
    if (written) return found(written, value);
    if (PyErr_Occurred()) return -1;
    PyObject *base = base_value(back, key);
    if (!base) return -1;
    int there = found(base, value);
    Py_DECREF(base);
    return there;
}

static int plain_exists(BackObject *back, PyObject *key) {
    PyObject *value;
    int there = plain_get(back, key, &value);
    if (there > 0) Py_DECREF(value);
    return there;
}

static uint64_t value_bytes(PyObject *value) { return value == Py_None ? 0 : (uint64_t)PyBytes_GET_SIZE(value); }

/* Note what a write replaces, for the innermost checkpoint. */
static int note(PlainObject *self, PyObject *key, PyObject *before) {
    if (!self->undo_count) return 0;
    PyObject **replaced = &self->undo[self->undo_count - 1].replaced;
    if (!*replaced && !(*replaced = PyDict_New())) return -1;
    return PyDict_SetDefault(*replaced, key, before ? before : Py_Ellipsis) ? 0 : -1;
}

static int plain_emit(BackObject *back, const uint8_t *bytes, size_t len) {
    PlainObject *self = (PlainObject *)back;
    size_t before = self->events.len;
    if (len > IOI_EVENTS_BYTES - before) return WRITE_BYTES;
    if (!ioi_bytes_add(&self->events, bytes, len)) return PyErr_NoMemory(), -1;
    return WRITE_DONE;
}

static int plain_write(BackObject *back, PyObject *key, PyObject *value) {
    PlainObject *self = (PlainObject *)back;
    if (!value) value = Py_None;
    PyObject *before = PyDict_GetItemWithError(self->own, key);
    if (!before && PyErr_Occurred()) return -1;
    if (!before && (uint64_t)PyDict_GET_SIZE(self->own) >= back->limits.tx_keys) return WRITE_KEYS;
    uint64_t bytes = self->own_bytes + value_bytes(value);
    if (before) bytes -= value_bytes(before);
    else bytes += (uint64_t)PyBytes_GET_SIZE(key);
    if (bytes > back->limits.tx_write_bytes) return WRITE_BYTES;
    if (note(self, key, before) < 0) return -1;
    if (PyDict_SetItem(self->own, key, value) < 0) return -1;
    self->own_bytes = bytes;
    return WRITE_DONE;
}

static int plain_add(BackObject *back, PyObject *key, const ioi_addition *a, size_t *found) {
    PyObject *before = NULL;
    int there = plain_get(back, key, &before);
    if (there < 0) return -1;
    *found = there ? (size_t)PyBytes_GET_SIZE(before) : a->field.size;
    int result = *found == a->field.size ? ADD_REFUSED : ADD_LENGTH;
    ioi_u128 counter = there && result == ADD_REFUSED ? ioi_counter_get((uint8_t *)PyBytes_AS_STRING(before), &a->field) : 0;
    if (result == ADD_REFUSED && ioi_counter_add(a, &counter)) {
        PyObject *after = PyBytes_FromStringAndSize(NULL, a->field.size);
        uint8_t *bytes = after ? (uint8_t *)PyBytes_AS_STRING(after) : NULL;
        if (bytes && there) memcpy(bytes, PyBytes_AS_STRING(before), a->field.size);
        else if (bytes) memset(bytes, 0, a->field.size);
        if (bytes) ioi_counter_put(bytes, &a->field, counter);
        result = bytes ? plain_write(back, key, after) : -1;
        Py_XDECREF(after);
    }
    Py_XDECREF(before);
    return result;
}

static int plain_mark(BackObject *back, uint64_t *mark) {
    PlainObject *self = (PlainObject *)back;
    if (self->undo_count == self->undo_room) {
        size_t room = self->undo_room ? 2 * self->undo_room : 16;
        Undo *grown = PyMem_Realloc(self->undo, room * sizeof *grown);
        if (!grown) return PyErr_NoMemory(), -1;
        self->undo = grown;
        self->undo_room = room;
    }
    *mark = self->undo_count;
    self->undo[self->undo_count++] = (Undo){NULL, self->events.len};
    return 0;
}

static void put_back(PlainObject *self, PyObject *key, PyObject *before) {
    PyObject *now = PyDict_GetItemWithError(self->own, key);
    assert(now);
    self->own_bytes -= value_bytes(now);
    int r;
    if (before == Py_Ellipsis) {
        self->own_bytes -= (uint64_t)PyBytes_GET_SIZE(key);
        r = PyDict_DelItem(self->own, key);
    } else {
        self->own_bytes += value_bytes(before);
        r = PyDict_SetItem(self->own, key, before);
    }
    assert(r == 0); /* the key is there: nothing is allocated */
    (void)r;
}

/* The innermost checkpoint ends. -1: there is no memory to tell the one around it what it has to put back. */
static int end_innermost(PlainObject *self, bool undo) {
    Undo ended = self->undo[--self->undo_count];
    PyObject *key, *before;
    Py_ssize_t at = 0;
    int r = 0;
    while (ended.replaced && r == 0 && PyDict_Next(ended.replaced, &at, &key, &before)) {
        if (undo) put_back(self, key, before);
        else if (self->undo_count) r = note(self, key, before);
    }
    if (undo) self->events.len = ended.events;
    Py_XDECREF(ended.replaced);
    return r;
}

static void plain_close(BackObject *back, uint64_t mark, bool undo) {
    PlainObject *self = (PlainObject *)back;
    assert(mark < self->undo_count);
    while (self->undo_count > mark)
        if (end_innermost(self, undo) < 0) {
            back_broke(back);
            PyErr_Clear(); /* it is cut: whatever the VM does next says so */
        }
}

/* ---- scans: three sources in key order, of which the upper hide the lower ----------------------------------------- */

enum { OWN, BLOCK, BASE, SOURCES };

struct BackScan {
    bool reverse, begun;
    PyObject *own; /* [(key, value or None)] in the order of the scan, as of its call */
    Py_ssize_t own_at;
    PyObject *ordered, *written; /* of the block: its keys in order, and their values */
    Py_ssize_t from, to;         /* those of `ordered` still to come: [from, to) */
    PyObject *low, *high;
    PyObject *base;                          /* iterator, NULL at its end */
    PyObject *key[SOURCES], *value[SOURCES]; /* what each comes to next; key NULL: nothing any more */
};

static int compare(PyObject *a, PyObject *b) {
    Py_ssize_t x = PyBytes_GET_SIZE(a), y = PyBytes_GET_SIZE(b);
    int order = memcmp(PyBytes_AS_STRING(a), PyBytes_AS_STRING(b), (size_t)(x < y ? x : y));
    return order ? order : (x > y) - (x < y);
}

static bool inside(PyObject *key, PyObject *low, PyObject *high) {
    return (!low || compare(key, low) >= 0) && (!high || compare(key, high) < 0);
}

/* The index of the first key in the sorted list that is not below `bound`. */
static Py_ssize_t bisected(PyObject *ordered, PyObject *bound) {
    Py_ssize_t from = 0, to = PyList_GET_SIZE(ordered);
    while (from < to) {
        Py_ssize_t middle = from + (to - from) / 2;
        if (compare(PyList_GET_ITEM(ordered, middle), bound) < 0) from = middle + 1;
        else to = middle;
    }
    return from;
}

static PyObject *own_writes(PlainObject *self, PyObject *low, PyObject *high, bool reverse) {
    PyObject *list = PyList_New(0), *key, *value;
    Py_ssize_t at = 0;
    while (list && PyDict_Next(self->own, &at, &key, &value)) {
        if (!inside(key, low, high)) continue;
        PyObject *pair = PyTuple_Pack(2, key, value);
        if (!pair || PyList_Append(list, pair) < 0) Py_CLEAR(list);
        Py_XDECREF(pair);
    }
    if (list && (PyList_Sort(list) < 0 || (reverse && PyList_Reverse(list) < 0))) Py_CLEAR(list);
    return list;
}

/* Sorting an almost sorted list is linear. */
static int order_keys(PlainObject *self) {
    if (PyList_GET_SIZE(self->unordered) == 0) return 0;
    Py_ssize_t end = PyList_GET_SIZE(self->ordered);
    if (PyList_SetSlice(self->ordered, end, end, self->unordered) < 0 || PyList_Sort(self->ordered) < 0) return -1;
    return PyList_SetSlice(self->unordered, 0, PyList_GET_SIZE(self->unordered), NULL);
}

static void plain_scan_free(BackScan *s) {
    Py_XDECREF(s->own);
    Py_XDECREF(s->ordered);
    Py_XDECREF(s->written);
    Py_XDECREF(s->low);
    Py_XDECREF(s->high);
    for (int i = 0; i < SOURCES; i++) {
        Py_XDECREF(s->key[i]);
        Py_XDECREF(s->value[i]);
    }
    Py_XDECREF(s->base); /* closes it, if nobody else holds it */
    PyMem_Free(s);
}

static BackScan *plain_scan(BackObject *back, PyObject *low, PyObject *high, bool reverse) {
    PlainObject *self = (PlainObject *)back;
    BackScan *s = PyMem_Calloc(1, sizeof *s);
    if (!s) return (BackScan *)PyErr_NoMemory();
    s->reverse = reverse;
    s->low = Py_XNewRef(low);
    s->high = Py_XNewRef(high);
    if (order_keys(self) < 0 || !(s->own = own_writes(self, low, high, reverse))) {
        plain_scan_free(s);
        return NULL;
    }
    s->ordered = Py_NewRef(self->ordered); /* neither changes before the transaction, and so the scan, has ended */
    s->written = Py_NewRef(self->block);
    s->from = low ? bisected(s->ordered, low) : 0;
    s->to = high ? bisected(s->ordered, high) : PyList_GET_SIZE(s->ordered);
    return s;
}

static int advance(BackScan *s, int source) {
    Py_CLEAR(s->key[source]);
    Py_CLEAR(s->value[source]);
    if (source == BASE) {
        int there = s->base ? base_next(s->base, &s->key[BASE], &s->value[BASE]) : 0;
        if (there <= 0) Py_CLEAR(s->base);
        return there < 0 ? -1 : 0;
    }
    if (source == OWN && s->own_at < PyList_GET_SIZE(s->own)) {
        PyObject *pair = PyList_GET_ITEM(s->own, s->own_at++);
        s->key[OWN] = Py_NewRef(PyTuple_GET_ITEM(pair, 0));
        s->value[OWN] = Py_NewRef(PyTuple_GET_ITEM(pair, 1));
    }
    if (source == BLOCK && s->from < s->to) {
        PyObject *key = PyList_GET_ITEM(s->ordered, s->reverse ? --s->to : s->from++);
        PyObject *value = PyDict_GetItemWithError(s->written, key);
        if (!value) return -1;
        s->key[BLOCK] = Py_NewRef(key);
        s->value[BLOCK] = Py_NewRef(value);
    }
    return 0;
}

static int begin_scan(BackObject *back, BackScan *s) {
    s->begun = true;
    s->base = base_range(back, s->low, s->high, s->reverse);
    for (int i = 0; i < SOURCES; i++)
        if (!s->base || advance(s, i) < 0) return -1;
    return 0;
}

static int plain_next(BackObject *back, BackScan *s, PyObject **key, PyObject **value) {
    if (!s->begun && begin_scan(back, s) < 0) return -1;
    for (;;) {
        int first = -1;
        for (int i = 0; i < SOURCES; i++) {
            if (!s->key[i]) continue;
            int order = first < 0 ? -1 : compare(s->key[i], s->key[first]) * (s->reverse ? -1 : 1);
            if (order < 0) first = i; /* of equal keys, the upper one stays */
        }
        if (first < 0) return 0;
        PyObject *next = Py_NewRef(s->key[first]), *its = Py_NewRef(s->value[first]);
        for (int i = SOURCES - 1; i >= 0; i--) {
            if (!s->key[i] || compare(s->key[i], next) != 0 || advance(s, i) == 0) continue;
            Py_DECREF(next);
            Py_DECREF(its);
            return -1;
        }
        if (its != Py_None) {
            *key = next;
            *value = its;
            return 1;
        }
        Py_DECREF(next);
        Py_DECREF(its);
    }
}

static const BackEnd plain_end = {plain_get,  plain_exists, plain_write, plain_add,  plain_emit,
                                  plain_mark, plain_close,  plain_scan,  plain_next, plain_scan_free};

/* ---- the object ------------------------------------------------------------------------------------------------- */

static void forget_own(PlainObject *self) {
    while (self->undo_count) Py_XDECREF(self->undo[--self->undo_count].replaced);
    self->own_bytes = self->events.len = 0;
    PyDict_Clear(self->own);
}

static int plain_clear(PlainObject *self) {
    back_clear(&self->back);
    Py_CLEAR(self->block);
    Py_CLEAR(self->ordered);
    Py_CLEAR(self->unordered);
    Py_CLEAR(self->own);
    return 0;
}

static PyObject *plain_new(PyTypeObject *type, PyObject *args, PyObject *Py_UNUSED(kwargs)) {
    PyObject *limits, *fetch, *range, *over, *leave;
    if (!PyArg_ParseTuple(args, "O!OOOO:Plain", &PyTuple_Type, &limits, &fetch, &range, &over, &leave)) return NULL;
    PlainObject *self = (PlainObject *)type->tp_alloc(type, 0);
    if (!self) return NULL;
    self->block = PyDict_New();
    self->own = PyDict_New();
    self->ordered = PyList_New(0);
    self->unordered = PyList_New(0);
    if (!self->block || !self->own || !self->ordered || !self->unordered ||
        back_init(&self->back, &plain_end, limits, fetch, range, over, leave) < 0)
        Py_CLEAR(self);
    return (PyObject *)self;
}

static int plain_traverse(PlainObject *self, visitproc visit, void *arg) {
    return back_traverse(&self->back, visit, arg); /* the rest holds bytes */
}

static void plain_dealloc(PlainObject *self) {
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    if (self->own) forget_own(self);
    PyMem_Free(self->undo);
    ioi_bytes_free(&self->events);
    plain_clear(self);
    type->tp_free(self);
    Py_DECREF(type);
}

static PyObject *plain_begin(PlainObject *self, PyObject *Py_UNUSED(none)) {
    PyObject *state = state_begin(&self->back);
    if (state) forget_own(self);
    return state;
}

static PyObject *plain_end_state(PlainObject *self, PyObject *Py_UNUSED(none)) {
    state_end(&self->back);
    Py_RETURN_NONE;
}

static PyObject *plain_hold(PlainObject *self, PyObject *Py_UNUSED(none)) {
    state_hold(&self->back);
    Py_RETURN_NONE;
}

/* keep(done): what the ended transaction wrote is part of the block; if it failed, what it wrote before `hold`. Returns the keys,
 * and its events. */
static PyObject *plain_keep(PlainObject *self, PyObject *done) {
    if (self->back.now || self->back.cut) {
        PyErr_SetString(PyExc_RuntimeError, "keep: the transaction has not ended, or its outcome is worth nothing");
        return NULL;
    }
    if (done != Py_True && self->back.held) state_fall_back(&self->back);
    else if (done != Py_True) forget_own(self);
    PyObject *keys = PyList_New(0), *key, *value;
    Py_ssize_t at = 0;
    while (keys && PyDict_Next(self->own, &at, &key, &value)) {
        int known = PyDict_Contains(self->block, key);
        if (known < 0 || (!known && PyList_Append(self->unordered, key) < 0) || PyDict_SetItem(self->block, key, value) < 0 ||
            PyList_Append(keys, key) < 0)
            Py_CLEAR(keys);
    }
    if (!keys) return NULL;
    PyObject *kept = Py_BuildValue("Ny#", keys, self->events.at ? (const char *)self->events.at : "",
                                   (Py_ssize_t)self->events.len);
    if (kept) forget_own(self);
    return kept;
}

/* batch(): the last write of every key, [(key, value or None)] in key order. */
static PyObject *plain_batch(PlainObject *self, PyObject *Py_UNUSED(none)) { return sorted_list(PyDict_Items(self->block)); }

static PyMethodDef plain_methods[] = {
    {"begin", CALL(plain_begin), METH_NOARGS,
     "The state of the next transaction; what the one before wrote and did not keep is gone."},
    {"end", CALL(plain_end_state), METH_NOARGS, "Nothing may be read or written through it any more."},
    {"hold", CALL(plain_hold), METH_NOARGS, "What was written so far stays also if the rest fails."},
    {"keep", CALL(plain_keep), METH_O,
     "Take what the ended transaction wrote (False: before `hold`) into the block; returns its keys, and its events."},
    GAS_METHODS,
    {"batch", CALL(plain_batch), METH_NOARGS, "The last write of every key, in key order."},
    {NULL, NULL, 0, NULL}};
static PyType_Slot plain_slots[] = {
    {Py_tp_new, plain_new},
    {Py_tp_dealloc, plain_dealloc},
    {Py_tp_traverse, plain_traverse},
    {Py_tp_clear, plain_clear},
    {Py_tp_methods, plain_methods},
    {Py_tp_members, back_members},
    {Py_tp_doc, (void *)"Plain(limits, fetch, range, over, leave): the state where transactions execute one after another."},
    {0, NULL}};
PyType_Spec plain_spec = {"ioi_shm._core.Plain", sizeof(PlainObject), 0, Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC, plain_slots};
