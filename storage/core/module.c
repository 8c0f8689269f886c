/* ioi_storage._core: converts Python objects; all logic is in the other files. */
#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <stdlib.h>
#include <string.h>

#include "jellyfish.h"
#include "merkle.h"
#include "node.h"
#include "seal.h"
#include "sha256.h"

#define VALUE_MAX ((Py_ssize_t)1 << 31)
enum { STALE_ROW = 1900 }; /* bytes of stale records that go into one row, so that two rows fit a page */

static PyObject *bytes_of(const void *data, size_t size) {
    return PyBytes_FromStringAndSize((const char *)data, (Py_ssize_t)size);
}

/* ---- hashing ---- */

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

static PyObject *py_hash_batch(PyObject *self, PyObject *args) {
    (void)self;
    PyObject *batch, *entries = NULL;
    Py_ssize_t key_limit;
    if (!PyArg_ParseTuple(args, "On", &batch, &key_limit)) return NULL;
    PyObject *fast = PySequence_Fast(batch, "batch must be a sequence of (key, value)");
    if (fast == NULL) return NULL;
    Py_ssize_t n = PySequence_Fast_GET_SIZE(fast);
    PyObject **pairs = PySequence_Fast_ITEMS(fast);
    struct sha256_message *messages = PyMem_Calloc((size_t)n * 2 + 1, sizeof *messages);
    entries = messages == NULL ? PyErr_NoMemory() : PyBytes_FromStringAndSize(NULL, n * (Py_ssize_t)sizeof(struct jf_entry));
    if (entries != NULL && n >= UINT32_MAX) {
        PyErr_SetString(PyExc_ValueError, "a batch has fewer than 2^32 - 1 writes");
        Py_CLEAR(entries);
    }
    if (entries != NULL) {
        struct jf_entry *at = (struct jf_entry *)PyBytes_AS_STRING(entries);
        size_t count = 0;
        bool ok = true;
        for (Py_ssize_t i = 0; ok && i < n; i++) {
            ok = take_pair(pairs[i], i > 0 ? pairs[i - 1] : NULL, i, key_limit, &at[i], messages, &count);
        }
        if (ok) {
            sha256_many(messages, count);
            qsort(at, (size_t)n, sizeof *at, by_key_hash);
        } else {
            Py_CLEAR(entries);
        }
    }
    PyMem_Free(messages);
    Py_DECREF(fast);
    return entries;
}

static PyObject *py_backend(PyObject *self, PyObject *unused) {
    (void)self, (void)unused;
    return PyUnicode_FromString(sha256_backend());
}

/* ---- sealed rows ---- */

/* body | seal, as bytes; `body` is in two parts. */
static PyObject *sealed(const uint8_t *key, size_t key_size, const void *head, size_t head_size, PyObject *rest) {
    size_t rest_size = rest != NULL ? (size_t)PyBytes_GET_SIZE(rest) : 0, size = head_size + rest_size;
    PyObject *row = bytes_of(NULL, size + SEAL_SIZE);
    if (row == NULL) return NULL;
    uint8_t *at = (uint8_t *)PyBytes_AS_STRING(row);
    if (head_size > 0) memcpy(at, head, head_size);
    if (rest_size > 0) memcpy(at + head_size, PyBytes_AS_STRING(rest), rest_size);
    if (seal_write(key, key_size, at, size, at + size)) return row;
    Py_DECREF(row);
    return PyErr_NoMemory();
}

static PyObject *py_seal(PyObject *self, PyObject *args) {
    (void)self;
    const char *key;
    Py_ssize_t key_size;
    PyObject *body;
    if (!PyArg_ParseTuple(args, "y#S", &key, &key_size, &body)) return NULL;
    return sealed((const uint8_t *)key, (size_t)key_size, NULL, 0, body);
}

/* The body of `row`, None if the seal is wrong, NULL with an exception. */
static PyObject *unsealed(PyObject *key, PyObject *row) {
    if (!PyBytes_Check(key) || !PyBytes_Check(row)) {
        PyErr_SetString(PyExc_TypeError, "key and row must be bytes");
        return NULL;
    }
    const uint8_t *bytes = (const uint8_t *)PyBytes_AS_STRING(row);
    size_t size = (size_t)PyBytes_GET_SIZE(row);
    switch (seal_check((const uint8_t *)PyBytes_AS_STRING(key), (size_t)PyBytes_GET_SIZE(key), bytes, size)) {
    case SEAL_GOOD: return bytes_of(bytes, size - SEAL_SIZE);
    case SEAL_BAD: Py_RETURN_NONE;
    default: return PyErr_NoMemory();
    }
}

