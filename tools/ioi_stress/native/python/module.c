/* ioi_stress._program: hands over the Program VM. */
#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include "../program.h"

static PyObject *program_vm(PyObject *Py_UNUSED(module), PyObject *Py_UNUSED(none)) {
    return PyCapsule_New((void *)&ioi_program, IOI_VM_CAPSULE, NULL);
}

static PyMethodDef functions[] = {{"program_vm", program_vm, METH_NOARGS, "The Program VM in C, as a capsule (ioi_vm.h)."},
                                  {NULL, NULL, 0, NULL}};

static PyModuleDef_Slot slots[] = {{0, NULL}};
static struct PyModuleDef module = {
    PyModuleDef_HEAD_INIT, "ioi_stress._program", "The Program VM of ioi-stress in C.", 0, functions, slots, NULL, NULL, NULL};

PyMODINIT_FUNC PyInit__program(void) { return PyModuleDef_Init(&module); }
