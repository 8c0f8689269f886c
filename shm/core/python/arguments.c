#include "arguments.h"

static int place_of(const Signature *s, PyObject *name) {
    for (int i = 0; i < s->count; i++)
        if (PyUnicode_CompareWithASCIIString(name, s->name[i]) == 0) return i;
    return -1;
}

int place_arguments(const Signature *s, PyObject *const *args, Py_ssize_t count, PyObject *names, PyObject **out) {
    if (count > s->positional) {
        PyErr_Format(PyExc_TypeError, "%s takes at most %d argument%s without a name, not %zd", s->function, s->positional,
                     s->positional == 1 ? "" : "s", count);
        return -1;
    }
    for (int i = 0; i < s->count; i++) out[i] = i < count ? args[i] : NULL;
    for (Py_ssize_t i = 0; names && i < PyTuple_GET_SIZE(names); i++) {
        PyObject *name = PyTuple_GET_ITEM(names, i);
        int place = place_of(s, name);
        if (place < 0) {
            PyErr_Format(PyExc_TypeError, "%s has no argument named '%U'", s->function, name);
            return -1;
        }
        if (out[place]) {
            PyErr_Format(PyExc_TypeError, "%s got its argument '%s' twice", s->function, s->name[place]);
            return -1;
        }
        out[place] = args[count + i];
    }
    for (int i = 0; i < s->required; i++)
        if (!out[i]) {
            PyErr_Format(PyExc_TypeError, "%s needs an argument '%s'", s->function, s->name[i]);
            return -1;
        }
    return 0;
}

void wrong_type(const char *what, PyObject *object, const char *wanted) {
    PyTypeObject *type = Py_TYPE(object);
    if (type->tp_flags & Py_TPFLAGS_HEAPTYPE) { /* its name as it is, not as a metaclass would have it */
        PyErr_Format(PyExc_TypeError, "%s is %U, not %s", what, ((PyHeapTypeObject *)type)->ht_name, wanted);
        return;
    }
    const char *dot = strrchr(type->tp_name, '.');
    PyErr_Format(PyExc_TypeError, "%s is %s, not %s", what, dot ? dot + 1 : type->tp_name, wanted);
}

PyObject *copied_bytes(PyObject *object, const char *what) {
    if (PyBytes_Check(object)) return PyBytes_FromStringAndSize(PyBytes_AS_STRING(object), PyBytes_GET_SIZE(object));
    wrong_type(what, object, "bytes");
    return NULL;
}
