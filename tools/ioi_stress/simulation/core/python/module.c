/* ioi_stress._simulation: blocks on the simulated machine. Converts, and decides nothing. */
#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <dlfcn.h>

#include "../calibrate.h"
#include "../machine.h"
#include "../play.h"

static const char CAPSULE[] = "ioi_stress.simulated_block";

/* A block, and the Python objects that its base points into. */
typedef struct prepared {
    sim_block block;
    PyObject *base; /* a list of (key, value) */
} prepared;

static void drop(PyObject *capsule) {
    prepared *p = PyCapsule_GetPointer(capsule, CAPSULE);
    sim_block_free(&p->block);
    Py_XDECREF(p->base);
    PyMem_Free(p);
}

static bool take_transactions(sim_block *b, PyObject *txs) {
    Py_ssize_t n = PyList_GET_SIZE(txs);
    uint64_t total = 0;
    b->n = (uint32_t)n;
    b->ends = malloc(((size_t)n + 1) * sizeof *b->ends);
    for (Py_ssize_t i = 0; b->ends && i < n; i++) {
        if (!PyBytes_Check(PyList_GET_ITEM(txs, i))) {
            PyErr_SetString(PyExc_TypeError, "txs: give a list of bytes");
            return false;
        }
        b->ends[i] = total += (uint64_t)PyBytes_GET_SIZE(PyList_GET_ITEM(txs, i));
    }
    b->bytes = malloc(total + 1);
    if (!b->ends || !b->bytes) return PyErr_NoMemory() != NULL;
    for (Py_ssize_t i = 0; i < n; i++) {
        PyObject *tx = PyList_GET_ITEM(txs, i);
        memcpy(b->bytes + b->ends[i] - PyBytes_GET_SIZE(tx), PyBytes_AS_STRING(tx), (size_t)PyBytes_GET_SIZE(tx));
    }
    return true;
}

static bool take_base(sim_block *b, PyObject *base) {
    size_t count = (size_t)PyList_GET_SIZE(base);
    b->base_count = count;
    b->keys = calloc(count + 1, sizeof *b->keys);
    b->values = calloc(count + 1, sizeof *b->values);
    if (!b->keys || !b->values) return PyErr_NoMemory() != NULL;
    for (size_t i = 0; i < count; i++) {
        PyObject *key, *value;
        if (!PyArg_ParseTuple(PyList_GET_ITEM(base, (Py_ssize_t)i), "SS", &key, &value)) return false;
        b->keys[i] = (sim_bytes){(uint8_t *)PyBytes_AS_STRING(key), (size_t)PyBytes_GET_SIZE(key)};
        b->values[i] = (sim_bytes){(uint8_t *)PyBytes_AS_STRING(value), (size_t)PyBytes_GET_SIZE(value)};
    }
    return true;
}

static void keep_write(void *context, sim_bytes key, sim_bytes value) {
    PyObject *dict = context;
    if (PyErr_Occurred()) return;
    PyObject *k = PyBytes_FromStringAndSize((const char *)key.at, (Py_ssize_t)key.len);
    PyObject *v = value.at ? PyBytes_FromStringAndSize((const char *)value.at, (Py_ssize_t)value.len) : Py_NewRef(Py_None);
    if (k && v) PyDict_SetItem(dict, k, v);
    Py_XDECREF(k);
    Py_XDECREF(v);
}

static PyObject *prepare(PyObject *Py_UNUSED(module), PyObject *args) {
    PyObject *txs, *base;
    ioi_limits limits = {0};
    unsigned long long oversleep, tx_write_bytes;
    if (!PyArg_ParseTuple(args, "O!O!(IIIKII)K", &PyList_Type, &txs, &PyList_Type, &base, &limits.key_bytes, &limits.value_bytes,
                          &limits.tx_keys, &tx_write_bytes, &limits.checkpoint_depth, &limits.output_bytes, &oversleep))
        return NULL;
    limits.tx_write_bytes = tx_write_bytes;
    prepared *p = PyMem_Calloc(1, sizeof *p);
    if (!p) return PyErr_NoMemory();
    p->block.limits = limits;
    p->block.oversleep_ns = oversleep;
    p->base = Py_NewRef(base);
    PyObject *capsule = PyCapsule_New(p, CAPSULE, drop), *writes = PyDict_New(), *result = NULL;
    if (capsule && writes && take_transactions(&p->block, txs) && take_base(&p->block, base)) {
        if (sim_block_scans(&p->block)) {
            result = Py_NewRef(Py_None);
        } else {
            sim_block_reference(&p->block, keep_write, writes);
            if (!PyErr_Occurred()) result = p->block.adds ? Py_NewRef(Py_None) : PyTuple_Pack(2, capsule, writes);
        }
    }
    Py_XDECREF(capsule);
    Py_XDECREF(writes);
    return result;
}

static bool take_costs(PyObject *tuple, sim_costs *costs) {
    unsigned long long line, work, sequential, wake, latency, call, pause;
    if (!PyArg_ParseTuple(tuple, "KKKKKKKI", &line, &work, &sequential, &wake, &latency, &call, &pause, &costs->jitter))
        return false;
    *costs = (sim_costs){line, work, sequential, wake, latency, call, pause, costs->jitter};
    return true;
}

