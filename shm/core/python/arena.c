/* ioi_shm.Arena: the coordinator's hold of the shared memory. */
#include <sys/mman.h>

#include "module.h"

#include "../forked.h"

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
    if (create && (seed.len != sizeof words || reserved < IOI_BLOCK_AT || reserved > size || size > IOI_ARENA_MAX)) {
        PyErr_Format(PyExc_ValueError, "a new arena takes a seed of %zu bytes and %zu <= reserved <= size <= %llu", sizeof words,
                     (size_t)IOI_BLOCK_AT, (unsigned long long)IOI_ARENA_MAX);
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
    } else if (!ioi_forked_without(base, size)) {
        PyErr_SetFromErrno(PyExc_OSError);
        self->arena.base = NULL; /* unmapped below */
        Py_CLEAR(self);
    }
out:
    if (seed.buf) PyBuffer_Release(&seed);
    if (!self && base != MAP_FAILED) munmap(base, size);
    return (PyObject *)self;
}

static void arena_dealloc(ArenaObject *self) {
    PyTypeObject *type = Py_TYPE(self);
    if (self->arena.base) {
        ioi_forked_forget(self->arena.base);
        munmap(self->arena.base, self->arena.size);
    }
    type->tp_free(self);
    Py_DECREF(type);
}

/* The arguments of begin() and room(), which describe a block. */
typedef struct {
    ioi_block_input input;
    PyObject *txs; /* a fast sequence of bytes; the caller drops it */
} BlockArguments;

static int parse_block(PyObject *args, PyObject *kwargs, BlockArguments *out) {
    static char *names[] = {"txs",      "workers", "spins",       "hook",   "keys",   "setup",  "base",    "height", "time_ns",
                            "proposer", "extra",   "parent_root", "policy", "record", "cached", "decided", NULL};
    PyObject *txs;
    unsigned int workers, spins, hook;
    int no_estimates, by_version, no_solo, record, cached;
    ioi_policy policy;
    unsigned long long keys, setup, height, time_ns;
    const char *base, *proposer, *extra, *parent_root, *decided = "";
    Py_ssize_t base_len, proposer_len, extra_len, parent_root_len, decided_len = 0;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "OIIIKKy#KKy#y#y#(IIppp)pp|y#", names, &txs, &workers, &spins, &hook, &keys,
                                     &setup, &base, &base_len, &height, &time_ns, &proposer, &proposer_len, &extra, &extra_len,
                                     &parent_root, &parent_root_len, &policy.window, &policy.run, &no_estimates, &by_version,
                                     &no_solo, &record, &cached, &decided, &decided_len))
        return -1;
    policy.no_estimates = no_estimates;
    policy.by_version = by_version;
    policy.no_solo = no_solo;
    if (hook > IOI_MIGRATE) {
        PyErr_SetString(PyExc_ValueError, "there is no such hook: see ioi_hook in arena.h");
        return -1;
    }
    if (workers < 1 || workers > IOI_WORKERS_MAX) {
        PyErr_Format(PyExc_ValueError, "workers must be 1 to %d", IOI_WORKERS_MAX);
        return -1;
    }
    out->txs = PySequence_Fast(txs, "txs must be a sequence of bytes");
    if (!out->txs) return -1;
    Py_ssize_t n = PySequence_Fast_GET_SIZE(out->txs);
    if (n > IOI_TRANSACTIONS_MAX) {
        PyErr_Format(PyExc_ValueError, "a block has at most %d transactions", IOI_TRANSACTIONS_MAX);
        Py_CLEAR(out->txs);
        return -1;
    }
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
        .hook = (ioi_hook)hook,
        .policy = policy,
        .record = record,
        .cached = cached,
        .tx_bytes = total,
        .keys = keys,
        .setup = setup,
        .height = height,
        .time_ns = time_ns,
        .base = (const uint8_t *)base,
        .proposer = (const uint8_t *)proposer,
        .extra = (const uint8_t *)extra,
        .parent_root = (const uint8_t *)parent_root,
        .decided = (const uint8_t *)decided,
        .base_len = (size_t)base_len,
        .proposer_len = (size_t)proposer_len,
        .extra_len = (size_t)extra_len,
        .parent_root_len = (size_t)parent_root_len,
        .decided_len = (size_t)decided_len,
    };
    return 0;
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
    return PyLong_FromUnsignedLongLong(fits ? 0 : ioi_block_room(&block.input));
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

