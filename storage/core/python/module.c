/* ioi_storage._core: the module, and hashing. */
#include "module.h"

#include <stdlib.h>
#include <string.h>

#include "../jellyfish.h"
#include "../merkle.h"
#include "../sha256.h"

#define VALUE_MAX ((Py_ssize_t)1 << 31)

static PyObject *py_merkle_root(PyObject *self, PyObject *args) {
    (void)self;
    Py_buffer blob, ends;
    if (!PyArg_ParseTuple(args, "y*y*", &blob, &ends)) return NULL;
    uint8_t root[SHA256_SIZE];
    enum merkle_result result = MERKLE_BAD_ENDS;
    if (ends.len % 8 == 0) {
        uint64_t *aligned = PyMem_Malloc((size_t)ends.len + 8);
        result = aligned == NULL ? MERKLE_MEMORY : MERKLE_OK;
        if (aligned != NULL) {
            memcpy(aligned, ends.buf, (size_t)ends.len);
            Py_BEGIN_ALLOW_THREADS
            result = merkle_root(blob.buf, (size_t)blob.len, aligned, (size_t)ends.len / 8, root);
            Py_END_ALLOW_THREADS
            PyMem_Free(aligned);
        }
    }
    PyBuffer_Release(&blob);
    PyBuffer_Release(&ends);
    if (result == MERKLE_MEMORY) return PyErr_NoMemory();
    if (result == MERKLE_OK) return bytes_of(root, sizeof root);
    PyErr_SetString(PyExc_ValueError, "ends must be u64 little endian, ascending, the last one the size of the blob");
    return NULL;
}

static int by_key_hash(const void *a, const void *b) { return memcmp(a, b, SHA256_SIZE); }

/* Memory's order of two keys: shorter first where one begins with the other. */
static int key_order(const uint8_t *a, size_t a_size, const uint8_t *b, size_t b_size) {
    int order = memcmp(a, b, a_size < b_size ? a_size : b_size);
    return order != 0 ? order : (a_size > b_size) - (a_size < b_size);
}

/* Whether write i can stand in a batch behind write i - 1. Needs no interpreter; `refuse_write` says what is wrong. */
static bool good_write(const struct writes *w, size_t i, Py_ssize_t key_limit) {
    size_t size, before_size, value_size;
    const uint8_t *key = writes_key(w, i, &size);
    writes_value(w, i, &value_size);
    if (size < 1 || size > (size_t)key_limit || value_size > (size_t)VALUE_MAX) return false;
    if (i == 0) return true;
    const uint8_t *before = writes_key(w, i - 1, &before_size);
    return key_order(before, before_size, key, size) < 0;
}

/* Bytes as messages show them. */
static PyObject *hex_of(const uint8_t *data, size_t size) {
    PyObject *bytes = bytes_of(data, size);
    PyObject *hex = bytes != NULL ? PyObject_CallMethod(bytes, "hex", NULL) : NULL;
    Py_XDECREF(bytes);
    return hex;
}

static void refuse_write(const struct writes *w, size_t i, Py_ssize_t key_limit) {
    size_t size, before_size, value_size;
    const uint8_t *key = writes_key(w, i, &size);
    writes_value(w, i, &value_size);
    if (size < 1 || size > (size_t)key_limit) {
        PyErr_Format(PyExc_ValueError, "batch[%zu]: a key has 1 to %zd bytes, this one %zu", i, key_limit, size);
        return;
    }
    if (value_size > (size_t)VALUE_MAX) {
        PyErr_Format(PyExc_ValueError, "batch[%zu]: a value has at most %zd bytes, this one %zu", i, VALUE_MAX, value_size);
        return;
    }
    const uint8_t *before = writes_key(w, i - 1, &before_size);
    PyObject *this_key = hex_of(key, size), *last_key = hex_of(before, before_size);
    if (this_key != NULL && last_key != NULL && key_order(before, before_size, key, size) == 0)
        PyErr_Format(PyExc_ValueError, "batch[%zu]: key %S is written twice", i, this_key);
    else if (this_key != NULL && last_key != NULL)
        PyErr_Format(PyExc_ValueError, "batch[%zu]: keys must ascend, but %S follows %S", i, this_key, last_key);
    Py_XDECREF(this_key);
    Py_XDECREF(last_key);
}

enum { HASHED_TOGETHER = 128 /* writes: few enough to be in the first caches still */ };