static PyObject *py_unseal(PyObject *self, PyObject *const *args, Py_ssize_t count) {
    (void)self;
    if (count == 2) return unsealed(args[0], args[1]);
    PyErr_SetString(PyExc_TypeError, "unseal takes key and row");
    return NULL;
}

static PyObject *py_seal_puts(PyObject *self, PyObject *changes) {
    (void)self;
    if (!PyList_Check(changes)) {
        PyErr_SetString(PyExc_TypeError, "changes must be a list of (key, value or None)");
        return NULL;
    }
    PyObject *rows = PyList_New(0);
    for (Py_ssize_t i = 0; rows != NULL && i < PyList_GET_SIZE(changes); i++) {
        PyObject *key, *value;
        if (!PyArg_ParseTuple(PyList_GET_ITEM(changes, i), "SO", &key, &value)) {
            Py_CLEAR(rows);
            break;
        }
        if (!PyBytes_Check(value)) continue;
        PyObject *row = sealed((const uint8_t *)PyBytes_AS_STRING(key), (size_t)PyBytes_GET_SIZE(key), NULL, 0, value);
        PyObject *pair = row != NULL ? PyTuple_Pack(2, key, row) : NULL;
        if (pair == NULL || PyList_Append(rows, pair) < 0) Py_CLEAR(rows);
        Py_XDECREF(pair);
        Py_XDECREF(row);
    }
    return rows;
}

enum { VALUE_KEY = 8 + SHA256_SIZE, VALUE_HEAD = 3 };

/* (row key, row) of table values for what `entry` wrote; the layout is in rows.py. */
static PyObject *value_pair(uint64_t version, const struct jf_entry *entry, PyObject *key, PyObject *value) {
    uint8_t row_key[VALUE_KEY], head[VALUE_HEAD + 65535];
    size_t key_size = (size_t)PyBytes_GET_SIZE(key);
    if (key_size > 65535) {
        PyErr_SetString(PyExc_ValueError, "a key is too long for its row");
        return NULL;
    }
    slot_set_version(row_key, version);
    memcpy(row_key + 8, entry->key_hash, SHA256_SIZE);
    head[0] = value != Py_None;
    head[1] = (uint8_t)(key_size >> 8);
    head[2] = (uint8_t)key_size;
    memcpy(head + VALUE_HEAD, PyBytes_AS_STRING(key), key_size);
    PyObject *row = sealed(row_key, sizeof row_key, head, VALUE_HEAD + key_size, value != Py_None ? value : NULL);
    return row == NULL ? NULL : Py_BuildValue("(y#N)", row_key, (Py_ssize_t)sizeof row_key, row);
}

static PyObject *py_value_rows(PyObject *self, PyObject *args) {
    (void)self;
    unsigned long long version;
    const char *packed, *effects;
    Py_ssize_t packed_size, count;
    PyObject *batch;
    if (!PyArg_ParseTuple(args, "Ky#y#O", &version, &packed, &packed_size, &effects, &count, &batch)) return NULL;
    PyObject *fast = PySequence_Fast(batch, "batch must be a sequence of (key, value)");
    if (fast == NULL) return NULL;
    PyObject *rows = PyList_New(0);
    if (packed_size != count * (Py_ssize_t)sizeof(struct jf_entry) || PySequence_Fast_GET_SIZE(fast) != count) {
        PyErr_SetString(PyExc_ValueError, "entries, effects and batch must belong together");
        Py_CLEAR(rows);
    }
    for (Py_ssize_t i = 0; rows != NULL && i < count; i++) {
        if (effects[i] == JF_NOTHING) continue;
        struct jf_entry entry;
        memcpy(&entry, packed + (size_t)i * sizeof entry, sizeof entry);
        PyObject *key = NULL, *value = NULL, *row = NULL;
        if ((Py_ssize_t)entry.index >= count) PyErr_SetString(PyExc_ValueError, "an entry is not of this batch");
        else if (PyArg_ParseTuple(PySequence_Fast_GET_ITEM(fast, entry.index), "SO", &key, &value))
            row = value_pair(version, &entry, key, value);
        if (row == NULL || PyList_Append(rows, row) < 0) Py_CLEAR(rows);
        Py_XDECREF(row);
    }
    Py_DECREF(fast);
    return rows;
}

/* ---- node rows ---- */

