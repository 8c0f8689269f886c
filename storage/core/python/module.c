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

/* Checks pair i against the pair before it and appends the messages to hash. */
static bool take_pair(PyObject *pair, PyObject *before, Py_ssize_t i, Py_ssize_t key_limit, struct jf_entry *entry,
                      struct sha256_message *messages, size_t *count) {
    if (!PyTuple_CheckExact(pair) || PyTuple_GET_SIZE(pair) != 2) {
        PyErr_Format(PyExc_TypeError, "batch[%zd] must be a tuple (key, value), not %R", i, pair);
        return false;
    }
    PyObject *key = PyTuple_GET_ITEM(pair, 0), *value = PyTuple_GET_ITEM(pair, 1);
    if (!PyBytes_Check(key) || (value != Py_None && !PyBytes_Check(value))) {
        PyErr_Format(PyExc_TypeError, "batch[%zd]: key and value must be bytes, or the value None to delete", i);
        return false;
    }
    if (PyBytes_GET_SIZE(key) < 1 || PyBytes_GET_SIZE(key) > key_limit) {
        PyErr_Format(PyExc_ValueError, "batch[%zd]: a key has 1 to %zd bytes, this one %zd", i, key_limit,
                     PyBytes_GET_SIZE(key));
        return false;
    }
    if (before != NULL) {
        PyObject *previous = PyTuple_GET_ITEM(before, 0);
        Py_ssize_t a = PyBytes_GET_SIZE(previous), b = PyBytes_GET_SIZE(key);
        int order = memcmp(PyBytes_AS_STRING(previous), PyBytes_AS_STRING(key), (size_t)(a < b ? a : b));
        if (order == 0 && a == b) {
            PyErr_Format(PyExc_ValueError, "batch[%zd]: key %R is written twice", i, key);
            return false;
        }
        if (order > 0 || (order == 0 && a > b)) {
            PyErr_Format(PyExc_ValueError, "batch[%zd]: keys must ascend, but %R follows %R", i, key, previous);
            return false;
        }
    }
    memset(entry, 0, sizeof *entry);
    entry->index = (uint32_t)i;
    entry->is_put = value != Py_None;
    messages[(*count)++] = (struct sha256_message){(const uint8_t *)PyBytes_AS_STRING(key),
                                                   (size_t)PyBytes_GET_SIZE(key), entry->key_hash};
    if (value == Py_None) return true;
    if (PyBytes_GET_SIZE(value) > VALUE_MAX) {
        PyErr_Format(PyExc_ValueError, "batch[%zd]: a value has at most %zd bytes, this one %zd", i, VALUE_MAX,
                     PyBytes_GET_SIZE(value));
        return false;
    }
    messages[(*count)++] = (struct sha256_message){(const uint8_t *)PyBytes_AS_STRING(value),
                                                   (size_t)PyBytes_GET_SIZE(value), entry->value_hash};
    return true;
}

enum { HASHED_TOGETHER = 128 /* pairs: few enough to be in the first caches still */ };

static PyObject *py_hash_batch(PyObject *self, PyObject *args) {
    (void)self;
    PyObject *batch, *entries = NULL;
    Py_ssize_t key_limit;
    if (!PyArg_ParseTuple(args, "On", &batch, &key_limit)) return NULL;
    PyObject *fast = PySequence_Fast(batch, "batch must be a sequence of (key, value)");
    if (fast == NULL) return NULL;
    Py_ssize_t n = PySequence_Fast_GET_SIZE(fast);
    PyObject **pairs = PySequence_Fast_ITEMS(fast);
    entries = PyBytes_FromStringAndSize(NULL, n * (Py_ssize_t)sizeof(struct jf_entry));
    if (entries != NULL && n >= UINT32_MAX) {
        PyErr_SetString(PyExc_ValueError, "a batch has fewer than 2^32 - 1 writes");
        Py_CLEAR(entries);
    }
    if (entries != NULL) {
        struct jf_entry *at = (struct jf_entry *)PyBytes_AS_STRING(entries);
        struct sha256_message messages[2 * HASHED_TOGETHER];
        size_t count = 0;
        bool ok = true;
        for (Py_ssize_t i = 0; ok && i < n; i++) {
            if (i + PAIR_AHEAD < n) prefetch_pair(pairs[i + PAIR_AHEAD]);
            if (i + PAIR_INSIDE_AHEAD < n) prefetch_inside(pairs[i + PAIR_INSIDE_AHEAD]);
            ok = take_pair(pairs[i], i > 0 ? pairs[i - 1] : NULL, i, key_limit, &at[i], messages, &count);
            if (i + 1 < n && count < 2 * HASHED_TOGETHER - 1) continue;
            sha256_many(messages, count);
            count = 0;
        }
        if (ok) qsort(at, (size_t)n, sizeof *at, by_key_hash);
        else Py_CLEAR(entries);
    }
    Py_DECREF(fast);
    return entries;
}

static PyObject *py_backend(PyObject *self, PyObject *unused) {
    (void)self, (void)unused;
    return PyUnicode_FromString(sha256_backend());
}

static PyMethodDef functions[] = {
    {"merkle_root", py_merkle_root, METH_VARARGS, "merkle_root(blob, ends) -> RFC 6962 root; see merkle.h."},
    {"hash_batch", py_hash_batch, METH_VARARGS, "hash_batch(batch, key_limit) -> packed entries by key hash."},
    {"sha256_backend", py_backend, METH_NOARGS, "Name of the SHA-256 in use: 'sha-ni' or 'portable'."},
    {NULL, NULL, 0, NULL},
};

static int module_exec(PyObject *module) {
    if (PyModule_AddFunctions(module, seal_functions) < 0 || PyModule_AddFunctions(module, node_functions) < 0 ||
        PyModule_AddFunctions(module, rows_functions) < 0)
        return -1;
    PyType_Spec *types[] = {&crown_spec,         &iavl_row_spec, &iavl_stage_spec,
                            &rows_iterator_spec, &rows_spec,     &subtree_spec};
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

static struct PyModuleDef module_def = {
    PyModuleDef_HEAD_INIT, "_core", "C core of ioi_storage: hashing, rows and trees.", 0, functions, module_slots,
    NULL, NULL, NULL};

PyMODINIT_FUNC PyInit__core(void) { return PyModuleDef_Init(&module_def); }
