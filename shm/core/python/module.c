/* ioi_shm._core: the module itself and its small functions. */
#include "module.h"

#include <dlfcn.h>
#include <errno.h>
#include <signal.h>
#include <sys/prctl.h>

#include "../payments.h"
#include "arguments.h"
#include "state.h"

PyTypeObject *arena_type, *worker_type, *cache_type;

static PyObject *payments_vm(PyObject *Py_UNUSED(module), PyObject *is_signed) {
    int with = PyObject_IsTrue(is_signed);
    if (with < 0) return NULL;
    return PyCapsule_New((void *)(with ? &ioi_payments_signed : &ioi_payments), IOI_VM_CAPSULE, NULL);
}

const ioi_vm *as_vm(PyObject *capsule) {
    if (!PyCapsule_IsValid(capsule, IOI_VM_CAPSULE)) {
        PyErr_Format(PyExc_ValueError, "a native VM is what ioi_shm.load_native_vm gives, and this is %s%.80s",
                     PyCapsule_CheckExact(capsule) ? "another " : "", Py_TYPE(capsule)->tp_name);
        return NULL;
    }
    const ioi_vm *vm = PyCapsule_GetPointer(capsule, IOI_VM_CAPSULE);
    if (ioi_vm_known(vm) && vm->execute) return vm;
    if (ioi_vm_known(vm)) PyErr_SetString(PyExc_ValueError, "the native VM has no execute");
    else
        PyErr_Format(PyExc_ValueError, "the native VM speaks ABI %u, this build %u to %u: rebuild it", vm->abi, IOI_VM_ABI_OLDEST,
                     IOI_VM_ABI);
    return NULL;
}

static PyObject *native_info(PyObject *Py_UNUSED(module), PyObject *capsule) {
    const ioi_vm *vm = as_vm(capsule);
    if (!vm) return NULL;
    Dl_info from; /* the library that it is in */
    const char *library = dladdr(vm, &from) ? from.dli_fname : NULL;
    return Py_BuildValue("{sIsIszsysOsOsOsOsO}", "abi", vm->abi, "version", vm->version, "name", vm->name, "library", library,
                         "ante", ioi_vm_has_ante(vm) ? Py_True : Py_False, "begin_block",
                         ioi_vm_has_begin_block(vm) ? Py_True : Py_False, "end_block", vm->end_block ? Py_True : Py_False,
                         "check", ioi_vm_has_check(vm) ? Py_True : Py_False, "query", ioi_vm_has_query(vm) ? Py_True : Py_False);
}

/* Where receipt i of packed ones ends, which begins at `from`; 0 with a ValueError if they are not packed as receipts are. */
static uint64_t receipt_end(const Py_buffer *blob, const Py_buffer *ends, size_t i, uint64_t from) {
    uint64_t end;
    uint32_t head[4];
    memcpy(&end, (const uint8_t *)ends->buf + i * sizeof end, sizeof end);
    if (end <= (uint64_t)blob->len && end >= from + IOI_RECEIPT_HEAD) {
        memcpy(head, (const uint8_t *)blob->buf + from, sizeof head);
        if (end == from + IOI_RECEIPT_HEAD + (uint64_t)head[1] + head[2] + head[3]) return end;
    }
    PyErr_Format(PyExc_ValueError, "receipt %zu is not packed as receipts are", i);
    return 0;
}

static PyObject *receipts_failed(PyObject *Py_UNUSED(module), PyObject *args) {
    Py_buffer blob, ends;
    if (!PyArg_ParseTuple(args, "y*y*:receipts_failed", &blob, &ends)) return NULL;
    Py_ssize_t failed = 0;
    for (size_t i = 0, from = 0; i < (size_t)ends.len / sizeof(uint64_t); i++) {
        uint64_t end = receipt_end(&blob, &ends, i, from);
        if (!end) {
            failed = -1;
            break;
        }
        uint32_t code;
        memcpy(&code, (const uint8_t *)blob.buf + from, sizeof code);
        failed += code != 0;
        from = end;
    }
    PyBuffer_Release(&blob);
    PyBuffer_Release(&ends);
    return failed < 0 ? NULL : PyLong_FromSsize_t(failed);
}

