"""A policy as it is written in one word: `default`, `window=0,run=1`, `paper,window=64`."""

from __future__ import annotations

from dataclasses import fields, replace

from ioi_exec import InputError
from ioi_exec.policy import Policy

_SWITCHES = {"on": True, "true": True, "yes": True, "off": False, "false": False, "no": False}
_AUTOMATIC = "auto"


def parse_policy(text: str) -> Policy:
    """First a name, if wanted, whose choices the others change. Raises InputError."""
    if text in Policy.names():
        return Policy.named(text)
    first, *others = (part.strip() for part in text.split(","))
    base, changes = Policy(), [first, *others]
    if "=" not in first:
        base, changes = Policy.named(first), others
    chosen: dict[str, object] = {}
    known = {field.name: getattr(Policy(), field.name) for field in fields(Policy) if field.name != "name"}
    for change in changes:
        name, equals, value = change.partition("=")
        if not equals or name not in known:
            raise InputError(f"policy {text!r}: {change!r} is none of {', '.join(f'{each}=...' for each in known)}")
        if name in chosen:
            raise InputError(f"policy {text!r}: {name} is given twice")
        chosen[name] = _value(text, name, value, known[name])
    return replace(base, **chosen, name=text)  # type: ignore[arg-type]


def _value(text: str, name: str, value: str, default: object) -> object:
    if isinstance(default, bool):
        if value not in _SWITCHES:
            raise InputError(f"policy {text!r}: {name} is on or off, not {value!r}")
        return _SWITCHES[value]
    if isinstance(default, str):
        return value
    if default is None and value == _AUTOMATIC:
        return None
    if not value.isascii() or not value.isdigit():
        raise InputError(f"policy {text!r}: {name} is a number{f' or {_AUTOMATIC}' if default is None else ''}, not {value!r}")
    return int(value)


def policy_text(policy: Policy) -> str:
    """What `parse_policy` makes a policy of the same choices of."""
    if policy.name in Policy.names() and policy == Policy.named(policy.name):
        return policy.name
    plain = Policy()
    parts = []
    for field in fields(Policy):
        value = getattr(policy, field.name)
        if field.name == "name" or value == getattr(plain, field.name):
            continue
        shown = ("on" if value else "off") if isinstance(value, bool) else _AUTOMATIC if value is None else str(value)
        parts.append(f"{field.name}={shown}")
    return ",".join(parts) or "default"
