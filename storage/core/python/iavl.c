/* The classes IavlStage, a batch applied to an IAVL tree, and IavlRow, a row to look into. A stage works without the
 * interpreter's lock; it is for one thread. */
#include "module.h"

#include <assert.h>

#include "../iavl.h"
#include "../jellyfish.h"

/* ---- IavlStage ---- */

struct stage_object {
    PyObject_HEAD
    struct iavl_stage *stage;
    struct iavl_write *writes;
    uint32_t *order; /* of the writes: those by key hash */
    Py_ssize_t count;
    PyObject *held; /* whatever C points into: batch, entries, rows */
    bool closed;    /* or failed */
};

/* The writes in the order of the batch, from its entries, which are in the order of key hashes. */
static bool take_writes(struct stage_object *self, const struct writes *w, const struct jf_entry *entries) {
    size_t count = w->count;
    self->writes = PyMem_Calloc(count + 1, sizeof *self->writes);
    self->order = PyMem_Calloc(count + 1, sizeof *self->order);
    if (self->writes == NULL || self->order == NULL) {
        PyErr_NoMemory();
        return false;
    }
    self->count = (Py_ssize_t)count;
    for (size_t i = 0; i < count; i++) {
        const struct jf_entry *entry = &entries[i];
        size_t key_size = 0;
        const uint8_t *key = entry->index < count ? writes_key(w, entry->index, &key_size) : NULL;
        if (key == NULL || key_size > IAVL_KEY_MAX) {
            PyErr_SetString(PyExc_ValueError, "batch and entries do not belong together");
            return false;
        }
        self->order[i] = entry->index;
        self->writes[entry->index] = (struct iavl_write){
            .key = key,
            .key_size = (uint32_t)key_size,
            .key_hash = entry->key_hash,
            .value_hash = entry->is_put ? entry->value_hash : NULL,
        };
    }
    return true;
}

static bool parse_head(PyObject *root, PyObject *pointer) {
    if (PyBytes_GET_SIZE(root) == SHA256_SIZE && (PyBytes_GET_SIZE(pointer) == IAVL_ROW_KEY || PyBytes_GET_SIZE(pointer) == 0))
        return true;
    PyErr_Format(PyExc_ValueError, "a root has %d bytes, the key of its row %d or none", SHA256_SIZE, IAVL_ROW_KEY);
    return false;
}

/* An aligned copy of packed entries. */
static PyObject *aligned_copy(const char *packed, Py_ssize_t size) {
    PyObject *copy = PyByteArray_FromStringAndSize(NULL, size);
    if (copy != NULL) memcpy(PyByteArray_AS_STRING(copy), packed, (size_t)size);
    return copy;
}

static PyObject *stage_new(PyTypeObject *type, PyObject *args, PyObject *kwargs) {
    static char *names[] = {"", "", "", "", "", NULL};
    PyObject *root, *pointer, *batch;
    const char *packed;
    Py_ssize_t packed_size;
    unsigned long long version;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "SSO!y#K", names, &root, &pointer, writes_type, &batch, &packed, &packed_size,
                                     &version))
        return NULL;
    if (!parse_head(root, pointer)) return NULL;
    struct stage_object *self = (struct stage_object *)type->tp_alloc(type, 0);
    PyObject *entries = aligned_copy(packed, packed_size);
    bool ok = self != NULL && entries != NULL && (self->held = Py_BuildValue("[OO]", batch, entries)) != NULL;
    struct writes w = writes_of(batch);
    if (ok && (size_t)packed_size != w.count * sizeof(struct jf_entry)) {
        PyErr_SetString(PyExc_ValueError, "batch and entries do not belong together");
        ok = false;
    }
    ok = ok && take_writes(self, &w, (const struct jf_entry *)(const void *)PyByteArray_AS_STRING(entries));
    if (ok) {
        const uint8_t *row_key = PyBytes_GET_SIZE(pointer) > 0 ? (const uint8_t *)PyBytes_AS_STRING(pointer) : NULL;
        enum iavl_result result;
        Py_BEGIN_ALLOW_THREADS
        result = iavl_open(&self->stage, (const uint8_t *)PyBytes_AS_STRING(root), row_key, self->writes, (size_t)self->count,
                           version);
        Py_END_ALLOW_THREADS
        ok = result == IAVL_OK;
        if (result == IAVL_MEMORY) PyErr_NoMemory();
        if (result == IAVL_BAD_BATCH) PyErr_SetString(PyExc_ValueError, "keys must ascend, and versions begin with 1");
    }
    Py_XDECREF(entries);
    if (!ok) Py_CLEAR(self);
    return (PyObject *)self;
}