static bool parse_row(PyObject *row, struct node *node) {
    if (!PyBytes_Check(row)) {
        PyErr_Format(PyExc_TypeError, "a row must be bytes, not %.100s", Py_TYPE(row)->tp_name);
        return false;
    }
    if (node_parse(node, (const uint8_t *)PyBytes_AS_STRING(row), (size_t)PyBytes_GET_SIZE(row))) return true;
    PyErr_SetString(PyExc_ValueError, "not a node row: wrong size or checksum");
    return false;
}

static PyObject *py_node_hash(PyObject *self, PyObject *row) {
    (void)self;
    struct node node;
    if (!parse_row(row, &node)) return NULL;
    uint8_t hash[SHA256_SIZE];
    node_hash(&node, hash);
    return bytes_of(hash, sizeof hash);
}

static PyObject *slot_bytes(const struct node *node, unsigned n) {
    if (node->slot[n] == NULL) Py_RETURN_NONE;
    return bytes_of(node->slot[n], node_is_leaf(node, n) ? NODE_LEAF : NODE_INNER);
}

static PyObject *py_node_slots(PyObject *self, PyObject *row) {
    (void)self;
    struct node node;
    if (!parse_row(row, &node)) return NULL;
    PyObject *slots = PyTuple_New(16);
    for (unsigned n = 0; slots != NULL && n < 16; n++) {
        PyObject *slot = slot_bytes(&node, n);
        if (slot == NULL) Py_CLEAR(slots);
        else PyTuple_SET_ITEM(slots, n, slot);
    }
    return slots;
}

/* A slot's kind is its size; NULL for None. */
static bool parse_slot(PyObject *object, const uint8_t **slot, bool *leaf) {
    *slot = NULL;
    *leaf = false;
    if (object == Py_None) return true;
    if (PyBytes_Check(object) && (PyBytes_GET_SIZE(object) == NODE_INNER || PyBytes_GET_SIZE(object) == NODE_LEAF)) {
        *slot = (const uint8_t *)PyBytes_AS_STRING(object);
        *leaf = PyBytes_GET_SIZE(object) == NODE_LEAF;
        return true;
    }
    PyErr_Format(PyExc_ValueError, "a slot is None or %d or %d bytes, not %R", NODE_INNER, NODE_LEAF, object);
    return false;
}

static PyObject *py_node_row(PyObject *self, PyObject *slots) {
    (void)self;
    PyObject *fast = PySequence_Fast(slots, "slots must be a sequence of 16");
    if (fast == NULL) return NULL;
    struct node node = {0};
    PyObject *row = NULL;
    bool ok = PySequence_Fast_GET_SIZE(fast) == 16;
    if (!ok) PyErr_SetString(PyExc_ValueError, "a node has 16 slots");
    for (unsigned n = 0; ok && n < 16; n++) {
        const uint8_t *slot;
        bool leaf;
        ok = parse_slot(PySequence_Fast_GET_ITEM(fast, n), &slot, &leaf);
        if (ok) node_set(&node, n, slot, leaf);
    }
    if (ok) {
        uint8_t bytes[NODE_MAX];
        row = bytes_of(bytes, node_write(&node, bytes));
    }
    Py_DECREF(fast);
    return row;
}

/* ---- Subtree ---- */

struct subtree {
    PyObject_HEAD
    struct jf_stage *stage;
    bool closed;
};

static void *raise_result(enum jf_result result) {
    if (result == JF_MEMORY) PyErr_NoMemory();
    else PyErr_SetString(PyExc_ValueError, "entries must be packed, ascending by key hash, unique and under one prefix");
    return NULL;
}

static PyObject *subtree_new(PyTypeObject *type, PyObject *args, PyObject *kwargs) {
    if (kwargs != NULL && PyDict_GET_SIZE(kwargs) > 0) {
        PyErr_SetString(PyExc_TypeError, "Subtree takes no keyword arguments");
        return NULL;
    }
    unsigned depth;
    PyObject *slot_object;
    Py_buffer packed;
    unsigned long long version;
    if (!PyArg_ParseTuple(args, "IOy*K", &depth, &slot_object, &packed, &version)) return NULL;
    const uint8_t *slot;
    bool leaf;
    struct subtree *self = NULL;
    size_t count = (size_t)packed.len / sizeof(struct jf_entry);
    /* The packed entries may lie at any address: a copy is aligned. */
    struct jf_entry *entries = PyMem_Malloc((size_t)packed.len + 1);
    if (entries == NULL) {
        PyErr_NoMemory();
    } else if (parse_slot(slot_object, &slot, &leaf)) {
        memcpy(entries, packed.buf, (size_t)packed.len);
        struct jf_stage *stage = NULL;
        enum jf_result result = count * sizeof *entries == (size_t)packed.len
                                    ? jf_open(&stage, depth, slot, leaf, entries, count, version)
                                    : JF_BAD_BATCH;
        if (result != JF_OK) raise_result(result);
        else self = (struct subtree *)type->tp_alloc(type, 0);
        if (self != NULL) self->stage = stage;
        else jf_free(stage);
    }
    PyMem_Free(entries);
    PyBuffer_Release(&packed);
    return (PyObject *)self;
}

