/* Between Python objects and the core's plain ones. */
#include "module.h"

PyObject *bytes_or_none(const uint8_t *bytes, size_t len) {
    if (!bytes) Py_RETURN_NONE;
    return PyBytes_FromStringAndSize((const char *)bytes, (Py_ssize_t)len);
}

int as_bytes(PyObject *object, bool none, const char *what, const uint8_t **bytes, size_t *len) {
    static const uint8_t empty[1];
    *bytes = NULL;
    *len = 0;
    if (none && object == Py_None) return 0;
    if (!PyBytes_Check(object)) {
        PyErr_Format(PyExc_TypeError, "%s must be bytes%s, not %.100s", what, none ? " or None" : "", Py_TYPE(object)->tp_name);
        return -1;
    }
    *bytes = PyBytes_GET_SIZE(object) ? (const uint8_t *)PyBytes_AS_STRING(object) : empty;
    *len = (size_t)PyBytes_GET_SIZE(object);
    return 0;
}

int as_limits(PyObject *tuple, ioi_limits *limits) {
    unsigned int key, value, keys, depth, output;
    unsigned long long bytes, gas[9] = {0};
    PyObject *schedule = Py_None;
    if (!PyArg_ParseTuple(tuple,
                          "IIIKII|O;limits: key_bytes, value_bytes, tx_keys, tx_write_bytes, checkpoint_depth, output_bytes",
                          &key, &value, &keys, &bytes, &depth, &output, &schedule))
        return -1;
    bool metered = schedule != Py_None;
    if (metered &&
        (!PyTuple_Check(schedule) ||
         !PyArg_ParseTuple(schedule, "KKKKKKKKK;gas: flat, get, put, delete, scan, read_byte, written_byte, emit, most", &gas[0],
                           &gas[1], &gas[2], &gas[3], &gas[4], &gas[5], &gas[6], &gas[7], &gas[8])))
        return -1;
    *limits = (ioi_limits){key,
                           value,
                           keys,
                           bytes,
                           depth,
                           output,
                           {metered, gas[0], gas[1], gas[2], gas[3], gas[4], gas[5], gas[6], gas[7], gas[8]}};
    return 0;
}

PyObject *sorted_list(PyObject *list) {
    if (list && PyList_Sort(list) < 0) Py_CLEAR(list);
    return list;
}

PyObject *pack_receipts(const ioi_arena *arena, uint32_t from, uint32_t to) {
    PyObject *blob = PyBytes_FromStringAndSize(NULL, (Py_ssize_t)ioi_receipts_size(arena, from, to));
    PyObject *ends = PyBytes_FromStringAndSize(NULL, (Py_ssize_t)((to - from) * sizeof(uint64_t)));
    if (blob && ends)
        ioi_receipts_pack(arena, from, to, (uint8_t *)PyBytes_AS_STRING(blob), (uint64_t *)(void *)PyBytes_AS_STRING(ends));
    PyObject *pair = blob && ends ? PyTuple_Pack(2, blob, ends) : NULL;
    Py_XDECREF(blob);
    Py_XDECREF(ends);
    return pair;
}
