/* run_sequential: the reference for native VMs, called from Python. */
#include "module.h"

#include "../asking.h"
#include "../decided.h"
#include "../sequential.h"
#include "../spans.h"
#include "../wait.h"

typedef struct {
    ioi_bytes receipts;
    uint64_t *ends;
} Packed;

typedef struct {
    ioi_results results; /* first */
    PyObject *txs;
    const uint32_t *codes;
    const Packed *packed;
} SequentialResults;

static uint32_t sequential_code(const ioi_results *results, uint64_t tx) {
    return ((const SequentialResults *)results)->codes[tx];
}

static const uint8_t *sequential_tx(const ioi_results *results, uint64_t tx, size_t *len) {
    PyObject *bytes = PySequence_Fast_GET_ITEM(((const SequentialResults *)results)->txs, (Py_ssize_t)tx);
    *len = (size_t)PyBytes_GET_SIZE(bytes);
    return (const uint8_t *)PyBytes_AS_STRING(bytes);
}

/* The record of a receipt: see block.h. */
static const uint8_t *sequential_receipt(const ioi_results *results, uint64_t tx) {
    const Packed *packed = ((const SequentialResults *)results)->packed;
    return packed->receipts.at + (tx ? packed->ends[tx - 1] : 0);
}

static const uint8_t *sequential_output(const ioi_results *results, uint64_t tx, size_t *len) {
    const uint8_t *record = sequential_receipt(results, tx);
    uint32_t output_len;
    memcpy(&output_len, record + IOI_RECEIPT_OUTPUT_LEN, sizeof output_len);
    *len = output_len;
    return output_len ? record + IOI_RECEIPT_HEAD : NULL;
}

static uint64_t sequential_gas_used(const ioi_results *results, uint64_t tx) {
    uint64_t gas;
    memcpy(&gas, sequential_receipt(results, tx) + IOI_RECEIPT_GAS_USED, sizeof gas);
    return gas;
}

static int pack_outcome(ioi_bytes *receipts, const ioi_seq *seq, const ioi_outcome *o) {
    size_t tail_len, need;
    const uint8_t *tail = ioi_seq_tail(seq, &tail_len);
    need = IOI_RECEIPT_HEAD + o->output_len + o->error_len + tail_len;
    if (!ioi_bytes_room(receipts, need)) return PyErr_NoMemory(), -1;
    ioi_receipt_pack(receipts->at + receipts->len, o, tail, tail_len);
    receipts->len += need;
    return 0;
}

static PyObject *receipts_bytes(const ioi_bytes *receipts) {
    return PyBytes_FromStringAndSize((const char *)receipts->at, (Py_ssize_t)receipts->len);
}

/* (blob, ends): see seal.h. */
static PyObject *sequential_writes(ioi_seq *seq) {
    if (!ioi_seq_sort_writes(seq)) return PyErr_NoMemory();
    const uint8_t *key, *value;
    size_t key_len, len, bytes = 0, count = 0;
    for (; ioi_seq_write(seq, count, &key, &key_len, &value, &len); count++) bytes += key_len + (value ? len : 0);
    PyObject *blob = PyBytes_FromStringAndSize(NULL, (Py_ssize_t)bytes);
    PyObject *ends = PyBytes_FromStringAndSize(NULL, (Py_ssize_t)(count * 2 * sizeof(uint64_t)));
    uint64_t at = 0, end[2];
    for (size_t i = 0; blob && ends && ioi_seq_write(seq, i, &key, &key_len, &value, &len); i++) {
        at = ioi_seal_put((uint8_t *)PyBytes_AS_STRING(blob), at, end, key, key_len, value, len);
        memcpy(PyBytes_AS_STRING(ends) + i * sizeof end, end, sizeof end);
    }
    PyObject *pair = blob && ends ? PyTuple_Pack(2, blob, ends) : NULL;
    Py_XDECREF(blob);
    Py_XDECREF(ends);
    return pair;
}

/* How long each transaction took. Cheap ones share a span's time evenly: see spans.h. */
typedef struct {
    uint64_t *ns; /* [n] */
    uint64_t from_ns;
    size_t first; /* the first one whose time is not known yet */
    bool each;    /* they are dear: the clock is read for each */
    uint64_t told_ns;
} Times;

static void time_taken(Times *times, size_t upto) {
    enum { TOGETHER = 32 };
    size_t count = upto - times->first;
    if (count == 0 || (!times->each && count < TOGETHER)) return;
    uint64_t now = ioi_now_ns(), share = (now - times->from_ns) / count;
    for (size_t i = times->first; i < upto; i++) times->ns[i] = share;
    times->each = share >= IOI_SPAN_EACH_NS;
    times->first = upto;
    times->from_ns = now;
}

