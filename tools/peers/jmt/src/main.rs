//! Drives the real jmt crate with SHA-256, in memory, for ../../peer.py, which describes what it reads and writes.

use std::io::{self, BufReader, BufWriter, ErrorKind, Read, Write};
use std::time::Instant;

use anyhow::{ensure, Result};
use hashbrown::HashMap;
use jmt::storage::{LeafNode, Node, NodeKey, TreeReader, TreeUpdateBatch};
use jmt::{JellyfishMerkleTree, KeyHash, OwnedValue, RootHash, Version};
use sha2::Sha256;

/// A key with its new value, or None to delete it.
type Writes = Vec<(Vec<u8>, Option<Vec<u8>>)>;

const REMOVED: u32 = u32::MAX; // in place of the length of a value

/// What a user of the crate has to bring: the nodes and the latest values, here in hash maps.
#[derive(Default)]
struct Memory {
    nodes: HashMap<NodeKey, Node>,
    values: HashMap<KeyHash, Option<OwnedValue>>,
}

impl TreeReader for Memory {
    fn get_node_option(&self, key: &NodeKey) -> Result<Option<Node>> {
        Ok(self.nodes.get(key).cloned())
    }

    fn get_value_option(&self, _: Version, key: KeyHash) -> Result<Option<OwnedValue>> {
        Ok(self.values.get(&key).cloned().flatten())
    }

    fn get_rightmost_leaf(&self) -> Result<Option<(NodeKey, LeafNode)>> {
        unimplemented!("only restoring asks for it")
    }
}

impl Memory {
    fn keep(&mut self, update: TreeUpdateBatch) {
        for (key, node) in update.node_batch.nodes() {
            self.nodes.insert(key.clone(), node.clone());
        }
        for ((_, key), value) in update.node_batch.values() {
            self.values.insert(*key, value.clone());
        }
        for stale in &update.stale_node_index_batch {
            self.nodes.remove(&stale.node_key);
        }
    }
}

/// By `put_value_set`, the one way that can delete.
fn key_by_key(memory: &Memory, writes: Writes, version: Version) -> Result<(RootHash, TreeUpdateBatch)> {
    let tree = JellyfishMerkleTree::<_, Sha256>::new(memory);
    let hashed = writes.into_iter().map(|(key, value)| (KeyHash::with::<Sha256>(key), value));
    tree.put_value_set(hashed, version)
}

/// By `batch_put_value_sets`: `writes` must not be empty and must not delete.
fn as_a_batch(memory: &Memory, writes: Writes, version: Version) -> Result<(RootHash, TreeUpdateBatch)> {
    let tree = JellyfishMerkleTree::<_, Sha256>::new(memory);
    let hashed = writes.into_iter().map(|(key, value)| (KeyHash::with::<Sha256>(key), value.unwrap())).collect();
    let (roots, update) = tree.batch_put_value_sets(vec![hashed], None, version)?;
    Ok((roots[0], update))
}

fn main() -> Result<()> {
    let (mut input, mut output) = (BufReader::with_capacity(1 << 20, io::stdin()), BufWriter::new(io::stdout()));
    let mut memory = Memory::default();
    let mut version = 0;
    while let Some((kind, writes)) = read(&mut input)? {
        let batchable = !writes.is_empty() && writes.iter().all(|(_, value)| value.is_some());
        let mut times = Vec::new();
        let (root, update) = match kind {
            b'v' => timed(&mut times, || key_by_key(&memory, writes, version))?,
            b'b' => {
                ensure!(batchable, "only versions that put something and delete nothing can be a batch");
                timed(&mut times, || as_a_batch(&memory, writes, version))?
            }
            b'c' => {
                ensure!(batchable, "only versions that put something and delete nothing can be a batch");
                let copy = writes.clone();
                let slow = timed(&mut times, || key_by_key(&memory, copy, version))?;
                let quick = timed(&mut times, || as_a_batch(&memory, writes, version))?;
                ensure!(slow.0 == quick.0, "the crate's two ways give two roots");
                slow
            }
            _ => anyhow::bail!("unknown kind of version {kind}"),
        };
        timed(&mut times, || memory.keep(update));
        output.write_all(&root.0)?;
        output.write_all(&(times.len() as u32).to_le_bytes())?;
        for elapsed in times {
            output.write_all(&elapsed.to_le_bytes())?;
        }
        output.flush()?;
        version += 1;
    }
    Ok(())
}

/// Appends the nanoseconds that `work` takes.
fn timed<T>(times: &mut Vec<u64>, work: impl FnOnce() -> T) -> T {
    let began = Instant::now();
    let result = work();
    times.push(began.elapsed().as_nanos() as u64);
    result
}

/// One version; None if there are no more.
fn read(input: &mut impl Read) -> Result<Option<(u8, Writes)>> {
    let mut kind = [0];
    match input.read_exact(&mut kind) {
        Err(error) if error.kind() == ErrorKind::UnexpectedEof => return Ok(None),
        other => other?,
    }
    let count = number(input)?;
    let mut writes = Vec::with_capacity(count as usize);
    for _ in 0..count {
        let (key, value) = (number(input)?, number(input)?);
        let key = bytes(input, key)?;
        writes.push((key, if value == REMOVED { None } else { Some(bytes(input, value)?) }));
    }
    Ok(Some((kind[0], writes)))
}

fn number(input: &mut impl Read) -> Result<u32> {
    let mut raw = [0; 4];
    input.read_exact(&mut raw)?;
    Ok(u32::from_le_bytes(raw))
}

fn bytes(input: &mut impl Read, length: u32) -> Result<Vec<u8>> {
    let mut raw = vec![0; length as usize];
    input.read_exact(&mut raw)?;
    Ok(raw)
}
