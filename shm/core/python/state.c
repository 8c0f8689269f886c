/* ioi_shm.State: get, exists, put, delete, add, scan, checkpoint. */
#include "state.h"

#include "arguments.h"

enum { KEY_READ_MAX = 1024 }; /* longer keys than any store takes: absent without asking */

PyTypeObject *state_type, *scan_type, *checkpoint_type;

/* ---- what every back end has ------------------------------------------------------------------------------------ */

int back_init(BackObject *back, const BackEnd *end, PyObject *limits, PyObject *fetch, PyObject *range, PyObject *over,
              PyObject *leave) {
    if (as_limits(limits, &back->limits) < 0) return -1;
    back->end = end;
    back->fetch = Py_NewRef(fetch);
    back->range = Py_NewRef(range);
    back->over = Py_NewRef(over);
    back->leave = Py_NewRef(leave);
    return 0;
}

int back_traverse(BackObject *back, visitproc visit, void *arg) {
    Py_VISIT(Py_TYPE(back));
    Py_VISIT(back->fetch);
    Py_VISIT(back->range);
    Py_VISIT(back->over);
    Py_VISIT(back->leave);
    Py_VISIT(back->broken);
    return 0;
}

void back_clear(BackObject *back) {
    Py_CLEAR(back->fetch);
    Py_CLEAR(back->range);
    Py_CLEAR(back->over);
    Py_CLEAR(back->leave);
    Py_CLEAR(back->broken);
}

PyMemberDef back_members[] = {
    {"cut", T_BOOL, offsetof(BackObject, cut), READONLY, "the execution could not go on: its outcome is worth nothing"},
    {"held", T_BOOL, offsetof(BackObject, held), READONLY, "what was written before `hold` stays, whatever becomes of the rest"},
    {"broken", T_OBJECT, offsetof(BackObject, broken), READONLY, "what reading the committed state raised, or None"},
    {NULL, 0, 0, 0, NULL}};

void back_broke(BackObject *back) {
    if (!back->cut) {
        PyObject *type, *error, *trace;
        PyErr_Fetch(&type, &error, &trace);
        PyErr_NormalizeException(&type, &error, &trace);
        if (trace && error) PyException_SetTraceback(error, trace);
        Py_XDECREF(type);
        Py_XDECREF(trace);
        Py_XSETREF(back->broken, error);
        back->cut = true;
    }
    PyErr_SetNone(back->leave);
}

static StateObject *newest; /* of those that have not ended */

PyObject *state_begin(BackObject *back) {
    state_end(back);
    StateObject *state = (StateObject *)state_type->tp_alloc(state_type, 0);
    if (!state) return NULL;
    state->back = (BackObject *)Py_NewRef((PyObject *)back);
    state->thread = PyThreadState_Get();
    back->now = state;
    state->older = newest;
    if (newest) newest->newer = state;
    newest = state;
    back->cut = back->held = false;
    Py_CLEAR(back->broken);
    back->meter.gas = NULL;
    back->meter.out = false;
    return (PyObject *)state;
}

static void detach(StateObject *state) {
    BackObject *back = state->back;
    if (!back) return;
    if (back->now == state) back->now = NULL;
    if (newest == state) newest = state->older;
    else state->newer->older = state->older;
    if (state->older) state->older->newer = state->newer;
    state->back = NULL;
    while (state->scans) scan_end(state->scans);
    Py_DECREF((PyObject *)back);
}

void state_end(BackObject *back) {
    if (back->now) detach(back->now);
}

StateObject *state_here(void) {
    StateObject *state = newest;
    while (state && state->thread != PyThreadState_Get()) state = state->older;
    return state;
}

/* As a checkpoint that is never left: those that are open stay so, and cannot end any more. */
void state_hold(BackObject *back) {
    if (!back->now || back->cut || back->meter.out) return;
    if (BEHIND(back, back->end->mark(back, &back->hold)) < 0) {
        back_broke(back);
        PyErr_Clear(); /* it is cut: whatever the VM does next says so */
        return;
    }
    back->now->depth++;
    back->held = true;
}

void state_fall_back(BackObject *back) {
    if (back->held && !back->cut) back->end->close(back, back->hold, true);
}

static const char out_of_gas[] = "out of gas";