static void subtree_dealloc(PyObject *object) {
    PyTypeObject *type = Py_TYPE(object);
    jf_free(((struct subtree *)object)->stage);
    type->tp_free(object);
    Py_DECREF(type);
}

static PyObject *subtree_wanted(PyObject *object, PyObject *unused) {
    (void)unused;
    const struct jf_stage *stage = ((struct subtree *)object)->stage;
    size_t n = jf_wanted(stage);
    PyObject *keys = PyList_New((Py_ssize_t)n);
    for (size_t i = 0; keys != NULL && i < n; i++) {
        uint8_t key[JF_KEY_MAX];
        PyObject *item = bytes_of(key, jf_wanted_key(stage, i, key));
        if (item == NULL) Py_CLEAR(keys);
        else PyList_SET_ITEM(keys, (Py_ssize_t)i, item);
    }
    return keys;
}

static PyObject *subtree_feed(PyObject *object, PyObject *rows) {
    struct jf_stage *stage = ((struct subtree *)object)->stage;
    PyObject *fast = PySequence_Fast(rows, "rows must be a sequence");
    if (fast == NULL) return NULL;
    size_t n = jf_wanted(stage), bad = 0;
    enum jf_result result = JF_OK;
    bool ok = (size_t)PySequence_Fast_GET_SIZE(fast) == n;
    if (!ok) PyErr_Format(PyExc_ValueError, "%zu rows are wanted, got %zd", n, PySequence_Fast_GET_SIZE(fast));
    for (size_t i = 0; ok && result == JF_OK && i < n; i++) {
        PyObject *row = PySequence_Fast_GET_ITEM(fast, (Py_ssize_t)i);
        ok = PyBytes_Check(row);
        if (!ok) {
            PyErr_Format(PyExc_TypeError, "rows[%zu] must be bytes, not %.100s", i, Py_TYPE(row)->tp_name);
            break;
        }
        bad = i;
        result = jf_feed(stage, i, (const uint8_t *)PyBytes_AS_STRING(row), (size_t)PyBytes_GET_SIZE(row));
    }
    Py_DECREF(fast);
    if (!ok) return NULL;
    if (result == JF_OK) result = jf_descend(stage, &bad);
    if (result == JF_OK) Py_RETURN_NONE;
    if (result == JF_MEMORY) return PyErr_NoMemory();
    return Py_BuildValue("(ns)", (Py_ssize_t)bad,
                         result == JF_BAD_ROW ? "its checksum does not match" : "its hash is not the one recorded in its parent");
}

static PyObject *rows_of(const struct jf_stage *stage) {
    size_t n = jf_rows(stage);
    PyObject *rows = PyList_New((Py_ssize_t)n);
    for (size_t i = 0; rows != NULL && i < n; i++) {
        uint8_t key[JF_KEY_MAX], row[NODE_MAX];
        size_t key_size = jf_row_key(stage, i, key), row_size = jf_row(stage, i, row);
        PyObject *pair = Py_BuildValue("(y#y#)", key, (Py_ssize_t)key_size, row, (Py_ssize_t)row_size);
        if (pair == NULL) Py_CLEAR(rows);
        else PyList_SET_ITEM(rows, (Py_ssize_t)i, pair);
    }
    return rows;
}

/* Whole records, packed into pieces of at most STALE_ROW bytes. */
static PyObject *stales_of(const struct jf_stage *stage) {
    PyObject *pieces = PyList_New(0);
    uint8_t piece[STALE_ROW];
    size_t used = 0, n = jf_stales(stage);
    for (size_t i = 0; pieces != NULL && i <= n; i++) {
        uint8_t record[JF_STALE_MAX];
        size_t size = i < n ? jf_stale(stage, i, record) : 0;
        if (used > 0 && (i == n || used + size > sizeof piece)) {
            PyObject *item = bytes_of(piece, used);
            if (item == NULL || PyList_Append(pieces, item) < 0) Py_CLEAR(pieces);
            Py_XDECREF(item);
            used = 0;
        }
        if (size > 0) memcpy(piece + used, record, size);
        used += size;
    }
    return pieces;
}

