//! One transaction: decoded, its sender recovered, executed.

use alloy_consensus::transaction::SignerRecoverable;
use alloy_consensus::{EthereumTxEnvelope, Transaction as _, TxEip4844};
use alloy_eips::eip2718::Decodable2718;
use alloy_evm::FromRecoveredTx;
use alloy_rlp::{Encodable, Header as List};
use revm::context::{ContextTr, JournalTr, TxEnv};
use revm::context_interface::journaled_state::account::JournaledAccountTr;
use revm::context_interface::result::{EVMError, ExecutionResult, HaltReason};
use revm::context_interface::{Block as _, Transaction as _};
use revm::handler::{EvmTr, FrameResult, Handler, MainnetContext};
use revm::primitives::hardfork::SpecId;
use revm::primitives::{Log, U256};
use revm::{Context, MainBuilder, MainContext, MainnetEvm};

use crate::block::Block;
use crate::state::{Below, Stop};

pub type Envelope = EthereumTxEnvelope<TxEip4844>;
pub type Evm<'a> = MainnetEvm<MainnetContext<Below<'a>>>;
type Failure = EVMError<Stop>;

/// What the specification credits the beneficiary with is kept back where it was not looked at: `Below::write` adds it to a counter.
pub struct LazyFees<'a>(std::marker::PhantomData<&'a ()>);

impl LazyFees<'_> {
    pub fn new() -> Self {
        LazyFees(std::marker::PhantomData)
    }
}

impl<'a> Handler for LazyFees<'a> {
    type Evm = Evm<'a>;
    type Error = Failure;
    type HaltReason = HaltReason;

    fn reward_beneficiary(&self, evm: &mut Evm<'a>, result: &mut FrameResult) -> Result<(), Failure> {
        let context = evm.ctx();
        let basefee = u128::from(context.block().basefee());
        let price = context.tx().effective_gas_price(basefee);
        let spec = context.db().block.spec;
        let price = if spec >= SpecId::LONDON { price.saturating_sub(basefee) } else { price };
        let fees = U256::from(price) * U256::from(result.gas().used());
        if context.db().looked_at_beneficiary {
            let beneficiary = context.block().beneficiary();
            context.journal_mut().load_account_mut(beneficiary)?.incr_balance(fees);
        } else if !fees.is_zero() || spec < SpecId::SPURIOUS_DRAGON {
            context.db_mut().paid = Some(fees);
        }
        Ok(())
    }
}

pub fn evm<'a>(below: Below<'a>) -> Evm<'a> {
    let (cfg, env) = (below.block.cfg(), below.block.env());
    Context::mainnet().with_db(below).with_cfg(cfg).with_block(env).build_mainnet()
}

/// As the engine's VM in Python says it, which decodes it: `ioi_exec.vm.ethereum.receipts.Outcome`.
pub fn encoded(succeeded: bool, gas_used: u64, blob_gas_used: u64, logs: &[Log]) -> Vec<u8> {
    let mut inside = Vec::new();
    u64::from(succeeded).encode(&mut inside);
    gas_used.encode(&mut inside);
    blob_gas_used.encode(&mut inside);
    alloy_rlp::encode_list(logs, &mut inside);
    let mut out = Vec::with_capacity(inside.len() + 9);
    List { list: true, payload_length: inside.len() }.encode(&mut out);
    out.extend_from_slice(&inside);
    out
}

pub fn decode(raw: &[u8]) -> Result<Envelope, String> {
    Envelope::decode_2718_exact(raw).map_err(|error| format!("it is no transaction: {error}"))
}

/// Err: it cannot be in this block.
pub fn recovered(block: &Block, raw: &[u8]) -> Result<TxEnv, String> {
    let envelope = decode(raw)?;
    let known = match block.spec {
        spec if spec >= SpecId::PRAGUE => 4,
        spec if spec >= SpecId::CANCUN => 3,
        spec if spec >= SpecId::LONDON => 2,
        spec if spec >= SpecId::BERLIN => 1,
        _ => 0,
    };
    let kind = envelope.tx_type() as u8;
    if kind > known {
        return Err(format!("it is of type {kind}, which its block's fork does not have"));
    }
    // Frontier takes a signature and its mirror image alike (EIP-2).
    let sender = if block.spec == SpecId::FRONTIER { envelope.recover_signer_unchecked() } else { envelope.recover_signer() };
    let sender = sender.map_err(|error| format!("its signature: {error}"))?;
    if block.spec < SpecId::SPURIOUS_DRAGON && envelope.chain_id().is_some() {
        return Err("it is signed for a chain, which its block's fork does not know".into());
    }
    Ok(TxEnv::from_recovered_tx(&envelope, sender))
}

pub enum Ended {
    Ran(Vec<u8>),
    NotIncludable(String),
    HashMissing(String),
    Fault(String),
    Stopped,
}

impl From<Stop> for Ended {
    fn from(stop: Stop) -> Self {
        match stop {
            Stop::Engine => Ended::Stopped,
            Stop::HashMissing(_) => Ended::HashMissing(stop.to_string()),
            Stop::Fault(said) => Ended::Fault(said),
        }
    }
}

pub fn execute(below: Below<'_>, transaction: TxEnv) -> Ended {
    let blob_gas = transaction.total_blob_gas();
    let mut evm = evm(below);
    evm.ctx.tx = transaction;
    let result = match LazyFees::new().run(&mut evm) {
        Ok(result) => result,
        Err(EVMError::Database(stop)) => return stop.into(),
        Err(EVMError::Transaction(error)) => return Ended::NotIncludable(error.to_string()),
        Err(error) => return Ended::Fault(error.to_string()),
    };
    let state = evm.ctx.journal_mut().finalize();
    if let Err(stop) = evm.ctx.db_mut().write(&state) {
        return stop.into();
    }
    let succeeded = matches!(result, ExecutionResult::Success { .. }) || evm.ctx.db().block.spec < SpecId::BYZANTIUM;
    Ended::Ran(encoded(succeeded, result.tx_gas_used(), blob_gas, result.logs()))
}
