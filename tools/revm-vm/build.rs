//! Compiles the header of the engine, so that what Rust takes its tables to be is held against what they are.

fn main() {
    let header = "../../shm/ioi_shm/include";
    cc::Build::new().file("src/layout.c").include(header).flag_if_supported("-std=c11").compile("ioi_layout");
    println!("cargo:rerun-if-changed={header}/ioi_vm.h");
    println!("cargo:rerun-if-changed=src/layout.c");
}
