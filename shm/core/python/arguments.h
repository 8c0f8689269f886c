/* What a VM passes to `state`, taken without running any code of it, and refused with texts of our own: those of the
 * interpreter differ between its versions, and a VM may make a text part of its receipt. */
#ifndef IOI_ARGUMENTS_H
#define IOI_ARGUMENTS_H

#include "module.h"

/* A function's parameters: `required` of them must be given, `positional` may be given without their name. */
typedef struct {
    const char *function;
    int count, required, positional;
    const char *name[5];
} Signature;

/* Put the arguments of a call into `out` (borrowed; NULL where none was given). -1 with a TypeError set. */
int take_arguments(const Signature *signature, PyObject *const *args, Py_ssize_t count, PyObject *names, PyObject **out);

/* The object itself if it is bytes, of a subclass the bytes it truly holds, whatever its own methods say; a new reference.
 * Anything else: NULL, and a TypeError "`what` is TYPE, not bytes". */
PyObject *exact_bytes(PyObject *object, const char *what);

/* TypeError: "`what` is TYPE, not `wanted`". */
void wrong_type(const char *what, PyObject *object, const char *wanted);

#endif
