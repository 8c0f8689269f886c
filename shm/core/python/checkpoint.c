/* ioi_shm.Checkpoint: what `state.checkpoint` returns. */
#include "arguments.h"
#include "state.h"

typedef struct {
    PyObject_HEAD
    StateObject *state;
    uint64_t mark;
    uint32_t depth; /* of its state while it is the innermost; 0: not entered yet */
    bool open;
} CheckpointObject;

PyObject *checkpoint_new(StateObject *state) {
    CheckpointObject *made = (CheckpointObject *)checkpoint_type->tp_alloc(checkpoint_type, 0);
    if (made) made->state = (StateObject *)Py_NewRef((PyObject *)state);
    return (PyObject *)made;
}

static PyObject *checkpoint_enter(CheckpointObject *self, PyObject *const *args, Py_ssize_t count, PyObject *names) {
    static const Signature enter = {"__enter__", 0, 0, 0, {NULL}};
    StateObject *state = self->state;
    if (take_arguments(&enter, args, count, names, NULL) < 0 || state_refuses(state)) return NULL;
    if (self->depth) {
        PyErr_SetString(PyExc_RuntimeError, "a checkpoint is entered once: call state.checkpoint() again");
        return NULL;
    }
    BackObject *back = state->back;
    if (state->depth - back->held >= back->limits.checkpoint_depth)
        return PyErr_Format(back->over, "at most %u checkpoints inside each other (Limits.checkpoint_depth)",
                            back->limits.checkpoint_depth);
    if (BEHIND(back, back->end->mark(back, &self->mark)) < 0) {
        back_broke(back);
        return NULL;
    }
    self->depth = ++state->depth;
    self->open = true;
    Py_RETURN_NONE;
}

/* After its transaction, and in one that cannot go on, there is nothing to keep or undo: an exception on its way out of the
 * `with` block stays what it is. */
static PyObject *checkpoint_exit(CheckpointObject *self, PyObject *const *args, Py_ssize_t count, PyObject *names) {
    static const Signature exit = {"__exit__", 3, 3, 3, {"kind", "error", "trace"}};
    PyObject *given[3];
    if (take_arguments(&exit, args, count, names, given) < 0) return NULL;
    StateObject *state = self->state;
    if (self->open && (!state->back || state->back->cut || state->back->meter.out)) Py_RETURN_NONE;
    if (state_refuses(state)) return NULL;
    if (!self->open || self->depth != state->depth) {
        PyErr_SetString(PyExc_RuntimeError, "checkpoints end in the reverse order of their beginning");
        return NULL;
    }
    self->open = false;
    state->depth--;
    BEHIND(state->back, (state->back->end->close(state->back, self->mark, given[0] != Py_None), 0));
    Py_RETURN_NONE;
}

static int checkpoint_traverse(CheckpointObject *self, visitproc visit, void *arg) {
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(self->state);
    return 0;
}

static int checkpoint_clear(CheckpointObject *self) {
    Py_CLEAR(self->state);
    return 0;
}

static void checkpoint_dealloc(CheckpointObject *self) {
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    checkpoint_clear(self);
    type->tp_free(self);
    Py_DECREF(type);
}

static PyObject *checkpoint_repr(PyObject *Py_UNUSED(self)) { return PyUnicode_FromString("<checkpoint of a state>"); }

static PyMethodDef checkpoint_methods[] = {
    {"__enter__", CALL(checkpoint_enter), METH_FASTCALL | METH_KEYWORDS, "__enter__($self, /)\n--\n\nBegin it."},
    {"__exit__", CALL(checkpoint_exit), METH_FASTCALL | METH_KEYWORDS,
     "__exit__($self, /, kind, error, trace)\n--\n\nEnd it; a kind that is not None undoes the writes made since."},
    {"__reduce__", CALL(no_copy), METH_NOARGS, "Raises TypeError."},
    {NULL, NULL, 0, NULL}};
static PyType_Slot checkpoint_slots[] = {{Py_tp_dealloc, checkpoint_dealloc},
                                         {Py_tp_traverse, checkpoint_traverse},
                                         {Py_tp_clear, checkpoint_clear},
                                         {Py_tp_methods, checkpoint_methods},
                                         {Py_tp_hash, no_hash},
                                         {Py_tp_repr, checkpoint_repr},
                                         {Py_tp_doc, (void *)"For `with`: an exception leaving the block undoes its writes."},
                                         {0, NULL}};
PyType_Spec checkpoint_spec = {
    "ioi_shm._core.Checkpoint", sizeof(CheckpointObject), 0,
    Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_DISALLOW_INSTANTIATION | Py_TPFLAGS_IMMUTABLETYPE, checkpoint_slots};
