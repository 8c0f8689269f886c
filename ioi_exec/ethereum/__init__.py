"""Blocks of Ethereum mainnet, executed and held against their own headers. What a block is, and the VM, stand below: files, vm.

The specification that all of that imports is an extra, so this file does not."""

from importlib.util import find_spec

from ioi_exec.errors import InputError

VM = "ioi_exec.vm.ethereum:Ethereum"
EVMS = {"specification": VM, "revm": "ioi_revm:Ethereum"}
"""VMs by name, with the same blocks, keys, values and outputs. Both need the specification, which reads the files."""


def check_installed(evm: str = "specification") -> None:
    """Raises InputError where what it needs is not."""
    if find_spec("ethereum") is None:
        raise InputError("the specification of Ethereum is not installed: pip install 'ioi-exec[ethereum]', under Python 3.11 or newer")
    if evm == "revm" and find_spec("ioi_revm") is None:
        raise InputError("revm is not installed: pip install ./tools/revm-vm in a checkout of ioi-exec, which needs cargo")