static PyObject *subtree_close(PyObject *object, PyObject *unused) {
    (void)unused;
    struct subtree *self = (struct subtree *)object;
    if (jf_wanted(self->stage) > 0 || self->closed) {
        PyErr_SetString(PyExc_ValueError, "rows are still wanted, or the subtree is already closed");
        return NULL;
    }
    self->closed = true;
    if (jf_close(self->stage) != JF_OK) return PyErr_NoMemory();
    bool leaf;
    const uint8_t *slot = jf_slot(self->stage, &leaf);
    PyObject *rows = rows_of(self->stage);
    PyObject *stales = rows != NULL ? stales_of(self->stage) : NULL;
    if (stales == NULL) {
        Py_XDECREF(rows);
        return NULL;
    }
    return Py_BuildValue("(y#NNy#)", slot, (Py_ssize_t)(slot == NULL ? 0 : leaf ? NODE_LEAF : NODE_INNER), rows, stales,
                         jf_effects(self->stage), (Py_ssize_t)jf_count(self->stage));
}

static PyMethodDef subtree_methods[] = {
    {"wanted", subtree_wanted, METH_NOARGS, "Keys of the rows that feed() needs next, in the order it needs them."},
    {"feed", subtree_feed, METH_O, "Hands in the wanted rows. None, or (index, reason) of a row that is corrupt."},
    {"close", subtree_close, METH_NOARGS, "(slot or None, new rows, pieces of stale records, effect of each entry)."},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot subtree_slots[] = {
    {Py_tp_doc, "Subtree(depth, slot, entries, version): a batch applied to one subtree; see jellyfish.h."},
    {Py_tp_new, subtree_new},
    {Py_tp_dealloc, subtree_dealloc},
    {Py_tp_methods, subtree_methods},
    {0, NULL},
};

static PyType_Spec subtree_spec = {"ioi_storage._core.Subtree", sizeof(struct subtree), 0, Py_TPFLAGS_DEFAULT,
                                   subtree_slots};

/* ---- the module ---- */

static PyMethodDef functions[] = {
    {"merkle_root", py_merkle_root, METH_VARARGS, "merkle_root(blob, ends) -> RFC 6962 root; see merkle.h."},
    {"hash_batch", py_hash_batch, METH_VARARGS, "hash_batch(batch, key_limit) -> packed entries by key hash."},
    {"seal", py_seal, METH_VARARGS, "seal(key, body) -> body and its seal; see seal.h."},
    {"unseal", (PyCFunction)(void (*)(void))py_unseal, METH_FASTCALL, "unseal(key, row) -> body, None if damaged."},
    {"seal_puts", py_seal_puts, METH_O, "seal_puts(changes) -> (key, sealed value) of those that are no deletes."},
    {"value_rows", py_value_rows, METH_VARARGS, "value_rows(version, entries, effects, batch) -> rows of table values."},
    {"sha256_backend", py_backend, METH_NOARGS, "Name of the SHA-256 in use: 'sha-ni' or 'portable'."},
    {"node_hash", py_node_hash, METH_O, "node_hash(row) -> its 32-byte hash. ValueError if it is no row."},
    {"node_slots", py_node_slots, METH_O, "node_slots(row) -> its 16 slots, None where there is no child."},
    {"node_row", py_node_row, METH_O, "node_row(slots) -> the row of 16 slots."},
    {NULL, NULL, 0, NULL},
};

static int module_exec(PyObject *module) {
    PyObject *type = PyType_FromModuleAndSpec(module, &subtree_spec, NULL);
    if (type == NULL) return -1;
    int result = PyModule_AddType(module, (PyTypeObject *)type);
    Py_DECREF(type);
    if (result < 0) return -1;
    return PyModule_AddIntConstant(module, "ENTRY_SIZE", sizeof(struct jf_entry));
}

static PyModuleDef_Slot module_slots[] = {{Py_mod_exec, module_exec}, {0, NULL}};

static struct PyModuleDef module_def = {
    PyModuleDef_HEAD_INIT, "_core", "C core of ioi_storage: hashing and the Jellyfish tree.", 0, functions, module_slots,
    NULL, NULL, NULL};

PyMODINIT_FUNC PyInit__core(void) { return PyModuleDef_Init(&module_def); }
