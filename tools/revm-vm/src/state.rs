//! The engine's state as revm reads it, and what it made of it written back: the keys and values of `ioi_exec/vm/ethereum/keys.py`, the
//! lazy fees of `state.py` there.

use std::collections::HashMap;
use std::fmt;
use std::ptr::null;

use revm::Database;
use revm::bytecode::Bytecode;
use revm::database_interface::DBErrorMarker;
use revm::primitives::hardfork::SpecId;
use revm::primitives::{Address, B256, Bytes, KECCAK_EMPTY, U256};
use revm::state::{AccountInfo, EvmState};

use crate::abi;
use crate::block::Block;
use crate::codes::Codes;

const FEES: &[u8] = b"f";
const FEES_BYTES: u32 = 16;
const ACCOUNT_BYTES: usize = 8 + 32 + 32;
type Packed = [u8; ACCOUNT_BYTES];

#[derive(Debug)]
pub enum Stop {
    /// The engine wants to have it back.
    Engine,
    /// BLOCKHASH of a block that the hash was not given of.
    HashMissing(u64),
    /// A limit of the engine's, or a state that is none of Ethereum's.
    Fault(String),
}

impl fmt::Display for Stop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Stop::Engine => write!(f, "stopped"),
            Stop::HashMissing(number) => write!(f, "the hash of block {number} is asked for, and not given (block_hashes)"),
            Stop::Fault(said) => write!(f, "{said}"),
        }
    }
}

impl std::error::Error for Stop {}
impl DBErrorMarker for Stop {}

/// The engine's operations, without pointers.
struct Engine(*mut abi::State);

impl Engine {
    fn key(&self, bytes: &[u8]) -> Result<abi::Key, Stop> {
        let mut key = 0;
        // SAFETY: the engine lends the state for the call that this is made in, and calls no other operation meanwhile.
        done(unsafe { ((*self.0).key)(self.0, bytes.as_ptr(), bytes.len(), &mut key) })?;
        Ok(key)
    }

    fn get<T>(&self, key: &[u8], read: impl FnOnce(&[u8]) -> T) -> Result<Option<T>, Stop> {
        let key = self.key(key)?;
        let (mut value, mut len) = (null(), 0);
        // SAFETY: as above; the value is read before the next operation.
        unsafe {
            match ((*self.0).get)(self.0, key, &mut value, &mut len) {
                abi::ABSENT => Ok(None),
                said => done(said).map(|()| Some(read(slice(value, len)))),
            }
        }
    }

    fn put(&self, key: &[u8], value: &[u8]) -> Result<(), Stop> {
        let key = self.key(key)?;
        // SAFETY: as above.
        done(unsafe { ((*self.0).put)(self.0, key, value.as_ptr(), value.len()) })
    }

    fn remove(&self, key: &[u8]) -> Result<(), Stop> {
        let key = self.key(key)?;
        // SAFETY: as above.
        done(unsafe { ((*self.0).remove)(self.0, key) })
    }

    /// Whether it was in the bounds of the counter.
    fn add(&self, key: &[u8], width: u32, delta: u128) -> Result<bool, Stop> {
        let key = self.key(key)?;
        let field = abi::Field { offset: 0, width, size: width };
        let addition = abi::Addition { field, negative: false, delta, minimum: 0, maximum: u128::MAX };
        let mut found = 0;
        // SAFETY: as above.
        match unsafe { ((*self.0).add)(self.0, key, &addition, &mut found) } {
            abi::REFUSED => Ok(false),
            said => done(said).map(|()| true),
        }
    }

    fn keys_below(&self, prefix: &[u8]) -> Result<Vec<Vec<u8>>, Stop> {
        let mut high = prefix.to_vec();
        while high.last() == Some(&0xFF) {
            high.pop();
        }
        *high.last_mut().expect("a prefix that has an end") += 1;
        let mut found = Vec::new();
        // SAFETY: as above; a scan is ended by the engine where this ends it with an error.
        unsafe {
            let mut scan = std::ptr::null_mut();
            done(((*self.0).scan)(self.0, prefix.as_ptr(), prefix.len(), high.as_ptr(), high.len(), 0, &mut scan))?;
            loop {
                let (mut key, mut key_len, mut value, mut len) = (null(), 0, null(), 0);
                match ((*self.0).next)(self.0, scan, &mut key, &mut key_len, &mut value, &mut len) {
                    abi::ABSENT => break,
                    said => done(said)?,
                }
                found.push(slice(key, key_len).to_vec());
            }
            ((*self.0).end)(self.0, scan);
        }
        Ok(found)
    }
}

fn done(said: i32) -> Result<(), Stop> {
    match said {
        abi::OK => Ok(()),
        abi::STOP => Err(Stop::Engine),
        other => Err(Stop::Fault(format!("the engine refuses an operation ({other}): a limit"))),
    }
}