static PyObject *receipt_leaves(PyObject *Py_UNUSED(module), PyObject *args) {
    Py_buffer blob, ends;
    if (!PyArg_ParseTuple(args, "y*y*:receipt_leaves", &blob, &ends)) return NULL;
    PyObject *pair = NULL, *leaves = NULL, *leaf_ends = NULL;
    size_t count = (size_t)ends.len / sizeof(uint64_t);
    const uint8_t *bytes = blob.buf;
    uint64_t total = 0;
    for (size_t i = 0, from = 0; i < count; i++) {
        uint64_t end = receipt_end(&blob, &ends, i, from);
        if (!end) goto out;
        total += ioi_receipt_leaf(bytes + from, NULL);
        from = end;
    }
    leaves = PyBytes_FromStringAndSize(NULL, (Py_ssize_t)total);
    leaf_ends = PyBytes_FromStringAndSize(NULL, (Py_ssize_t)(count * sizeof(uint64_t)));
    if (!leaves || !leaf_ends) goto out;
    uint64_t at = 0, from = 0;
    for (size_t i = 0; i < count; i++) {
        at += ioi_receipt_leaf(bytes + from, (uint8_t *)PyBytes_AS_STRING(leaves) + at);
        memcpy(PyBytes_AS_STRING(leaf_ends) + i * sizeof at, &at, sizeof at);
        memcpy(&from, (const uint8_t *)ends.buf + i * sizeof from, sizeof from);
    }
    pair = PyTuple_Pack(2, leaves, leaf_ends);
out:
    Py_XDECREF(leaves);
    Py_XDECREF(leaf_ends);
    PyBuffer_Release(&blob);
    PyBuffer_Release(&ends);
    return pair;
}

static PyObject *die_with_parent(PyObject *Py_UNUSED(module), PyObject *argument) {
    long signal = PyLong_AsLong(argument);
    if (PyErr_Occurred()) return NULL;
    if (prctl(PR_SET_PDEATHSIG, signal) < 0) return PyErr_SetFromErrno(PyExc_OSError);
    Py_RETURN_NONE;
}

static PyObject *exact(PyObject *Py_UNUSED(module), PyObject *bytes) { return exact_bytes(bytes, "what is to be bytes"); }

/* leading_bytes(list, first, most) -> (end, total): list[first:end] are exactly bytes, of at most `most` bytes each. */
static PyObject *leading_bytes(PyObject *Py_UNUSED(module), PyObject *args) {
    PyObject *list;
    Py_ssize_t at, most;
    if (!PyArg_ParseTuple(args, "O!nn:leading_bytes", &PyList_Type, &list, &at, &most)) return NULL;
    Py_ssize_t total = 0;
    for (; at < PyList_GET_SIZE(list); at++) {
        PyObject *item = PyList_GET_ITEM(list, at);
        if (!PyBytes_CheckExact(item) || PyBytes_GET_SIZE(item) > most) break;
        if (__builtin_add_overflow(total, PyBytes_GET_SIZE(item), &total)) total = PY_SSIZE_T_MAX;
    }
    return Py_BuildValue("nn", at, total);
}

/* Whether system calls go on after this signal: a flag of its handler, which the module signal resets and cannot tell. */
static PyObject *signal_restarts(PyObject *Py_UNUSED(module), PyObject *argument) {
    long signal = PyLong_AsLong(argument);
    if (PyErr_Occurred()) return NULL;
    struct sigaction action;
    if (sigaction((int)signal, NULL, &action) < 0) return PyErr_SetFromErrno(PyExc_OSError);
    return PyBool_FromLong(action.sa_flags & SA_RESTART);
}

