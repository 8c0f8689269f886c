"""Blocks of Ethereum mainnet, executed and held against their own headers. What a block is, and the VM, stand below: files, vm."""