static void all_times_taken(Times *times, size_t upto) {
    times->each = true;
    time_taken(times, upto);
}

/* ---- committed values ----------------------------------------------------------------------------------------- */

typedef struct {
    ioi_seq *seq;
    PyObject *fetch;          /* fetch(sorted keys) -> values */
    const CacheObject *cache; /* looked into first; NULL: none */
    Times *times;             /* of the transactions, where they run: fetching is no part of it */
    bool broken;              /* fetch raised something */
} Bringing;

static bool bring_cached(Bringing *b, const uint8_t *key, size_t len) {
    if (!b->cache) return false;
    const ioi_cache_head *head = (const ioi_cache_head *)(const void *)b->cache->base;
    const ioi_cached *c = ioi_cache_find(b->cache->base, ioi_hash(head->seed, key, (uint32_t)len), key, (uint32_t)len);
    if (c) ioi_seq_set_base(b->seq, key, len, c->record.deleted ? NULL : c->record.bytes, c->record.len);
    return c;
}

static int bring_fetched(Bringing *b, PyObject *keys) {
    PyObject *found = PyObject_CallOneArg(b->fetch, keys);
    PyObject *values = found ? PySequence_Fast(found, "fetch returns a sequence") : NULL;
    Py_XDECREF(found);
    bool good = values && PySequence_Fast_GET_SIZE(values) == PyList_GET_SIZE(keys);
    if (values && !good) PyErr_SetString(PyExc_ValueError, "fetch returned another number of values");
    for (Py_ssize_t i = 0; good && i < PyList_GET_SIZE(keys); i++) {
        const uint8_t *bytes;
        size_t len;
        good = as_bytes(PySequence_Fast_GET_ITEM(values, i), true, "value", &bytes, &len) == 0;
        PyObject *key = PyList_GET_ITEM(keys, i);
        if (good) ioi_seq_set_base(b->seq, (const uint8_t *)PyBytes_AS_STRING(key), (size_t)PyBytes_GET_SIZE(key), bytes, len);
    }
    Py_XDECREF(values);
    b->broken = !good;
    return good ? 0 : -1;
}

/* All that hints say, a thousand at a time. */
static int bring_missing(Bringing *b) {
    enum { AT_ONCE = 1000 };
    if (ioi_seq_starved(b->seq)) return PyErr_NoMemory(), -1;
    uint64_t from = ioi_now_ns();
    const uint8_t *key;
    size_t len, i;
    for (i = 0; b->cache && ioi_seq_missing(b->seq, i, &key, &len); i++) bring_cached(b, key, len);
    ioi_seq_sort_missing(b->seq); /* what the cache lacks: it is dear */
    if (ioi_seq_starved(b->seq)) return PyErr_NoMemory(), -1;
    bool more = true;
    for (i = 0; more;) {
        PyObject *keys = PyList_New(0);
        while (keys && PyList_GET_SIZE(keys) < AT_ONCE && (more = ioi_seq_missing(b->seq, i, &key, &len))) {
            i++;
            PyObject *object = PyBytes_FromStringAndSize((const char *)key, (Py_ssize_t)len);
            if (!object || PyList_Append(keys, object) < 0) Py_CLEAR(keys);
            Py_XDECREF(object);
        }
        int r = !keys ? -1 : PyList_GET_SIZE(keys) ? bring_fetched(b, keys) : 0;
        Py_XDECREF(keys);
        if (r < 0) return -1;
    }
    if (b->times) b->times->from_ns += ioi_now_ns() - from;
    return 0;
}

/* An execution stopped: make it worth another one. */
static int bring_stopped(Bringing *b) {
    if (b->broken) return -1;
    if (ioi_seq_starved(b->seq) || ioi_seq_stopped(b->seq)) return bring_missing(b);
    PyErr_SetString(PyExc_RuntimeError, "the VM returned IOI_STOP though no operation of its state did");
    return -1;
}

/* One that a transaction reads. */
static bool bring_one(void *context, const uint8_t *key, size_t len) {
    Bringing *b = context;
    if (b->broken) return false;
    if (bring_cached(b, key, len)) return !ioi_seq_starved(b->seq);
    uint64_t from = ioi_now_ns();
    PyObject *object = PyBytes_FromStringAndSize((const char *)key, (Py_ssize_t)len);
    PyObject *keys = object ? PyList_New(1) : NULL;
    if (keys) PyList_SET_ITEM(keys, 0, object);
    else Py_XDECREF(object);
    b->broken = !keys || bring_fetched(b, keys) < 0;
    Py_XDECREF(keys);
    if (b->times) b->times->from_ns += ioi_now_ns() - from;
    return !b->broken && !ioi_seq_starved(b->seq);
}

