/* ioi_shm.Cache: committed values across blocks, as the coordinator writes them and as workers hold them to read. */
#include <sys/mman.h>

#include "module.h"

static ioi_cache_head *head(const CacheObject *self) { return (ioi_cache_head *)self->base; }

static PyObject *cache_new(PyTypeObject *type, PyObject *args, PyObject *kwargs) {
    static char *names[] = {"fd", "size", "reserved", "seed", NULL};
    int fd;
    unsigned long long size, reserved = 0;
    Py_buffer seed = {0};
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "iK|Ky*:Cache", names, &fd, &size, &reserved, &seed)) return NULL;
    bool create = seed.buf != NULL;
    CacheObject *self = NULL;
    void *base = mmap(NULL, size, create ? PROT_READ | PROT_WRITE : PROT_READ, MAP_SHARED | MAP_NORESERVE, fd, 0);
    if (base == MAP_FAILED) {
        PyErr_SetFromErrno(PyExc_OSError);
        goto out;
    }
    self = (CacheObject *)type->tp_alloc(type, 0);
    if (!self) {
        munmap(base, size);
        goto out;
    }
    self->base = base;
    self->size = size;
    uint64_t words[4];
    if (create && seed.len == sizeof words) memcpy(words, seed.buf, sizeof words);
    if (create ? seed.len != sizeof words || !ioi_cache_init(base, size, reserved, words) : !ioi_cache_attach(base, size)) {
        PyErr_Format(PyExc_ValueError, "the memory is no cache, or of %llu bytes cannot be made into one", size);
        Py_CLEAR(self);
    }
out:
    if (seed.buf) PyBuffer_Release(&seed);
    return (PyObject *)self;
}

static void cache_dealloc(CacheObject *self) {
    PyTypeObject *type = Py_TYPE(self);
    if (self->base) munmap(self->base, self->size);
    type->tp_free(self);
    Py_DECREF(type);
}

bool cache_fits(const CacheObject *cache, const ioi_arena *arena) {
    return memcmp(head(cache)->seed, arena->shared->seed, sizeof arena->shared->seed) == 0;
}

static PyObject *cache_limit(CacheObject *self, PyObject *args) {
    unsigned long long size, reserved;
    if (!PyArg_ParseTuple(args, "KK:limit", &size, &reserved)) return NULL;
    if (size > self->size || reserved > size || reserved < head(self)->used) {
        PyErr_SetString(PyExc_ValueError, "what is used <= what is reserved <= the size <= the mapping");
        return NULL;
    }
    head(self)->size = size;
    head(self)->reserved = reserved;
    Py_RETURN_NONE;
}

static PyObject *cache_clear(CacheObject *self, PyObject *Py_UNUSED(none)) {
    ioi_cache_clear(self->base);
    Py_RETURN_NONE;
}

static int as_stamp(PyObject *object, const uint8_t **bytes) {
    size_t len;
    if (as_bytes(object, false, "the stand", bytes, &len) < 0) return -1;
    if (len == IOI_STAMP) return 0;
    PyErr_Format(PyExc_ValueError, "a stand has %d bytes, not %zu", IOI_STAMP, len);
    return -1;
}

static PyObject *cache_stamp(CacheObject *self, PyObject *stand) {
    const uint8_t *bytes;
    if (as_stamp(stand, &bytes) < 0) return NULL;
    ioi_cache_stamp(self->base, bytes);
    Py_RETURN_NONE;
}

static PyObject *cache_is_of(CacheObject *self, PyObject *stand) {
    const uint8_t *bytes;
    if (as_stamp(stand, &bytes) < 0) return NULL;
    return PyBool_FromLong(ioi_cache_is_of(self->base, bytes, IOI_STAMP));
}

static uint64_t hash_of(const CacheObject *self, const uint8_t *key, size_t len) {
    return ioi_hash(head(self)->seed, key, (uint32_t)len);
}

enum { AHEAD = 8 /* writes whose bucket and record are asked for early: they lie all over the cache */ };

/* write(blob, ends, begin, version, flat, refused): of writes packed as in seal.h, from `begin` on; where it stopped since more must
 * be reserved, or the end. Those for which there is no room are appended to `refused`. version 0: they were read, not written. */
static PyObject *cache_write(CacheObject *self, PyObject *args) {
    PyObject *blob, *packed, *refused;
    Py_ssize_t begin;
    unsigned long long version, flat;
    if (!PyArg_ParseTuple(args, "SSnKKO!:write", &blob, &packed, &begin, &version, &flat, &PyList_Type, &refused)) return NULL;
    const uint8_t *bytes = (const uint8_t *)PyBytes_AS_STRING(blob);
    const uint64_t *ends = (const uint64_t *)(const void *)PyBytes_AS_STRING(packed);
    size_t count = (size_t)PyBytes_GET_SIZE(packed) / (2 * sizeof *ends), i = (size_t)begin, hashed = i;
    uint64_t hashes[2 * AHEAD];
    for (; i < count; i++) {
        for (; hashed < count && hashed < i + 2 * AHEAD; hashed++) {
            uint64_t from = hashed ? ends[2 * hashed - 1] & ~IOI_SEAL_DELETED : 0;
            hashes[hashed % (2 * AHEAD)] = hash_of(self, bytes + from, ends[2 * hashed] - from);
            ioi_cache_prefetch(self->base, hashes[hashed % (2 * AHEAD)], false);
        }
        if (i + AHEAD < count) ioi_cache_prefetch(self->base, hashes[(i + AHEAD) % (2 * AHEAD)], true);
        uint64_t from = i ? ends[2 * i - 1] & ~IOI_SEAL_DELETED : 0, middle = ends[2 * i], end = ends[2 * i + 1];
        const uint8_t *value = end & IOI_SEAL_DELETED ? NULL : bytes + middle;
        size_t key_len = middle - from, len = (end & ~IOI_SEAL_DELETED) - middle;
        uint64_t hash = hashes[i % (2 * AHEAD)];
        ioi_cache_result r =
            version ? ioi_cache_write(self->base, hash, bytes + from, (uint32_t)key_len, value, (uint32_t)len, version, flat)
                    : ioi_cache_promote(self->base, hash, bytes + from, (uint32_t)key_len, value, (uint32_t)len, flat);
        if (r == IOI_CACHE_MORE) break;
        if (r == IOI_CACHE_KEPT) continue;
        PyObject *key = PyBytes_FromStringAndSize((const char *)bytes + from, (Py_ssize_t)key_len);
        PyObject *object = bytes_or_none(value, len), *pair = key && object ? PyTuple_Pack(2, key, object) : NULL;
        int appended = pair ? PyList_Append(refused, pair) : -1;
        Py_XDECREF(key);
        Py_XDECREF(object);
        Py_XDECREF(pair);
        if (appended < 0) return NULL;
    }
    return PyLong_FromSize_t(i);
}

