/* The committed state below both back ends: Python callables. */
#include "state.h"

PyObject *base_value(BackObject *back, PyObject *key) {
    PyObject *value = PyObject_CallOneArg(back->fetch, key);
    if (value && value != Py_None && !PyBytes_CheckExact(value)) {
        PyErr_SetString(PyExc_TypeError, "a committed value is bytes or None");
        Py_CLEAR(value);
    }
    return value;
}

PyObject *base_range(BackObject *back, PyObject *low, PyObject *high, bool reverse) {
    PyObject *range = PyObject_CallFunctionObjArgs(back->range, low ? low : Py_None, high ? high : Py_None,
                                                   reverse ? Py_True : Py_False, NULL);
    PyObject *iterator = range ? PyObject_GetIter(range) : NULL;
    Py_XDECREF(range);
    return iterator;
}

int base_next(PyObject *iterator, PyObject **key, PyObject **value) {
    PyObject *pair = PyIter_Next(iterator);
    if (!pair) return PyErr_Occurred() ? -1 : 0;
    bool good = PyTuple_Check(pair) && PyTuple_GET_SIZE(pair) == 2 && PyBytes_CheckExact(PyTuple_GET_ITEM(pair, 0)) &&
                PyBytes_CheckExact(PyTuple_GET_ITEM(pair, 1));
    if (good) {
        *key = Py_NewRef(PyTuple_GET_ITEM(pair, 0));
        *value = Py_NewRef(PyTuple_GET_ITEM(pair, 1));
    } else {
        PyErr_SetString(PyExc_TypeError, "a range of the committed state gives pairs of bytes");
    }
    Py_DECREF(pair);
    return good ? 1 : -1;
}