static void stage_dealloc(PyObject *object) {
    struct stage_object *self = (struct stage_object *)object;
    PyTypeObject *type = Py_TYPE(object);
    iavl_free(self->stage);
    PyMem_Free(self->writes);
    PyMem_Free(self->order);
    Py_XDECREF(self->held);
    type->tp_free(object);
    Py_DECREF(type);
}

static PyObject *stage_wanted(PyObject *object, PyObject *unused) {
    (void)unused;
    const struct iavl_stage *stage = ((struct stage_object *)object)->stage;
    Py_ssize_t n = (Py_ssize_t)iavl_wanted(stage);
    PyObject *keys = PyList_New(n);
    for (Py_ssize_t i = 0; keys != NULL && i < n; i++) {
        PyObject *key = bytes_of(iavl_wanted_key(stage, (size_t)i), IAVL_ROW_KEY);
        if (key == NULL) Py_CLEAR(keys);
        else PyList_SET_ITEM(keys, i, key);
    }
    return keys;
}

static PyObject *stage_feed(PyObject *object, PyObject *rows) {
    struct stage_object *self = (struct stage_object *)object;
    if (self->closed) {
        PyErr_SetString(PyExc_ValueError, "the stage is closed");
        return NULL;
    }
    PyObject *fast = PySequence_Tuple(rows); /* of its own: nobody else can take rows out of it */
    if (fast == NULL) return NULL;
    size_t n = iavl_wanted(self->stage), bad = 0;
    bool ok = (size_t)PyTuple_GET_SIZE(fast) == n;
    if (!ok) PyErr_Format(PyExc_ValueError, "%zu rows are wanted, got %zd", n, PyTuple_GET_SIZE(fast));
    for (size_t i = 0; ok && i < n; i++) {
        PyObject *row = PyTuple_GET_ITEM(fast, (Py_ssize_t)i);
        ok = PyBytes_Check(row);
        if (ok) iavl_feed(self->stage, i, (const uint8_t *)PyBytes_AS_STRING(row), (size_t)PyBytes_GET_SIZE(row));
        else PyErr_Format(PyExc_TypeError, "rows[%zu] must be bytes, not %.100s", i, Py_TYPE(row)->tp_name);
    }
    ok = ok && PyList_Append(self->held, fast) == 0;
    Py_DECREF(fast);
    if (!ok) return NULL;
    enum iavl_result result;
    Py_BEGIN_ALLOW_THREADS
    result = iavl_go_on(self->stage, &bad);
    Py_END_ALLOW_THREADS
    if (result == IAVL_OK) Py_RETURN_NONE;
    self->closed = true;
    if (result == IAVL_MEMORY) return PyErr_NoMemory();
    return Py_BuildValue("(ns)", (Py_ssize_t)bad, result == IAVL_BAD_ROW ? BAD_ROW : BAD_HASH);
}

static size_t stale_of(const void *stage, size_t i, uint8_t *record) { return iavl_stale(stage, i, record); }

static PyObject *rows_of(const struct iavl_stage *stage) {
    size_t n = iavl_rows(stage), size = PACKED_COUNT;
    for (size_t i = 0; i < n; i++) size += PACKED_HEAD + IAVL_ROW_KEY + iavl_new_row_size(stage, i);
    PyObject *rows = bytes_of(NULL, size);
    if (rows == NULL) return NULL;
    uint8_t *at = packed_count((uint8_t *)PyBytes_AS_STRING(rows), n);
    bool ok = true;
    Py_BEGIN_ALLOW_THREADS
    for (size_t i = 0; ok && i < n; i++) {
        size_t row_size = iavl_new_row_size(stage, i);
        at = packed_head(at, IAVL_ROW_KEY, row_size);
        memcpy(at, iavl_row_key(stage, i), IAVL_ROW_KEY);
        ok = iavl_new_row(stage, i, at + IAVL_ROW_KEY, row_size);
        at += IAVL_ROW_KEY + row_size;
    }
    Py_END_ALLOW_THREADS
    if (ok) return rows;
    Py_DECREF(rows);
    return PyErr_NoMemory();
}

