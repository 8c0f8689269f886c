/* ioi_shm._core: Python objects over the core. Conversion only; every decision is in the files beside this one. */
#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <errno.h>
#include <structmember.h>
#include <sys/mman.h>
#include <sys/prctl.h>

#include "block.h"
#include "native.h"
#include "ordered.h"
#include "payments.h"
#include "sequential.h"
#include "view.h"
#include "wait.h"

#define CALL(function) ((PyCFunction)(void (*)(void))(function))

/* ---- small helpers --------------------------------------------------------------------------------------------- */

static PyObject *bytes_or_none(const uint8_t *bytes, size_t len) {
    if (!bytes) Py_RETURN_NONE;
    return PyBytes_FromStringAndSize((const char *)bytes, (Py_ssize_t)len);
}

/* A bytes argument; `none` allows None, which gives NULL. */
static int as_bytes(PyObject *object, bool none, const char *what, const uint8_t **bytes, size_t *len) {
    static const uint8_t empty[1];
    *bytes = NULL;
    *len = 0;
    if (none && object == Py_None) return 0;
    if (!PyBytes_Check(object)) {
        PyErr_Format(PyExc_TypeError, "%s must be bytes%s, not %.100s", what, none ? " or None" : "",
                     Py_TYPE(object)->tp_name);
        return -1;
    }
    *bytes = PyBytes_GET_SIZE(object) ? (const uint8_t *)PyBytes_AS_STRING(object) : empty;
    *len = (size_t)PyBytes_GET_SIZE(object);
    return 0;
}

static int add_limits(PyObject *tuple, ioi_limits *limits) {
    unsigned int key, value, keys, depth;
    unsigned long long bytes;
    if (!PyArg_ParseTuple(tuple, "IIIKI;limits: key_bytes, value_bytes, tx_keys, tx_write_bytes, checkpoint_depth", &key,
                          &value, &keys, &bytes, &depth))
        return -1;
    *limits = (ioi_limits){key, value, keys, bytes, depth};
    return 0;
}

/* ---- Arena ------------------------------------------------------------------------------------------------------- */

typedef struct {
    PyObject_HEAD
    ioi_arena arena;
} ArenaObject;

static PyObject *arena_new(PyTypeObject *type, PyObject *args, PyObject *kwargs) {
    static char *names[] = {"fd", "size", "reserved", "seed", NULL};
    int fd;
    unsigned long long size, reserved = 0;
    Py_buffer seed = {0};
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "iK|Ky*:Arena", names, &fd, &size, &reserved, &seed)) return NULL;
    void *base = MAP_FAILED;
    ArenaObject *self = NULL;
    bool create = seed.buf != NULL;
    uint64_t words[4];
    if (create && (seed.len != sizeof words || reserved < IOI_BLOCK_AT || reserved > size)) {
        PyErr_Format(PyExc_ValueError, "a new arena takes a seed of %zu bytes and %zu <= reserved <= size", sizeof words,
                     (size_t)IOI_BLOCK_AT);
        goto out;
    }
    base = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, fd, 0);
    if (base == MAP_FAILED) {
        PyErr_SetFromErrno(PyExc_OSError);
        goto out;
    }
    madvise(base, size, MADV_HUGEPAGE); /* where the system allows it for shared memory; no harm where not */
    self = (ArenaObject *)type->tp_alloc(type, 0);
    if (!self) goto out;
    if (create) {
        memcpy(words, seed.buf, sizeof words);
        ioi_arena_init(&self->arena, base, size, reserved, words);
    } else if (!ioi_arena_attach(&self->arena, base, size)) {
        PyErr_SetString(PyExc_ValueError, "the file is no arena of this build: magic, layout or size differ");
        Py_CLEAR(self);
    }
out:
    if (seed.buf) PyBuffer_Release(&seed);
    if (!self && base != MAP_FAILED) munmap(base, size);
    return (PyObject *)self;
}

static void arena_dealloc(ArenaObject *self) {
    PyTypeObject *type = Py_TYPE(self);
    if (self->arena.base) munmap(self->arena.base, self->arena.size);
    type->tp_free(self);
    Py_DECREF(type);
}

/* The arguments of begin() and room(), which describe a block. */
typedef struct {
    ioi_block_input input;
    PyObject *txs; /* a fast sequence of bytes; the caller drops it */
} BlockArguments;

static int parse_block(PyObject *args, PyObject *kwargs, BlockArguments *out) {
    static char *names[] = {"txs",    "workers", "spins",    "has_end_block", "keys",        "setup", "parent_version",
                            "height", "time_ns", "proposer", "extra",         "parent_root", NULL};
    PyObject *txs;
    unsigned int workers, spins;
    int has_end_block;
    unsigned long long keys, setup, parent_version, height, time_ns;
    const char *proposer, *extra, *parent_root;
    Py_ssize_t proposer_len, extra_len, parent_root_len;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "OIIpKKKKKy#y#y#", names, &txs, &workers, &spins, &has_end_block, &keys,
                                     &setup, &parent_version, &height, &time_ns, &proposer, &proposer_len, &extra, &extra_len,
                                     &parent_root, &parent_root_len))
        return -1;
    if (workers < 1 || workers > IOI_WORKERS_MAX) {
        PyErr_Format(PyExc_ValueError, "workers must be 1 to %d", IOI_WORKERS_MAX);
        return -1;
    }
    out->txs = PySequence_Fast(txs, "txs must be a sequence of bytes");
    if (!out->txs) return -1;
    Py_ssize_t n = PySequence_Fast_GET_SIZE(out->txs);
    uint64_t total = 0;
    for (Py_ssize_t i = 0; i < n; i++) {
        PyObject *tx = PySequence_Fast_GET_ITEM(out->txs, i);
        if (!PyBytes_Check(tx)) {
            PyErr_Format(PyExc_TypeError, "transaction %zd must be bytes, not %.100s", i, Py_TYPE(tx)->tp_name);
            Py_CLEAR(out->txs);
            return -1;
        }
        total += (uint64_t)PyBytes_GET_SIZE(tx);
    }
    out->input = (ioi_block_input){
        .n = (uint32_t)n,
        .workers = workers,
        .spins = spins,
        .has_end_block = has_end_block,
        .tx_bytes = total,
        .keys = keys,
        .setup = setup,
        .parent_version = parent_version,
        .height = height,
        .time_ns = time_ns,
        .proposer = (const uint8_t *)proposer,
        .extra = (const uint8_t *)extra,
        .parent_root = (const uint8_t *)parent_root,
        .proposer_len = (size_t)proposer_len,
        .extra_len = (size_t)extra_len,
        .parent_root_len = (size_t)parent_root_len,
    };
    return 0;
}