/* Hashes writes [begin, end) into entries, which it sorts. Returns `end`, or which write is wrong. Needs no interpreter. */
static size_t hash_writes(const struct writes *w, size_t begin, size_t end, Py_ssize_t key_limit, struct jf_entry *entries) {
    struct sha256_message messages[2 * HASHED_TOGETHER];
    size_t count = 0;
    for (size_t i = begin; i < end; i++) {
        if (!good_write(w, i, key_limit)) return i;
        struct jf_entry *entry = &entries[i - begin];
        size_t key_size, value_size;
        const uint8_t *key = writes_key(w, i, &key_size), *value = writes_value(w, i, &value_size);
        memset(entry, 0, sizeof *entry);
        entry->index = (uint32_t)i;
        entry->is_put = value != NULL;
        messages[count++] = (struct sha256_message){key, key_size, entry->key_hash};
        if (value != NULL) messages[count++] = (struct sha256_message){value, value_size, entry->value_hash};
        if (i + 1 < end && count < 2 * HASHED_TOGETHER - 1) continue;
        sha256_many(messages, count);
        count = 0;
    }
    qsort(entries, end - begin, sizeof *entries, by_key_hash);
    return end;
}

static PyObject *py_hash_batch(PyObject *self, PyObject *args) {
    (void)self;
    PyObject *batch;
    Py_ssize_t key_limit, begin, end;
    if (!PyArg_ParseTuple(args, "O!nnn", writes_type, &batch, &key_limit, &begin, &end)) return NULL;
    struct writes w = writes_of(batch);
    if (begin < 0 || end < begin || (size_t)end > w.count || end >= UINT32_MAX) {
        PyErr_SetString(PyExc_ValueError, "a part lies within the batch, which has fewer than 2^32 - 1 writes");
        return NULL;
    }
    PyObject *entries = bytes_of(NULL, (size_t)(end - begin) * sizeof(struct jf_entry));
    if (entries != NULL) {
        size_t good;
        Py_BEGIN_ALLOW_THREADS
        good = hash_writes(&w, (size_t)begin, (size_t)end, key_limit, (struct jf_entry *)PyBytes_AS_STRING(entries));
        Py_END_ALLOW_THREADS
        if (good != (size_t)end) {
            refuse_write(&w, good, key_limit);
            Py_CLEAR(entries);
        }
    }
    return entries;
}

enum { MERGED_AT_ONCE = 16 };

static uint64_t head_of(const uint8_t *at, const uint8_t *end) {
    uint64_t head = UINT64_MAX;
    if (at < end) memcpy(&head, at, sizeof head);
    return __builtin_bswap64(head); /* little endian only, as everything here */
}

/* One array of sorted ones: the least head of all, again and again. */
static PyObject *py_merge_entries(PyObject *self, PyObject *parts) {
    (void)self;
    PyObject *fast = PySequence_Fast(parts, "parts must be a sequence of packed entries");
    if (fast == NULL) return NULL;
    Py_ssize_t n = PySequence_Fast_GET_SIZE(fast);
    const uint8_t *at[MERGED_AT_ONCE], *end[MERGED_AT_ONCE];
    size_t total = 0;
    bool ok = n <= MERGED_AT_ONCE;
    for (Py_ssize_t i = 0; ok && i < n; i++) {
        PyObject *part = PySequence_Fast_GET_ITEM(fast, i);
        ok = PyBytes_Check(part) && (size_t)PyBytes_GET_SIZE(part) % sizeof(struct jf_entry) == 0;
        if (!ok) break;
        at[i] = (const uint8_t *)PyBytes_AS_STRING(part);
        end[i] = at[i] + PyBytes_GET_SIZE(part);
        total += (size_t)PyBytes_GET_SIZE(part);
    }
    PyObject *merged = NULL;
    if (!ok) PyErr_Format(PyExc_ValueError, "parts must be at most %d, of packed entries", MERGED_AT_ONCE);
    else merged = bytes_of(NULL, total);
    uint8_t *to = merged != NULL ? (uint8_t *)PyBytes_AS_STRING(merged) : NULL;
    uint64_t head[MERGED_AT_ONCE]; /* the first bytes decide nearly always */
    for (Py_ssize_t i = 0; merged != NULL && i < n; i++) head[i] = head_of(at[i], end[i]);
    for (size_t done = 0; merged != NULL && done < total; done += sizeof(struct jf_entry)) {
        Py_ssize_t least = 0;
        for (Py_ssize_t i = 1; i < n; i++) {
            if (head[i] < head[least]) least = i;
        }
        for (Py_ssize_t i = 0; i < n; i++) {
            bool tie = head[i] == head[least] && at[i] < end[i];
            if (tie && (at[least] == end[least] || by_key_hash(at[i], at[least]) < 0)) least = i;
        }
        memcpy(to + done, at[least], sizeof(struct jf_entry));
        at[least] += sizeof(struct jf_entry);
        head[least] = head_of(at[least], end[least]);
    }
    Py_DECREF(fast);
    return merged;
}

