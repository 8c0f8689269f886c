/* One transaction after another through a VM's `execute`: taken from the scheduler, executed, published. The interpreter runs
 * nothing of the engine's between them unless one fails, returns what is not plainly bytes, or has hints to give.
 *
 * What a VM can see of it is as run_transaction of transaction.py has it, which executes one by one: the order of looking up
 * `execute` and decoding, the depth and the context variables of the call, and that the state has ended before anything looks at
 * what came of it. */
#include "view_object.h"

#include "../forked.h"

enum { CONTEXT_MAX = 16 }; /* fields of a context */

typedef struct {
    ViewObject *view;
    PyObject *vm;
    PyObject *ante;    /* its name, if the VM has it; else None */
    PyObject *decode;  /* decode(tx index): what `execute` is given; None: the bytes */
    PyObject *hint;    /* hint(first, end): a run of transactions comes now; None: nobody wants to know */
    PyObject *settle;  /* settle(output, error, refused): publish what is no plain success; the one that is not is None; the error
                              * is under way */
    PyObject *renewed; /* renewed(): the stated settings of the interpreter are in force again; what `changed` looks at */
    PyObject *settings;      /* that, as last said */
    PyTypeObject *kind;      /* of contexts: a tuple of `fields` and the transaction's index */
    PyObject *fields;        /* a tuple */
    Py_ssize_t output_bytes; /* at most */
    long depth;
} Turns;

static PyObject *execute_name, *filters_name, *gas_limit_name;

static PyObject *context_of(const Turns *turns, uint32_t tx) {
    Py_ssize_t fields = PyTuple_GET_SIZE(turns->fields);
    PyObject *context = turns->kind->tp_alloc(turns->kind, fields + 1);
    if (!context) return NULL;
    for (Py_ssize_t i = 0; i < fields; i++) PyTuple_SET_ITEM(context, i, Py_NewRef(PyTuple_GET_ITEM(turns->fields, i)));
    PyObject *index = PyLong_FromUnsignedLong(tx);
    PyTuple_SET_ITEM(context, fields, index);
    if (!index) Py_CLEAR(context);
    return context;
}

/* What `execute` is given of the transaction. */
static PyObject *input_of(const Turns *turns, PyObject *context, uint32_t tx) {
    if (turns->decode != Py_None)
        return PyObject_CallOneArg(turns->decode, PyTuple_GET_ITEM(context, PyTuple_GET_SIZE(turns->fields)));
    size_t len;
    const uint8_t *bytes = ioi_block_tx(turns->view->worker->arena, tx, &len);
    return PyBytes_FromStringAndSize((const char *)bytes, (Py_ssize_t)len);
}

/* `ante`, whose writes stay whatever comes after: 0, or -1 with what it raised. */
static int let_in(const Turns *turns, PyObject **arguments) {
    PyObject *ante = PyObject_GetAttr(turns->vm, turns->ante);
    PyObject *done = ante ? apart(turns->depth, ante, arguments, 3 | PY_VECTORCALL_ARGUMENTS_OFFSET) : NULL;
    Py_XDECREF(ante);
    if (!done) return -1;
    Py_DECREF(done);
    state_hold(&turns->view->back);
    return 0;
}

/* The VM says how much gas the transaction may use, if it has a method for that. -1 with an exception: it raised it, or that is less
 * than was used. */
static int limit_gas(const Turns *turns, PyObject *input) {
    PyObject *method = PyObject_GetAttr(turns->vm, gas_limit_name);
    if (!method && PyErr_ExceptionMatches(PyExc_AttributeError)) return PyErr_Clear(), 0;
    if (!method) return -1;
    PyObject *arguments[] = {NULL, input};
    PyObject *limit = apart(turns->depth, method, arguments + 1, 1 | PY_VECTORCALL_ARGUMENTS_OFFSET);
    Py_DECREF(method);
    int done = limit ? gas_limit(&turns->view->back, limit) : -1;
    Py_XDECREF(limit);
    return done;
}