static PyObject *arena_shutdown(ArenaObject *self, PyObject *argument) {
    unsigned long workers = PyLong_AsUnsignedLong(argument);
    if (PyErr_Occurred()) return NULL;
    ioi_block_shutdown(&self->arena, workers < IOI_WORKERS_MAX ? (uint32_t)workers : IOI_WORKERS_MAX);
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

static PyObject *arena_receipts(ArenaObject *self, PyObject *args) {
    unsigned int from, to;
    if (!PyArg_ParseTuple(args, "II:receipts", &from, &to)) return NULL;
    /* The hook's "receipt" (index n) can be asked for once it exists: it says what its fault was, or what it came to. */
    const ioi_block *block = &self->arena.shared->block;
    uint32_t n = block->n, state = a32_load(&self->arena.shared->sched.state);
    bool ended = state == IOI_BLOCK_FAULT || (state == IOI_BLOCK_DONE && block->hook != IOI_NO_HOOK);
    uint32_t limit = ended ? n + 1 : a32_load(&self->arena.shared->sched.commit_idx);
    if (from > to || to > limit) {
        PyErr_SetString(PyExc_IndexError, "receipts are there for transactions below the watermark");
        return NULL;
    }
    return pack_receipts(&self->arena, from, to);
}

static PyObject *arena_per_tx(ArenaObject *self, PyObject *Py_UNUSED(none)) {
    const ioi_arena *arena = &self->arena;
    if (a32_load(&arena->shared->sched.state) != IOI_BLOCK_DONE) {
        PyErr_SetString(PyExc_RuntimeError, "only of a block that is done is it known");
        return NULL;
    }
    const void *statuses = ioi_at(arena, arena->shared->block.status);
    PyObject *first = PyBytes_FromStringAndSize(statuses, (Py_ssize_t)(arena->shared->block.n * sizeof(a32)));
    PyObject *spans = PyBytes_FromStringAndSize(NULL, (Py_ssize_t)(ioi_spans_all(arena, NULL) * sizeof(ioi_span)));
    if (spans) ioi_spans_all(arena, (ioi_span *)(void *)PyBytes_AS_STRING(spans));
    PyObject *pair = first && spans ? PyTuple_Pack(2, first, spans) : NULL;
    Py_XDECREF(first);
    Py_XDECREF(spans);
    return pair;
}

static PyObject *arena_seal(ArenaObject *self, PyObject *Py_UNUSED(none)) {
    if (a32_load(&self->arena.shared->sched.state) != IOI_BLOCK_DONE) {
        PyErr_SetString(PyExc_RuntimeError, "only a block that is done can be sealed");
        return NULL;
    }
    ioi_seal seal;
    bool fits;
    Py_BEGIN_ALLOW_THREADS
    fits = ioi_seal_take(&self->arena, &seal);
    Py_END_ALLOW_THREADS
    PyObject *blob = NULL, *ends = NULL;
    if (!fits) PyErr_NoMemory();
    else if ((blob = PyBytes_FromStringAndSize(NULL, (Py_ssize_t)seal.bytes)) &&
             (ends = PyBytes_FromStringAndSize(NULL, (Py_ssize_t)(seal.count * 2 * sizeof(uint64_t))))) {
        Py_BEGIN_ALLOW_THREADS
        ioi_seal_pack(&self->arena, &seal, (uint8_t *)PyBytes_AS_STRING(blob), (uint64_t *)(void *)PyBytes_AS_STRING(ends));
        Py_END_ALLOW_THREADS
    }
    ioi_seal_free(&seal);
    PyObject *pair = blob && ends ? PyTuple_Pack(2, blob, ends) : NULL;
    Py_XDECREF(blob);
    Py_XDECREF(ends);
    return pair;
}

static PyObject *rows_bytes(const ioi_rows *rows) {
    return PyBytes_FromStringAndSize((const char *)rows->bytes, (Py_ssize_t)(rows->count * rows->size));
}

/* record(cache): the Cache that the block read, as it was then, or None if it read none. */
static PyObject *arena_record(ArenaObject *self, PyObject *cache) {
    const ioi_shared *shared = self->arena.shared;
    if (a32_load(&shared->sched.state) != IOI_BLOCK_DONE || !shared->block.record || ioi_record_lost(&self->arena)) {
        PyErr_SetString(PyExc_RuntimeError, "only a block that is done, and was recorded as a whole, has a record");
        return NULL;
    }
    if (shared->block.cached) {
        if (!PyObject_TypeCheck(cache, cache_type)) {
            PyErr_SetString(PyExc_TypeError, "the block read a cache, and none was given");
            return NULL;
        }
        self->arena.cache = ((CacheObject *)cache)->base;
        self->arena.cache_size = ((CacheObject *)cache)->size;
    }
    ioi_taken taken;
    bool fits;
    Py_BEGIN_ALLOW_THREADS
    fits = ioi_record_take(&self->arena, &taken);
    Py_END_ALLOW_THREADS
    self->arena.cache = NULL;
    uint64_t total = 0;
    for (uint32_t i = 0; fits && i < taken.keys_count; i++) total += taken.keys[i]->key_len;
    PyObject *keys = PyBytes_FromStringAndSize(NULL, (Py_ssize_t)total);
    PyObject *ends = PyBytes_FromStringAndSize(NULL, fits ? (Py_ssize_t)(taken.keys_count * sizeof(uint64_t)) : 0);
    PyObject *record = NULL;
    if (!fits) PyErr_NoMemory();
    if (fits && keys && ends) {
        uint64_t at = 0;
        for (uint32_t i = 0; i < taken.keys_count; i++) {
            memcpy(PyBytes_AS_STRING(keys) + at, taken.keys[i]->key, taken.keys[i]->key_len);
            at += taken.keys[i]->key_len;
            memcpy(PyBytes_AS_STRING(ends) + i * sizeof at, &at, sizeof at);
        }
        record = Py_BuildValue("NNNOO", rows_bytes(&taken.events), rows_bytes(&taken.reads), rows_bytes(&taken.writes), keys,
                               ends);
    }
    Py_XDECREF(keys);
    Py_XDECREF(ends);
    ioi_taken_free(&taken);
    return record;
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
    case 'l': return PyBool_FromLong(ioi_record_lost(&self->arena));
    case 'c': return PyBool_FromLong(s->block.cached);
    case 'h': return PyLong_FromUnsignedLong(s->block.hook);
    case 'n': return PyLong_FromUnsignedLong(s->block.n);
    case 'k': return PyLong_FromUnsignedLong(s->block.workers);
    case 'i': return PyLong_FromUnsignedLongLong(s->block.setup);
    default:
        if (!s->block.base) return PyBytes_FromStringAndSize(NULL, 0); /* no block was laid out yet */
        return PyBytes_FromStringAndSize(ioi_at(&self->arena, s->block.base), (Py_ssize_t)s->block.base_len);
    }
}

