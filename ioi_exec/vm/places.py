"""Which keys of the state a VM gave to what: its maps, items and counters must not run into each other."""

from __future__ import annotations

from typing import Iterator

from ioi_exec.errors import VMError


class Place:
    """A part of the state: every key that begins with `prefix`, or that key alone if `exact`. name: what errors call it."""

    name: str
    prefix: bytes
    exact: bool

    def places(self) -> Iterator[Place]:
        """What it is made of."""
        yield self

    def meets(self, other: Place) -> bool:
        """Whether a key could belong to both."""
        short, long = sorted((self, other), key=lambda place: len(place.prefix))
        return short.prefix == long.prefix or not short.exact and long.prefix.startswith(short.prefix)


def check_places(vm_name: str, instance: object) -> None:
    """Look at every place that is an attribute of a VM or of its class. Raises VMError where two of them meet."""
    attributes: dict[str, object] = {}
    for cls in reversed(type(instance).__mro__):
        attributes.update(vars(cls))
    attributes.update(getattr(instance, "__dict__", {}))
    found: dict[int, tuple[str, Place]] = {}
    for name, value in attributes.items():
        if isinstance(value, Place):
            for place in value.places():
                for other_name, other in found.values():
                    if other is not place and place.meets(other):
                        raise VMError(
                            f"the VM {vm_name} keeps two things under the same keys: {other_name} ({other.name}) under {other.prefix!r} "
                            f"and {name} ({place.name}) under {place.prefix!r}: give one of them another name or prefix"
                        )
                found[id(place)] = name, place
