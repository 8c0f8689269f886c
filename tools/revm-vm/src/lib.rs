//! revm as a native VM of ioi-exec: Ethereum with the same blocks, states and outputs as `ioi_exec.vm.ethereum`, which is its oracle.
//!
//!     abi.rs          the engine's contract, ioi_vm.h
//!     block.rs        what a block says of itself
//!     state.rs        the engine's state as revm reads it, and written back
//!     codes.rs        code that was analysed already
//!     transaction.rs  one transaction
//!     hooks.rs        a block's beginning and end
//!     alone.rs        revm without the engine, to measure by

mod abi;
mod alone;
mod block;
mod codes;
mod hooks;
mod state;
mod transaction;

use std::ffi::{CStr, c_char, c_int, c_void};
use std::panic::{AssertUnwindSafe, catch_unwind};

use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use revm::context::TxEnv;

use block::Block;
use codes::Codes;
use hooks::Wrong;
use state::{Below, Stop, slice};
use transaction::Ended;

const NOT_INCLUDABLE: u32 = 1;
const INVALID_BLOCK: u32 = 2;
const HASH_MISSING: u32 = 3;
const FAULT: u32 = 4;
const DECODED: usize = 32;

/// What a worker keeps between calls, none of which decides anything.
#[derive(Default)]
struct Memory {
    extra: Vec<u8>,
    block: Option<Block>,
    /// The newest transactions, by index: their bytes, and what they say. What runs again has mostly just run.
    decoded: [Option<(Vec<u8>, Result<TxEnv, String>)>; DECODED],
    codes: Codes,
    output: Vec<u8>,
    error: String,
}

impl Memory {
    fn begin(&mut self, extra: &[u8]) -> Result<(), String> {
        if self.block.is_none() || self.extra != extra {
            self.block = None;
            self.decoded = Default::default();
            self.block = Some(Block::decode(extra)?);
            self.extra = extra.to_vec();
        }
        Ok(())
    }

    fn transaction(&mut self, index: usize, raw: &[u8]) -> Result<TxEnv, String> {
        let block = self.block.as_ref().expect("a block is begun before its transactions");
        let kept = &mut self.decoded[index % DECODED];
        if kept.as_ref().is_none_or(|(bytes, _)| bytes != raw) {
            *kept = Some((raw.to_vec(), transaction::recovered(block, raw)));
        }
        kept.as_ref().expect("it was just put there").1.clone()
    }
}

/// The codes and texts that a call ends with, which the engine copies before it calls again.
struct Report<'a>(&'a mut abi::Outcome);

impl Report<'_> {
    fn output(&mut self, bytes: &[u8]) {
        (self.0.output, self.0.output_len) = (bytes.as_ptr(), bytes.len());
    }

    fn error(&mut self, code: u32, said: &str) {
        self.0.code = code;
        (self.0.error, self.0.error_len) = (said.as_ptr().cast::<c_char>(), said.len());
    }
}

unsafe extern "C" fn execute(
    _: *const abi::Vm, tx: *const u8, len: usize, state: *mut abi::State, ctx: *const abi::Ctx, outcome: *mut abi::Outcome,
) -> c_int {
    // SAFETY: the engine's contract says what these are and for how long.
    unsafe {
        guarded(&*ctx, &mut *outcome, |memory, ctx| {
            if let Err(said) = memory.begin(slice(ctx.extra, ctx.extra_len)) {
                return Ended::Fault(said);
            }
            let transaction = match memory.transaction(ctx.tx_index as usize, slice(tx, len)) {
                Ok(transaction) => transaction,
                Err(said) => return Ended::NotIncludable(said),
            };
            let block = memory.block.as_ref().expect("it was just begun");
            transaction::execute(Below::new(block, &mut memory.codes, state), transaction)
        })
    }
}

unsafe extern "C" fn begin_block(_: *const abi::Vm, state: *mut abi::State, ctx: *const abi::Ctx, outcome: *mut abi::Outcome) -> c_int {
    // SAFETY: as above.
    unsafe {
        guarded(&*ctx, &mut *outcome, |memory, ctx| {
            if let Err(said) = memory.begin(slice(ctx.extra, ctx.extra_len)) {
                return Ended::Fault(said);
            }
            let block = memory.block.as_ref().expect("it was just begun");
            ended(hooks::begin(Below::new(block, &mut memory.codes, state)))
        })
    }
}

unsafe extern "C" fn end_block(
    _: *const abi::Vm, state: *mut abi::State, ctx: *const abi::Ctx, results: *const abi::Results, outcome: *mut abi::Outcome,
) -> c_int {
    // SAFETY: as above.
    unsafe {
        let results = &*results;
        let bytes = |get: unsafe extern "C" fn(*const abi::Results, u64, *mut usize) -> *const u8, index| {
            let mut len = 0;
            let at = get(results, index, &mut len);
            slice(at, len)
        };
        guarded(&*ctx, &mut *outcome, |memory, ctx| {
            if let Err(said) = memory.begin(slice(ctx.extra, ctx.extra_len)) {
                return Ended::Fault(said);
            }
            if let Some(index) = (0..results.n).find(|&index| (results.code)(results, index) != 0) {
                // What its error said is not known here.
                let why = "it cannot be in this block: its nonce, funds, fees, gas or signature, or a block hash that is not given";
                return ended(Err(Wrong::Invalid(format!("transaction {index}: {why}"))));
            }
            let block = memory.block.as_ref().expect("it was just begun");
            let each = (0..results.n).map(|index| (bytes(results.transaction, index), bytes(results.output, index)));
            match hooks::end(Below::new(block, &mut memory.codes, state), each) {
                Ok(None) => Ended::Ran(Vec::new()),
                Ok(Some(hash)) => match emit(state, c"ethereum.requests", c"hash", hash.as_slice()) {
                    Ok(()) => Ended::Ran(Vec::new()),
                    Err(stop) => stop.into(),
                },
                Err(wrong) => ended(Err(wrong)),
            }
        })
    }
}

