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

/* keys[i]: how many range i covers: 0, 1, or 2 for more. */
static void count_keys(const struct node *node, uint8_t keys[32]) {
    keys[0] = 0;
    for (unsigned i = 31; i >= 1; i--) {
        unsigned n = i - 16, below;
        if (i < 16) below = keys[2 * i] + keys[2 * i + 1];
        else below = node->slot[n] == NULL ? 0 : node->singles >> n & 1 ? 1 : 2;
        keys[i] = below < 2 ? (uint8_t)below : 2;
    }
}

static PyObject *py_node_ranges(PyObject *self, PyObject *row) {
    (void)self;
    struct node node;
    if (!parse_row(row, &node)) return NULL;
    node_hashes ranges;
    if (!node_hash_all(&node, ranges)) return PyErr_NoMemory();
    count_keys(&node, ranges[0]);
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

/* A proof (verify.py has its form) as far as it stands in one row: bytes, and between them the children it goes on in. */
struct unfolding {
    const struct node *node;
    node_hashes hashes;
    uint8_t keys[32];
    unsigned shown;   /* children the proof is about */
    PyObject *pieces; /* list */
    uint8_t bytes[32 * (1 + SHA256_SIZE)];
    size_t size;
};

enum { PROOF_EMPTY, PROOF_STUB, PROOF_INNER };

static bool add_piece(struct unfolding *u, PyObject *piece) {
    bool ok = piece != NULL && PyList_Append(u->pieces, piece) == 0;
    Py_XDECREF(piece);
    return ok;
}

static bool add_bytes(struct unfolding *u) {
    bool ok = u->size == 0 || add_piece(u, bytes_of(u->bytes, u->size));
    u->size = 0;
    return ok;
}

static bool unfold(struct unfolding *u, unsigned i) {
    unsigned width = 16u >> (31u - (unsigned)__builtin_clz(i)), first = i * width - 16;
    unsigned range = ((1u << width) - 1) << first;
    if (u->keys[i] == 0) {
        u->bytes[u->size++] = PROOF_EMPTY;
    } else if (!(u->shown & range)) {
        u->bytes[u->size++] = PROOF_STUB;
        memcpy(u->bytes + u->size, u->hashes[i], SHA256_SIZE);
        u->size += SHA256_SIZE;
    } else if (u->keys[i] == 1 || width == 1) {
        unsigned n = width == 1 ? first : (unsigned)__builtin_ctz(u->node->singles & range);
        return add_bytes(u) &&
               add_piece(u, Py_BuildValue("(INN)", n, slot_bytes(u->node, n), bytes_of(u->hashes[i], SHA256_SIZE)));
    } else {
        u->bytes[u->size++] = PROOF_INNER;
        return unfold(u, 2 * i) && unfold(u, 2 * i + 1);
    }
    return true;
}

static PyObject *py_node_unfold(PyObject *self, PyObject *args) {
    (void)self;
    PyObject *row;
    struct node node;
    struct unfolding u = {.node = &node};
    if (!PyArg_ParseTuple(args, "OI", &row, &u.shown) || !parse_row(row, &node)) return NULL;
    if (!node_hash_all(&node, u.hashes)) return PyErr_NoMemory();
    count_keys(&node, u.keys);
    u.pieces = PyList_New(0);
    if (u.pieces != NULL && unfold(&u, 1) && add_bytes(&u))
        return Py_BuildValue("(NN)", bytes_of(u.hashes[1], SHA256_SIZE), u.pieces);
    Py_XDECREF(u.pieces);
    return NULL;
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
    {"node_unfold", py_node_unfold, METH_VARARGS,
     "node_unfold(row, mask of children) -> (its hash, the proof in it: bytes or (child, slot, hash))."},
    {"node_slots", py_node_slots, METH_O, "node_slots(row) -> its 16 children, None where there is no key; see node.h."},
    {"leaves_hash", py_leaves_hash, METH_VARARGS, "leaves_hash(leaves, bit) -> the hash of leaves that agree up to a bit."},
    {"node_row", py_node_row, METH_O, "node_row(slots) -> the row of 16 slots."},
    {NULL, NULL, 0, NULL},
};