/* ---- lifetime --------------------------------------------------------------------------------------------------- */

bool state_refuses(StateObject *state) {
    if (!state->back)
        PyErr_SetString(PyExc_RuntimeError,
                        "the state was used after its transaction ended: a VM keeps nothing between transactions");
    else if (state->thread != PyThreadState_Get())
        PyErr_SetString(PyExc_RuntimeError, "the state was used in another thread than the one that executes the transaction");
    else if (state->back->busy) PyErr_SetString(PyExc_RuntimeError, "the state was used in the middle of another use of it");
    else if (state->back->cut) PyErr_SetNone(state->back->leave);
    else if (state->back->meter.out) PyErr_SetString(state->back->leave, out_of_gas);
    else return false;
    return true;
}

bool gas_refuses(BackObject *back, uint64_t amount) {
    if (!back->meter.gas || ioi_meter_take(&back->meter, amount)) return false;
    PyErr_SetString(back->leave, out_of_gas);
    return true;
}

static int state_traverse(StateObject *state, visitproc visit, void *arg) {
    Py_VISIT(Py_TYPE(state));
    Py_VISIT(state->back);
    return 0;
}

static int state_clear(StateObject *state) {
    detach(state);
    return 0;
}

static void state_dealloc(StateObject *state) {
    PyTypeObject *type = Py_TYPE(state);
    PyObject_GC_UnTrack(state);
    detach(state);
    type->tp_free(state);
    Py_DECREF(type);
}

Py_hash_t no_hash(PyObject *self) {
    wrong_type("what is hashed", self, "hashable");
    return -1;
}

PyObject *no_copy(PyObject *Py_UNUSED(self), PyObject *Py_UNUSED(none)) {
    PyErr_SetString(PyExc_TypeError, "a state, its scans and its checkpoints cannot be copied or pickled");
    return NULL;
}

static PyObject *state_repr(PyObject *Py_UNUSED(self)) { return PyUnicode_FromString("<state of a transaction>"); }

/* ---- reading ---------------------------------------------------------------------------------------------------- */

/* The limit of keys is one of writing: the committed state may hold longer ones, from when the limit was another. */
static bool may_exist(const StateObject *state, PyObject *key) {
    Py_ssize_t len = PyBytes_GET_SIZE(key);
    return len > 0 && (len <= KEY_READ_MAX || (size_t)len <= state->back->limits.key_bytes);
}

bool read_refuses(BackObject *back, PyObject *key, PyObject *value) {
    if (!back->meter.gas) return false;
    uint64_t key_len = key ? (uint64_t)PyBytes_GET_SIZE(key) : 0, len = (uint64_t)PyBytes_GET_SIZE(value);
    return gas_refuses(back, ioi_gas_bytes(back->limits.gas.read_byte, key_len, len));
}

static PyObject *state_get(StateObject *state, PyObject *const *args, Py_ssize_t count, PyObject *names) {
    static const Signature get = {"get", 1, 1, 1, {"key"}};
    PyObject *key, *value = NULL;
    if (take_arguments(&get, args, count, names, &key) < 0 || !(key = exact_bytes(key, "the key"))) return NULL;
    if (!state_refuses(state) && !gas_refuses(state->back, state->back->limits.gas.get)) {
        int found = may_exist(state, key) ? BEHIND(state->back, state->back->end->get(state->back, key, &value)) : 0;
        if (found < 0) back_broke(state->back);
        if (found == 0) value = Py_NewRef(Py_None);
        if (found > 0 && read_refuses(state->back, NULL, value)) Py_CLEAR(value);
    }
    Py_DECREF(key);
    return value;
}

static PyObject *state_exists(StateObject *state, PyObject *const *args, Py_ssize_t count, PyObject *names) {
    static const Signature exists = {"exists", 1, 1, 1, {"key"}};
    PyObject *key, *answer = NULL;
    if (take_arguments(&exists, args, count, names, &key) < 0 || !(key = exact_bytes(key, "the key"))) return NULL;
    if (!state_refuses(state) && !gas_refuses(state->back, state->back->limits.gas.get)) {
        int found = may_exist(state, key) ? BEHIND(state->back, state->back->end->exists(state->back, key)) : 0;
        if (found < 0) back_broke(state->back);
        else answer = Py_NewRef(found ? Py_True : Py_False);
    }
    Py_DECREF(key);
    return answer;
}

