//! A block's beginning and its end.

use alloy_consensus::{BlockHeader, Transaction as _};
use alloy_eips::eip7685::Requests;
use alloy_eips::{eip2935, eip4788, eip6110, eip7002, eip7251};
use alloy_evm::block::calc::{block_reward, ommer_reward};
use alloy_evm::eth::dao_fork::{DAO_HARDFORK_ACCOUNTS, DAO_HARDFORK_BENEFICIARY};
use alloy_evm::eth::eip6110::accumulate_deposits_from_logs;
use alloy_rlp::{Decodable, RlpDecodable};
use revm::context::{ContextTr, JournalTr, TxEnv};
use revm::context_interface::result::{EVMError, ExecutionResult};
use revm::database_interface::Database;
use revm::handler::{Handler, SYSTEM_ADDRESS};
use revm::primitives::hardfork::SpecId;
use revm::primitives::{Address, B256, Bytes, Log, TxKind, U256};

use crate::state::{Below, Stop};
use crate::transaction::{LazyFees, decode, evm};

const SYSTEM_CALL_GAS: u64 = 30_000_000;
const ETHER: u128 = 1_000_000_000_000_000_000;

/// What a transaction left behind: what `transaction::encoded` says.
#[derive(RlpDecodable)]
struct Output {
    _succeeded: u64,
    gas_used: u64,
    blob_gas_used: u64,
    logs: Vec<Log>,
}

pub enum Wrong {
    Stop(Stop),
    /// The block is none of Ethereum's, whatever its header says.
    Invalid(String),
}

impl From<Stop> for Wrong {
    fn from(stop: Stop) -> Self {
        Wrong::Stop(stop)
    }
}

pub fn begin(mut below: Below<'_>) -> Result<(), Wrong> {
    let (spec, header) = (below.block.spec, &below.block.header);
    if below.block.is_dao {
        for address in DAO_HARDFORK_ACCOUNTS {
            let moved = below.empty(address)?;
            below.credit(DAO_HARDFORK_BENEFICIARY, moved)?;
        }
    }
    if spec >= SpecId::CANCUN {
        let root = header.parent_beacon_block_root.unwrap_or_default();
        below = call(below, eip4788::BEACON_ROOTS_ADDRESS, root)?.0;
    }
    if spec >= SpecId::PRAGUE {
        call(below, eip2935::HISTORY_STORAGE_ADDRESS, header.parent_hash)?;
    }
    Ok(())
}

/// The transactions and outputs of the block, each of which is code 0. The hash of its requests, if its fork has such.
pub fn end<'b>(mut below: Below<'b>, each: impl Iterator<Item = (&'b [u8], &'b [u8])>) -> Result<Option<B256>, Wrong> {
    let block = below.block;
    let (spec, header) = (block.spec, &block.header);
    let (mut used, mut blobs, mut n) = (0, 0, 0);
    let mut deposits = Vec::new();
    for (index, (raw, output)) in each.enumerate() {
        let fault = |said: String| Wrong::Stop(Stop::Fault(format!("transaction {index}: {said}")));
        let gas = decode(raw).map_err(fault)?.gas_limit();
        let output = Output::decode(&mut &output[..]).map_err(|error| fault(error.to_string()))?;
        let left = header.gas_limit - used;
        if gas > left {
            return Err(Wrong::Invalid(format!("transaction {index}: it may use {gas} gas, and the block has {left} left")));
        }
        used += output.gas_used;
        blobs += output.blob_gas_used;
        if blobs > block.blob_gas_limit {
            let most = block.blob_gas_limit;
            return Err(Wrong::Invalid(format!("transaction {index}: with it, blobs use {blobs} gas, and a block may use {most}")));
        }
        if spec >= SpecId::PRAGUE {
            accumulate_deposits_from_logs(eip6110::MAINNET_DEPOSIT_CONTRACT_ADDRESS, &output.logs, &mut deposits)
                .map_err(|error| Wrong::Invalid(format!("transaction {index}: {error}")))?;
        }
        n = index + 1;
    }
    let fees = below.take_fees()?;
    if n > 0 {
        below.credit(header.beneficiary, fees)?;
    }
    pay_rewards(&mut below)?;
    for withdrawal in &block.withdrawals {
        below.credit(withdrawal.address, withdrawal.amount_wei())?;
    }
    if spec < SpecId::PRAGUE {
        return Ok(None);
    }
    let mut requests = Requests::default();
    requests.push_request_with_type(eip6110::DEPOSIT_REQUEST_TYPE, deposits);
    for (kind, address) in [
        (eip7002::WITHDRAWAL_REQUEST_TYPE, eip7002::WITHDRAWAL_REQUEST_PREDEPLOY_ADDRESS),
        (eip7251::CONSOLIDATION_REQUEST_TYPE, eip7251::CONSOLIDATION_REQUEST_PREDEPLOY_ADDRESS),
    ] {
        if below.basic(address)?.is_none_or(|account| account.is_empty_code_hash()) {
            return Err(Wrong::Invalid(format!("System contract address {address:x} does not contain code")));
        }
        let (returned, result) = call(below, address, Bytes::new())?;
        below = returned;
        match result {
            ExecutionResult::Success { output, .. } => requests.push_request_with_type(kind, output.into_data()),
            failed => return Err(Wrong::Invalid(format!("System contract ({address:x}) call failed: {failed:?}"))),
        }
    }
    Ok(Some(requests.requests_hash()))
}

fn pay_rewards(below: &mut Below<'_>) -> Result<(), Stop> {
    let block = below.block;
    let ethers = match block.spec {
        spec if spec >= SpecId::MERGE => return Ok(()),
        spec if spec >= SpecId::PETERSBURG => 2,
        spec if spec >= SpecId::BYZANTIUM => 3,
        _ => 5,
    };
    let reward = ethers * ETHER;
    below.credit(block.header.beneficiary, U256::from(block_reward(reward, block.uncles.len())))?;
    for uncle in &block.uncles {
        below.credit(uncle.beneficiary, U256::from(ommer_reward(reward, block.header.number, uncle.number())))?;
    }
    Ok(())
}

/// A system call, of which it does not matter here whether it succeeded.
fn call(below: Below<'_>, address: Address, data: impl Into<Bytes>) -> Result<(Below<'_>, ExecutionResult), Wrong> {
    let basefee = u128::from(below.block.header.base_fee_per_gas.unwrap_or(0));
    let mut evm = evm(below);
    evm.ctx.tx = TxEnv {
        caller: SYSTEM_ADDRESS,
        kind: TxKind::Call(address),
        data: data.into(),
        gas_limit: SYSTEM_CALL_GAS,
        gas_price: basefee,
        ..TxEnv::default()
    };
    let result = LazyFees::new().run_system_call(&mut evm).map_err(|error| match error {
        EVMError::Database(stop) => stop,
        other => Stop::Fault(other.to_string()),
    })?;
    let state = evm.ctx.journal_mut().finalize();
    evm.ctx.db_mut().write(&state)?;
    Ok((evm.ctx.journaled_state.database, result))
}