static PyMethodDef arena_methods[] = {
    {"begin", CALL(arena_begin), METH_VARARGS | METH_KEYWORDS, "Lay out a block: 0, or how many bytes must be reserved first."},
    {"overlay", CALL(arena_overlay), METH_O, "Put writes under the block; False when there is not enough room."},
    {"start", CALL(arena_start), METH_NOARGS, "Let the workers in."},
    {"wait", CALL(arena_wait), METH_O, "Sleep until no worker is in the block, at most so many ns; True when so."},
    {"abandon", CALL(arena_abandon), METH_NOARGS, "Stop the block; its workers leave."},
    {"shutdown", CALL(arena_shutdown), METH_O, "Tell so many workers to end."},
    {"reserve", CALL(arena_reserve), METH_O, "Say that this many bytes now have pages."},
    {"receipts", CALL(arena_receipts), METH_VARARGS, "Packed receipts and their ends of transactions [from, to)."},
    {"per_tx", CALL(arena_per_tx), METH_NOARGS, "The status word of every transaction, and the spans of all workers."},
    {"seal", CALL(arena_seal), METH_NOARGS, "The last write of every key, ascending, packed, and their ends: see seal.h."},
    {"record", CALL(arena_record), METH_O, "Rows of the record: events, reads, writes; keys, and their ends."},
    {"slot", CALL(arena_slot), METH_O, "What worker i shows of itself."},
    {NULL, NULL, 0, NULL}};

static PyGetSetDef arena_getset[] = {
    {"state", (getter)arena_get, NULL, "BLOCK_* of the block", (void *)'s'},
    {"watermark", (getter)arena_get, NULL, "transactions that are final", (void *)'w'},
    {"fault_tx", (getter)arena_get, NULL, "transaction whose fault stopped the block", (void *)'f'},
    {"used", (getter)arena_get, NULL, "bytes in use", (void *)'u'},
    {"reserved", (getter)arena_get, NULL, "bytes that have pages", (void *)'r'},
    {"record_lost", (getter)arena_get, NULL, "there was no room for some of the record: run the block again with more",
     (void *)'l'},
    {"transactions", (getter)arena_get, NULL, "transactions of the block", (void *)'n'},
    {"hook", (getter)arena_get, NULL, "what the VM runs once more after the last transaction: arena.h", (void *)'h'},
    {"cached", (getter)arena_get, NULL, "whether the block reads the cache", (void *)'c'},
    {"workers", (getter)arena_get, NULL, "workers that take part in the block", (void *)'k'},
    {"setup", (getter)arena_get, NULL, "which VM and state the workers need", (void *)'i'},
    {"base", (getter)arena_get, NULL, "which committed state the block builds on, as it was handed in", (void *)'b'},
    {NULL, NULL, NULL, NULL, NULL}};

static PyType_Slot arena_slots[] = {
    {Py_tp_new, arena_new},
    {Py_tp_dealloc, arena_dealloc},
    {Py_tp_methods, arena_methods},
    {Py_tp_getset, arena_getset},
    {Py_tp_doc, (void *)"Arena(fd, size, reserved=0, seed=None): map the shared arena; with a seed, make it."},
    {0, NULL}};
PyType_Spec arena_spec = {"ioi_shm._core.Arena", sizeof(ArenaObject), 0, Py_TPFLAGS_DEFAULT, arena_slots};