/// # Safety
/// `at` has so many bytes, or there are none.
pub unsafe fn slice<'a>(at: *const u8, len: usize) -> &'a [u8] {
    // SAFETY: what the caller says.
    if len == 0 { &[] } else { unsafe { std::slice::from_raw_parts(at, len) } }
}

/// The state below one transaction, with what was read of it.
pub struct Below<'a> {
    pub block: &'a Block,
    codes: &'a mut Codes,
    engine: Engine,
    /// Whether its code, or the transaction itself, looked at the beneficiary: then it saw all fees before, and is paid itself.
    pub looked_at_beneficiary: bool,
    /// What the beneficiary is paid, where it was not looked at.
    pub paid: Option<U256>,
    accounts: HashMap<Address, Option<Packed>>,
}

impl<'a> Below<'a> {
    /// # Safety
    /// The engine lends `state` for as long as this lives.
    pub unsafe fn new(block: &'a Block, codes: &'a mut Codes, state: *mut abi::State) -> Self {
        Below { block, codes, engine: Engine(state), looked_at_beneficiary: false, paid: None, accounts: HashMap::new() }
    }

    fn account(&mut self, address: Address) -> Result<Option<Packed>, Stop> {
        if let Some(found) = self.accounts.get(&address) {
            return Ok(*found);
        }
        let mut found = self.engine.get(&account_key(address), |value| Packed::try_from(value).ok())?;
        if found == Some(None) {
            return Err(Stop::Fault(format!("the state has no account under {address}")));
        }
        if address == self.block.header.beneficiary {
            self.looked_at_beneficiary = true;
            if let Some(fees) = self.fees()? {
                let before = found.flatten().map_or_else(AccountInfo::default, |packed| unpack(&packed));
                found = Some(Some(pack(&AccountInfo { balance: before.balance + fees, ..before })));
            }
        }
        self.accounts.insert(address, found.flatten());
        Ok(found.flatten())
    }

    fn fees(&self) -> Result<Option<U256>, Stop> {
        self.engine.get(FEES, U256::from_be_slice)
    }

    /// What the block's transactions have paid so far; from here on nothing is known of it.
    pub fn take_fees(&mut self) -> Result<U256, Stop> {
        let fees = self.fees()?.unwrap_or_default();
        self.engine.remove(FEES)?;
        Ok(fees)
    }

    fn write_account(&mut self, address: Address, info: Option<&AccountInfo>) -> Result<(), Stop> {
        let before = self.account(address)?;
        let after = info.map(pack);
        if after == before {
            return Ok(());
        }
        if address == self.block.header.beneficiary {
            self.engine.remove(FEES)?;
        }
        self.accounts.insert(address, after);
        let (Some(info), Some(packed)) = (info, after) else {
            return self.engine.remove(&account_key(address));
        };
        if info.code_hash != KECCAK_EMPTY && before.is_none_or(|before| unpack(&before).code_hash != info.code_hash) {
            let code = info.code.as_ref().ok_or_else(|| Stop::Fault(format!("the new code of {address} is not known")))?;
            self.engine.put(&code_key(info.code_hash), code.original_byte_slice())?;
        }
        self.engine.put(&account_key(address), &packed)
    }

    /// Adds to a balance outside of the EVM, as the specification's modify_state does: an account is there afterwards, unless it is empty
    /// and the fork has no empty ones (EIP-161).
    pub fn credit(&mut self, address: Address, amount: U256) -> Result<(), Stop> {
        self.change(address, |balance| balance + amount).map(|_| ())
    }

    /// Takes all that is there, and says how much that was.
    pub fn empty(&mut self, address: Address) -> Result<U256, Stop> {
        self.change(address, |_| U256::ZERO)
    }

    fn change(&mut self, address: Address, to: impl FnOnce(U256) -> U256) -> Result<U256, Stop> {
        let mut info = self.account(address)?.map_or_else(AccountInfo::default, |packed| unpack(&packed));
        let before = info.balance;
        info.balance = to(before);
        let gone = info.is_empty() && self.block.spec >= SpecId::SPURIOUS_DRAGON;
        self.write_account(address, (!gone).then_some(&info))?;
        Ok(before)
    }