static PyObject *effects_of(const struct stage_object *self) {
    PyObject *effects = bytes_of(NULL, (size_t)self->count);
    for (Py_ssize_t i = 0; effects != NULL && i < self->count; i++) {
        PyBytes_AS_STRING(effects)[i] = (char)self->writes[self->order[i]].effect;
    }
    return effects;
}

static PyObject *stage_close(PyObject *object, PyObject *unused) {
    (void)unused;
    struct stage_object *self = (struct stage_object *)object;
    if (iavl_wanted(self->stage) > 0 || self->closed) {
        PyErr_SetString(PyExc_ValueError, "rows are still wanted, or the stage is already closed");
        return NULL;
    }
    self->closed = true;
    enum iavl_result result;
    Py_BEGIN_ALLOW_THREADS
    result = iavl_close(self->stage);
    Py_END_ALLOW_THREADS
    if (result != IAVL_OK) return PyErr_NoMemory();
    uint8_t root[SHA256_SIZE];
    const uint8_t *row_key;
    bool exists = iavl_root(self->stage, root, &row_key);
    PyObject *rows = rows_of(self->stage), *stale = NULL, *effects = NULL;
    if (rows != NULL) stale = joined_records(self->stage, iavl_stales(self->stage), stale_of);
    if (stale != NULL) effects = effects_of(self);
    if (effects != NULL)
        return Py_BuildValue("(y#y#NNN)", root, (Py_ssize_t)SHA256_SIZE, exists ? (const char *)row_key : "",
                             (Py_ssize_t)(exists ? IAVL_ROW_KEY : 0), rows, stale, effects);
    Py_XDECREF(rows);
    Py_XDECREF(stale);
    return NULL;
}

static PyMethodDef stage_methods[] = {
    {"wanted", stage_wanted, METH_NOARGS, "Keys of the rows that feed() needs next, in the order it needs them."},
    {"feed", stage_feed, METH_O, "Hands in the wanted rows. None, or (index, reason) of a row that is corrupt."},
    {"close", stage_close, METH_NOARGS,
     "(root, key of its row or b'', packed rows, records of stale rows, effect of each entry)."},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot stage_slots[] = {
    {Py_tp_doc, "IavlStage(root, row_key, batch, entries, version): a batch applied to a tree; see iavl.h. version: of its "
                "new nodes."},
    {Py_tp_new, stage_new},
    {Py_tp_dealloc, stage_dealloc},
    {Py_tp_methods, stage_methods},
    {0, NULL},
};

PyType_Spec iavl_stage_spec = {"ioi_storage._core.IavlStage", sizeof(struct stage_object), 0, Py_TPFLAGS_DEFAULT, stage_slots};

/* ---- IavlRow ---- */

enum { ROW_POOL = 4096 }; /* bytes: what the nodes of a usual row take */

struct row_object {
    PyObject_HEAD
    PyObject *bytes;
    struct pool pool;
    struct iavl_node top;
    struct list nodes; /* those of the row, then those elsewhere that it refers to, parents first */
};

static void row_dealloc(PyObject *object) {
    struct row_object *self = (struct row_object *)object;
    PyTypeObject *type = Py_TYPE(object);
    free(self->nodes.at);
    pool_free(&self->pool);
    Py_XDECREF(self->bytes);
    type->tp_free(object);
    Py_DECREF(type);
}

/* Breadth first, so that a node's number is smaller than those of its halves. */
static bool number_nodes(struct list *nodes, struct iavl_node *top) {
    if (!list_add(nodes, top)) return false;
    for (size_t i = 0; i < nodes->count; i++) {
        struct iavl_node *node = nodes->at[i];
        node->number = (uint32_t)i;
        if (!iavl_is_read(node) || iavl_is_leaf(node)) continue;
        if (!list_add(nodes, node->left) || !list_add(nodes, node->right)) return false;
    }
    return true;
}

static PyObject *row_new(PyTypeObject *type, PyObject *args, PyObject *kwargs) {
    static char *names[] = {"", NULL};
    PyObject *bytes;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "S", names, &bytes)) return NULL;
    struct row_object *self = (struct row_object *)type->tp_alloc(type, 0);
    if (self == NULL) return NULL;
    Py_INCREF(bytes);
    self->bytes = bytes;
    self->pool.chunk = ROW_POOL;
    struct iavl_hashing hashing = {0};
    enum iavl_parsed parsed = iavl_parse(&self->top, (const uint8_t *)PyBytes_AS_STRING(bytes), (size_t)PyBytes_GET_SIZE(bytes),
                                         &self->pool, &hashing);
    if (parsed == IAVL_PARSED && !(iavl_hash_run(&hashing) && number_nodes(&self->nodes, &self->top))) parsed = IAVL_NO_MEMORY;
    iavl_hash_free(&hashing);
    if (parsed == IAVL_PARSED) return (PyObject *)self;
    Py_DECREF(self);
    if (parsed == IAVL_NO_MEMORY) return PyErr_NoMemory();
    PyErr_SetString(PyExc_ValueError, BAD_ROW);
    return NULL;
}

