/* ioi_shm.Scan: what `state.scan` returns. */
#include "arguments.h"
#include "state.h"

PyObject *scan_new(StateObject *state, PyObject *low, PyObject *high, bool reverse, bool limited, unsigned long long limit) {
    BackObject *back = state->back;
    ScanObject *scan = (ScanObject *)scan_type->tp_alloc(scan_type, 0);
    if (!scan) return NULL;
    scan->state = (StateObject *)Py_NewRef((PyObject *)state);
    scan->limited = limited;
    scan->left = limit;
    scan->free = back->end->scan_free;
    if (low && high) {
        size_t a = (size_t)PyBytes_GET_SIZE(low), b = (size_t)PyBytes_GET_SIZE(high);
        int order = memcmp(PyBytes_AS_STRING(low), PyBytes_AS_STRING(high), a < b ? a : b);
        if (order > 0 || (order == 0 && a >= b)) return (PyObject *)scan; /* at its end already */
    }
    scan->scan = BEHIND(back, back->end->scan(back, low, high, reverse));
    if (!scan->scan) {
        Py_DECREF((PyObject *)scan);
        back_broke(back);
        return NULL;
    }
    scan->next = state->scans;
    scan->link = &state->scans;
    if (scan->next) scan->next->link = &scan->next;
    state->scans = scan;
    return (PyObject *)scan;
}

void scan_end(ScanObject *scan) {
    if (scan->link) {
        *scan->link = scan->next;
        if (scan->next) scan->next->link = scan->link;
        scan->link = NULL;
    }
    BackScan *ended = scan->scan;
    scan->scan = NULL;
    if (!ended) return;
    depth of_vm; /* it closes an iterator of the base */
    depth_enter_engine(&of_vm);
    scan->free(ended);
    depth_leave(&of_vm);
}

static PyObject *scan_next(ScanObject *scan) {
    StateObject *state = scan->state;
    if (state_refuses(state)) return NULL;
    if (!scan->scan || (scan->limited && scan->left == 0)) return NULL; /* StopIteration */
    PyObject *key = NULL, *value = NULL;
    BackObject *back = state->back;
    if (gas_refuses(back, back->limits.gas.scan)) return NULL;
    int found = BEHIND(back, back->end->next(back, scan->scan, &key, &value));
    scan->left -= scan->limited; /* first: what is made next may collect garbage, whose finalizer goes on with the scan */
    PyObject *pair = found > 0 ? PyTuple_Pack(2, key, value) : NULL;
    Py_XDECREF(key);
    Py_XDECREF(value);
    if (found < 0 || (found > 0 && !pair)) back_broke(back);
    if (found == 0) scan_end(scan);
    if (pair && read_refuses(back, PyTuple_GET_ITEM(pair, 0), PyTuple_GET_ITEM(pair, 1))) Py_CLEAR(pair);
    return pair;
}

static PyObject *scan_close(ScanObject *scan, PyObject *const *args, Py_ssize_t count, PyObject *names) {
    static const Signature close = {"close", 0, 0, 0, {NULL}};
    if (take_arguments(&close, args, count, names, NULL) < 0) return NULL;
    if (scan->state->back && state_refuses(scan->state)) return NULL;
    scan_end(scan);
    Py_RETURN_NONE;
}

static int scan_traverse(ScanObject *scan, visitproc visit, void *arg) {
    Py_VISIT(Py_TYPE(scan));
    Py_VISIT(scan->state);
    return 0;
}

static int scan_clear(ScanObject *scan) {
    scan_end(scan);
    Py_CLEAR(scan->state);
    return 0;
}

static void scan_dealloc(ScanObject *scan) {
    PyTypeObject *type = Py_TYPE(scan);
    PyObject_GC_UnTrack(scan);
    scan_clear(scan);
    type->tp_free(scan);
    Py_DECREF(type);
}

static PyObject *scan_repr(PyObject *Py_UNUSED(self)) { return PyUnicode_FromString("<scan of a state>"); }

static PyMethodDef scan_methods[] = {{"close", CALL(scan_close), METH_FASTCALL | METH_KEYWORDS, "close($self, /)\n--\n\nEnd it."},
                                     {"__reduce__", CALL(no_copy), METH_NOARGS, "Raises TypeError."},
                                     {NULL, NULL, 0, NULL}};
static PyType_Slot scan_slots[] = {{Py_tp_dealloc, scan_dealloc},
                                   {Py_tp_traverse, scan_traverse},
                                   {Py_tp_clear, scan_clear},
                                   {Py_tp_methods, scan_methods},
                                   {Py_tp_iter, PyObject_SelfIter},
                                   {Py_tp_iternext, scan_next},
                                   {Py_tp_hash, no_hash},
                                   {Py_tp_repr, scan_repr},
                                   {Py_tp_doc, (void *)"An iterator over (key, value) that ends with its transaction."},
                                   {0, NULL}};
PyType_Spec scan_spec = {"ioi_shm._core.Scan", sizeof(ScanObject), 0,
                         Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_DISALLOW_INSTANTIATION | Py_TPFLAGS_IMMUTABLETYPE,
                         scan_slots};