static PyObject *arena_room(ArenaObject *Py_UNUSED(self), PyObject *args, PyObject *kwargs) {
    BlockArguments block;
    if (parse_block(args, kwargs, &block) < 0) return NULL;
    uint64_t room = ioi_block_room(&block.input);
    Py_DECREF(block.txs);
    return PyLong_FromUnsignedLongLong(room);
}

static PyObject *arena_begin(ArenaObject *self, PyObject *args, PyObject *kwargs) {
    BlockArguments block;
    if (parse_block(args, kwargs, &block) < 0) return NULL;
    uint64_t *ends;
    uint8_t *bytes;
    bool fits = ioi_block_begin(&self->arena, &block.input, &ends, &bytes);
    uint64_t at = 0;
    for (uint32_t i = 0; fits && i < block.input.n; i++) {
        PyObject *tx = PySequence_Fast_GET_ITEM(block.txs, i);
        size_t len = (size_t)PyBytes_GET_SIZE(tx);
        memcpy(bytes + at, PyBytes_AS_STRING(tx), len);
        ends[i] = at += len;
    }
    Py_DECREF(block.txs);
    return PyBool_FromLong(fits);
}

static PyObject *arena_overlay(ArenaObject *self, PyObject *writes) {
    if (!PyDict_Check(writes)) {
        PyErr_SetString(PyExc_TypeError, "overlay takes a dict of bytes to bytes or None");
        return NULL;
    }
    ioi_alloc alloc;
    ioi_alloc_init(&alloc, &self->arena);
    PyObject *key, *value;
    for (Py_ssize_t at = 0; PyDict_Next(writes, &at, &key, &value);) {
        const uint8_t *k, *v;
        size_t k_len, v_len;
        if (as_bytes(key, false, "key", &k, &k_len) < 0 || as_bytes(value, true, "value", &v, &v_len) < 0) return NULL;
        if (!ioi_block_overlay(&alloc, k, (uint32_t)k_len, v, (uint32_t)v_len)) Py_RETURN_FALSE;
    }
    Py_RETURN_TRUE;
}

static PyObject *arena_start(ArenaObject *self, PyObject *Py_UNUSED(none)) {
    ioi_block_start(&self->arena);
    Py_RETURN_NONE;
}

static PyObject *arena_wait(ArenaObject *self, PyObject *argument) {
    unsigned long long timeout = PyLong_AsUnsignedLongLong(argument);
    if (PyErr_Occurred()) return NULL;
    bool empty;
    Py_BEGIN_ALLOW_THREADS
    empty = ioi_block_wait(&self->arena, timeout);
    Py_END_ALLOW_THREADS
    return PyBool_FromLong(empty);
}

static PyObject *arena_abandon(ArenaObject *self, PyObject *Py_UNUSED(none)) {
    ioi_stop_block(&self->arena, IOI_BLOCK_ABANDONED);
    Py_RETURN_NONE;
}

static PyObject *arena_shutdown(ArenaObject *self, PyObject *Py_UNUSED(none)) {
    ioi_block_shutdown(&self->arena);
    Py_RETURN_NONE;
}

static PyObject *arena_reserve(ArenaObject *self, PyObject *argument) {
    unsigned long long reserved = PyLong_AsUnsignedLongLong(argument);
    if (PyErr_Occurred()) return NULL;
    if (reserved > self->arena.size || reserved < a64_load(&self->arena.shared->reserved)) {
        PyErr_SetString(PyExc_ValueError, "the reserved part only grows, up to the arena's size");
        return NULL;
    }
    a64_store(&self->arena.shared->reserved, reserved);
    Py_RETURN_NONE;
}

static PyObject *pack_receipts(const ioi_arena *arena, uint32_t from, uint32_t to) {
    PyObject *blob = PyBytes_FromStringAndSize(NULL, (Py_ssize_t)ioi_receipts_size(arena, from, to));
    PyObject *ends = PyBytes_FromStringAndSize(NULL, (Py_ssize_t)((to - from) * sizeof(uint64_t)));
    if (blob && ends)
        ioi_receipts_pack(arena, from, to, (uint8_t *)PyBytes_AS_STRING(blob), (uint64_t *)(void *)PyBytes_AS_STRING(ends));
    PyObject *pair = blob && ends ? PyTuple_Pack(2, blob, ends) : NULL;
    Py_XDECREF(blob);
    Py_XDECREF(ends);
    return pair;
}

static PyObject *arena_receipts(ArenaObject *self, PyObject *args) {
    unsigned int from, to;
    if (!PyArg_ParseTuple(args, "II:receipts", &from, &to)) return NULL;
    /* end_block's "receipt" (index n) can be asked for once it exists: it says what its fault was. */
    uint32_t n = self->arena.shared->block.n, state = a32_load(&self->arena.shared->sched.state);
    uint32_t limit = state == IOI_BLOCK_FAULT ? n + 1 : a32_load(&self->arena.shared->sched.commit_idx);
    if (from > to || to > limit) {
        PyErr_SetString(PyExc_IndexError, "receipts are there for transactions below the watermark");
        return NULL;
    }
    return pack_receipts(&self->arena, from, to);
}

