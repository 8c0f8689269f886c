/* ioi_shm.Worker: one worker process's side of the engine. */
#include "module.h"

#include "../wait.h"

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
    Py_XDECREF(self->chain_id);
    Py_XDECREF(self->said);
    Py_XDECREF(self->cache);
    Py_XDECREF(self->owner);
    type->tp_free(self);
    Py_DECREF(type);
}

static PyObject *worker_await(WorkerObject *self, PyObject *argument) {
    unsigned long long spin_ns = PyLong_AsUnsignedLongLong(argument);
    if (PyErr_Occurred()) return NULL;
    bool block;
    Py_BEGIN_ALLOW_THREADS
    block = ioi_block_await(self->worker.arena, self->worker.id, &self->seen, spin_ns);
    Py_END_ALLOW_THREADS
    return PyBool_FromLong(block);
}

/* The cache that the block reads, or None for one that reads none. */
static PyObject *worker_use(WorkerObject *self, PyObject *cache) {
    ioi_arena *arena = self->worker.arena;
    const ioi_block *block = &arena->shared->block;
    arena->cache = NULL;
    if (!block->cached) Py_RETURN_NONE;
    if (!PyObject_TypeCheck(cache, cache_type)) {
        PyErr_SetString(PyExc_TypeError, "the block reads a cache, and this worker was given none");
        return NULL;
    }
    const CacheObject *c = (CacheObject *)cache;
    if (!ioi_cache_is_of(c->base, ioi_at(arena, block->base), block->base_len) || !cache_fits(c, arena)) {
        PyErr_SetString(PyExc_RuntimeError, "the cache is of another state than the block");
        return NULL;
    }
    Py_XSETREF(self->cache, Py_NewRef(cache));
    arena->cache = c->base;
    arena->cache_size = c->size;
    Py_RETURN_NONE;
}

static PyObject *worker_enter(WorkerObject *self, PyObject *Py_UNUSED(none)) {
    ioi_worker_enter(&self->worker);
    ioi_native_enter(&self->native);
    Py_RETURN_NONE;
}

static PyObject *worker_leave(WorkerObject *self, PyObject *Py_UNUSED(none)) {
    ioi_worker_leave(&self->worker);
    self->worker.arena->cache = NULL;
    Py_CLEAR(self->cache); /* its machine may be closed before the next block */
    ioi_block_depart(self->worker.arena);
    Py_RETURN_NONE;
}

static PyObject *worker_native(WorkerObject *self, PyObject *args) {
    PyObject *capsule, *limits_tuple, *chain_id;
    ioi_limits limits;
    if (!PyArg_ParseTuple(args, "OO!S:native", &capsule, &PyTuple_Type, &limits_tuple, &chain_id)) return NULL;
    if (as_limits(limits_tuple, &limits) < 0) return NULL;
    const ioi_vm *vm = as_vm(capsule);
    if (!vm) return NULL;
    self->view->limits = limits;
    if (self->capsule != capsule) {
        ioi_native_free(&self->native); /* which calls the VM before its capsule goes */
        Py_XSETREF(self->capsule, Py_NewRef(capsule));
        ioi_native_init(&self->native, &self->worker, self->view, vm);
        self->native.random = context_random;
    }
    Py_XSETREF(self->chain_id, Py_NewRef(chain_id));
    self->native.chain_id = (const uint8_t *)PyBytes_AS_STRING(chain_id);
    self->native.chain_id_len = (size_t)PyBytes_GET_SIZE(chain_id);
    Py_RETURN_NONE;
}

/* The value of one key, for a transaction that waits for it and goes on. */
static bool bring_one(ioi_view *view, ioi_entry *entry) {
    WorkerObject *self = view->bringing;
    ioi_worker *w = &self->worker;
    if (self->broken || !ioi_running(w)) return false;
    uint64_t from = ioi_recording(w) ? ioi_recorder_look(&w->recorder) : ioi_now_ns();
    PyGILState_STATE held = PyGILState_Ensure();
    PyObject *key = PyBytes_FromStringAndSize((const char *)entry->key, entry->key_len);
    PyObject *value = key ? PyObject_CallOneArg(self->fetch, key) : NULL;
    const uint8_t *bytes;
    size_t len;
    bool good = value && as_bytes(value, true, "a committed value", &bytes, &len) == 0;
    self->broken = !good;
    if (good && !ioi_mv_fetched(&w->alloc, w->slot, entry, bytes, (uint32_t)len)) {
        ioi_stop_block(w->arena, IOI_BLOCK_FULL);
        good = false;
    }
    Py_XDECREF(key);
    Py_XDECREF(value);
    PyGILState_Release(held); /* what was raised stays with this thread */
    ioi_untimed(w, from);
    if (ioi_recording(w)) ioi_recorder_fetched(&w->recorder, from, view->tx, view->incarnation, ioi_offset(w->arena, entry));
    return good;
}