/* The end of the entries from `begin` on whose nibble at `depth` is not above `nibble`; they ascend. */
static size_t end_of(const struct jf_entry *entries, size_t begin, size_t count, unsigned depth, unsigned nibble) {
    while (begin < count) {
        size_t middle = begin + (count - begin) / 2;
        if (node_nibble(entries[middle].key_hash, depth) <= nibble) begin = middle + 1;
        else count = middle;
    }
    return begin;
}

static PyObject *py_split_entries(PyObject *self, PyObject *args) {
    (void)self;
    PyObject *packed;
    unsigned depth;
    if (!PyArg_ParseTuple(args, "SI", &packed, &depth)) return NULL;
    size_t size = (size_t)PyBytes_GET_SIZE(packed), count = size / sizeof(struct jf_entry);
    if (count * sizeof(struct jf_entry) != size || depth >= NODE_DEPTHS)
        return PyErr_Format(PyExc_ValueError, "entries must be packed, and a depth below %d", NODE_DEPTHS);
    const struct jf_entry *entries = (const struct jf_entry *)PyBytes_AS_STRING(packed);
    PyObject *groups = PyList_New(0);
    for (size_t begin = 0, end; groups != NULL && begin < count; begin = end) {
        unsigned nibble = node_nibble(entries[begin].key_hash, depth);
        end = end_of(entries, begin + 1, count, depth, nibble);
        PyObject *group = bytes_of(entries + begin, (end - begin) * sizeof *entries);
        PyObject *pair = group != NULL ? Py_BuildValue("(IN)", nibble, group) : NULL;
        if (pair == NULL || PyList_Append(groups, pair) < 0) Py_CLEAR(groups);
        Py_XDECREF(pair);
    }
    return groups;
}

static PyObject *py_backend(PyObject *self, PyObject *unused) {
    (void)self, (void)unused;
    return PyUnicode_FromString(sha256_backend());
}

static PyMethodDef functions[] = {
    {"merkle_root", py_merkle_root, METH_VARARGS, "merkle_root(blob, ends) -> RFC 6962 root; see merkle.h."},
    {"hash_batch", py_hash_batch, METH_VARARGS,
     "hash_batch(batch, key_limit, begin, end) -> packed entries of writes [begin, end), by key hash."},
    {"merge_entries", py_merge_entries, METH_O, "merge_entries(parts) -> packed entries of all parts, by key hash."},
    {"split_entries", py_split_entries, METH_VARARGS,
     "split_entries(entries, depth) -> (nibble, its entries) of those that share the nibbles before `depth`, ascending."},
    {"sha256_backend", py_backend, METH_NOARGS, "Name of the SHA-256 in use; see sha256.h."},
    {NULL, NULL, 0, NULL},
};

static int module_exec(PyObject *module) {
    if (PyModule_AddFunctions(module, seal_functions) < 0 || PyModule_AddFunctions(module, node_functions) < 0 ||
        PyModule_AddFunctions(module, rows_functions) < 0 || PyModule_AddFunctions(module, stale_functions) < 0)
        return -1;
    PyType_Spec *types[] = {&crown_spec, &iavl_row_spec, &iavl_stage_spec, &rows_iterator_spec,
                            &rows_spec,  &subtree_spec,  &writes_spec};
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        PyObject *type = PyType_FromModuleAndSpec(module, types[i], NULL);
        if (type == NULL) return -1;
        int result = PyModule_AddType(module, (PyTypeObject *)type);
        if (types[i] == &writes_spec) writes_type = (PyTypeObject *)type; /* with its reference, for the life of the process */
        else Py_DECREF(type);
        if (result < 0) return -1;
    }
    if (writes_as_sequence((PyObject *)writes_type) < 0) return -1;
    return PyModule_AddIntConstant(module, "ENTRY_SIZE", sizeof(struct jf_entry));
}

static PyModuleDef_Slot module_slots[] = {{Py_mod_exec, module_exec}, {0, NULL}};

static struct PyModuleDef module_def = {PyModuleDef_HEAD_INIT,
                                        "_core",
                                        "C core of ioi_storage: hashing, rows and trees.",
                                        0,
                                        functions,
                                        module_slots,
                                        NULL,
                                        NULL,
                                        NULL};

PyMODINIT_FUNC PyInit__core(void) { return PyModuleDef_Init(&module_def); }