    /// Into the engine's state what the EVM made of it.
    pub fn write(&mut self, state: &EvmState) -> Result<(), Stop> {
        for (&address, account) in state {
            if account.is_selfdestructed() {
                self.clear(address, |_| false)?;
                self.write_account(address, None)?;
                continue;
            }
            if !account.is_touched() {
                continue;
            }
            let gone = account.info.is_empty() && self.block.spec >= SpecId::SPURIOUS_DRAGON;
            self.write_account(address, (!gone).then_some(&account.info))?;
            if account.is_created() {
                self.clear(address, |slot| account.storage.get(slot).is_some_and(|held| !held.present_value.is_zero()))?;
            }
            for (slot, held) in &account.storage {
                if !held.present_value.is_zero() {
                    if account.is_created() || held.is_changed() {
                        self.engine.put(&storage_key(address, *slot), &held.present_value.to_be_bytes_trimmed_vec())?;
                    }
                } else if held.is_changed() && !account.is_created() {
                    self.engine.remove(&storage_key(address, *slot))?;
                }
            }
        }
        if let Some(fees) = self.paid.take() {
            self.pay(fees)?;
        }
        Ok(())
    }

    fn pay(&mut self, fees: U256) -> Result<(), Stop> {
        if let Ok(fees) = u128::try_from(fees)
            && self.engine.add(FEES, FEES_BYTES, fees)?
        {
            return Ok(());
        }
        // More than the counter holds: at once, and so depending on what stands there.
        self.credit(self.block.header.beneficiary, fees)
    }

    fn clear(&mut self, address: Address, but: impl Fn(&U256) -> bool) -> Result<(), Stop> {
        let prefix = storage_prefix(address);
        for key in self.engine.keys_below(&prefix)? {
            if !but(&U256::from_be_slice(&key[prefix.len()..])) {
                self.engine.remove(&key)?;
            }
        }
        Ok(())
    }
}

impl Database for Below<'_> {
    type Error = Stop;

    fn basic(&mut self, address: Address) -> Result<Option<AccountInfo>, Stop> {
        Ok(self.account(address)?.map(|packed| unpack(&packed)))
    }

    fn code_by_hash(&mut self, hash: B256) -> Result<Bytecode, Stop> {
        if let Some(code) = self.codes.get(&hash) {
            return Ok(code);
        }
        let raw = self.engine.get(&code_key(hash), Bytes::copy_from_slice)?;
        let raw = raw.ok_or_else(|| Stop::Fault(format!("the state has no code {hash}, which an account has")))?;
        let code = Bytecode::new_raw_checked(raw).map_err(|error| Stop::Fault(format!("code {hash}: {error}")))?;
        self.codes.keep(hash, &code);
        Ok(code)
    }

    fn storage(&mut self, address: Address, slot: U256) -> Result<U256, Stop> {
        Ok(self.engine.get(&storage_key(address, slot), U256::from_be_slice)?.unwrap_or_default())
    }

    fn block_hash(&mut self, number: u64) -> Result<B256, Stop> {
        self.block.hash(number).ok_or(Stop::HashMissing(number))
    }
}

fn pack(info: &AccountInfo) -> Packed {
    let mut packed = [0; ACCOUNT_BYTES];
    packed[..8].copy_from_slice(&info.nonce.to_be_bytes());
    packed[8..40].copy_from_slice(&info.balance.to_be_bytes::<32>());
    packed[40..].copy_from_slice(info.code_hash.as_slice());
    packed
}

fn unpack(packed: &Packed) -> AccountInfo {
    AccountInfo {
        nonce: u64::from_be_bytes(packed[..8].try_into().expect("8 bytes")),
        balance: U256::from_be_slice(&packed[8..40]),
        code_hash: B256::from_slice(&packed[40..]),
        code: None,
        ..AccountInfo::default()
    }
}

/// What a pair of the state says.
pub enum Entry {
    Account(Address, AccountInfo),
    Code(B256),
    Slot(Address, U256, U256),
}

pub fn entry(key: &[u8], value: &[u8]) -> Option<Entry> {
    match (key.first()?, key.len()) {
        (b'a', 21) => Some(Entry::Account(Address::from_slice(&key[1..]), unpack(value.try_into().ok()?))),
        (b'c', 33) => Some(Entry::Code(B256::from_slice(&key[1..]))),
        (b's', 53) => Some(Entry::Slot(Address::from_slice(&key[1..21]), U256::from_be_slice(&key[21..]), U256::from_be_slice(value))),
        _ => None,
    }
}

fn account_key(address: Address) -> [u8; 21] {
    let mut key = [b'a'; 21];
    key[1..].copy_from_slice(address.as_slice());
    key
}

fn code_key(hash: B256) -> [u8; 33] {
    let mut key = [b'c'; 33];
    key[1..].copy_from_slice(hash.as_slice());
    key
}

fn storage_prefix(address: Address) -> [u8; 21] {
    let mut key = account_key(address);
    key[0] = b's';
    key
}

fn storage_key(address: Address, slot: U256) -> [u8; 53] {
    let mut key = [0; 53];
    key[..21].copy_from_slice(&storage_prefix(address));
    key[21..].copy_from_slice(&slot.to_be_bytes::<32>());
    key
}
