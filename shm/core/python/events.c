/* ioi_shm.emit: an event of the transaction that executes in this thread. */
#include "../events.h"
#include "arguments.h"
#include "state.h"

enum { INTEGER_MAX = 2 + 2 * IOI_EVENT_INTEGER_MAX }; /* 0x and its digits, without its sign */

/* The name's UTF-8, of a subclass of str too. */
static int as_name(PyObject *name, const char *what, const char **bytes, Py_ssize_t *len) {
    if (!PyUnicode_Check(name)) return wrong_type(what, name, "str"), -1;
    if (!(*bytes = PyUnicode_AsUTF8AndSize(name, len))) return -1;
    if (*len > 0 && *len <= IOI_EVENT_NAME_MAX) return 0;
    PyErr_Format(PyExc_ValueError, "%s has %zd bytes of UTF-8: 1 to %d", what, *len, IOI_EVENT_NAME_MAX);
    return -1;
}

/* A value as it is packed; *held keeps it. */
static int as_value(PyObject *value, PyObject *over, int *kind, const char **bytes, Py_ssize_t *len, PyObject **held) {
    *held = NULL;
    if (PyBytes_Check(value)) {
        *kind = IOI_BYTES;
        *bytes = PyBytes_AS_STRING(value);
        *len = PyBytes_GET_SIZE(value);
        return 0;
    }
    if (PyUnicode_Check(value)) {
        *kind = IOI_TEXT;
        return (*bytes = PyUnicode_AsUTF8AndSize(value, len)) ? 0 : -1;
    }
    if (!PyLong_Check(value)) return wrong_type("an event's attribute", value, "bytes, str or int"), -1;
    *kind = IOI_INTEGER;
    if (!(*held = PyNumber_ToBase(value, 16)) || !(*bytes = PyUnicode_AsUTF8AndSize(*held, len))) return -1;
    if (*len - (**bytes == '-') <= INTEGER_MAX) return 0;
    PyErr_SetString(over, "an event's integer has more than 256 bits");
    return -1;
}

/* 0, or 1: it is too much; or -1. */
static int pack_attribute(ioi_bytes *to, PyObject *over, PyObject *name, PyObject *value) {
    const char *named, *bytes = NULL;
    Py_ssize_t name_len, len = 0;
    int kind, result = 0;
    PyObject *held;
    if (as_value(value, over, &kind, &bytes, &len, &held) < 0) result = -1;
    else if (len > IOI_EVENTS_BYTES) result = 1;
    else if (as_name(name, "the name of an event's attribute", &named, &name_len) < 0) result = -1;
    else if (!ioi_event_attribute(to, kind, named, (size_t)name_len, bytes, (size_t)len)) result = (PyErr_NoMemory(), -1);
    Py_XDECREF(held);
    return result ? result : to->len > IOI_EVENTS_BYTES;
}

static int pack(ioi_bytes *to, PyObject *over, PyObject *name, PyObject *attributes) {
    const char *named;
    Py_ssize_t name_len, count = PyDict_GET_SIZE(attributes), at = 0;
    size_t from;
    if (as_name(name, "the name of an event", &named, &name_len) < 0) return -1;
    if (count > IOI_EVENT_ATTRIBUTES_MAX) {
        PyErr_Format(over, "an event has %zd attributes: at most %d", count, IOI_EVENT_ATTRIBUTES_MAX);
        return -1;
    }
    if (!ioi_event_begin(to, named, (size_t)name_len, (size_t)count, &from)) return PyErr_NoMemory(), -1;
    PyObject *key, *value;
    while (PyDict_Next(attributes, &at, &key, &value)) {
        int result = pack_attribute(to, over, key, value);
        if (result) return result;
    }
    ioi_event_end(to, from);
    return 0;
}

PyObject *emit_event(PyObject *Py_UNUSED(module), PyObject *args) {
    PyObject *name, *attributes;
    if (!PyArg_ParseTuple(args, "OO!:emit", &name, &PyDict_Type, &attributes)) return NULL;
    StateObject *state = state_here();
    if (!state) {
        PyErr_SetString(PyExc_RuntimeError, "ctx.emit: no transaction is executing in this thread");
        return NULL;
    }
    if (state_refuses(state)) return NULL;
    BackObject *back = state->back;
    ioi_bytes packed = {0};
    int result = pack(&packed, back->over, name, attributes);
    if (result == 0 && gas_refuses(back, ioi_gas_event(&back->limits.gas, packed.len))) result = -1;
    else if (result == 0 && (result = BEHIND(back, back->end->emit(back, packed.at, packed.len))) < 0) back_broke(back);
    ioi_bytes_free(&packed);
    if (result > 0) PyErr_Format(back->over, "the events of a transaction have at most %d bytes", IOI_EVENTS_BYTES);
    if (result) return NULL;
    Py_RETURN_NONE;
}