/* promote(arena, flat): keep what the workers of a block that is done have fetched. False: more must be reserved first. */
static PyObject *cache_promote(CacheObject *self, PyObject *args) {
    PyObject *object;
    unsigned long long flat;
    if (!PyArg_ParseTuple(args, "O!K:promote", arena_type, &object, &flat)) return NULL;
    const ioi_arena *arena = &((ArenaObject *)object)->arena;
    if (a32_load(&arena->shared->sched.state) != IOI_BLOCK_DONE || !cache_fits(self, arena)) {
        PyErr_SetString(PyExc_RuntimeError, "only of a block that is done, with the cache's hashes, is anything kept");
        return NULL;
    }
    for (uint32_t w = 0; w < arena->shared->block.workers; w++)
        for (uint64_t at = a64_load(&arena->shared->slots[w].fetched); at;) {
            const ioi_fetched *f = ioi_at(arena, at);
            const ioi_entry *e = ioi_at(arena, f->entry);
            if (ioi_cache_promote(self->base, e->hash, e->key, e->key_len, f->record.deleted ? NULL : f->record.bytes,
                                  f->record.len, flat) == IOI_CACHE_MORE)
                Py_RETURN_FALSE;
            at = f->next;
        }
    Py_RETURN_TRUE;
}

/* get(key): its value (None: absent) and the version that wrote it, 0 if it was read; None if it is not here. For tests. */
static PyObject *cache_get(CacheObject *self, PyObject *argument) {
    const uint8_t *key;
    size_t len;
    if (as_bytes(argument, false, "a key", &key, &len) < 0) return NULL;
    const ioi_cached *c = ioi_cache_find(self->base, hash_of(self, key, len), key, (uint32_t)len);
    if (!c) Py_RETURN_NONE;
    PyObject *value = bytes_or_none(c->record.deleted ? NULL : c->record.bytes, c->record.len);
    return value ? Py_BuildValue("NK", value, c->version) : NULL;
}

static PyObject *cache_field(CacheObject *self, void *which) {
    switch ((char)(intptr_t)which) {
    case 's': return PyLong_FromUnsignedLongLong(head(self)->size);
    case 'r': return PyLong_FromUnsignedLongLong(head(self)->reserved);
    case 'u': return PyLong_FromUnsignedLongLong(head(self)->used);
    default: return PyLong_FromUnsignedLongLong(head(self)->count);
    }
}

static PyMethodDef cache_methods[] = {
    {"limit", CALL(cache_limit), METH_VARARGS, "How many bytes it may take (size), and how many have pages (reserved)."},
    {"clear", CALL(cache_clear), METH_NOARGS, "Forget all records, and the stamp."},
    {"stamp", CALL(cache_stamp), METH_O, "From now on it is wholly of this state."},
    {"is_of", CALL(cache_is_of), METH_O, "Whether it is of this state."},
    {"write", CALL(cache_write), METH_VARARGS,
     "Keep what a version wrote: (blob, ends, begin, version, flat, refused) -> where it stopped."},
    {"promote", CALL(cache_promote), METH_VARARGS,
     "Keep what the workers of a block fetched: (arena, flat) -> whether it is all done."},
    {"get", CALL(cache_get), METH_O, "(value, version) of a key, or None."},
    {NULL, NULL, 0, NULL}};

static PyGetSetDef cache_getset[] = {{"size", (getter)cache_field, NULL, "bytes it may take", (void *)'s'},
                                     {"reserved", (getter)cache_field, NULL, "bytes that have pages", (void *)'r'},
                                     {"used", (getter)cache_field, NULL, "bytes in use", (void *)'u'},
                                     {"records", (getter)cache_field, NULL, "keys it has", (void *)'n'},
                                     {NULL, NULL, NULL, NULL, NULL}};

static PyType_Slot cache_slots[] = {
    {Py_tp_new, cache_new},
    {Py_tp_dealloc, cache_dealloc},
    {Py_tp_methods, cache_methods},
    {Py_tp_getset, cache_getset},
    {Py_tp_doc, (void *)"Cache(fd, size, reserved=0, seed=None): map it to read; with a seed, make it."},
    {0, NULL}};
PyType_Spec cache_spec = {"ioi_shm._core.Cache", sizeof(CacheObject), 0, Py_TPFLAGS_DEFAULT, cache_slots};