/* ---- writing ---------------------------------------------------------------------------------------------------- */

/* Sets the exception if a value of `len` bytes may not be written to the key, for so much gas. */
static bool write_refuses(StateObject *state, PyObject *key, size_t len, uint64_t gas) {
    if (state_refuses(state)) return true;
    BackObject *back = state->back;
    const ioi_limits *most = &back->limits;
    size_t key_len = (size_t)PyBytes_GET_SIZE(key);
    if (gas_refuses(back, gas)) return true;
    if (key_len == 0) PyErr_SetString(PyExc_ValueError, "the key is empty");
    else if (key_len > most->key_bytes)
        PyErr_Format(back->over, "a key of %zu bytes: at most %u (Limits.key_bytes)", key_len, most->key_bytes);
    else if (len > most->value_bytes)
        PyErr_Format(back->over, "a value of %zu bytes: at most %u (Limits.value_bytes)", len, most->value_bytes);
    else return false;
    return true;
}

/* What a WriteResult is to the VM; `done` if it is done. */
static PyObject *written(BackObject *back, int result, PyObject *done) {
    const ioi_limits *most = &back->limits;
    switch (result) {
    case WRITE_DONE: return Py_NewRef(done);
    case WRITE_KEYS: return PyErr_Format(back->over, "a transaction writes at most %u keys (Limits.tx_keys)", most->tx_keys);
    case WRITE_BYTES:
        return PyErr_Format(back->over, "a transaction writes at most %llu bytes (Limits.tx_write_bytes)",
                            (unsigned long long)most->tx_write_bytes);
    case ADD_REFUSED: Py_RETURN_FALSE;
    default: back_broke(back); return NULL;
    }
}

static PyObject *write_one(StateObject *state, PyObject *key, PyObject *value) {
    size_t len = value ? (size_t)PyBytes_GET_SIZE(value) : 0;
    BackObject *back = state->back;
    uint64_t gas = back ? ioi_gas_write(&back->limits.gas, value != NULL, (uint64_t)PyBytes_GET_SIZE(key), len) : 0;
    if (write_refuses(state, key, len, gas)) return NULL;
    return written(back, BEHIND(back, back->end->write(back, key, value)), Py_None);
}

static PyObject *state_put(StateObject *state, PyObject *const *args, Py_ssize_t count, PyObject *names) {
    static const Signature put = {"put", 2, 2, 2, {"key", "value"}};
    PyObject *given[2], *done = NULL;
    if (take_arguments(&put, args, count, names, given) < 0) return NULL;
    PyObject *key = exact_bytes(given[0], "the key"), *value = key ? exact_bytes(given[1], "the value") : NULL;
    if (value) done = write_one(state, key, value);
    Py_XDECREF(key);
    Py_XDECREF(value);
    return done;
}

static PyObject *state_delete(StateObject *state, PyObject *const *args, Py_ssize_t count, PyObject *names) {
    static const Signature delete = {"delete", 1, 1, 1, {"key"}};
    PyObject *key;
    if (take_arguments(&delete, args, count, names, &key) < 0 || !(key = exact_bytes(key, "the key"))) return NULL;
    PyObject *done = write_one(state, key, NULL);
    Py_DECREF(key);
    return done;
}

/* ---- counters --------------------------------------------------------------------------------------------------- */

/* Of an int of a subclass, the number it is. *great: its magnitude has more than 128 bits. */
static int as_number(PyObject *object, const char *what, bool *negative, ioi_u128 *magnitude, bool *great) {
    *great = false;
    if (!PyLong_Check(object) || PyBool_Check(object)) {
        wrong_type(what, object, "int");
        return -1;
    }
    int overflow;
    long long small = PyLong_AsLongLongAndOverflow(object, &overflow);
    *negative = overflow ? overflow < 0 : small < 0;
    *magnitude = small < 0 ? -(ioi_u128)small : (ioi_u128)small;
    if (!overflow) return 0;
    const PyNumberMethods *of_int = PyLong_Type.tp_as_number; /* not those of a subclass */
    PyObject *bits = PyLong_FromLong(64), *all = of_int->nb_absolute(object);
    PyObject *upper = bits && all ? of_int->nb_rshift(all, bits) : NULL;
    if (upper) {
        unsigned long long high = PyLong_AsUnsignedLongLong(upper);
        if ((*great = high == (unsigned long long)-1 && PyErr_Occurred())) PyErr_Clear();
        *magnitude = (ioi_u128)high << 64 | PyLong_AsUnsignedLongLongMask(all);
    }
    Py_XDECREF(bits);
    Py_XDECREF(all);
    Py_XDECREF(upper);
    return upper ? 0 : -1;
}