/* The VM's own part: what it returned, or NULL with what it raised. */
static PyObject *called(const Turns *turns, PyObject *state, PyObject *context, uint32_t tx) {
    PyObject *execute = PyObject_GetAttr(turns->vm, execute_name);
    PyObject *input = execute ? input_of(turns, context, tx) : NULL, *output = NULL;
    if (input && turns->view->back.meter.gas && limit_gas(turns, input) < 0) Py_CLEAR(input);
    if (input) {
        PyObject *arguments[] = {NULL, input, state, context}; /* the first is the callee's to use */
        if (turns->ante == Py_None || let_in(turns, arguments + 1) == 0)
            output = apart(turns->depth, execute, arguments + 1, 3 | PY_VECTORCALL_ARGUMENTS_OFFSET);
    }
    Py_XDECREF(input);
    Py_XDECREF(execute);
    return output;
}

/* The exception that is set, as `except` in the engine's frame would have it: also one that came out of C has a traceback. */
static PyObject *caught(void) {
    PyTraceBack_Here(PyEval_GetFrame());
    PyObject *type, *error, *trace;
    PyErr_Fetch(&type, &error, &trace);
    PyErr_NormalizeException(&type, &error, &trace);
    if (trace) PyException_SetTraceback(error, trace);
    Py_XDECREF(type);
    Py_XDECREF(trace);
    return error;
}

/* turns->settle(output, error, refused), the error under way as in an `except` of the engine's. Raising it again there would put frames
 * that hold it into its traceback: a cycle, which keeps what the VM's frames hold. */
static PyObject *settle(const Turns *turns, PyObject *output, PyObject *error) {
    PyObject *refused = turns->ante != Py_None && !turns->view->back.held ? Py_True : Py_False;
    if (!error) return PyObject_CallFunctionObjArgs(turns->settle, output, Py_None, refused, NULL);
    PyObject *type, *value, *trace;
    PyErr_GetExcInfo(&type, &value, &trace);
    PyErr_SetExcInfo(Py_NewRef((PyObject *)Py_TYPE(error)), Py_NewRef(error), PyException_GetTraceback(error));
    PyObject *settled = PyObject_CallFunctionObjArgs(turns->settle, Py_None, error, refused, NULL);
    PyErr_SetExcInfo(type, value, trace);
    return settled;
}

static void publish(ViewObject *view, PyObject *output) {
    ioi_outcome outcome = {.code = 0};
    if (view->back.meter.gas) {
        outcome.gas_wanted = view->back.meter.limit;
        outcome.gas_used = view->back.meter.used;
    }
    if (output != Py_None) {
        outcome.output = (const uint8_t *)PyBytes_AS_STRING(output);
        outcome.output_len = (size_t)PyBytes_GET_SIZE(output);
    }
    if (!ioi_view_finish(view->view, &outcome, false)) ioi_stop_block(view->worker->arena, IOI_BLOCK_FULL);
}

static bool plain_success(const Turns *turns, PyObject *output) {
    return output == Py_None || (PyBytes_CheckExact(output) && PyBytes_GET_SIZE(output) <= turns->output_bytes);
}

/* One incarnation: 1, or 0 if it was cut short; -1 with what reading the committed state raised, or a fault of the engine's. */
static int incarnation(const Turns *turns, uint32_t tx) {
    ViewObject *view = turns->view;
    PyObject *context = context_of(turns, tx), *state = context ? state_begin(&view->back) : NULL;
    if (!state) {
        Py_XDECREF(context);
        return -1;
    }
    ioi_view_begin(view->view, tx);
    meter_begin(&view->back);
    PyObject *output = called(turns, state, context, tx);
    ioi_forked_end();
    PyObject *error = output ? NULL : caught();
    state_end(&view->back);
    int done = 1;
    if (view->back.broken) {
        PyErr_SetObject((PyObject *)Py_TYPE(view->back.broken), view->back.broken);
        done = -1;
    } else if (view->back.cut) {
        done = 0;
    } else if (output && !view->back.meter.out && plain_success(turns, output)) {
        publish(view, output);
    } else {
        PyObject *settled = settle(turns, output, error);
        if (!settled) done = -1;
        Py_XDECREF(settled);
    }
    PyObject *type, *value, *trace; /* finalizers of the VM run below */
    PyErr_Fetch(&type, &value, &trace);
    Py_XDECREF(output);
    Py_XDECREF(error);
    Py_DECREF(state);
    Py_DECREF(context);
    PyErr_Restore(type, value, trace);
    return done;
}

