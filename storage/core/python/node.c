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
    node_hashes hashes;
    return node_hash_all(&node, hashes) ? bytes_of(hashes[1], SHA256_SIZE) : PyErr_NoMemory();
}

static PyObject *py_node_ranges(PyObject *self, PyObject *row) {
    (void)self;
    struct node node;
    if (!parse_row(row, &node)) return NULL;
    node_hashes ranges;
    if (!node_hash_all(&node, ranges)) return PyErr_NoMemory();
    uint8_t *keys = ranges[0];
    keys[0] = 0;
    for (unsigned i = 31; i >= 1; i--) {
        unsigned n = i - 16, below = i < 16 ? keys[2 * i] + keys[2 * i + 1] : node.singles >> n & 1 ? 1 : node.slot[n] != NULL ? 2 : 0;
        keys[i] = below < 2 ? (uint8_t)below : 2;
    }
    return bytes_of(ranges, sizeof ranges);
}

static PyObject *slot_bytes(const struct node *node, unsigned n) {
    if (node->slot[n] == NULL) Py_RETURN_NONE;
    if (node->refs >> n & 1) return bytes_of(node->slot[n], NODE_INNER);
    if (node->singles >> n & 1) return bytes_of(node->slot[n], NODE_LEAF);
    return bytes_of(node->hash[n], SHA256_SIZE + (size_t)node->count[n] * NODE_LEAF); /* side by side in the row */
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

static bool set_slot(struct node *node, unsigned n, PyObject *object) {
    const uint8_t *slot;
    bool leaf;
    size_t size = PyBytes_Check(object) ? (size_t)PyBytes_GET_SIZE(object) : 0;
    if (size > NODE_LEAF && size < NODE_MAX && (size - SHA256_SIZE) % NODE_LEAF == 0) {
        const uint8_t *group = (const uint8_t *)PyBytes_AS_STRING(object);
        node_set_leaves(node, n, group + SHA256_SIZE, (size - SHA256_SIZE) / NODE_LEAF);
        node->hash[n] = group;
        return true;
    }
    if (!parse_slot(object, &slot, &leaf)) return false;
    if (slot != NULL && leaf) node_set_leaves(node, n, slot, 1);
    if (slot != NULL && !leaf) node_set_ref(node, n, slot);
    return true;
}

static PyObject *py_node_row(PyObject *self, PyObject *slots) {
    (void)self;
    PyObject *fast = PySequence_Fast(slots, "slots must be a sequence of 16");
    if (fast == NULL) return NULL;
    struct node node = {0};
    PyObject *row = NULL;
    bool ok = PySequence_Fast_GET_SIZE(fast) == 16;
    if (!ok) PyErr_SetString(PyExc_ValueError, "a node has 16 slots");
    for (unsigned n = 0; ok && n < 16; n++) ok = set_slot(&node, n, PySequence_Fast_GET_ITEM(fast, n));
    if (ok && node_size(&node) > NODE_MAX) {
        PyErr_Format(PyExc_ValueError, "a row has at most %d bytes, this one %zu", NODE_MAX, node_size(&node));
        ok = false;
    }
    if (ok) {
        uint8_t bytes[NODE_MAX];
        row = bytes_of(bytes, node_write(&node, bytes));
    }
    Py_DECREF(fast);
    return row;
}

/* leaves_hash(leaves, bit): the hash of packed leaves that agree in their first `bit` bits. */
static PyObject *py_leaves_hash(PyObject *self, PyObject *args) {
    (void)self;
    const char *leaves;
    Py_ssize_t size;
    unsigned bit;
    if (!PyArg_ParseTuple(args, "y#I", &leaves, &size, &bit)) return NULL;
    if (size % NODE_LEAF != 0 || !node_leaves_good((const uint8_t *)leaves, (size_t)size / NODE_LEAF, bit)) {
        PyErr_SetString(PyExc_ValueError, "leaves must ascend, and agree in the bits given");
        return NULL;
    }
    struct rounds rounds;
    rounds_open(&rounds);
    struct digest digest = node_hash_leaves(&rounds, (const uint8_t *)leaves, (size_t)size / NODE_LEAF, bit, NULL);
    PyObject *hash = rounds_run(&rounds) ? bytes_of(digest.at, SHA256_SIZE) : PyErr_NoMemory();
    rounds_free(&rounds);
    return hash;
}

PyMethodDef node_functions[] = {
    {"node_hash", py_node_hash, METH_O, "node_hash(row) -> its 32-byte hash. ValueError if it is no row."},
    {"node_ranges", py_node_ranges, METH_O, "node_ranges(row) -> keys (0, 1, 2: more) and hashes of its 31 ranges; see node.h."},
    {"node_slots", py_node_slots, METH_O, "node_slots(row) -> its 16 children, None where there is no key; see node.h."},
    {"leaves_hash", py_leaves_hash, METH_VARARGS, "leaves_hash(leaves, bit) -> the hash of leaves that agree up to a bit."},
    {"node_row", py_node_row, METH_O, "node_row(slots) -> the row of 16 slots."},
    {NULL, NULL, 0, NULL},
};