static PyObject *row_node(PyObject *object, PyObject *number) {
    const struct row_object *self = (const struct row_object *)object;
    Py_ssize_t i = PyNumber_AsSsize_t(number, PyExc_IndexError);
    if (i == -1 && PyErr_Occurred()) return NULL;
    if (i < 0 || (size_t)i >= self->nodes.count) {
        PyErr_Format(PyExc_IndexError, "the row has %zu nodes", self->nodes.count);
        return NULL;
    }
    const struct iavl_node *node = self->nodes.at[i];
    uint8_t meta[IAVL_META_MAX];
    Py_ssize_t meta_size = (Py_ssize_t)iavl_meta(node, meta);
    const char *hash = (const char *)node->hash, *key = (const char *)node->key;
    unsigned long long version = node->version;
    if (!iavl_is_read(node))
        return Py_BuildValue("(y#y#Ky#OOO)", hash, (Py_ssize_t)SHA256_SIZE, meta, meta_size, version, node->row->key,
                             (Py_ssize_t)IAVL_ROW_KEY, Py_None, Py_None, Py_None);
    if (!iavl_is_leaf(node))
        return Py_BuildValue("(y#y#Ky#OII)", hash, (Py_ssize_t)SHA256_SIZE, meta, meta_size, version, key,
                             (Py_ssize_t)node->key_size, Py_None, node->left->number, node->right->number);
    return Py_BuildValue("(y#y#Ky#y#OO)", hash, (Py_ssize_t)SHA256_SIZE, meta, meta_size, version, key,
                         (Py_ssize_t)node->key_size, node->value_hash, (Py_ssize_t)SHA256_SIZE, Py_None, Py_None);
}

static PyObject *row_find(PyObject *object, PyObject *key) {
    const struct row_object *self = (const struct row_object *)object;
    if (!PyBytes_Check(key)) {
        PyErr_SetString(PyExc_TypeError, "a key is bytes");
        return NULL;
    }
    const struct iavl_node *node = &self->top;
    while (iavl_is_read(node) && !iavl_is_leaf(node)) {
        int order = iavl_compare((const uint8_t *)PyBytes_AS_STRING(key), (size_t)PyBytes_GET_SIZE(key), node->key,
                                 node->key_size);
        node = order < 0 ? node->left : node->right;
    }
    return PyLong_FromUnsignedLong(node->number);
}

/* A proof (verify.py has its form) as far as it stands in one row: bytes, and between them the nodes it goes on in. */
struct unfolding {
    PyObject *const *shown; /* places, ascending */
    PyObject *pieces;       /* list */
    uint8_t *bytes, *at;
};

enum { PROOF_STUB = 1, PROOF_INNER };

static bool add_piece(struct unfolding *u, PyObject *piece) {
    bool ok = piece != NULL && PyList_Append(u->pieces, piece) == 0;
    Py_XDECREF(piece);
    return ok;
}

