/* The stale index: records of rows that a version no longer needs, and the rows of table stale that hold them. */
#include "module.h"

#include "../node.h"
#include "../seal.h"

enum { RECORD_MAX = 128, RECORD_HEAD = 10 /* kind u8 | version u64 | size u8 of what follows */ };

PyObject *joined_records(const void *from, size_t n, size_t (*record_of)(const void *from, size_t i, uint8_t *record)) {
    PyObject *joined = bytes_of(NULL, n * RECORD_MAX);
    if (joined == NULL) return NULL;
    uint8_t *begin = (uint8_t *)PyBytes_AS_STRING(joined), *at = begin;
    for (size_t i = 0; i < n; i++) at += record_of(from, i, at);
    _PyBytes_Resize(&joined, at - begin);
    return joined;
}

enum { PIECE = 1900 /* bytes: two rows of such fit a page */, PIECE_KEY = 8 + 4 };

/* Rows of table stale: as many records in each as go into a piece. */
struct pieces {
    uint8_t *at, *key, *body; /* of the row that is being filled; key NULL: none */
    uint64_t version;
    uint32_t count;
};

static void begin_piece(struct pieces *pieces) {
    uint32_t number = __builtin_bswap32(pieces->count++);
    pieces->key = packed_head(pieces->at, PIECE_KEY, 0);
    slot_set_version(pieces->key, pieces->version);
    memcpy(pieces->key + 8, &number, 4);
    pieces->at = pieces->body = pieces->key + PIECE_KEY;
}

/* False with an exception. */
static bool end_piece(struct pieces *pieces) {
    if (pieces->key == NULL) return true;
    size_t size = (size_t)(pieces->at - pieces->body);
    packed_head(pieces->key - PACKED_HEAD, PIECE_KEY, size + SEAL_SIZE);
    bool ok = seal_write(pieces->key, PIECE_KEY, pieces->body, size, pieces->at);
    pieces->at += SEAL_SIZE;
    pieces->key = NULL;
    if (!ok) PyErr_NoMemory();
    return ok;
}

/* False with an exception: the records are none, or there is no memory. */
static bool add_records(struct pieces *pieces, const uint8_t *records, size_t size) {
    for (size_t record; size > 0; records += record, size -= record) {
        record = size >= RECORD_HEAD ? RECORD_HEAD + (size_t)records[RECORD_HEAD - 1] : SIZE_MAX;
        if (record > size) {
            PyErr_SetString(PyExc_ValueError, "not whole records of stale rows");
            return false;
        }
        if (pieces->key != NULL && (size_t)(pieces->at - pieces->body) + record > PIECE && !end_piece(pieces)) return false;
        if (pieces->key == NULL) begin_piece(pieces);
        memcpy(pieces->at, records, record);
        pieces->at += record;
    }
    return true;
}

static PyObject *py_stale_rows(PyObject *self, PyObject *args) {
    (void)self;
    unsigned long long version;
    PyObject *parts;
    if (!PyArg_ParseTuple(args, "KO!", &version, &PyList_Type, &parts)) return NULL;
    size_t total = 0;
    for (Py_ssize_t i = 0; i < PyList_GET_SIZE(parts); i++) {
        PyObject *part = PyList_GET_ITEM(parts, i);
        if (!PyBytes_Check(part)) return PyErr_Format(PyExc_TypeError, "records are bytes, not %.100s", Py_TYPE(part)->tp_name);
        total += (size_t)PyBytes_GET_SIZE(part);
    }
    /* Every piece but the last is at least half full. */
    size_t most = total / (PIECE / 2) + 1;
    PyObject *rows = bytes_of(NULL, PACKED_COUNT + total + most * (PACKED_HEAD + PIECE_KEY + SEAL_SIZE));
    if (rows == NULL) return NULL;
    uint8_t *begin = (uint8_t *)PyBytes_AS_STRING(rows);
    struct pieces pieces = {.at = begin + PACKED_COUNT, .version = version};
    bool ok = true;
    for (Py_ssize_t i = 0; ok && i < PyList_GET_SIZE(parts); i++) {
        PyObject *part = PyList_GET_ITEM(parts, i);
        ok = add_records(&pieces, (const uint8_t *)PyBytes_AS_STRING(part), (size_t)PyBytes_GET_SIZE(part));
    }
    ok = ok && end_piece(&pieces);
    if (!ok) {
        Py_DECREF(rows);
        return NULL;
    }
    packed_count(begin, pieces.count);
    _PyBytes_Resize(&rows, pieces.at - begin);
    return rows;
}

PyMethodDef stale_functions[] = {
    {"stale_rows", py_stale_rows, METH_VARARGS, "stale_rows(version, list of joined records) -> rows of table stale, packed."},
    {NULL, NULL, 0, NULL},
};