typedef struct {
    const ioi_arena *arena;
    PyObject *list; /* NULL after an error */
} Sealing;

static void seal_one(void *context, const ioi_entry *entry, uint64_t word) {
    Sealing *sealing = context;
    if (!sealing->list) return;
    const ioi_record *record = ioi_word_present(word) ? ioi_word_record(sealing->arena, word) : NULL;
    PyObject *key = PyBytes_FromStringAndSize((const char *)entry->key, entry->key_len);
    PyObject *value = record ? bytes_or_none(record->bytes, record->len) : Py_NewRef(Py_None);
    PyObject *pair = key && value ? PyTuple_Pack(2, key, value) : NULL;
    if (!pair || PyList_Append(sealing->list, pair) < 0) Py_CLEAR(sealing->list);
    Py_XDECREF(key);
    Py_XDECREF(value);
    Py_XDECREF(pair);
}

/* Sort (bytes, value) pairs by their keys; the keys are distinct, so values are never compared. */
static PyObject *sorted_pairs(PyObject *list) {
    if (list && PyList_Sort(list) < 0) Py_CLEAR(list);
    return list;
}

static PyObject *arena_seal(ArenaObject *self, PyObject *Py_UNUSED(none)) {
    if (a32_load(&self->arena.shared->sched.state) != IOI_BLOCK_DONE) {
        PyErr_SetString(PyExc_RuntimeError, "only a block that is done can be sealed");
        return NULL;
    }
    Sealing sealing = {&self->arena, PyList_New(0)};
    ioi_mv_seal(&self->arena, self->arena.shared->block.workers, seal_one, &sealing);
    return sorted_pairs(sealing.list);
}

static PyObject *arena_slot(ArenaObject *self, PyObject *argument) {
    unsigned long i = PyLong_AsUnsignedLong(argument);
    if (PyErr_Occurred()) return NULL;
    if (i >= IOI_WORKERS_MAX) {
        PyErr_SetString(PyExc_IndexError, "no such worker slot");
        return NULL;
    }
    const ioi_slot *s = &self->arena.shared->slots[i];
    return Py_BuildValue("{sIsIsKsKsKsKsKsKsK}", "current_tx", a32_load(&s->current_tx), "in_block", a32_load(&s->in_block),
                         "executions", a64_load(&s->executions), "validations", a64_load(&s->validations), "aborts",
                         a64_load(&s->aborts), "suspensions", a64_load(&s->suspensions), "busy_ns", a64_load(&s->busy_ns),
                         "wait_ns", a64_load(&s->wait_ns), "solo", a64_load(&s->solo));
}

static PyObject *arena_get(ArenaObject *self, void *which) {
    const ioi_shared *s = self->arena.shared;
    switch ((char)(intptr_t)which) {
    case 's': return PyLong_FromUnsignedLong(a32_load(&s->sched.state));
    case 'w': return PyLong_FromUnsignedLong(a32_load(&s->sched.commit_idx));
    case 'f': return PyLong_FromUnsignedLong(a32_load(&s->sched.fault_tx));
    case 'u': return PyLong_FromUnsignedLongLong(a64_load(&s->bump));
    case 'r': return PyLong_FromUnsignedLongLong(a64_load(&s->reserved));
    case 'n': return PyLong_FromUnsignedLong(s->block.n);
    case 'i': return PyLong_FromUnsignedLongLong(s->block.setup);
    default: return PyLong_FromUnsignedLongLong(s->block.parent_version);
    }
}

static PyMethodDef arena_methods[] = {
    {"room", CALL(arena_room), METH_VARARGS | METH_KEYWORDS, "Bytes the block of these arguments needs before it runs."},
    {"begin", CALL(arena_begin), METH_VARARGS | METH_KEYWORDS, "Lay out a block; False when there is not enough room."},
    {"overlay", CALL(arena_overlay), METH_O, "Put writes under the block; False when there is not enough room."},
    {"start", CALL(arena_start), METH_NOARGS, "Let the workers in."},
    {"wait", CALL(arena_wait), METH_O, "Sleep until no worker is in the block, at most so many ns; True when so."},
    {"abandon", CALL(arena_abandon), METH_NOARGS, "Stop the block; its workers leave."},
    {"shutdown", CALL(arena_shutdown), METH_NOARGS, "Tell every worker to end."},
    {"reserve", CALL(arena_reserve), METH_O, "Say that this many bytes now have pages."},
    {"receipts", CALL(arena_receipts), METH_VARARGS, "Packed receipts and their ends of transactions [from, to)."},
    {"seal", CALL(arena_seal), METH_NOARGS, "The last write of every key, ascending: [(key, value or None)]."},
    {"slot", CALL(arena_slot), METH_O, "What worker i shows of itself."},
    {NULL, NULL, 0, NULL}};

static PyGetSetDef arena_getset[] = {
    {"state", (getter)arena_get, NULL, "BLOCK_* of the block", (void *)'s'},
    {"watermark", (getter)arena_get, NULL, "transactions that are final", (void *)'w'},
    {"fault_tx", (getter)arena_get, NULL, "transaction whose fault stopped the block", (void *)'f'},
    {"used", (getter)arena_get, NULL, "bytes in use", (void *)'u'},
    {"reserved", (getter)arena_get, NULL, "bytes that have pages", (void *)'r'},
    {"transactions", (getter)arena_get, NULL, "transactions of the block", (void *)'n'},
    {"setup", (getter)arena_get, NULL, "which VM and state the workers need", (void *)'i'},
    {"parent_version", (getter)arena_get, NULL, "version the block builds on", (void *)'p'},
    {NULL, NULL, NULL, NULL, NULL}};