static PyMethodDef functions[] = {
    {"payments_vm", CALL(payments_vm), METH_O, "The built-in payments VM as a capsule; with signatures or without."},
    {"native_info", CALL(native_info), METH_O, "What a native VM's capsule says of itself."},
    {"run_sequential", CALL(run_sequential), METH_VARARGS | METH_KEYWORDS, "Run a native VM one transaction after another."},
    {"receipt_leaves", CALL(receipt_leaves), METH_VARARGS, "Packed receipts as the leaves of the receipts root."},
    {"receipts_failed", CALL(receipts_failed), METH_VARARGS, "How many of packed receipts have a code other than 0."},
    {"leading_bytes", CALL(leading_bytes), METH_VARARGS,
     "How far the items of a list are bytes of at most a length; their length."},
    {"charge", CALL(charge_gas), METH_O, "Use so much gas, of the transaction that executes in this thread."},
    {"gas_left", CALL(gas_left), METH_NOARGS, "How much gas it may still use; None: it is not metered."},
    {"emit", CALL(emit_event), METH_VARARGS, "Add an event (name, attributes) to the transaction that executes in this thread."},
    {"call_apart", CALL(call_apart), METH_FASTCALL, "Call a function at a depth and in a context of its own."},
    {"exact_bytes", CALL(exact), METH_O, "The bytes that an object of bytes, or of a subclass, truly holds."},
    {"die_with_parent", CALL(die_with_parent), METH_O, "Get this signal when the thread that started this process ends."},
    {"signal_restarts", CALL(signal_restarts), METH_O, "Whether system calls go on after this signal."},
    {NULL, NULL, 0, NULL}};

static PyTypeObject *add_type(PyObject *module, PyType_Spec *spec) {
    PyObject *type = PyType_FromModuleAndSpec(module, spec, NULL);
    if (!type || PyModule_AddType(module, (PyTypeObject *)type) < 0) {
        Py_XDECREF(type);
        return NULL;
    }
    return (PyTypeObject *)type; /* the reference is kept for the life of the process */
}

static int module_exec(PyObject *module) {
    if (!(arena_type = add_type(module, &arena_spec)) || !(worker_type = add_type(module, &worker_spec)) ||
        !(cache_type = add_type(module, &cache_spec)) || !(state_type = add_type(module, &state_spec)) ||
        !(scan_type = add_type(module, &scan_spec)) || !(checkpoint_type = add_type(module, &checkpoint_spec)) ||
        !add_type(module, &view_spec) || !add_type(module, &plain_spec))
        return -1;
    static const struct {
        const char *name;
        long value;
    } constants[] = {
        {"BLOCK_IDLE", IOI_BLOCK_IDLE},           {"BLOCK_DONE", IOI_BLOCK_DONE},
        {"BLOCK_FULL", IOI_BLOCK_FULL},           {"BLOCK_FAULT", IOI_BLOCK_FAULT},
        {"BLOCK_ABANDONED", IOI_BLOCK_ABANDONED}, {"TASK_LEAVE", IOI_TASK_LEAVE},
        {"WORKERS_MAX", IOI_WORKERS_MAX},         {"BLOCK_AT", IOI_BLOCK_AT},
        {"CACHE_LEAST", IOI_CACHE_LEAST},         {"ARENA_MAX", IOI_ARENA_MAX},
    };
    for (size_t i = 0; i < sizeof constants / sizeof *constants; i++)
        if (PyModule_AddIntConstant(module, constants[i].name, constants[i].value) < 0) return -1;
    return 0;
}

static PyModuleDef_Slot module_slots[] = {{Py_mod_exec, module_exec}, {0, NULL}};
static struct PyModuleDef module = {
    PyModuleDef_HEAD_INIT, "ioi_shm._core", "The shared-memory core of ioi-exec.", 0, functions, module_slots, NULL, NULL, NULL};

PyMODINIT_FUNC PyInit__core(void) { return PyModuleDef_Init(&module); }
