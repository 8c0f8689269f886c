"""ioi-exec keys: files with a key that transactions are signed with."""

from __future__ import annotations

import argparse
from pathlib import Path

from ioi_exec.cli.options import Commands, add_command, print_fields, print_json, whole_number
from ioi_exec.errors import InputError

_EPILOG = """The file is for this user alone (mode 0600), and no file is written over. The key is one of ed25519; its public key is the sender of what it
signs, and the account of payments. Whoever has the file can send in its name: it is not encrypted."""


def register(commands: Commands) -> None:
    summary = "Make and show keys that transactions are signed with."
    group = commands.add_parser("keys", help=summary, description=summary, allow_abbrev=False)
    of_group = group.add_subparsers(dest="keys_command", required=True, metavar="COMMAND")

    new = add_command(
        of_group, "new", "Make a key.", _EPILOG,
        example="ioi-exec keys new ada.key\nioi-exec keys new first.key --seed test --account 0", needs_state=False,
    )
    new.add_argument("file", metavar="FILE", help="where it is written")
    new.add_argument("--seed", metavar="TEXT", help="the key that ioi-exec dev --seed TEXT has: for tests, anybody can make it")
    new.add_argument("--account", type=whole_number, metavar="N", help="with --seed: of this account, from 0 (default: 0)")
    new.set_defaults(run=run_new)

    show = add_command(of_group, "show", "Show the public key of a file.", example="ioi-exec keys show ada.key", needs_state=False)
    show.add_argument("file", metavar="FILE", help="what ioi-exec keys new wrote")
    show.add_argument("--secret", action="store_true", help="its secret too")
    show.set_defaults(run=run_show)


def run_new(options: argparse.Namespace) -> int:
    from ioi_exec.node.dev_keys import account
    from ioi_exec.node.keys import new_pair, write_key

    if options.seed is None and options.account is not None:
        raise InputError("--account is of a seed: give --seed")
    pair = new_pair() if options.seed is None else account(options.seed, options.account or 0)
    write_key(Path(options.file), pair)
    (print_json if options.json else print_fields)({"file": options.file, "public_key": pair.public.hex()})
    return 0


def run_show(options: argparse.Namespace) -> int:
    from ioi_exec.node.keys import read_key

    pair = read_key(Path(options.file))
    shown = {"public_key": pair.public.hex(), **({"secret": pair.secret.hex()} if options.secret else {})}
    (print_json if options.json else print_fields)(shown)
    return 0