static PyType_Slot arena_slots[] = {{Py_tp_new, arena_new},
                                    {Py_tp_dealloc, arena_dealloc},
                                    {Py_tp_methods, arena_methods},
                                    {Py_tp_getset, arena_getset},
                                    {Py_tp_doc, (void *)"Arena(fd, size, reserved=0, seed=None): map the shared arena; with a seed, make it."},
                                    {0, NULL}};
static PyType_Spec arena_spec = {"ioi_shm._core.Arena", sizeof(ArenaObject), 0, Py_TPFLAGS_DEFAULT, arena_slots};

/* ---- Worker ------------------------------------------------------------------------------------------------------ */

typedef struct {
    PyObject_HEAD
    PyObject *owner; /* the Arena */
    ioi_worker worker;
    ioi_view *view; /* of native runs; Python views have their own */
    ioi_native native;
    PyObject *capsule; /* of the VM in `native` */
    uint32_t seen;
} WorkerObject;

static PyTypeObject *arena_type;

static PyObject *worker_new(PyTypeObject *type, PyObject *args, PyObject *Py_UNUSED(kwargs)) {
    PyObject *arena;
    unsigned int id;
    if (!PyArg_ParseTuple(args, "O!I:Worker", arena_type, &arena, &id)) return NULL;
    if (id >= IOI_WORKERS_MAX) {
        PyErr_Format(PyExc_ValueError, "worker ids go from 0 to %d", IOI_WORKERS_MAX - 1);
        return NULL;
    }
    WorkerObject *self = (WorkerObject *)type->tp_alloc(type, 0);
    if (!self) return NULL;
    self->owner = Py_NewRef(arena);
    ioi_worker_init(&self->worker, &((ArenaObject *)arena)->arena, id);
    self->view = ioi_view_new(&self->worker);
    return (PyObject *)self;
}

static void worker_dealloc(WorkerObject *self) {
    PyTypeObject *type = Py_TYPE(self);
    ioi_native_free(&self->native);
    ioi_view_free(self->view);
    ioi_worker_free(&self->worker);
    Py_XDECREF(self->capsule);
    Py_XDECREF(self->owner);
    type->tp_free(self);
    Py_DECREF(type);
}

static PyObject *worker_await(WorkerObject *self, PyObject *argument) {
    unsigned long long spin_ns = PyLong_AsUnsignedLongLong(argument);
    if (PyErr_Occurred()) return NULL;
    bool block;
    Py_BEGIN_ALLOW_THREADS
    block = ioi_block_await(self->worker.arena, &self->seen, spin_ns);
    Py_END_ALLOW_THREADS
    return PyBool_FromLong(block);
}

static PyObject *worker_enter(WorkerObject *self, PyObject *Py_UNUSED(none)) {
    ioi_worker_enter(&self->worker);
    ioi_native_enter(&self->native);
    Py_RETURN_NONE;
}

static PyObject *worker_leave(WorkerObject *self, PyObject *Py_UNUSED(none)) {
    ioi_worker_leave(&self->worker);
    ioi_block_depart(self->worker.arena);
    Py_RETURN_NONE;
}

static PyObject *worker_native(WorkerObject *self, PyObject *args) {
    PyObject *capsule, *limits_tuple;
    ioi_limits limits;
    if (!PyArg_ParseTuple(args, "OO!:native", &capsule, &PyTuple_Type, &limits_tuple)) return NULL;
    if (add_limits(limits_tuple, &limits) < 0) return NULL;
    const ioi_vm *vm = PyCapsule_GetPointer(capsule, IOI_VM_CAPSULE);
    if (!vm) return NULL;
    if (vm->abi != IOI_VM_ABI) {
        PyErr_Format(PyExc_ValueError, "the native VM speaks ABI %u, this build %u: rebuild it", vm->abi, IOI_VM_ABI);
        return NULL;
    }
    self->view->limits = limits;
    if (self->capsule != capsule) {
        Py_XSETREF(self->capsule, Py_NewRef(capsule));
        ioi_native_free(&self->native);
        ioi_native_init(&self->native, &self->worker, self->view, vm);
    }
    Py_RETURN_NONE;
}

/* Run until the block is over (None) or base values are missing (their keys, ascending). */
static PyObject *worker_run(WorkerObject *self, PyObject *Py_UNUSED(none)) {
    if (!self->native.vm) {
        PyErr_SetString(PyExc_RuntimeError, "no native VM was given");
        return NULL;
    }
    bool more;
    Py_BEGIN_ALLOW_THREADS
    more = ioi_native_run(&self->native);
    Py_END_ALLOW_THREADS
    if (!more) Py_RETURN_NONE;
    PyObject *list = PyList_New(self->native.missing_count);
    for (uint32_t i = 0; list && i < self->native.missing_count; i++) {
        const ioi_entry *e = self->native.missing[i];
        PyObject *key = PyBytes_FromStringAndSize((const char *)e->key, e->key_len);
        if (!key) Py_CLEAR(list);
        else PyList_SET_ITEM(list, i, key);
    }
    return list;
}

/* The values of the missing keys, in the same order. */
static PyObject *worker_bring(WorkerObject *self, PyObject *values) {
    PyObject *fast = PySequence_Fast(values, "values must be a sequence");
    if (!fast) return NULL;
    uint32_t count = self->native.missing_count;
    if (PySequence_Fast_GET_SIZE(fast) != (Py_ssize_t)count) {
        PyErr_Format(PyExc_ValueError, "%u values were asked for, %zd came", count, PySequence_Fast_GET_SIZE(fast));
        Py_DECREF(fast);
        return NULL;
    }
    for (uint32_t i = 0; i < count; i++) {
        const uint8_t *bytes;
        size_t len;
        if (as_bytes(PySequence_Fast_GET_ITEM(fast, i), true, "value", &bytes, &len) < 0) {
            Py_DECREF(fast);
            return NULL;
        }
        if (!ioi_mv_set_base(&self->worker.alloc, self->native.missing[i], bytes, (uint32_t)len)) {
            ioi_stop_block(self->worker.arena, IOI_BLOCK_FULL);
            break;
        }
    }
    Py_DECREF(fast);
    Py_RETURN_NONE;
}

