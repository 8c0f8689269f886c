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

/* Whether pair i can stand in a batch behind pair i - 1. Needs no interpreter; `refuse_pair` says what is wrong. */
static bool good_pair(PyObject *const *pairs, Py_ssize_t i, Py_ssize_t key_limit) {
    PyObject *pair = pairs[i];
    if (!PyTuple_CheckExact(pair) || PyTuple_GET_SIZE(pair) != 2) return false;
    PyObject *key = PyTuple_GET_ITEM(pair, 0), *value = PyTuple_GET_ITEM(pair, 1);
    if (!PyBytes_Check(key) || PyBytes_GET_SIZE(key) < 1 || PyBytes_GET_SIZE(key) > key_limit) return false;
    if (value != Py_None && (!PyBytes_Check(value) || PyBytes_GET_SIZE(value) > VALUE_MAX)) return false;
    return true;
}

/* Memory's order of two keys: shorter first where one begins with the other. */
static int key_order(PyObject *a, PyObject *b) {
    Py_ssize_t a_size = PyBytes_GET_SIZE(a), b_size = PyBytes_GET_SIZE(b);
    int order = memcmp(PyBytes_AS_STRING(a), PyBytes_AS_STRING(b), (size_t)(a_size < b_size ? a_size : b_size));
    return order != 0 ? order : (a_size > b_size) - (a_size < b_size);
}

static PyObject *key_of(PyObject *pair) { return PyTuple_GET_ITEM(pair, 0); }

static void refuse_pair(PyObject *const *pairs, Py_ssize_t i, Py_ssize_t key_limit) {
    PyObject *pair = pairs[i];
    if (!PyTuple_CheckExact(pair) || PyTuple_GET_SIZE(pair) != 2) {
        PyErr_Format(PyExc_TypeError, "batch[%zd] must be a tuple (key, value), not %R", i, pair);
        return;
    }
    PyObject *key = PyTuple_GET_ITEM(pair, 0), *value = PyTuple_GET_ITEM(pair, 1);
    if (!PyBytes_Check(key) || (value != Py_None && !PyBytes_Check(value))) {
        PyErr_Format(PyExc_TypeError, "batch[%zd]: key and value must be bytes, or the value None to delete", i);
    } else if (PyBytes_GET_SIZE(key) < 1 || PyBytes_GET_SIZE(key) > key_limit) {
        PyErr_Format(PyExc_ValueError, "batch[%zd]: a key has 1 to %zd bytes, this one %zd", i, key_limit, PyBytes_GET_SIZE(key));
    } else if (value != Py_None && PyBytes_GET_SIZE(value) > VALUE_MAX) {
        PyErr_Format(PyExc_ValueError, "batch[%zd]: a value has at most %zd bytes, this one %zd", i, VALUE_MAX,
                     PyBytes_GET_SIZE(value));
    } else if (key_order(key_of(pairs[i - 1]), key) == 0) {
        PyErr_Format(PyExc_ValueError, "batch[%zd]: key %R is written twice", i, key);
    } else {
        PyErr_Format(PyExc_ValueError, "batch[%zd]: keys must ascend, but %R follows %R", i, key, key_of(pairs[i - 1]));
    }
}

enum { HASHED_TOGETHER = 128 /* pairs: few enough to be in the first caches still */ };

/* Hashes pairs [begin, end) into entries, which it sorts. Returns `end`, or which pair is wrong. Needs no interpreter. */
static Py_ssize_t hash_pairs(PyObject *const *pairs, Py_ssize_t begin, Py_ssize_t end, Py_ssize_t key_limit,
                             struct jf_entry *entries) {
    struct sha256_message messages[2 * HASHED_TOGETHER];
    size_t count = 0;
    if (begin > 0 && begin < end && !good_pair(pairs, begin - 1, key_limit)) return begin - 1;
    for (Py_ssize_t i = begin; i < end; i++) {
        if (i + PAIR_AHEAD < end) prefetch_pair(pairs[i + PAIR_AHEAD]);
        if (i + PAIR_INSIDE_AHEAD < end) prefetch_inside(pairs[i + PAIR_INSIDE_AHEAD]);
        if (!good_pair(pairs, i, key_limit)) return i;
        PyObject *key = key_of(pairs[i]), *value = PyTuple_GET_ITEM(pairs[i], 1);
        if (i > 0 && key_order(key_of(pairs[i - 1]), key) >= 0) return i;
        struct jf_entry *entry = &entries[i - begin];
        memset(entry, 0, sizeof *entry);
        entry->index = (uint32_t)i;
        entry->is_put = value != Py_None;
        messages[count++] = (struct sha256_message){(const uint8_t *)PyBytes_AS_STRING(key), (size_t)PyBytes_GET_SIZE(key),
                                                    entry->key_hash};
        if (value != Py_None)
            messages[count++] = (struct sha256_message){(const uint8_t *)PyBytes_AS_STRING(value),
                                                        (size_t)PyBytes_GET_SIZE(value), entry->value_hash};
        if (i + 1 < end && count < 2 * HASHED_TOGETHER - 1) continue;
        sha256_many(messages, count);
        count = 0;
    }
    qsort(entries, (size_t)(end - begin), sizeof *entries, by_key_hash);
    return end;
}

/* The batch is a tuple: nobody can take pairs out of it while the interpreter goes on elsewhere. */
static PyObject *py_hash_batch(PyObject *self, PyObject *args) {
    (void)self;
    PyObject *batch;
    Py_ssize_t key_limit, begin, end;
    if (!PyArg_ParseTuple(args, "O!nnn", &PyTuple_Type, &batch, &key_limit, &begin, &end)) return NULL;
    if (begin < 0 || end < begin || end > PyTuple_GET_SIZE(batch) || end >= UINT32_MAX) {
        PyErr_SetString(PyExc_ValueError, "a part lies within the batch, which has fewer than 2^32 - 1 writes");
        return NULL;
    }
    size_t n = (size_t)(end - begin);
    PyObject **pairs = ((PyTupleObject *)batch)->ob_item;
    PyObject *entries = bytes_of(NULL, n * sizeof(struct jf_entry));
    if (entries != NULL) {
        Py_ssize_t good;
        Py_BEGIN_ALLOW_THREADS
        good = hash_pairs(pairs, begin, end, key_limit, (struct jf_entry *)PyBytes_AS_STRING(entries));
        Py_END_ALLOW_THREADS
        if (good != end) {
            refuse_pair(pairs, good, key_limit);
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
    PyType_Spec *types[] = {&crown_spec, &iavl_row_spec, &iavl_stage_spec, &rows_iterator_spec, &rows_spec, &subtree_spec};
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        PyObject *type = PyType_FromModuleAndSpec(module, types[i], NULL);
        if (type == NULL) return -1;
        int result = PyModule_AddType(module, (PyTypeObject *)type);
        Py_DECREF(type);
        if (result < 0) return -1;
    }
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