/* A baseline by its name, or a library's `scheduler`. NULL with an exception. */
static const ioi_scheduler *scheduler_of(const char *name) {
    const ioi_scheduler *baselines[] = {&sim_sequential, &sim_oracle};
    for (size_t i = 0; i < sizeof baselines / sizeof *baselines; i++)
        if (strcmp(baselines[i]->name, name) == 0) return baselines[i];
    void *library = dlopen(name, RTLD_NOW | RTLD_LOCAL); /* stays: it is loaded once however often this is called */
    const ioi_scheduler *found = library ? dlsym(library, "scheduler") : NULL;
    if (!found) PyErr_SetString(PyExc_ValueError, dlerror());
    else if (found->abi != IOI_SCHEDULER_ABI)
        PyErr_Format(PyExc_ValueError, "%s: made for another ioi_scheduler.h: compile it anew", name);
    else return found;
    return NULL;
}

static PyObject *play(PyObject *Py_UNUSED(module), PyObject *args) {
    PyObject *capsule, *costs;
    const char *scheduler;
    sim_plan plan = {0};
    unsigned long long spin_ns, seed;
    int no_estimates, by_version, no_solo;
    if (!PyArg_ParseTuple(args, "OzI(IIppp)IKKO", &capsule, &scheduler, &plan.workers, &plan.policy.window, &plan.policy.run,
                          &no_estimates, &by_version, &no_solo, &plan.spins, &spin_ns, &seed, &costs) ||
        !take_costs(costs, &plan.costs))
        return NULL;
    prepared *p = PyCapsule_GetPointer(capsule, CAPSULE);
    if (!p) return NULL;
    if (plan.workers < 1 || plan.workers >= SIM_CORES_MAX) {
        PyErr_Format(PyExc_ValueError, "workers: 1 to %d", SIM_CORES_MAX - 1);
        return NULL;
    }
    plan.policy.no_estimates = no_estimates;
    plan.policy.by_version = by_version;
    plan.policy.no_solo = no_solo;
    plan.spin_ns = spin_ns;
    plan.seed = seed;
    const ioi_scheduler *own = scheduler ? scheduler_of(scheduler) : NULL;
    if (scheduler && !own) return NULL;
    sim_result r = {0};
    const char *wrong = own ? sim_play_own(&p->block, own, &plan, &r) : sim_play_core(&p->block, &plan, &r);
    if (wrong) {
        PyErr_SetString(PyExc_RuntimeError, wrong);
        return NULL;
    }
#define FIGURE(name) #name, (unsigned long long)r.name
    return Py_BuildValue("{sKsKsKsKsKsKsKsKsKsK}", FIGURE(elapsed), FIGURE(useful), FIGURE(executed), FIGURE(waiting),
                         FIGURE(moving), FIGURE(executions), FIGURE(validations), FIGURE(aborts), FIGURE(suspensions),
                         FIGURE(solo));
}

static PyObject *bounds(PyObject *Py_UNUSED(module), PyObject *args) {
    PyObject *capsule, *tuple;
    sim_costs costs = {0};
    if (!PyArg_ParseTuple(args, "OO", &capsule, &tuple) || !take_costs(tuple, &costs)) return NULL;
    prepared *p = PyCapsule_GetPointer(capsule, CAPSULE);
    if (!p) return NULL;
    return Py_BuildValue("KK", (unsigned long long)sim_sequential_ns(&p->block, &costs),
                         (unsigned long long)sim_critical_path_ns(&p->block, &costs));
}

static PyObject *measure(PyObject *Py_UNUSED(module), PyObject *Py_UNUSED(none)) {
    uint64_t line, call, latency, oversleep;
    Py_BEGIN_ALLOW_THREADS;
    line = sim_measure_line();
    sim_measure_wake(&call, &latency);
    oversleep = sim_measure_oversleep();
    Py_END_ALLOW_THREADS;
    return Py_BuildValue("KKKK", (unsigned long long)line, (unsigned long long)call, (unsigned long long)latency,
                         (unsigned long long)oversleep);
}

static PyObject *measure_work(PyObject *Py_UNUSED(module), PyObject *capsule) {
    prepared *p = PyCapsule_GetPointer(capsule, CAPSULE);
    if (!p) return NULL;
    return Py_BuildValue("KK", (unsigned long long)sim_measure_core(&p->block),
                         (unsigned long long)sim_measure_sequential(&p->block));
}

static PyMethodDef functions[] = {
    {"measure", measure, METH_NOARGS, "This machine: cache line, wake call, wake latency, oversleep; nanoseconds."},
    {"prepare", prepare, METH_VARARGS, "A block to simulate, and what sequential execution writes."},
    {"play", play, METH_VARARGS, "Play a block in virtual time."},
    {"bounds", bounds, METH_VARARGS, "What a block takes one by one, and its critical path: nanoseconds."},
    {"measure_work", measure_work, METH_O, "What a transaction takes here: one worker, and one by one; nanoseconds."},
    {NULL, NULL, 0, NULL}};

static PyModuleDef_Slot slots[] = {{0, NULL}};
static struct PyModuleDef module = {
    PyModuleDef_HEAD_INIT, "ioi_stress._simulation", "The engine's core in virtual time.", 0, functions, slots, NULL, NULL, NULL};

PyMODINIT_FUNC PyInit__simulation(void) { return PyModuleDef_Init(&module); }