/* A length in bytes, from `least` to `most`. */
static int as_length(PyObject *object, const char *what, uint64_t least, uint64_t most, uint32_t *length) {
    bool negative, great;
    ioi_u128 number;
    if (as_number(object, what, &negative, &number, &great) < 0) return -1;
    if (great || negative || number < least || number > most) {
        PyErr_Format(PyExc_ValueError, "%s is not between %llu and %llu", what, (unsigned long long)least,
                     (unsigned long long)most);
        return -1;
    }
    *length = (uint32_t)number;
    return 0;
}

/* A bound of the counter, as near to it as the counter comes; one it can never be within makes it `never`. */
static int as_counter_bound(PyObject *object, const char *what, bool lower, ioi_u128 most, ioi_u128 *bound, bool *never) {
    bool negative, great;
    ioi_u128 number;
    if (as_number(object, what, &negative, &number, &great) < 0) return -1;
    bool beyond = great || number > most;
    *never |= lower ? !negative && beyond : negative && number;
    *bound = negative ? 0 : beyond ? most : number;
    return 0;
}

static PyObject *state_add(StateObject *state, PyObject *const *args, Py_ssize_t count, PyObject *names) {
    enum { LENGTH_MAX = 1 << 30 };
    static const Signature add = {"add", 7, 2, 2, {"key", "delta", "width", "offset", "size", "minimum", "maximum"}};
    PyObject *given[7], *key, *done = NULL;
    if (take_arguments(&add, args, count, names, given) < 0) return NULL;
    if (!given[2]) {
        PyErr_SetString(PyExc_TypeError, "add needs an argument 'width'");
        return NULL;
    }
    if (!(key = exact_bytes(given[0], "the key"))) return NULL;
    ioi_addition a = {0};
    bool great, never = false;
    if (as_number(given[1], "the delta", &a.negative, &a.delta, &great) < 0 ||
        as_length(given[2], "the width", 1, IOI_COUNTER_WIDTH_MAX, &a.field.width) < 0 ||
        (given[3] && as_length(given[3], "the offset", 0, LENGTH_MAX, &a.field.offset) < 0))
        goto out;
    uint32_t end = a.field.offset + a.field.width;
    a.field.size = end;
    if (given[4] && given[4] != Py_None && as_length(given[4], "the size", end, LENGTH_MAX, &a.field.size) < 0) goto out;
    a.maximum = ioi_counter_max(a.field.width);
    never = great || a.delta > a.maximum;
    if (given[5] && as_counter_bound(given[5], "the minimum", true, a.maximum, &a.minimum, &never) < 0) goto out;
    if (given[6] && given[6] != Py_None && as_counter_bound(given[6], "the maximum", false, a.maximum, &a.maximum, &never) < 0)
        goto out;
    if (never) a.minimum = 1, a.maximum = 0, a.delta = 0;
    BackObject *back = state->back;
    uint64_t gas = back ? ioi_gas_add(&back->limits.gas, (uint64_t)PyBytes_GET_SIZE(key), a.field.size) : 0;
    if (write_refuses(state, key, a.field.size, gas)) goto out;
    size_t found = 0;
    int result = BEHIND(back, back->end->add(back, key, &a, &found));
    if (result != ADD_LENGTH) done = written(back, result, Py_True);
    else PyErr_Format(PyExc_ValueError, "add: the value has %zu bytes, not %u", found, a.field.size);
out:
    Py_DECREF(key);
    return done;
}

/* ---- scans and checkpoints -------------------------------------------------------------------------------------- */

