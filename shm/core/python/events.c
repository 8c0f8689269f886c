/* ioi_shm.emit: an event of the transaction that executes in this thread.
 *
 * Packed, little endian: u32 length of what follows, u8 name_len, name, u8 attributes; of each: u8 kind, u8 name_len, u32 len,
 * name, value. An integer is text in base 16. ioi_exec/block/event.py reads them. */
#include "arguments.h"
#include "state.h"

enum { NAME_MAX_BYTES = 255, ATTRIBUTES_MAX = 64, INTEGER_MAX = 66 }; /* an integer: 0x and 256 bits, without its sign */
enum { EVENT_BYTES = 1, EVENT_TEXT, EVENT_INTEGER };

typedef struct {
    uint8_t *bytes;
    size_t used, room;
} Packing;

static int put(Packing *p, const void *bytes, size_t len) {
    if (p->used + len > p->room) {
        size_t room = 2 * p->room + len;
        uint8_t *grown = PyMem_Realloc(p->bytes, room);
        if (!grown) return PyErr_NoMemory(), -1;
        p->bytes = grown;
        p->room = room;
    }
    if (len) memcpy(p->bytes + p->used, bytes, len);
    p->used += len;
    return 0;
}

/* Text as UTF-8, of a subclass of str too. */
static const char *utf8(PyObject *text, Py_ssize_t *len) { return PyUnicode_AsUTF8AndSize(text, len); }

static int put_name(Packing *p, PyObject *name, const char *what) {
    if (!PyUnicode_Check(name)) return wrong_type(what, name, "str"), -1;
    Py_ssize_t len;
    const char *bytes = utf8(name, &len);
    if (!bytes) return -1;
    if (len == 0 || len > NAME_MAX_BYTES) {
        PyErr_Format(PyExc_ValueError, "%s has %zd bytes of UTF-8: 1 to %d", what, len, NAME_MAX_BYTES);
        return -1;
    }
    uint8_t size = (uint8_t)len;
    return put(p, &size, 1) < 0 ? -1 : put(p, bytes, (size_t)len);
}

static int put_attribute(Packing *p, BackObject *back, PyObject *name, PyObject *value) {
    const char *bytes;
    Py_ssize_t len;
    uint8_t kind;
    PyObject *held = NULL;
    if (PyBytes_Check(value)) {
        kind = EVENT_BYTES;
        bytes = PyBytes_AS_STRING(value);
        len = PyBytes_GET_SIZE(value);
    } else if (PyUnicode_Check(value)) {
        kind = EVENT_TEXT;
        if (!(bytes = utf8(value, &len))) return -1;
    } else if (PyLong_Check(value)) {
        kind = EVENT_INTEGER;
        if (!(held = PyNumber_ToBase(value, 16)) || !(bytes = utf8(held, &len))) {
            Py_XDECREF(held);
            return -1;
        }
        if (len - (bytes[0] == '-') > INTEGER_MAX) {
            PyErr_SetString(back->over, "an event's integer has more than 256 bits");
            Py_DECREF(held);
            return -1;
        }
    } else {
        wrong_type("an event's attribute", value, "bytes, str or int");
        return -1;
    }
    uint32_t size = (uint32_t)len;
    int result = len > IOI_EVENTS_BYTES ? 1 : put(p, &kind, 1);
    if (result == 0) result = put_name(p, name, "the name of an event's attribute");
    if (result == 0) result = put(p, &size, sizeof size);
    if (result == 0) result = put(p, bytes, (size_t)len);
    Py_XDECREF(held);
    return result;
}

/* 0, or 1: it is too much; or -1. */
static int pack(Packing *p, BackObject *back, PyObject *name, PyObject *attributes) {
    uint32_t length = 0;
    if (put(p, &length, sizeof length) < 0 || put_name(p, name, "the name of an event") < 0) return -1;
    if (PyDict_GET_SIZE(attributes) > ATTRIBUTES_MAX) {
        PyErr_Format(back->over, "an event has %zd attributes: at most %d", PyDict_GET_SIZE(attributes), ATTRIBUTES_MAX);
        return -1;
    }
    uint8_t count = (uint8_t)PyDict_GET_SIZE(attributes);
    if (put(p, &count, 1) < 0) return -1;
    PyObject *key, *value;
    Py_ssize_t at = 0;
    while (PyDict_Next(attributes, &at, &key, &value)) {
        int result = put_attribute(p, back, key, value);
        if (result) return result;
        if (p->used > IOI_EVENTS_BYTES) return 1;
    }
    length = (uint32_t)(p->used - sizeof length);
    memcpy(p->bytes, &length, sizeof length);
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
    Packing packing = {NULL, 0, 0};
    int result = pack(&packing, back, name, attributes);
    const ioi_gas *gas = &back->limits.gas;
    if (result == 0 && gas_refuses(back, gas->emit + ioi_gas_bytes(gas->written_byte, packing.used, 0))) {
        PyMem_Free(packing.bytes);
        return NULL;
    }
    if (result == 0) {
        result = BEHIND(back, back->end->emit(back, packing.bytes, packing.used));
        if (result < 0) back_broke(back);
    }
    PyMem_Free(packing.bytes);
    if (result > 0) PyErr_Format(back->over, "the events of a transaction have at most %d bytes", IOI_EVENTS_BYTES);
    if (result) return NULL;
    Py_RETURN_NONE;
}
