"""Posters whose one genre is a bright patch in a known place, and a network that learns them."""

from pathlib import Path
from typing import Any

import numpy as np
from conftest import part

from postergenre import architectures, batches, training

SIZE = (48, 32)
ROWS = np.arange(96)


def patches(films: int = 128, seed: int = 3) -> tuple[np.ndarray, np.ndarray]:
    """Return posters (films, 48, 32, 3) and truth (films, 2): a red patch above, or a blue one below."""
    rng = np.random.default_rng(seed)
    truth = np.zeros((films, 2), dtype=bool)
    truth[np.arange(films), rng.integers(0, 2, films)] = True
    posters = rng.integers(60, 120, (films, *SIZE, 3), dtype=np.uint8)
    posters[truth[:, 0], 4:16, 8:24] = (230, 20, 20)
    posters[truth[:, 1], 32:44, 8:24] = (20, 20, 230)
    return posters, truth


def trained(
    folder: Path,
    *,
    epochs: int = 3,
    stop_after: int | None = None,
    held: slice = slice(96, None),
    dropout: float = 0.4,
    **how: Any,
) -> Any:
    posters, truth = patches()
    training.seeded(1)
    model = architectures.custom_cnn(SIZE, 2, width=8, dropout=dropout)
    made = []
    learned = part("train", truth, ROWS)

    def epoch_of(epoch: int) -> Any:
        if stop_after is not None and epoch == stop_after:
            raise KeyboardInterrupt
        made.append(epoch)
        return batches.epoch_of(
            learned,
            lambda at: [posters[at]],
            truth,
            batch_size=16,
            seed=1,
            epoch=epoch,
            augmented=True,
        )

    stamp = {"films": 128} | how
    history = training.fit(
        model, epoch_of, (part("validation", truth, held), lambda at: posters[at]),
        loss=training.balanced_crossentropy(learned), epochs=epochs, steps=6,
        learning_rate=0.01, folder=folder, stamp=stamp,
    )  # fmt: skip
    return model, history, made
