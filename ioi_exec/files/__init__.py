"""Block and genesis files: strict JSON, every refusal with file and line."""

from ioi_exec.files.block import BlockFile, read_block, read_blocks
from ioi_exec.files.genesis import read_genesis

__all__ = ["BlockFile", "read_block", "read_blocks", "read_genesis"]