/* Call report(transactions executed) when that is due again. */
static int tell(PyObject *report, size_t executed, Times *times) {
    enum { EVERY_NS = 50 * 1000 * 1000 };
    if (report == Py_None || times->from_ns < times->told_ns + EVERY_NS) return 0;
    PyObject *done = PyObject_CallFunction(report, "n", (Py_ssize_t)executed);
    uint64_t now = ioi_now_ns();
    times->from_ns = times->told_ns = now; /* it read the clock after the last transaction, and times none of this */
    Py_XDECREF(done);
    return done ? 0 : -1;
}

typedef struct {
    const ioi_vm *vm;
    PyObject *txs; /* a fast sequence */
    PyObject *check, *report;
    ioi_seq *seq;
    Bringing bringing;
    Times times;
    uint32_t *codes;
    Packed packed;
    PyObject *said; /* by `check` last */
    ioi_outcome hook;
} Running;

static PyObject *tx_at(const Running *r, size_t i) { return PySequence_Fast_GET_ITEM(r->txs, (Py_ssize_t)i); }

static int hint_all(Running *r, size_t n) {
    for (size_t i = 0; i < n; i++) {
        PyObject *tx = tx_at(r, i);
        if (!PyBytes_Check(tx)) {
            PyErr_Format(PyExc_TypeError, "transaction %zu must be bytes, not %.100s", i, Py_TYPE(tx)->tp_name);
            return -1;
        }
        ioi_seq_hint(r->seq, i, (const uint8_t *)PyBytes_AS_STRING(tx), (size_t)PyBytes_GET_SIZE(tx));
    }
    return bring_missing(&r->bringing);
}

static int execute_one(Running *r, size_t i) {
    const uint8_t *bytes = (const uint8_t *)PyBytes_AS_STRING(tx_at(r, i));
    size_t len = (size_t)PyBytes_GET_SIZE(tx_at(r, i));
    ioi_outcome outcome;
    bool fault; /* here it is raised */
    int good = r->check == Py_None ? 1 : check_transaction(r->check, i, bytes, len, &r->said, &outcome, &fault);
    if (good < 0) return -1;
    if (!good && !ioi_seq_refuse(r->seq, bytes, len, &outcome)) return PyErr_NoMemory(), -1;
    while (good && !ioi_seq_execute(r->seq, bytes, len, &outcome))
        if (bring_stopped(&r->bringing) < 0) return -1;
    r->codes[i] = outcome.code;
    if (pack_outcome(&r->packed.receipts, r->seq, &outcome) < 0) return -1;
    r->packed.ends[i] = r->packed.receipts.len;
    return 0;
}

static int execute_all(Running *r, size_t n) {
    for (size_t i = 0; i < n; i++) {
        if (execute_one(r, i) < 0) return -1;
        time_taken(&r->times, i + 1);
        if (tell(r->report, i + 1, &r->times) < 0) return -1;
        if (i % 1024 == 1023 && PyErr_CheckSignals() < 0) return -1;
    }
    all_times_taken(&r->times, n);
    return 0;
}

/* The receipt of the block's hook, packed; NULL with an exception. */
static PyObject *run_hook(Running *r, size_t n, ioi_hook hook) {
    SequentialResults results = {
        {n, sequential_code, sequential_tx, sequential_output, sequential_gas_used}, r->txs, r->codes, &r->packed};
    while (hook && !ioi_seq_hook(r->seq, hook, &results.results, &r->hook))
        if (bring_stopped(&r->bringing) < 0) return NULL;
    ioi_bytes receipt = {0};
    PyObject *packed = !hook || pack_outcome(&receipt, r->seq, &r->hook) == 0 ? receipts_bytes(&receipt) : NULL;
    ioi_bytes_free(&receipt);
    return packed;
}

/* run_sequential(vm, txs, limits, fetch, height, ...) -> (writes, blob, ends, the hook's receipt or b"", ns of executing, ns of each).
 * hook: as arena.h numbers them; the VM has it. decided: votes and misbehaviour, packed. question: txs are that (asking.h), of this path, the
 * first one with this index. */
