/* What the files module*.c share. They alone know Python: they convert objects and hold no logic. */
#ifndef IOI_MODULE_H
#define IOI_MODULE_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

static inline PyObject *bytes_of(const void *data, size_t size) {
    return PyBytes_FromStringAndSize((const char *)data, (Py_ssize_t)size);
}

/* The slot that `object` is: NULL for None, else its kind is its size. False with an exception if it is none. */
bool parse_slot(PyObject *object, const uint8_t **slot, bool *leaf);

extern PyMethodDef seal_functions[], node_functions[];
extern PyType_Spec subtree_spec;

#endif
