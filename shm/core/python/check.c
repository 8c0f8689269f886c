/* What a VM in C has in Python: a look at each transaction before it is executed, for signatures. */
#include "module.h"

/* check(tx, bytes) -> None, it is good; or (code, error, whether it is a fault and stops the block). 1, 0; -1 with an exception.
 * *held keeps what *outcome points to. */
int check_transaction(PyObject *check, uint64_t tx, const uint8_t *bytes, size_t len, PyObject **held, ioi_outcome *outcome,
                      bool *fault) {
    PyObject *said = PyObject_CallFunction(check, "Ky#", (unsigned long long)tx, (const char *)bytes, (Py_ssize_t)len);
    Py_XSETREF(*held, said);
    if (!said) return -1;
    if (said == Py_None) return 1;
    unsigned int code;
    const char *error;
    Py_ssize_t error_len;
    int is_fault;
    if (!PyArg_ParseTuple(said, "Iy#p:check", &code, &error, &error_len, &is_fault)) return -1;
    *outcome = (ioi_outcome){.code = code, .error = error, .error_len = (size_t)error_len};
    *fault = is_fault;
    return 0;
}
