//! Commands on standard input, one a line, words in hex, one space between; each is answered by one line.
//!
//!   spec jellyfish|iavl                     the ProofSpec of the real library
//!   verify SPEC ROOT KEY VALUE|- PROOF      true, false, "panic", or "undecodable"
//!   tree KEY VALUE KEY VALUE ...           a Jellyfish tree of the crate jmt with these pairs, instead of the last one: its root
//!   prove KEY                               jmt's own proof of what KEY is in that tree
//!   decode PROOF                            the proof as the real library writes it again

use std::io::{self, BufRead, Write};
use std::panic;

use ics23::{CommitmentProof, HostFunctionsManager, ProofSpec};
use jmt::{mock::MockTreeStore, storage::TreeWriter, JellyfishMerkleTree, KeyHash};
use prost::Message;
use sha2::Sha256;

fn bytes(hex: &str) -> Vec<u8> {
    let digits = hex.as_bytes().chunks(2).map(|pair| std::str::from_utf8(pair).unwrap());
    digits.map(|pair| u8::from_str_radix(pair, 16).unwrap()).collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn verify(words: &[&str]) -> String {
    let [spec, root, key, value, proof] = words else { panic!("verify takes 5 words") };
    let spec = ProofSpec::decode(&bytes(spec)[..]).unwrap();
    let Ok(proof) = CommitmentProof::decode(&bytes(proof)[..]) else { return "undecodable".into() };
    let (root, key) = (bytes(root), bytes(key));
    let answer = panic::catch_unwind(|| match *value {
        "-" => ics23::verify_non_membership::<HostFunctionsManager>(&proof, &spec, &root, &key),
        value => ics23::verify_membership::<HostFunctionsManager>(&proof, &spec, &root, &key, &bytes(value)),
    });
    answer.map_or("panic".into(), |good| good.to_string())
}

fn tree(words: &[&str]) -> (MockTreeStore, [u8; 32]) {
    let store = MockTreeStore::default();
    let keys = words.iter().step_by(2).map(|key| bytes(key));
    let pairs: Vec<_> = keys.zip(words.iter().skip(1).step_by(2).map(|value| bytes(value))).collect();
    let values = pairs.iter().map(|(key, value)| (KeyHash::with::<Sha256>(key), Some(value.clone())));
    let (root, batch) = JellyfishMerkleTree::<_, Sha256>::new(&store).put_value_set(values, 0).unwrap();
    store.write_tree_update_batch(batch).unwrap();
    for (key, _) in &pairs {
        store.put_key_preimage(KeyHash::with::<Sha256>(key), key);
    }
    (store, root.0)
}

fn main() {
    panic::set_hook(Box::new(|_| {}));
    let mut store = MockTreeStore::default();
    for line in io::stdin().lock().lines() {
        let line = line.unwrap();
        let words: Vec<&str> = line.split(' ').collect();
        let answer = match words[..] {
            ["spec", "jellyfish"] => hex(&jmt::ics23_spec().encode_to_vec()),
            ["spec", "iavl"] => hex(&ics23::iavl_spec().encode_to_vec()),
            ["verify", ..] => verify(&words[1..]),
            ["tree", ..] => {
                let (planted, root) = tree(&words[1..]);
                store = planted;
                hex(&root)
            }
            ["prove", key] => {
                let tree = JellyfishMerkleTree::<_, Sha256>::new(&store);
                hex(&tree.get_with_ics23_proof(bytes(key), 0).unwrap().1.encode_to_vec())
            }
            ["decode", proof] => match CommitmentProof::decode(&bytes(proof)[..]) {
                Ok(proof) => hex(&proof.encode_to_vec()),
                Err(_) => "undecodable".into(),
            },
            _ => panic!("unknown command"),
        };
        println!("{answer}");
        io::stdout().flush().unwrap();
    }
}
