//! `ioi_vm.h`, ABI 3: the contract with the engine, which says what each part means. `check` holds it against the header itself.

use std::ffi::{c_char, c_int, c_void};
use std::mem::{offset_of, size_of};

pub const ABI: u32 = 3;
pub const OK: c_int = 0;
pub const ABSENT: c_int = 1;
pub const REFUSED: c_int = 3;
pub const STOP: c_int = -1;
pub const BYTES: c_int = 1;

pub type Key = u64;

#[repr(C)]
pub struct Scan {
    _opaque: [u8; 0],
}

#[repr(C)]
pub struct Field {
    pub offset: u32,
    pub width: u32,
    pub size: u32,
}

#[repr(C)]
pub struct Addition {
    pub field: Field,
    pub negative: bool,
    pub delta: u128,
    pub minimum: u128,
    pub maximum: u128,
}

#[repr(C)]
pub struct Attribute {
    pub name: *const c_char,
    pub kind: c_int,
    pub value: *const c_void,
    pub len: usize,
    pub negative: bool,
}

#[repr(C)]
pub struct State {
    pub key: unsafe extern "C" fn(*mut State, *const u8, usize, *mut Key) -> c_int,
    pub get: unsafe extern "C" fn(*mut State, Key, *mut *const u8, *mut usize) -> c_int,
    pub exists: unsafe extern "C" fn(*mut State, Key) -> c_int,
    pub put: unsafe extern "C" fn(*mut State, Key, *const u8, usize) -> c_int,
    pub remove: unsafe extern "C" fn(*mut State, Key) -> c_int,
    pub mark: unsafe extern "C" fn(*mut State, *mut u64) -> c_int,
    pub close: unsafe extern "C" fn(*mut State, u64, c_int) -> c_int,
    pub scan: unsafe extern "C" fn(*mut State, *const u8, usize, *const u8, usize, c_int, *mut *mut Scan) -> c_int,
    pub next: unsafe extern "C" fn(*mut State, *mut Scan, *mut *const u8, *mut usize, *mut *const u8, *mut usize) -> c_int,
    pub end: unsafe extern "C" fn(*mut State, *mut Scan),
    pub charge: unsafe extern "C" fn(*mut State, u64) -> c_int,
    pub gas_left: unsafe extern "C" fn(*const State) -> u64,
    pub add: unsafe extern "C" fn(*mut State, Key, *const Addition, *mut usize) -> c_int,
    pub emit: unsafe extern "C" fn(*mut State, *const c_char, *const Attribute, usize) -> c_int,
}

#[repr(C)]
pub struct Ctx {
    pub height: u64,
    pub time_ns: u64,
    pub tx_index: u64,
    pub proposer: *const u8,
    pub extra: *const u8,
    pub parent_root: *const u8,
    pub proposer_len: usize,
    pub extra_len: usize,
    pub parent_root_len: usize,
    pub memory: *mut c_void,
    pub chain_id: *const u8,
    pub chain_id_len: usize,
    pub random: unsafe extern "C" fn(*const Ctx, *const u8, usize, *mut u8),
}

#[repr(C)]
pub struct Outcome {
    pub code: u32,
    pub gas_wanted: u64,
    pub gas_used: u64,
    pub output: *const u8,
    pub error: *const c_char,
    pub output_len: usize,
    pub error_len: usize,
}

#[repr(C)]
pub struct Results {
    pub n: u64,
    pub code: unsafe extern "C" fn(*const Results, u64) -> u32,
    pub transaction: unsafe extern "C" fn(*const Results, u64, *mut usize) -> *const u8,
    pub output: unsafe extern "C" fn(*const Results, u64, *mut usize) -> *const u8,
    pub gas_used: unsafe extern "C" fn(*const Results, u64) -> u64,
}

type Emit = unsafe extern "C" fn(*mut c_void, *const u8, usize);

#[repr(C)]
pub struct Vm {
    pub abi: u32,
    pub version: u32,
    pub name: *const c_char,
    pub execute: unsafe extern "C" fn(*const Vm, *const u8, usize, *mut State, *const Ctx, *mut Outcome) -> c_int,
    pub keys: Option<unsafe extern "C" fn(*const Vm, *const u8, usize, Emit, *mut c_void)>,
    pub end_block: Option<unsafe extern "C" fn(*const Vm, *mut State, *const Ctx, *const Results, *mut Outcome) -> c_int>,
    pub hints: Option<unsafe extern "C" fn(*const Vm, *const u8, usize, *const Ctx, Emit, *mut c_void)>,
    pub memory_new: Option<unsafe extern "C" fn(*const Vm) -> *mut c_void>,
    pub memory_free: Option<unsafe extern "C" fn(*const Vm, *mut c_void)>,
    pub gas_limit: Option<unsafe extern "C" fn(*const Vm, *const u8, usize) -> u64>,
    pub ante: Option<unsafe extern "C" fn(*const Vm, *const u8, usize, *mut State, *const Ctx, *mut Outcome) -> c_int>,
    pub begin_block: Option<unsafe extern "C" fn(*const Vm, *mut State, *const Ctx, *mut Outcome) -> c_int>,
}

// It is constant, and points at nothing but functions and a name.
unsafe impl Sync for Vm {}

unsafe extern "C" {
    static ioi_layout: [usize; 0];
    static ioi_layout_len: usize;
}

/// Whether the tables above are those of the header that this was built with.
pub fn check() -> bool {
    let here = [
        size_of::<Field>(),
        size_of::<Addition>(),
        size_of::<Attribute>(),
        size_of::<Outcome>(),
        offset_of!(Addition, delta),
        offset_of!(Addition, maximum),
        offset_of!(Attribute, negative),
        offset_of!(State, scan),
        offset_of!(State, charge),
        offset_of!(State, emit),
        offset_of!(Ctx, proposer_len),
        offset_of!(Ctx, memory),
        offset_of!(Ctx, random),
        offset_of!(Outcome, output),
        offset_of!(Outcome, output_len),
        offset_of!(Results, output),
        offset_of!(Results, gas_used),
        offset_of!(Vm, execute),
        offset_of!(Vm, end_block),
        offset_of!(Vm, memory_new),
        offset_of!(Vm, begin_block),
    ];
    // SAFETY: layout.c says how many there are.
    unsafe { std::slice::from_raw_parts(ioi_layout.as_ptr(), ioi_layout_len) == here }
}
