/* Rows of the tree's nodes. */
#include "module.h"

#include "../node.h"

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

static PyObject *py_node_hashes(PyObject *self, PyObject *row) {
    (void)self;
    struct node node;
    if (!parse_row(row, &node)) return NULL;
    node_hashes hashes;
    node_hash_all(&node, hashes);
    PyObject *all = PyTuple_New(32);
    for (unsigned i = 0; all != NULL && i < 32; i++) {
        PyObject *hash = bytes_of(hashes[i], i > 0 ? SHA256_SIZE : 0);
        if (hash == NULL) Py_CLEAR(all);
        else PyTuple_SET_ITEM(all, i, hash);
    }
    return all;
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

bool parse_slot(PyObject *object, const uint8_t **slot, bool *leaf) {
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

PyMethodDef node_functions[] = {
    {"node_hash", py_node_hash, METH_O, "node_hash(row) -> its 32-byte hash. ValueError if it is no row."},
    {"node_hashes", py_node_hashes, METH_O, "node_hashes(row) -> the hashes of its 31 ranges, from index 1 on; see node.h."},
    {"node_slots", py_node_slots, METH_O, "node_slots(row) -> its 16 slots, None where there is no child."},
    {"node_row", py_node_row, METH_O, "node_row(slots) -> the row of 16 slots."},
    {NULL, NULL, 0, NULL},
};
