/* ioi_shm.call_apart: a call that sees nothing of its caller's depth and context variables, and leaves nothing behind in them. */
#include "depth.h"

PyObject *apart(long limit, PyObject *function, PyObject *const *args, size_t count) {
    if (limit < 50 || limit > 1000000) {
        PyErr_SetString(PyExc_ValueError, "a recursion limit is 50 to 1,000,000");
        return NULL;
    }
    PyObject *context = PyContext_New(), *result = NULL;
    if (!context || PyContext_Enter(context) < 0) {
        Py_XDECREF(context);
        return NULL;
    }
    depth before;
    if (!depth_enter_vm(&before, (int)limit)) {
        result = PyObject_Vectorcall(function, args, count, NULL);
        depth_leave(&before);
    }
    PyObject *type, *value, *trace; /* leaving the context must not be done with an exception set */
    PyErr_Fetch(&type, &value, &trace);
    if (PyContext_Exit(context) < 0) {
        Py_CLEAR(result); /* the VM left it itself: that error stands */
        Py_XDECREF(type);
        Py_XDECREF(value);
        Py_XDECREF(trace);
    } else {
        PyErr_Restore(type, value, trace);
    }
    Py_DECREF(context);
    return result;
}

PyObject *call_apart(PyObject *Py_UNUSED(module), PyObject *const *args, Py_ssize_t count) {
    if (count < 2) {
        PyErr_SetString(PyExc_TypeError, "call_apart takes a recursion limit, a function and its arguments");
        return NULL;
    }
    long limit = PyLong_AsLong(args[0]);
    if (limit == -1 && PyErr_Occurred()) return NULL;
    return apart(limit, args[1], args + 2, (size_t)(count - 2));
}
