"""Hard negatives: who is near, and that batches stay batches."""

from __future__ import annotations

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st

from vldistill.pretrain.neighbours import nearest, with_neighbours


def test_nearest_share_the_rare_words() -> None:
    rows = torch.tensor([[[0, 5, 7, 1]], [[0, 5, 7, 2]], [[0, 6, 8, 1]], [[0, 6, 8, 2]]])
    assert nearest(rows, 1, ignored={0}).squeeze(1).tolist() == [1, 0, 3, 2]
    assert nearest(rows, 9, ignored={0}).shape == (4, 3)


def test_no_row_is_its_own_neighbour() -> None:
    rows = torch.from_numpy(np.random.default_rng(0).integers(0, 30, (700, 2, 6)))
    found = nearest(rows, 5, ignored={0, 1})
    assert not (found == torch.arange(700).unsqueeze(1)).any()


@given(seed=st.integers(0, 1000), share=st.floats(0, 0.5), size=st.integers(2, 40))
def test_batches_keep_their_size_and_repeat_nothing(seed: int, share: float, size: int) -> None:
    rng = np.random.default_rng(seed)
    neighbours = rng.integers(0, 60, (60, 4))
    batch = rng.permutation(60)[:size]
    filled = with_neighbours(batch, neighbours, share, rng)
    assert len(filled) == size and len(set(filled.tolist())) == size
    kept = size - int(share * size)
    assert filled[:kept].tolist() == batch[:kept].tolist()
    for place in range(kept, size):
        assert filled[place] in (batch[place], *neighbours[batch[place - kept]])
