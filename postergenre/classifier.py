"""A trained bundle: a poster in, genres out."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from postergenre import __version__, batches, corpus, metrics, paths
from postergenre.errors import MissingStep, StudyError


@dataclass(frozen=True)
class Classifier:
    """A network with what is needed to read its scores, as a training notebook left it."""

    model: keras.Model
    vocabulary: list[str]
    majors: list[str]
    thresholds: NDArray[np.float64]
    calibration: NDArray[np.float64]
    card: Mapping[str, Any]

    @property
    def size(self) -> tuple[int, int]:
        """Return height and width of the posters that the network takes, in pixels."""
        height, width = self.model.input_shape[1:3]
        return int(height), int(width)

    def save(self, folder: Path) -> None:
        """Write the bundle: `model.keras` and `bundle.json`."""
        folder.mkdir(parents=True, exist_ok=True)
        self.model.save(folder / "part-model.keras")
        (folder / "part-model.keras").replace(folder / "model.keras")
        paths.write_json(
            folder / "bundle.json",
            {
                "version": __version__,
                "vocabulary": self.vocabulary,
                "majors": self.majors,
                "thresholds": self.thresholds.tolist(),
                "calibration": self.calibration.tolist(),
                "card": dict(self.card),
            },
        )

    @classmethod
    def load(cls, folder: Path) -> "Classifier":
        """Read a bundle; refuse one whose parts do not fit together."""
        for name in ("bundle.json", "model.keras"):
            if not (folder / name).is_file():
                raise MissingStep(
                    f"{folder} holds no trained network ({name} is missing). "
                    "03_custom_cnn and 04_vgg16_transfer write one into their run."
                )
        told = paths.read_json(folder / "bundle.json")
        model = keras.models.load_model(folder / "model.keras", compile=False)
        genres = model.output_shape[-1]
        if not genres == len(told["vocabulary"]) == len(told["calibration"]):
            raise StudyError(
                f"The bundle {folder} does not fit together: its network answers {genres} genres, "
                f"its vocabulary has {len(told['vocabulary'])}. Train the network again."
            )
        return cls(
            model,
            told["vocabulary"],
            told["majors"],
            np.array(told["thresholds"]),
            np.array(told["calibration"]),
            told["card"],
        )

    def classify(self, posters: Sequence[bytes | Path]) -> list[dict[str, Any]]:
        """Return for each poster (bytes or path) its calibrated `scores` by genre, `genres` and `major`.

        A poster that cannot be read gives `{"error": reason}` in its place.
        """
        answers: list[dict[str, Any]] = []
        pictures: list[NDArray[np.uint8]] = []
        for poster in posters:
            try:
                data = poster.read_bytes() if isinstance(poster, Path) else poster
                pictures.append(batches.resize(corpus.decode(data), self.size))
                answers.append({})
            except (OSError, ValueError) as error:
                answers.append({"error": getattr(error, "strerror", None) or str(error)})
        if pictures:
            self._answer([a for a in answers if not a], np.stack(pictures))
        return answers

    def _answer(self, answers: list[dict[str, Any]], pictures: NDArray[np.uint8]) -> None:
        raw = self.model.predict(pictures, batch_size=32, verbose=0)
        calibrated = metrics.calibrate(raw, self.calibration)
        majors = metrics.major_choice(calibrated, self.vocabulary, self.majors)
        for answer, scores, major in zip(answers, calibrated, majors, strict=True):
            answer["scores"] = dict(zip(self.vocabulary, scores.round(4).tolist(), strict=True))
            above = np.array(self.vocabulary)[scores >= self.thresholds]
            answer["genres"] = above.tolist()
            answer["major"] = str(major)
