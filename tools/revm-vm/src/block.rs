//! What a block says of itself: the `extra` that `ioi_exec.vm.ethereum.block` encodes.

use std::collections::HashMap;

use alloy_consensus::Header;
use alloy_eips::eip4895::Withdrawal;
use alloy_rlp::{Decodable, RlpDecodable};
use revm::context::{BlockEnv, CfgEnv};
use revm::context_interface::block::BlobExcessGasAndPrice;
use revm::primitives::hardfork::SpecId;
use revm::primitives::{B256, Bytes, U256};

const BLOB_GAS: u64 = 1 << 17;
/// How far back BLOCKHASH reaches.
const HASHES: u64 = 256;
/// A transaction's, from Osaka on (EIP-7594).
const BLOBS_PER_TRANSACTION: u64 = 6;

#[derive(RlpDecodable)]
struct Encoded {
    fork: Bytes,
    chain_id: Bytes,
    header: Header,
    uncles: Vec<Header>,
    withdrawals: Vec<Withdrawal>,
    hashes: Vec<Hash>,
}

#[derive(RlpDecodable)]
struct Hash {
    number: Bytes,
    hash: B256,
}

pub struct Block {
    pub spec: SpecId,
    pub header: Header,
    pub uncles: Vec<Header>,
    pub withdrawals: Vec<Withdrawal>,
    /// All blobs of a block together may use so much gas.
    pub blob_gas_limit: u64,
    pub is_dao: bool,
    hashes: HashMap<u64, B256>,
    chain_id: u64,
    blob_fraction: u64,
}

impl Block {
    pub fn decode(extra: &[u8]) -> Result<Self, String> {
        let data = Encoded::decode(&mut &extra[..]).map_err(|error| format!("the header's extra is no block: {error}"))?;
        let fork = String::from_utf8_lossy(&data.fork).into_owned();
        let (spec, blobs, blob_fraction) = rules(&fork).ok_or_else(|| format!("revm here does not know the fork {fork}"))?;
        let number = data.header.number;
        let mut hashes: HashMap<u64, B256> = data.hashes.iter().map(|one| (big_endian(&one.number), one.hash)).collect();
        hashes.insert(number.wrapping_sub(1), data.header.parent_hash);
        hashes.retain(|&at, _| at < number && number - at <= HASHES);
        Ok(Block {
            spec,
            uncles: data.uncles,
            withdrawals: data.withdrawals,
            blob_gas_limit: blobs * BLOB_GAS,
            is_dao: fork == "dao_fork" && number == 1_920_000,
            hashes,
            chain_id: big_endian(&data.chain_id),
            blob_fraction,
            header: data.header,
        })
    }

    pub fn hash(&self, number: u64) -> Option<B256> {
        self.hashes.get(&number).copied()
    }

    pub fn env(&self) -> BlockEnv {
        let header = &self.header;
        BlockEnv {
            number: U256::from(header.number),
            beneficiary: header.beneficiary,
            timestamp: U256::from(header.timestamp),
            gas_limit: header.gas_limit,
            basefee: header.base_fee_per_gas.unwrap_or(0),
            difficulty: header.difficulty,
            prevrandao: (self.spec >= SpecId::MERGE).then_some(header.mix_hash),
            blob_excess_gas_and_price: header.excess_blob_gas.map(|excess| BlobExcessGasAndPrice::new(excess, self.blob_fraction)),
            slot_num: 0,
        }
    }

    pub fn cfg(&self) -> CfgEnv {
        let mut cfg = CfgEnv::new().with_chain_id(self.chain_id);
        cfg.set_spec_and_mainnet_gas_params(self.spec);
        cfg.blob_base_fee_update_fraction = Some(self.blob_fraction);
        cfg.max_blobs_per_tx = (self.spec >= SpecId::OSAKA).then_some(BLOBS_PER_TRANSACTION);
        cfg
    }
}

fn big_endian(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0, |value, &byte| value << 8 | u64::from(byte))
}

/// By the specification's name of a fork: its rules, how many blobs a block may have, and how fast their price moves (EIP-7840).
fn rules(fork: &str) -> Option<(SpecId, u64, u64)> {
    let spec = match fork {
        "frontier" => SpecId::FRONTIER,
        "homestead" | "dao_fork" => SpecId::HOMESTEAD,
        "tangerine_whistle" => SpecId::TANGERINE,
        "spurious_dragon" => SpecId::SPURIOUS_DRAGON,
        "byzantium" => SpecId::BYZANTIUM,
        "constantinople" => SpecId::PETERSBURG,
        "istanbul" | "muir_glacier" => SpecId::ISTANBUL,
        "berlin" => SpecId::BERLIN,
        "london" | "arrow_glacier" | "gray_glacier" => SpecId::LONDON,
        "paris" => SpecId::MERGE,
        "shanghai" => SpecId::SHANGHAI,
        "cancun" => return Some((SpecId::CANCUN, 6, 3_338_477)),
        "prague" => return Some((SpecId::PRAGUE, 9, 5_007_716)),
        "osaka" => return Some((SpecId::OSAKA, 9, 5_007_716)),
        "bpo1" => return Some((SpecId::OSAKA, 15, 8_346_193)),
        "bpo2" => return Some((SpecId::OSAKA, 21, 11_684_671)),
        _ => return None,
    };
    Some((spec, 0, 1))
}
