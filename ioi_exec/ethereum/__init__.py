"""Blocks of Ethereum mainnet, executed and held against their own headers. What a block is, and the VM, stand below: files, vm.

The specification that all of that imports is an extra, so this file does not."""

from importlib.util import find_spec

from ioi_exec.errors import InputError

VM = "ioi_exec.vm.ethereum:Ethereum"


def check_installed() -> None:
    """Raises InputError where the specification is not."""
    if find_spec("ethereum") is None:
        raise InputError("the specification of Ethereum is not installed: pip install 'ioi-exec[ethereum]', under Python 3.11 or newer")
