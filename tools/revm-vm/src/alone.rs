//! The same transactions by revm alone, one after another over a state in memory: what `python -m tools.bench revm` measures the engine by.

use std::time::Instant;

use revm::bytecode::Bytecode;
use revm::context::TxEnv;
use revm::database::{CacheDB, EmptyDB};
use revm::primitives::Bytes;
use revm::{Context, ExecuteCommitEvm, MainBuilder, MainContext};

use crate::block::Block;
use crate::state::{self, Entry};
use crate::transaction;

pub struct Took {
    pub recovering: f64,
    pub executing: f64,
    pub gas_used: u64,
}

pub fn run(extra: &[u8], raws: &[Vec<u8>], pairs: &[(Vec<u8>, Vec<u8>)]) -> Result<Took, String> {
    let block = Block::decode(extra)?;
    let mut db = CacheDB::new(EmptyDB::new());
    for (key, value) in pairs {
        match state::entry(key, value) {
            Some(Entry::Account(address, info)) => db.insert_account_info(address, info),
            Some(Entry::Code(hash)) => {
                let code = Bytecode::new_raw_checked(Bytes::copy_from_slice(value)).map_err(|error| error.to_string())?;
                db.cache.contracts.insert(hash, code);
            }
            Some(Entry::Slot(address, slot, held)) => {
                db.insert_account_storage(address, slot, held).map_err(|error| error.to_string())?;
            }
            None => return Err(format!("no key of Ethereum's: {key:02x?}")),
        }
    }
    let begun = Instant::now();
    let transactions = raws.iter().map(|raw| transaction::recovered(&block, raw)).collect::<Result<Vec<TxEnv>, String>>()?;
    let recovering = begun.elapsed().as_secs_f64();
    let mut evm = Context::mainnet().with_db(db).with_cfg(block.cfg()).with_block(block.env()).build_mainnet();
    let mut gas_used = 0;
    let begun = Instant::now();
    for transaction in transactions {
        gas_used += evm.transact_commit(transaction).map_err(|error| error.to_string())?.tx_gas_used();
    }
    Ok(Took { recovering, executing: begun.elapsed().as_secs_f64(), gas_used })
}