/* What stands in `settings`: as StatedSettings.renewed of settings.py says. */
enum { WARNINGS, FILTERS, FILTERED, DIGITS_OF, DIGITS, SETTINGS };

/* Whether the VM changed the settings that outlast its call: 1, 0, or -1 with an exception. */
static int changed(const Turns *turns) {
    PyObject *stated = turns->settings;
    PyObject *filters = PyDict_GetItemWithError(PyTuple_GET_ITEM(stated, WARNINGS), filters_name);
    if (filters != PyTuple_GET_ITEM(stated, FILTERS)) return PyErr_Occurred() ? -1 : 1;
    int same = PyObject_RichCompareBool(filters, PyTuple_GET_ITEM(stated, FILTERED), Py_EQ);
    if (same < 1) return same < 0 ? -1 : 1;
    PyObject *digits = PyObject_CallNoArgs(PyTuple_GET_ITEM(stated, DIGITS_OF));
    if (!digits) return -1;
    same = PyObject_RichCompareBool(digits, PyTuple_GET_ITEM(stated, DIGITS), Py_EQ);
    Py_DECREF(digits);
    return same < 0 ? -1 : !same;
}

static int renew(Turns *turns) {
    int other = turns->settings ? changed(turns) : 1;
    if (other < 1) return other;
    Py_XSETREF(turns->settings, PyObject_CallNoArgs(turns->renewed));
    if (!turns->settings) return -1;
    if (PyTuple_Check(turns->settings) && PyTuple_GET_SIZE(turns->settings) == SETTINGS &&
        PyDict_Check(PyTuple_GET_ITEM(turns->settings, WARNINGS)))
        return 0;
    PyErr_SetString(PyExc_TypeError, "turns: renewed() says what is looked at");
    return -1;
}

static int hinted(const Turns *turns, uint32_t first, uint32_t end) {
    PyObject *result = PyObject_CallFunction(turns->hint, "II", first, end);
    Py_XDECREF(result);
    return result ? 0 : -1;
}

/* Until there is something else to do: which task. NULL with an exception. */
static PyObject *until_other(Turns *turns) {
    ioi_worker *worker = turns->view->worker;
    uint32_t first = 0, end = 0; /* hints were given for these */
    for (;;) {
        ioi_task task;
        uint32_t tx = 0;
        Py_BEGIN_ALLOW_THREADS
        task = ioi_next(worker, &tx);
        Py_END_ALLOW_THREADS
        if (task != IOI_TASK_EXECUTE) return PyLong_FromLong(task);
        if (turns->hint != Py_None && (tx < first || tx >= end)) {
            first = tx;
            end = ioi_run_end(worker, tx);
            if (hinted(turns, first, end) < 0) return NULL;
        }
        int done;
        do {
            done = incarnation(turns, tx); /* again if its reads were overtaken while it ran */
            if (done < 0 || renew(turns) < 0) return NULL;
        } while (!done && a32_load(&worker->sched->state) == IOI_BLOCK_RUNNING);
    }
}

PyObject *view_turns(ViewObject *self, PyObject *args) {
    Turns turns = {.view = self};
    if (!PyArg_ParseTuple(args, "OOOOOOO!O!nl:turns", &turns.vm, &turns.ante, &turns.decode, &turns.hint, &turns.settle,
                          &turns.renewed, &PyType_Type, &turns.kind, &PyTuple_Type, &turns.fields, &turns.output_bytes,
                          &turns.depth))
        return NULL;
    if (!PyType_IsSubtype(turns.kind, &PyTuple_Type) || PyTuple_GET_SIZE(turns.fields) >= CONTEXT_MAX) {
        PyErr_SetString(PyExc_TypeError, "turns: contexts are tuples of few fields");
        return NULL;
    }
    if (!execute_name && !(execute_name = PyUnicode_InternFromString("execute"))) return NULL;
    if (!gas_limit_name && !(gas_limit_name = PyUnicode_InternFromString("gas_limit"))) return NULL;
    if (!filters_name && !(filters_name = PyUnicode_InternFromString("filters"))) return NULL;
    PyObject *task = until_other(&turns);
    Py_XDECREF(turns.settings);
    return task;
}