/* A bound: NULL if it is open. */
static int as_bound(PyObject *object, const char *what, PyObject **bound) {
    *bound = NULL;
    if (!object || object == Py_None) return 0;
    return (*bound = exact_bytes(object, what)) ? 0 : -1;
}

/* The first key after all that begin with `prefix`; NULL without an exception if there is no such key. */
static PyObject *after_prefix(PyObject *prefix) {
    Py_ssize_t len = PyBytes_GET_SIZE(prefix);
    const uint8_t *bytes = (const uint8_t *)PyBytes_AS_STRING(prefix);
    while (len && bytes[len - 1] == 0xff) len--;
    PyObject *after = len ? PyBytes_FromStringAndSize(NULL, len) : NULL; /* new: of one byte, others are shared by all */
    if (!after) return NULL;
    uint8_t *to = (uint8_t *)PyBytes_AS_STRING(after);
    memcpy(to, bytes, (size_t)len);
    to[len - 1]++;
    return after;
}

/* At most how many. */
static int as_scan_limit(PyObject *object, bool *limited, unsigned long long *limit) {
    *limited = object && object != Py_None;
    *limit = 0;
    if (!*limited) return 0;
    bool negative, great;
    ioi_u128 number;
    if (as_number(object, "the limit", &negative, &number, &great) < 0) return -1;
    if (negative) {
        PyErr_SetString(PyExc_ValueError, "the limit is negative");
        return -1;
    }
    *limited = !great && number <= ULLONG_MAX; /* nobody counts further */
    *limit = (unsigned long long)number;
    return 0;
}

static PyObject *state_scan(StateObject *state, PyObject *const *args, Py_ssize_t count, PyObject *names) {
    static const Signature scan = {"scan", 5, 0, 2, {"start", "end", "prefix", "reverse", "limit"}};
    PyObject *given[5], *low = NULL, *high = NULL, *prefix = NULL, *made = NULL;
    bool limited;
    unsigned long long limit;
    if (take_arguments(&scan, args, count, names, given) < 0) return NULL;
    if (as_bound(given[0], "start", &low) < 0 || as_bound(given[1], "end", &high) < 0 ||
        as_bound(given[2], "prefix", &prefix) < 0)
        goto out;
    if (prefix && (low || high)) {
        PyErr_SetString(PyExc_ValueError, "scan takes a prefix, or start and end, not both");
        goto out;
    }
    if (prefix) {
        low = Py_NewRef(prefix);
        high = after_prefix(prefix);
        if (!high && PyErr_Occurred()) goto out;
    }
    int reverse = given[3] ? PyObject_IsTrue(given[3]) : 0; /* may run the VM's code: nothing has begun yet */
    if (reverse >= 0 && as_scan_limit(given[4], &limited, &limit) == 0 && !state_refuses(state))
        made = scan_new(state, low, high, reverse != 0, limited, limit);
out:
    Py_XDECREF(low);
    Py_XDECREF(high);
    Py_XDECREF(prefix);
    return made;
}

static PyObject *state_checkpoint(StateObject *state, PyObject *const *args, Py_ssize_t count, PyObject *names) {
    static const Signature checkpoint = {"checkpoint", 0, 0, 0, {NULL}};
    return take_arguments(&checkpoint, args, count, names, NULL) < 0 ? NULL : checkpoint_new(state);
}

/* ---- gas -------------------------------------------------------------------------------------------------------- */

/* An amount that counters of 64 bits hold: more is as much. */
static int as_gas(PyObject *object, const char *what, uint64_t *amount) {
    bool negative, great;
    ioi_u128 number;
    if (as_number(object, what, &negative, &number, &great) < 0) return -1;
    if (negative && (number || great)) {
        PyErr_Format(PyExc_ValueError, "%s is negative", what);
        return -1;
    }
    *amount = great || number > UINT64_MAX ? UINT64_MAX : (uint64_t)number;
    return 0;
}

int gas_limit(BackObject *back, PyObject *limit) {
    uint64_t amount;
    if (as_gas(limit, "the gas limit", &amount) < 0) return -1;
    if (ioi_meter_limit(&back->meter, amount)) return 0;
    PyErr_SetString(back->leave, out_of_gas);
    return -1;
}

void meter_begin(BackObject *back) {
    if (back->limits.gas.on) ioi_meter_begin(&back->meter, &back->limits.gas);
}

