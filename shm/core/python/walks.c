/* Walking over the committed state for native VMs, which run without the interpreter: it is entered for each pair. */
#include "module.h"

typedef struct {
    PyObject *iterator, *pair; /* the pair lends its bytes */
} Walk;

/* Something was raised: it stays with this thread. */
static void *broke(Walks *walks) {
    *walks->broken = true;
    return NULL;
}

static void *walk_open(void *context, const uint8_t *low, size_t low_len, const uint8_t *high, size_t high_len, bool reverse) {
    Walks *walks = context;
    if (*walks->broken) return NULL;
    PyGILState_STATE held = PyGILState_Ensure();
    PyObject *from = bytes_or_none(low, low_len), *to = from ? bytes_or_none(high, high_len) : NULL;
    PyObject *found = to ? PyObject_CallFunctionObjArgs(walks->range, from, to, reverse ? Py_True : Py_False, NULL) : NULL;
    PyObject *iterator = found ? PyObject_GetIter(found) : NULL;
    Walk *walk = iterator ? PyMem_RawCalloc(1, sizeof *walk) : NULL;
    if (walk) walk->iterator = Py_NewRef(iterator);
    else if (iterator) PyErr_NoMemory();
    Py_XDECREF(from);
    Py_XDECREF(to);
    Py_XDECREF(found);
    Py_XDECREF(iterator);
    PyGILState_Release(held);
    return walk ? walk : broke(walks);
}

static int walk_next(void *context, void *opened, ioi_pair *pair) {
    Walks *walks = context;
    Walk *walk = opened;
    if (*walks->broken) return -1;
    PyGILState_STATE held = PyGILState_Ensure();
    Py_XSETREF(walk->pair, PyIter_Next(walk->iterator));
    bool there = walk->pair != NULL, good = there || !PyErr_Occurred();
    if (there) {
        good = PyTuple_Check(walk->pair) && PyTuple_GET_SIZE(walk->pair) == 2;
        if (!good) PyErr_SetString(PyExc_TypeError, "a range of the committed state gives pairs of bytes");
        good = good && as_bytes(PyTuple_GET_ITEM(walk->pair, 0), false, "a key", &pair->key, &pair->key_len) == 0 &&
               as_bytes(PyTuple_GET_ITEM(walk->pair, 1), false, "a committed value", &pair->value, &pair->len) == 0;
    }
    PyGILState_Release(held);
    if (!good) broke(walks);
    return good ? there : -1;
}

static void walk_close(void *Py_UNUSED(context), void *opened) {
    Walk *walk = opened;
    PyGILState_STATE held = PyGILState_Ensure();
    PyObject *type, *error, *trace; /* of a walk that broke, while its iterator goes */
    PyErr_Fetch(&type, &error, &trace);
    Py_XDECREF(walk->pair);
    Py_XDECREF(walk->iterator);
    PyErr_Restore(type, error, trace);
    PyMem_RawFree(walk);
    PyGILState_Release(held);
}

void walks_init(Walks *walks, PyObject *range, bool *broken) {
    *walks = (Walks){{walks, walk_open, walk_next, walk_close}, range, broken};
}
