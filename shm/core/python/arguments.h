/* What a VM passes to `state`, taken without running any code of it, and refused with texts of our own: those of the
 * interpreter differ between its versions, and a VM may make a text part of its receipt. */
#ifndef IOI_ARGUMENTS_H
#define IOI_ARGUMENTS_H

#include "module.h"

/* A function's parameters: `required` of them must be given, `positional` may be given without their name. */
typedef struct {
    const char *function;
    int count, required, positional;
    const char *name[7];
} Signature;

int place_arguments(const Signature *signature, PyObject *const *args, Py_ssize_t count, PyObject *names, PyObject **out);

/* Put the arguments of a call into `out` (borrowed; NULL where none was given). -1 with a TypeError set. */
static inline int take_arguments(const Signature *signature, PyObject *const *args, Py_ssize_t count, PyObject *names,
                                 PyObject **out) {
    if (names || count != signature->count || count != signature->positional)
        return place_arguments(signature, args, count, names, out);
    for (Py_ssize_t i = 0; i < count; i++) out[i] = args[i]; /* all by position: the usual call */
    return 0;
}

PyObject *copied_bytes(PyObject *object, const char *what);

/* The object itself if it is bytes, of a subclass the bytes it truly holds, whatever its own methods say; a new reference.
 * Anything else: NULL, and a TypeError "`what` is TYPE, not bytes". */
static inline PyObject *exact_bytes(PyObject *object, const char *what) {
    return PyBytes_CheckExact(object) ? Py_NewRef(object) : copied_bytes(object, what);
}

/* TypeError: "`what` is TYPE, not `wanted`". */
void wrong_type(const char *what, PyObject *object, const char *wanted);

#endif