PyObject *back_meter(BackObject *back, PyObject *Py_UNUSED(none)) {
    meter_begin(back);
    Py_RETURN_NONE;
}

PyObject *back_gas_limit(BackObject *back, PyObject *limit) {
    if (gas_limit(back, limit) < 0) return NULL;
    Py_RETURN_NONE;
}

PyObject *back_gas(BackObject *back, PyObject *Py_UNUSED(none)) {
    const ioi_meter *m = &back->meter;
    if (!m->gas) Py_RETURN_NONE;
    return Py_BuildValue("KKO", (unsigned long long)m->limit, (unsigned long long)m->used, m->out ? Py_True : Py_False);
}

/* charge(amount), gas_left(): of the transaction that executes in this thread. */
static StateObject *metered_here(const char *what) {
    StateObject *state = state_here();
    if (!state) PyErr_Format(PyExc_RuntimeError, "ctx.%s: no transaction is executing in this thread", what);
    return !state || state_refuses(state) ? NULL : state;
}

PyObject *charge_gas(PyObject *Py_UNUSED(module), PyObject *given) {
    uint64_t amount;
    if (as_gas(given, "the amount", &amount) < 0) return NULL;
    StateObject *state = metered_here("charge");
    if (!state || gas_refuses(state->back, amount)) return NULL;
    Py_RETURN_NONE;
}

PyObject *gas_left(PyObject *Py_UNUSED(module), PyObject *Py_UNUSED(none)) {
    const StateObject *state = metered_here("gas_left");
    if (!state) return NULL;
    const ioi_meter *m = &state->back->meter;
    if (!m->gas) Py_RETURN_NONE;
    return PyLong_FromUnsignedLongLong(m->limit - m->used);
}

static PyMethodDef state_methods[] = {
    {"get", CALL(state_get), METH_FASTCALL | METH_KEYWORDS,
     "get($self, /, key)\n--\n\nThe value of a key, or None. What is read does not change within a transaction."},
    {"exists", CALL(state_exists), METH_FASTCALL | METH_KEYWORDS,
     "exists($self, /, key)\n--\n\nWhether a key has a value. Cheaper than get in a conflict: only a change of presence "
     "matters."},
    {"put", CALL(state_put), METH_FASTCALL | METH_KEYWORDS,
     "put($self, /, key, value)\n--\n\nWrite a value. Raises LimitExceeded, ValueError for an empty key."},
    {"delete", CALL(state_delete), METH_FASTCALL | METH_KEYWORDS,
     "delete($self, /, key)\n--\n\nRemove a key; one that is absent is no error."},
    {"add", CALL(state_add), METH_FASTCALL | METH_KEYWORDS,
     "add($self, /, key, delta, *, width, offset=0, size=None, minimum=0, maximum=None)\n--\n\n"
     "Add to a counter unless that takes it out of its bounds; whether it did."},
    {"scan", CALL(state_scan), METH_FASTCALL | METH_KEYWORDS,
     "scan($self, /, start=None, end=None, *, prefix=None, reverse=False, limit=None)\n--\n\n"
     "Iterator over (key, value) in key order, end exclusive, as the state is now."},
    {"checkpoint", CALL(state_checkpoint), METH_FASTCALL | METH_KEYWORDS,
     "checkpoint($self, /)\n--\n\nFor `with`: an exception leaving the block undoes the writes made in it, then propagates."},
    {"__reduce__", CALL(no_copy), METH_NOARGS, "Raises TypeError."},
    {NULL, NULL, 0, NULL}};
static PyType_Slot state_slots[] = {{Py_tp_dealloc, state_dealloc},
                                    {Py_tp_traverse, state_traverse},
                                    {Py_tp_clear, state_clear},
                                    {Py_tp_methods, state_methods},
                                    {Py_tp_hash, no_hash},
                                    {Py_tp_repr, state_repr},
                                    {Py_tp_doc, (void *)"The state as one transaction sees it."},
                                    {0, NULL}};
PyType_Spec state_spec = {"ioi_shm._core.State", sizeof(StateObject), 0,
                          Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_DISALLOW_INSTANTIATION | Py_TPFLAGS_IMMUTABLETYPE,
                          state_slots};
