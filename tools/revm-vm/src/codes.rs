//! Code that was analysed already, by its hash: nothing that a worker forgets or keeps can decide anything.

use std::collections::HashMap;

use revm::bytecode::Bytecode;
use revm::primitives::B256;

const MOST_BYTES: usize = 64 << 20;

#[derive(Default)]
pub struct Codes {
    kept: HashMap<B256, Bytecode>,
    bytes: usize,
}

impl Codes {
    pub fn get(&self, hash: &B256) -> Option<Bytecode> {
        self.kept.get(hash).cloned()
    }

    pub fn keep(&mut self, hash: B256, code: &Bytecode) {
        if self.bytes + code.len() > MOST_BYTES {
            self.kept.clear();
            self.bytes = 0;
        }
        self.bytes += code.len();
        self.kept.insert(hash, code.clone());
    }
}
