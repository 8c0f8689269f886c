"""Every tree seen through `top` and `split` is a binary tree whose hashes are those of its definition."""

from __future__ import annotations

import random
from hashlib import sha256

import pytest
from ioi_storage import Store
from ioi_storage.trees.seam import Inner, Leaf, Node, TreeHead


def rehash(store: Store, node: Node | None, leaves: list[Leaf]) -> bytes:
    if node is None:
        return b"SPARSE_MERKLE_PLACEHOLDER_HASH__"
    if isinstance(node, Leaf):
        leaves.append(node)
        assert node.hash == sha256(b"JMT::LeafNode" + node.place + node.value_hash).digest()
        return node.hash
    left, right = store._tree.split(store._nodes, node)
    whole = rehash(store, left, leaves) + rehash(store, right, leaves)
    assert node.hash == sha256(b"JMT::IntrnalNode" + whole).digest()
    return node.hash


@pytest.mark.parametrize("size", [0, 1, 2, 3, 17, 100, 3000])
def test_jellyfish(size: int) -> None:
    rng = random.Random(size)
    state = {rng.randbytes(rng.randint(1, 40)): rng.randbytes(rng.randint(0, 60)) for _ in range(size)}
    with Store.create(None, meta={}, genesis=state.items()) as store:
        leaves: list[Leaf] = []
        top = store._tree.top(store._nodes, TreeHead(store.latest.root, store.latest.head))
        assert rehash(store, top, leaves) == store.root
        assert isinstance(top, Inner) == (len(state) > 1)
        expected = sorted((sha256(key).digest(), sha256(value).digest()) for key, value in state.items())
        assert [(leaf.place, leaf.value_hash) for leaf in leaves] == expected
        for leaf in leaves[:50]:
            found = store._tree.find(store._nodes, TreeHead(store.latest.root, store.latest.head), leaf.place)
            assert found == leaf