PyObject *run_sequential(PyObject *Py_UNUSED(module), PyObject *args, PyObject *kwargs) {
    static char *names[] = {"vm",    "txs",         "limits",   "fetch",   "height", "time_ns", "proposer",
                            "extra", "parent_root", "chain_id", "decided", "hook",   "report",  "cache",
                            "range", "check",       "question", "path",    "index",  NULL};
    PyObject *capsule, *txs_object, *limits_tuple, *fetch, *cache = Py_None, *range = NULL;
    Running r = {.check = Py_None, .report = Py_None};
    unsigned int hook;
    unsigned long long height, time_ns;
    const char *proposer, *extra, *parent_root, *chain_id, *decided_bytes;
    Py_ssize_t proposer_len, extra_len, parent_root_len, chain_id_len, decided_len, path_len = 0;
    unsigned int question = 0;
    unsigned long long index = 0;
    ioi_limits limits;
    ioi_decided decided;
    ioi_asking asking = {0};
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "OOO!OKKy#y#y#y#y#I|OOOOIs#K:run_sequential", names, &capsule, &txs_object,
                                     &PyTuple_Type, &limits_tuple, &fetch, &height, &time_ns, &proposer, &proposer_len, &extra,
                                     &extra_len, &parent_root, &parent_root_len, &chain_id, &chain_id_len, &decided_bytes,
                                     &decided_len, &hook, &r.report, &cache, &range, &r.check, &question, &asking.path, &path_len,
                                     &index) ||
        as_limits(limits_tuple, &limits) < 0 || !(r.vm = as_vm(capsule)) ||
        !(r.txs = PySequence_Fast(txs_object, "txs must be a sequence of bytes")))
        return NULL;
    ioi_ctx ctx = {.height = height,
                   .time_ns = time_ns,
                   .proposer = (const uint8_t *)proposer,
                   .extra = (const uint8_t *)extra,
                   .parent_root = (const uint8_t *)parent_root,
                   .proposer_len = (size_t)proposer_len,
                   .extra_len = (size_t)extra_len,
                   .parent_root_len = (size_t)parent_root_len,
                   .chain_id = (const uint8_t *)chain_id,
                   .chain_id_len = (size_t)chain_id_len,
                   .random = context_random};
    if (question && !ioi_asking_init(&asking, r.vm, (ioi_question)question)) {
        PyErr_SetString(PyExc_ValueError, "the native VM answers no such question");
        Py_DECREF(r.txs);
        return NULL;
    }
    if (question) r.vm = &asking.vm;
    asking.path_len = (size_t)path_len;
    asking.index = index;
    if (!ioi_decided_read(&decided, (const uint8_t *)decided_bytes, (size_t)decided_len)) {
        PyErr_SetString(PyExc_ValueError, "votes and misbehaviour are not as they are packed");
        Py_DECREF(r.txs);
        return NULL;
    }
    ioi_decided_tell(&decided, &ctx);
    size_t n = (size_t)PySequence_Fast_GET_SIZE(r.txs);
    assert(hook <= IOI_BEGIN_BLOCK);
    PyObject *ends = PyBytes_FromStringAndSize(NULL, (Py_ssize_t)(n * sizeof(uint64_t)));
    PyObject *each = PyBytes_FromStringAndSize(NULL, (Py_ssize_t)(n * sizeof(uint64_t)));
    PyObject *result = NULL, *writes = NULL, *blob = NULL, *end = NULL;
    r.seq = ioi_seq_new(r.vm, &limits, &ctx);
    r.codes = calloc(n + 1, sizeof *r.codes);
    if (!r.seq || !r.codes || !ends || !each) {
        PyErr_NoMemory();
        goto out;
    }
    r.packed.ends = (uint64_t *)(void *)PyBytes_AS_STRING(ends);
    r.bringing = (Bringing){r.seq, fetch, PyObject_TypeCheck(cache, cache_type) ? (const CacheObject *)cache : NULL, NULL, false};
    ioi_seq_bring_with(r.seq, bring_one, &r.bringing);
    Walks walks;
    walks_init(&walks, range, &r.bringing.broken);
    if (range) ioi_seq_walk_with(r.seq, &walks.ranges);
    if (hint_all(&r, n) < 0) goto out;
    uint64_t from_ns = ioi_now_ns();
    r.times = (Times){(uint64_t *)(void *)PyBytes_AS_STRING(each), from_ns, 0, true, from_ns};
    r.bringing.times = &r.times;
    if (execute_all(&r, n) < 0 || !(end = run_hook(&r, n, (ioi_hook)hook))) goto out;
    uint64_t ns = ioi_now_ns() - from_ns;
    if ((writes = sequential_writes(r.seq)) && (blob = receipts_bytes(&r.packed.receipts)))
        result = Py_BuildValue("OOOOKO", writes, blob, ends, end, (unsigned long long)ns, each);
out:
    Py_XDECREF(writes);
    Py_XDECREF(blob);
    Py_XDECREF(end);
    Py_XDECREF(ends);
    Py_XDECREF(each);
    Py_XDECREF(r.said);
    Py_DECREF(r.txs);
    ioi_bytes_free(&r.packed.receipts);
    free(r.codes);
    ioi_seq_free(r.seq);
    ioi_decided_free(&decided);
    return result;
}