/* (task, tx): what to do next, for a VM in Python. */
static PyObject *worker_next(WorkerObject *self, PyObject *Py_UNUSED(none)) {
    ioi_task task;
    uint32_t tx = 0;
    Py_BEGIN_ALLOW_THREADS
    task = ioi_next(&self->worker, &tx);
    Py_END_ALLOW_THREADS
    return Py_BuildValue("iI", (int)task, tx);
}

static PyObject *worker_run_end(WorkerObject *self, PyObject *Py_UNUSED(none)) {
    return PyLong_FromUnsignedLong(self->worker.run_next < self->worker.run_end ? self->worker.run_end : self->worker.run_next);
}

static PyObject *worker_transaction(WorkerObject *self, PyObject *argument) {
    unsigned long tx = PyLong_AsUnsignedLong(argument);
    if (PyErr_Occurred()) return NULL;
    if (tx >= self->worker.arena->shared->block.n) {
        PyErr_SetString(PyExc_IndexError, "no such transaction");
        return NULL;
    }
    size_t len;
    const uint8_t *bytes = ioi_block_tx(self->worker.arena, (uint32_t)tx, &len);
    return PyBytes_FromStringAndSize((const char *)bytes, (Py_ssize_t)len);
}

static PyObject *worker_context(WorkerObject *self, PyObject *Py_UNUSED(none)) {
    ioi_ctx c = ioi_block_ctx(self->worker.arena, 0);
    return Py_BuildValue("{sKsKsy#sy#sy#}", "height", c.height, "time_ns", c.time_ns, "proposer", c.proposer,
                         (Py_ssize_t)c.proposer_len, "extra", c.extra, (Py_ssize_t)c.extra_len, "parent_root",
                         c.parent_root, (Py_ssize_t)c.parent_root_len);
}

static PyObject *worker_receipts(WorkerObject *self, PyObject *Py_UNUSED(none)) {
    if (a32_load(&self->worker.sched->commit_idx) != self->worker.n) {
        PyErr_SetString(PyExc_RuntimeError, "the block is not final yet");
        return NULL;
    }
    return pack_receipts(self->worker.arena, 0, self->worker.n);
}

static PyObject *worker_fail(WorkerObject *self, PyObject *Py_UNUSED(none)) {
    ioi_stop_block(self->worker.arena, IOI_BLOCK_ABANDONED);
    Py_RETURN_NONE;
}

static PyMethodDef worker_methods[] = {
    {"await_block", CALL(worker_await), METH_O, "Spin so many ns, then sleep until a block starts; False when the pool ends."},
    {"enter", CALL(worker_enter), METH_NOARGS, "Enter the block."},
    {"leave", CALL(worker_leave), METH_NOARGS, "Leave the block."},
    {"native", CALL(worker_native), METH_VARARGS, "Take a native VM (capsule, limits)."},
    {"run", CALL(worker_run), METH_NOARGS, "Run the native VM; None at the end, or keys whose base is missing."},
    {"bring", CALL(worker_bring), METH_O, "The committed values of those keys."},
    {"next", CALL(worker_next), METH_NOARGS, "The next (task, tx) for a VM in Python."},
    {"run_end", CALL(worker_run_end), METH_NOARGS, "Transactions of the run in hand end here."},
    {"transaction", CALL(worker_transaction), METH_O, "The bytes of a transaction."},
    {"context", CALL(worker_context), METH_NOARGS, "The block's context."},
    {"receipts", CALL(worker_receipts), METH_NOARGS, "Packed receipts of the block, in end_block."},
    {"abandon", CALL(worker_fail), METH_NOARGS, "Stop the block for good reason."},
    {NULL, NULL, 0, NULL}};
static PyType_Slot worker_slots[] = {{Py_tp_new, worker_new},
                                     {Py_tp_dealloc, worker_dealloc},
                                     {Py_tp_methods, worker_methods},
                                     {Py_tp_doc, (void *)"Worker(arena, id): one worker process's side of the engine."},
                                     {0, NULL}};
static PyType_Spec worker_spec = {"ioi_shm._core.Worker", sizeof(WorkerObject), 0, Py_TPFLAGS_DEFAULT, worker_slots};
static PyTypeObject *worker_type;

/* ---- View -------------------------------------------------------------------------------------------------------- */

/* The one a program makes is the prototype: it owns the ioi_view. `_begin` makes one for each incarnation, so that a VM
 * that kept one beyond its transaction is told so. */
typedef struct {
    PyObject_HEAD
    PyObject *owner; /* the Worker, or the prototype */
    ioi_worker *worker;
    ioi_view *view;
    PyObject *fetch, *over, *leave; /* base lookup; exception of a limit; exception that ends an incarnation */
    bool prototype;
    bool cut;   /* the incarnation cannot go on: every operation raises `leave` again */
    bool ended; /* its transaction is over */
} ViewObject;

static PyObject *view_new(PyTypeObject *type, PyObject *args, PyObject *Py_UNUSED(kwargs)) {
    PyObject *worker, *limits_tuple, *fetch, *over, *leave;
    ioi_limits limits;
    if (!PyArg_ParseTuple(args, "O!O!OOO:View", worker_type, &worker, &PyTuple_Type, &limits_tuple, &fetch, &over, &leave))
        return NULL;
    if (add_limits(limits_tuple, &limits) < 0) return NULL;
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
    if (self->cut)
        PyErr_SetNone(self->leave);
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
        PyObject *key = PyBytes_FromStringAndSize((const char *)entry->key, entry->key_len);
        PyObject *value = key ? PyObject_CallOneArg(self->fetch, key) : NULL;
        Py_XDECREF(key);
        const uint8_t *bytes;
        size_t len;
        if (!value || as_bytes(value, true, "a base value", &bytes, &len) < 0) {
            Py_XDECREF(value);
            return -1;
        }
        bool kept = ioi_mv_set_base(&self->worker->alloc, entry, bytes, (uint32_t)len);
        Py_DECREF(value);
        if (kept) return 0;
        ioi_stop_block(self->worker->arena, IOI_BLOCK_FULL);
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
    case IOI_STOP_FULL:
        ioi_stop_block(self->worker->arena, IOI_BLOCK_FULL);
        break;
    default:
        break;
    }
    cut_short(self);
    return -1;
}