/* The VM's own look at a transaction. What goes wrong on the way is a fault too. */
static bool look(ioi_native *native, const uint8_t *tx, size_t len, ioi_outcome *outcome) {
    WorkerObject *self = native->checking;
    PyGILState_STATE held = PyGILState_Ensure();
    int good = check_transaction(self->check, native->tx, tx, len, &self->said, outcome, &native->is_fault);
    PyGILState_Release(held); /* what was raised stays with this thread */
    if (good < 0) self->broken = native->is_fault = true;
    return good == 1;
}

/* run(fetch, range): until the block is over (None) or the base values of hinted keys are missing (the keys, ascending). What a
 * transaction misses is fetched one by one, fetch(key) -> value, what it scans as range(low, high, reverse); what they raise is raised.
 * check: see check.c. */
static PyObject *worker_run(WorkerObject *self, PyObject *args) {
    PyObject *fetch, *range, *check = Py_None;
    if (!PyArg_ParseTuple(args, "OO|O:run", &fetch, &range, &check)) return NULL;
    if (!self->native.vm) {
        PyErr_SetString(PyExc_RuntimeError, "no native VM was given");
        return NULL;
    }
    bool more;
    self->fetch = fetch;
    self->check = check;
    self->native.check = check == Py_None ? NULL : look;
    self->native.checking = self;
    self->broken = false;
    self->view->bring = bring_one;
    self->view->bringing = self;
    walks_init(&self->walks, range, &self->broken);
    self->view->ranges = &self->walks.ranges;
    Py_BEGIN_ALLOW_THREADS
    more = ioi_native_run(&self->native);
    Py_END_ALLOW_THREADS
    self->fetch = NULL;
    if (self->broken) return NULL;
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
        if (!ioi_mv_fetched(&self->worker.alloc, self->worker.slot, self->native.missing[i], bytes, (uint32_t)len)) {
            ioi_stop_block(self->worker.arena, IOI_BLOCK_FULL);
            break;
        }
    }
    Py_DECREF(fast);
    Py_RETURN_NONE;
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
    const ioi_block *block = &self->worker.arena->shared->block;
    return Py_BuildValue("{sKsKsy#sy#sy#sy#}", "height", c.height, "time_ns", c.time_ns, "proposer", c.proposer,
                         (Py_ssize_t)c.proposer_len, "extra", c.extra, (Py_ssize_t)c.extra_len, "parent_root", c.parent_root,
                         (Py_ssize_t)c.parent_root_len, "decided", ioi_at(self->worker.arena, block->decided),
                         (Py_ssize_t)block->decided_len);
}

static PyObject *worker_receipts(WorkerObject *self, PyObject *Py_UNUSED(none)) {
    if (a32_load(&self->worker.sched->commit_idx) != self->worker.n) {
        PyErr_SetString(PyExc_RuntimeError, "the block is not final yet");
        return NULL;
    }
    return pack_receipts(self->worker.arena, 0, self->worker.n);
}

static PyMethodDef worker_methods[] = {
    {"await_block", CALL(worker_await), METH_O, "Spin so many ns, then sleep until a block starts; False when the pool ends."},
    {"use", CALL(worker_use), METH_O, "Read this cache in the block, if the block reads one."},
    {"enter", CALL(worker_enter), METH_NOARGS, "Enter the block."},
    {"leave", CALL(worker_leave), METH_NOARGS, "Leave the block."},
    {"native", CALL(worker_native), METH_VARARGS, "Take a native VM (capsule, limits, the chain's id)."},
    {"run", CALL(worker_run), METH_VARARGS, "Run the native VM; None at the end, or keys whose base is missing."},
    {"bring", CALL(worker_bring), METH_O, "The committed values of those keys."},
    {"transaction", CALL(worker_transaction), METH_O, "The bytes of a transaction."},
    {"context", CALL(worker_context), METH_NOARGS, "The block's context."},
    {"receipts", CALL(worker_receipts), METH_NOARGS, "Packed receipts of the block, in end_block."},
    {NULL, NULL, 0, NULL}};
static PyType_Slot worker_slots[] = {{Py_tp_new, worker_new},
                                     {Py_tp_dealloc, worker_dealloc},
                                     {Py_tp_methods, worker_methods},
                                     {Py_tp_doc, (void *)"Worker(arena, id): one worker process's side of the engine."},
                                     {0, NULL}};
PyType_Spec worker_spec = {"ioi_shm._core.Worker", sizeof(WorkerObject), 0, Py_TPFLAGS_DEFAULT, worker_slots};