fn ended(done: Result<(), Wrong>) -> Ended {
    match done {
        Ok(()) => Ended::Ran(Vec::new()),
        Err(Wrong::Stop(stop)) => stop.into(),
        Err(Wrong::Invalid(said)) => Ended::Fault(format!("InvalidBlock: {said}")),
    }
}

unsafe fn emit(state: *mut abi::State, name: &CStr, attribute: &CStr, value: &[u8]) -> Result<(), Stop> {
    let attribute = abi::Attribute {
        name: attribute.as_ptr(), kind: abi::BYTES, value: value.as_ptr().cast(), len: value.len(), negative: false,
    };
    // SAFETY: as above.
    match unsafe { ((*state).emit)(state, name.as_ptr(), &attribute, 1) } {
        abi::OK => Ok(()),
        abi::STOP => Err(Stop::Engine),
        other => Err(Stop::Fault(format!("the engine refuses an event ({other})"))),
    }
}

/// Runs a call with the worker's memory, and reports its end. A panic is a fault of this call, and no more.
unsafe fn guarded(ctx: &abi::Ctx, outcome: &mut abi::Outcome, call: impl FnOnce(&mut Memory, &abi::Ctx) -> Ended) -> c_int {
    // SAFETY: memory_new made it, and no other call uses it meanwhile.
    let memory = unsafe { &mut *ctx.memory.cast::<Memory>() };
    let ended = catch_unwind(AssertUnwindSafe(|| call(memory, ctx))).unwrap_or_else(|panic| {
        let said = panic.downcast_ref::<String>().map(String::as_str).or(panic.downcast_ref::<&str>().copied());
        Ended::Fault(format!("it panicked: {}", said.unwrap_or("for no reason it tells")))
    });
    let mut report = Report(outcome);
    match ended {
        Ended::Stopped => return abi::STOP,
        Ended::Ran(output) => {
            memory.output = output;
            report.output(&memory.output);
        }
        Ended::NotIncludable(said) => {
            memory.error = said;
            report.error(NOT_INCLUDABLE, &memory.error);
        }
        Ended::HashMissing(said) => {
            memory.error = said;
            report.error(HASH_MISSING, &memory.error);
        }
        Ended::Fault(said) => {
            memory.error = said;
            report.error(if memory.error.starts_with("InvalidBlock") { INVALID_BLOCK } else { FAULT }, &memory.error);
        }
    }
    abi::OK
}

unsafe extern "C" fn memory_new(_: *const abi::Vm) -> *mut c_void {
    Box::into_raw(Box::<Memory>::default()).cast()
}

unsafe extern "C" fn memory_free(_: *const abi::Vm, memory: *mut c_void) {
    // SAFETY: memory_new made it.
    drop(unsafe { Box::from_raw(memory.cast::<Memory>()) });
}

static VM: abi::Vm = abi::Vm {
    abi: abi::ABI,
    version: 1,
    name: c"ethereum (revm)".as_ptr(),
    execute,
    keys: None,
    end_block: Some(end_block),
    hints: None,
    memory_new: Some(memory_new),
    memory_free: Some(memory_free),
    gas_limit: None,
    ante: None,
    begin_block: Some(begin_block),
};

#[pymodule]
fn _ioi_revm(module: &Bound<'_, PyModule>) -> PyResult<()> {
    /// The capsule that ioi-exec takes as a VM in C.
    #[pyfunction]
    fn native(py: Python<'_>) -> PyResult<Py<PyAny>> {
        if !abi::check() {
            return Err(PyRuntimeError::new_err("ioi_revm was built against another ioi_vm.h than its own tables are of"));
        }
        // SAFETY: the VM lives as long as the process does; the name is ioi_vm.h's.
        unsafe {
            let capsule = pyo3::ffi::PyCapsule_New((&raw const VM).cast_mut().cast(), c"ioi_shm.vm".as_ptr(), None);
            Py::from_owned_ptr_or_err(py, capsule)
        }
    }
    /// Seconds to recover the senders, seconds to execute, and the gas, of transactions over these pairs of a state.
    #[pyfunction]
    fn preloaded(extra: &[u8], transactions: Vec<Vec<u8>>, pairs: Vec<(Vec<u8>, Vec<u8>)>) -> PyResult<(f64, f64, u64)> {
        let took = alone::run(extra, &transactions, &pairs).map_err(PyRuntimeError::new_err)?;
        Ok((took.recovering, took.executing, took.gas_used))
    }
    module.add_function(wrap_pyfunction!(native, module)?)?;
    module.add_function(wrap_pyfunction!(preloaded, module)?)
}