static bool add_bytes(struct unfolding *u) {
    bool ok = u->at == u->bytes || add_piece(u, bytes_of(u->bytes, (size_t)(u->at - u->bytes)));
    u->at = u->bytes;
    return ok;
}

/* The first of shown[first, last) that is not left of the node. */
static Py_ssize_t first_right(const struct unfolding *u, const struct iavl_node *node, Py_ssize_t first, Py_ssize_t last) {
    while (first < last) {
        Py_ssize_t middle = first + (last - first) / 2;
        PyObject *key = u->shown[middle];
        int order = iavl_compare((const uint8_t *)PyBytes_AS_STRING(key), (size_t)PyBytes_GET_SIZE(key), node->key,
                                 node->key_size);
        if (order < 0) first = middle + 1;
        else last = middle;
    }
    return first;
}

static bool unfold(struct unfolding *u, const struct iavl_node *node, Py_ssize_t first, Py_ssize_t last) {
    if (first == last) {
        *u->at++ = PROOF_STUB;
        memcpy(u->at, node->hash, SHA256_SIZE);
        u->at += SHA256_SIZE;
        return true;
    }
    if (!iavl_is_read(node) || iavl_is_leaf(node))
        return add_bytes(u) && add_piece(u, Py_BuildValue("(Inn)", node->number, first, last));
    *u->at++ = PROOF_INNER;
    u->at += iavl_meta(node, u->at);
    Py_ssize_t right = first_right(u, node, first, last);
    return unfold(u, node->left, first, right) && unfold(u, node->right, right, last);
}

static PyObject *row_unfold(PyObject *object, PyObject *args) {
    const struct row_object *self = (const struct row_object *)object;
    PyObject *shown;
    Py_ssize_t first, last;
    if (!PyArg_ParseTuple(args, "Onn", &shown, &first, &last)) return NULL;
    PyObject *fast = PySequence_Tuple(shown);
    if (fast == NULL) return NULL;
    bool ok = first >= 0 && first <= last && last <= PyTuple_GET_SIZE(fast);
    for (Py_ssize_t i = first; ok && i < last; i++) ok = PyBytes_Check(PyTuple_GET_ITEM(fast, i));
    if (!ok) PyErr_SetString(PyExc_ValueError, "places must be bytes, and the part lie within them");
    struct unfolding u = {.shown = ((PyTupleObject *)fast)->ob_item};
    if (ok && (u.bytes = u.at = PyMem_Malloc(self->nodes.count * (1 + SHA256_SIZE))) == NULL) PyErr_NoMemory();
    if (u.bytes != NULL) u.pieces = PyList_New(0);
    ok = u.pieces != NULL && unfold(&u, &self->top, first, last) && add_bytes(&u);
    if (!ok) Py_CLEAR(u.pieces);
    PyMem_Free(u.bytes);
    Py_DECREF(fast);
    return u.pieces;
}

static_assert((int)IAVL_META_MAX < (int)SHA256_SIZE, "a node in a proof is no longer than a stub");

static PyMethodDef row_methods[] = {
    {"node", row_node, METH_O,
     "node(i) -> (hash, meta, version, key, value hash, left, right); node 0 is the first. Of an inner node the value hash is\n"
     "None, key the smallest of its right half, left and right the numbers of its halves, else None. Of a node that stands in\n"
     "another row key is that row's, value hash None."},
    {"unfold", row_unfold, METH_VARARGS,
     "unfold(places, first, last): the proof of places[first:last] in this row: bytes, or (node, first, last) to go on in."},
    {"find", row_find, METH_O, "find(key): the leaf that a search for `key` ends at, or the node where another row goes on."},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot row_slots[] = {
    {Py_tp_doc, "IavlRow(row): the nodes of a row, hashed; ValueError if it is none. See iavl_node.h."},
    {Py_tp_new, row_new},
    {Py_tp_dealloc, row_dealloc},
    {Py_tp_methods, row_methods},
    {0, NULL},
};

PyType_Spec iavl_row_spec = {"ioi_storage._core.IavlRow", sizeof(struct row_object), 0, Py_TPFLAGS_DEFAULT, row_slots};