/* Open a key of any length that can exist; `*none` when no such key can hold a value. */
static int view_key(ViewObject *self, PyObject *object, bool writing, ioi_key *key, bool *none) {
    const uint8_t *bytes;
    size_t len;
    if (as_bytes(object, false, "key", &bytes, &len) < 0 || unusable(self)) return -1;
    *none = len == 0 || len > self->view->limits.key_bytes;
    if (*none) {
        if (!writing) return 0;
        if (len == 0)
            PyErr_SetString(PyExc_ValueError, "the key is empty");
        else
            PyErr_Format(self->over, "key_bytes: a key has 1 to %u bytes, not %zu", self->view->limits.key_bytes, len);
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
    if (ioi_view_mark(self->view, &mark) == IOI_LIMIT) {
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
    ioi_outcome outcome = {code,   gas_wanted, gas_used, (const uint8_t *)output, error, (size_t)output_len,
                           (size_t)error_len};
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
    return sorted_pairs(list);
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
static PyType_Slot view_slots[] = {{Py_tp_new, view_new},
                                   {Py_tp_dealloc, view_dealloc},
                                   {Py_tp_traverse, view_traverse},
                                   {Py_tp_clear, view_clear},
                                   {Py_tp_methods, view_methods},
                                   {Py_tp_members, view_members},
                                   {Py_tp_doc, (void *)"View(worker, limits, fetch, over, leave): a transaction's view of the state."},
                                   {0, NULL}};
static PyType_Spec view_spec = {"ioi_shm._core.View", sizeof(ViewObject), 0,
                                Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC, view_slots};

/* ---- module functions ----------------------------------------------------------------------------------------------- */

static PyObject *payments_vm(PyObject *Py_UNUSED(module), PyObject *Py_UNUSED(none)) {
    return PyCapsule_New((void *)&ioi_payments, IOI_VM_CAPSULE, NULL);
}

static PyObject *native_info(PyObject *Py_UNUSED(module), PyObject *capsule) {
    const ioi_vm *vm = PyCapsule_GetPointer(capsule, IOI_VM_CAPSULE);
    if (!vm) return NULL;
    return Py_BuildValue("{sIsIszsO}", "abi", vm->abi, "version", vm->version, "name", vm->name, "end_block",
                         vm->end_block ? Py_True : Py_False);
}

static PyObject *receipt_leaves(PyObject *Py_UNUSED(module), PyObject *args) {
    Py_buffer blob, ends;
    if (!PyArg_ParseTuple(args, "y*y*:receipt_leaves", &blob, &ends)) return NULL;
    PyObject *pair = NULL, *leaves = NULL, *leaf_ends = NULL;
    size_t count = (size_t)ends.len / sizeof(uint64_t);
    const uint8_t *bytes = blob.buf;
    uint64_t total = 0;
    for (size_t i = 0, from = 0; i < count; i++) {
        uint64_t end;
        memcpy(&end, (const uint8_t *)ends.buf + i * sizeof end, sizeof end);
        uint32_t head[4];
        if (end > (uint64_t)blob.len || end < from + IOI_RECEIPT_HEAD ||
            (memcpy(head, bytes + from, sizeof head), end != from + IOI_RECEIPT_HEAD + (uint64_t)head[1] + head[2])) {
            PyErr_Format(PyExc_ValueError, "receipt %zu is not packed as receipts are", i);
            goto out;
        }
        total += ioi_receipt_leaf(bytes + from, NULL);
        from = end;
    }
    leaves = PyBytes_FromStringAndSize(NULL, (Py_ssize_t)total);
    leaf_ends = PyBytes_FromStringAndSize(NULL, (Py_ssize_t)(count * sizeof(uint64_t)));
    if (!leaves || !leaf_ends) goto out;
    uint64_t at = 0, from = 0;
    for (size_t i = 0; i < count; i++) {
        at += ioi_receipt_leaf(bytes + from, (uint8_t *)PyBytes_AS_STRING(leaves) + at);
        memcpy(PyBytes_AS_STRING(leaf_ends) + i * sizeof at, &at, sizeof at);
        memcpy(&from, (const uint8_t *)ends.buf + i * sizeof from, sizeof from);
    }
    pair = PyTuple_Pack(2, leaves, leaf_ends);
out:
    Py_XDECREF(leaves);
    Py_XDECREF(leaf_ends);
    PyBuffer_Release(&blob);
    PyBuffer_Release(&ends);
    return pair;
}

static PyObject *die_with_parent(PyObject *Py_UNUSED(module), PyObject *argument) {
    long signal = PyLong_AsLong(argument);
    if (PyErr_Occurred()) return NULL;
    if (prctl(PR_SET_PDEATHSIG, signal) < 0) return PyErr_SetFromErrno(PyExc_OSError);
    Py_RETURN_NONE;
}

/* ---- NativeSequential -------------------------------------------------------------------------------------------- */

typedef struct {
    ioi_results results; /* first */
    PyObject *txs;
    const uint32_t *codes;
} SequentialResults;

static uint32_t sequential_code(const ioi_results *results, uint64_t tx) { return ((const SequentialResults *)results)->codes[tx]; }

static const uint8_t *sequential_tx(const ioi_results *results, uint64_t tx, size_t *len) {
    PyObject *bytes = PySequence_Fast_GET_ITEM(((const SequentialResults *)results)->txs, (Py_ssize_t)tx);
    *len = (size_t)PyBytes_GET_SIZE(bytes);
    return (const uint8_t *)PyBytes_AS_STRING(bytes);
}

/* Fetch what the reference is missing: fetch(sorted keys) -> values. */
static int fetch_missing(ioi_seq *seq, PyObject *fetch) {
    enum { AT_ONCE = 1000 };
    ioi_seq_sort_missing(seq);
    const uint8_t *key;
    size_t len;
    for (size_t from = 0; ioi_seq_missing(seq, from, &key, &len); from += AT_ONCE) {
        PyObject *keys = PyList_New(0);
        for (size_t i = from; keys && i < from + AT_ONCE && ioi_seq_missing(seq, i, &key, &len); i++) {
            PyObject *object = PyBytes_FromStringAndSize((const char *)key, (Py_ssize_t)len);
            if (!object || PyList_Append(keys, object) < 0) Py_CLEAR(keys);
            Py_XDECREF(object);
        }
        PyObject *found = keys ? PyObject_CallOneArg(fetch, keys) : NULL;
        PyObject *values = found ? PySequence_Fast(found, "fetch returns a sequence") : NULL;
        Py_XDECREF(found);
        bool good = values && PySequence_Fast_GET_SIZE(values) == PyList_GET_SIZE(keys);
        if (values && !good) PyErr_SetString(PyExc_ValueError, "fetch returned another number of values");
        for (Py_ssize_t i = 0; good && i < PyList_GET_SIZE(keys); i++) {
            const uint8_t *bytes;
            size_t value_len;
            good = as_bytes(PySequence_Fast_GET_ITEM(values, i), true, "value", &bytes, &value_len) == 0;
            PyObject *object = PyList_GET_ITEM(keys, i);
            if (good)
                ioi_seq_set_base(seq, (const uint8_t *)PyBytes_AS_STRING(object), (size_t)PyBytes_GET_SIZE(object), bytes,
                                 value_len);
        }
        Py_XDECREF(values);
        Py_XDECREF(keys);
        if (!good) return -1;
    }
    return 0;
}

typedef struct {
    PyObject *blob; /* bytearray of packed receipts */
    uint64_t *ends;
} Packed;

static int pack_outcome(Packed *packed, size_t i, const ioi_outcome *o) {
    Py_ssize_t at = PyByteArray_GET_SIZE(packed->blob);
    if (PyByteArray_Resize(packed->blob, at + IOI_RECEIPT_HEAD + (Py_ssize_t)(o->output_len + o->error_len)) < 0) return -1;
    uint8_t *out = (uint8_t *)PyByteArray_AS_STRING(packed->blob) + at;
    uint32_t head[4] = {o->code, (uint32_t)o->output_len, (uint32_t)o->error_len, 0};
    uint64_t gas[2] = {o->gas_wanted, o->gas_used};
    memcpy(out, head, sizeof head);
    memcpy(out + sizeof head, gas, sizeof gas);
    if (o->output_len) memcpy(out + IOI_RECEIPT_HEAD, o->output, o->output_len);
    if (o->error_len) memcpy(out + IOI_RECEIPT_HEAD + o->output_len, o->error, o->error_len);
    packed->ends[i] = (uint64_t)PyByteArray_GET_SIZE(packed->blob);
    return 0;
}

static PyObject *sequential_writes(ioi_seq *seq) {
    ioi_seq_sort_writes(seq);
    PyObject *list = PyList_New(0);
    const uint8_t *key, *value;
    size_t key_len, len;
    for (size_t i = 0; list && ioi_seq_write(seq, i, &key, &key_len, &value, &len); i++) {
        PyObject *k = PyBytes_FromStringAndSize((const char *)key, (Py_ssize_t)key_len), *v = bytes_or_none(value, len);
        PyObject *pair = k && v ? PyTuple_Pack(2, k, v) : NULL;
        if (!pair || PyList_Append(list, pair) < 0) Py_CLEAR(list);
        Py_XDECREF(k);
        Py_XDECREF(v);
        Py_XDECREF(pair);
    }
    return list;
}

/* run_sequential(vm, txs, limits, fetch, height, ...) -> (writes, blob, ends, end_block's error or None, ns of executing) */
static PyObject *run_sequential(PyObject *Py_UNUSED(module), PyObject *args, PyObject *kwargs) {
    static char *names[] = {"vm", "txs", "limits", "fetch", "height", "time_ns", "proposer", "extra", "parent_root", NULL};
    PyObject *capsule, *txs_object, *limits_tuple, *fetch;
    unsigned long long height, time_ns;
    const char *proposer, *extra, *parent_root;
    Py_ssize_t proposer_len, extra_len, parent_root_len;
    ioi_limits limits;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "OOO!OKKy#y#y#:run_sequential", names, &capsule, &txs_object,
                                     &PyTuple_Type, &limits_tuple, &fetch, &height, &time_ns, &proposer, &proposer_len,
                                     &extra, &extra_len, &parent_root, &parent_root_len) ||
        add_limits(limits_tuple, &limits) < 0)
        return NULL;
    const ioi_vm *vm = PyCapsule_GetPointer(capsule, IOI_VM_CAPSULE);
    PyObject *txs = vm ? PySequence_Fast(txs_object, "txs must be a sequence of bytes") : NULL;
    if (!txs) return NULL;
    ioi_seq_limits seq_limits = {limits.key_bytes, limits.value_bytes, limits.tx_keys, limits.tx_write_bytes,
                                 limits.checkpoint_depth};
    ioi_ctx ctx = {.height = height,
                   .time_ns = time_ns,
                   .proposer = (const uint8_t *)proposer,
                   .extra = (const uint8_t *)extra,
                   .parent_root = (const uint8_t *)parent_root,
                   .proposer_len = (size_t)proposer_len,
                   .extra_len = (size_t)extra_len,
                   .parent_root_len = (size_t)parent_root_len};
    size_t n = (size_t)PySequence_Fast_GET_SIZE(txs);
    ioi_seq *seq = ioi_seq_new(vm, &seq_limits, &ctx);
    uint32_t *codes = calloc(n + 1, sizeof *codes);
    PyObject *ends = PyBytes_FromStringAndSize(NULL, (Py_ssize_t)(n * sizeof(uint64_t))), *result = NULL, *writes = NULL;
    Packed packed = {PyByteArray_FromStringAndSize(NULL, 0), ends ? (uint64_t *)(void *)PyBytes_AS_STRING(ends) : NULL};
    PyObject *error = Py_NewRef(Py_None);
    if (!codes || !ends || !packed.blob) {
        PyErr_NoMemory();
        goto out;
    }
    for (size_t i = 0; i < n; i++) {
        PyObject *tx = PySequence_Fast_GET_ITEM(txs, (Py_ssize_t)i);
        if (!PyBytes_Check(tx)) {
            PyErr_Format(PyExc_TypeError, "transaction %zu must be bytes, not %.100s", i, Py_TYPE(tx)->tp_name);
            goto out;
        }
        ioi_seq_hint(seq, (const uint8_t *)PyBytes_AS_STRING(tx), (size_t)PyBytes_GET_SIZE(tx));
    }
    if (fetch_missing(seq, fetch) < 0) goto out;
    uint64_t from_ns = ioi_now_ns();
    for (size_t i = 0; i < n; i++) {
        PyObject *tx = PySequence_Fast_GET_ITEM(txs, (Py_ssize_t)i);
        ioi_outcome outcome;
        while (!ioi_seq_execute(seq, (const uint8_t *)PyBytes_AS_STRING(tx), (size_t)PyBytes_GET_SIZE(tx), &outcome))
            if (fetch_missing(seq, fetch) < 0) goto out;
        codes[i] = outcome.code;
        if (pack_outcome(&packed, i, &outcome) < 0) goto out;
        if (i % 1024 == 1023 && PyErr_CheckSignals() < 0) goto out;
    }
    if (vm->end_block) {
        SequentialResults results = {{n, sequential_code, sequential_tx}, txs, codes};
        ioi_outcome outcome;
        while (!ioi_seq_end_block(seq, &results.results, &outcome))
            if (fetch_missing(seq, fetch) < 0) goto out;
        if (outcome.code)
            Py_SETREF(error, PyUnicode_DecodeUTF8(outcome.error ? outcome.error : "", (Py_ssize_t)outcome.error_len, "replace"));
        if (!error) goto out;
    }
    uint64_t ns = ioi_now_ns() - from_ns;
    writes = sequential_writes(seq);
    PyObject *blob = PyBytes_FromObject(packed.blob);
    if (writes && blob) result = Py_BuildValue("OOOOK", writes, blob, ends, error, (unsigned long long)ns);
    Py_XDECREF(blob);
out:
    Py_XDECREF(writes);
    Py_XDECREF(packed.blob);
    Py_XDECREF(ends);
    Py_XDECREF(error);
    free(codes);
    ioi_seq_free(seq);
    Py_DECREF(txs);
    return result;
}

static PyMethodDef functions[] = {
    {"payments_vm", CALL(payments_vm), METH_NOARGS, "The built-in payments VM, as a capsule."},
    {"native_info", CALL(native_info), METH_O, "What a native VM's capsule says of itself."},
    {"run_sequential", CALL(run_sequential), METH_VARARGS | METH_KEYWORDS, "Run a native VM one transaction after another."},
    {"receipt_leaves", CALL(receipt_leaves), METH_VARARGS, "Packed receipts as the leaves of the receipts root."},
    {"die_with_parent", CALL(die_with_parent), METH_O, "Get this signal when the thread that started this process ends."},
    {NULL, NULL, 0, NULL}};

static PyTypeObject *add_type(PyObject *module, PyType_Spec *spec) {
    PyObject *type = PyType_FromModuleAndSpec(module, spec, NULL);
    if (!type || PyModule_AddType(module, (PyTypeObject *)type) < 0) {
        Py_XDECREF(type);
        return NULL;
    }
    return (PyTypeObject *)type; /* the reference is kept for the life of the process */
}

static int module_exec(PyObject *module) {
    if (!(arena_type = add_type(module, &arena_spec)) || !(worker_type = add_type(module, &worker_spec)) ||
        !add_type(module, &view_spec))
        return -1;
    static const struct {
        const char *name;
        long value;
    } constants[] = {
        {"BLOCK_IDLE", IOI_BLOCK_IDLE},   {"BLOCK_RUNNING", IOI_BLOCK_RUNNING}, {"BLOCK_DONE", IOI_BLOCK_DONE},
        {"BLOCK_FULL", IOI_BLOCK_FULL},   {"BLOCK_FAULT", IOI_BLOCK_FAULT},     {"BLOCK_ABANDONED", IOI_BLOCK_ABANDONED},
        {"TASK_EXECUTE", IOI_TASK_EXECUTE}, {"TASK_END_BLOCK", IOI_TASK_END_BLOCK}, {"TASK_LEAVE", IOI_TASK_LEAVE},
        {"WORKERS_MAX", IOI_WORKERS_MAX}, {"BLOCK_AT", IOI_BLOCK_AT},
    };
    for (size_t i = 0; i < sizeof constants / sizeof *constants; i++)
        if (PyModule_AddIntConstant(module, constants[i].name, constants[i].value) < 0) return -1;
    return 0;
}

static PyModuleDef_Slot module_slots[] = {{Py_mod_exec, module_exec}, {0, NULL}};
static struct PyModuleDef module = {PyModuleDef_HEAD_INIT, "ioi_shm._core", "The shared-memory core of ioi-exec.", 0, functions, module_slots, NULL, NULL, NULL};

PyMODINIT_FUNC PyInit__core(void) { return PyModuleDef_Init(&module); }
