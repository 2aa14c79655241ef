"""A trained bundle: a poster in, genres out. TensorFlow is loaded only where LiteRT cannot serve."""

import io
import math
import os
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass, field
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from postergenre import __version__, alterations, paths, pictures, reading
from postergenre.errors import MissingStep, StudyError

if TYPE_CHECKING:
    import keras

    from postergenre.films import Part
    from postergenre.metrics import Evaluation

Posters = NDArray[np.uint8]  # (posters, height, width, 3)
Network = Callable[[Posters], NDArray[np.float32]]  # to scores (posters, genres)

FORMATS = {"float": "model.tflite", "int8": "model_int8.tflite", "keras": "model.keras"}
DIFFERENCE = 0.05  # how far a score may lie from Keras's for a faster form to serve
AT_ONCE = 16  # posters a pass
CHECKED = 300  # validation films on which the forms are compared
NAME = "bundle.json"
FEW = 10_000  # weights
SMALL = 4_000_000  # bytes of a network
CHANGED = "changed.h5"  # what training has changed of VGG16, where it ships without model.keras


@dataclass(frozen=True)
class Classifier:
    """A network with what is needed to read its scores, as a training notebook left it."""

    folder: Path
    form: str  # "float" or "int8" (LiteRT), or "keras"
    size: pictures.Size
    vocabulary: list[str]
    majors: list[str]
    thresholds: NDArray[np.float64]
    calibration: NDArray[np.float64]
    scaling: NDArray[np.float64]  # of `reading.major_shares`
    sure: float  # the confidence above which validation films were answered with 85 % accuracy
    card: Mapping[str, Any]
    score: Network = field(repr=False)

    @classmethod
    def load(cls, folder: Path, *, form: str | None = None) -> "Classifier":
        """Read a bundle; refuse one whose parts do not fit together.

        `form` is "float", "int8" or "keras"; without it, the one that the bundle found the fastest
        among those that answer as Keras does.
        """
        told = _told(folder)
        chosen = form or told.get("serves", "keras")
        if chosen not in list(FORMATS):
            raise StudyError(f"A network has the forms {', '.join(FORMATS)}; {chosen!r} came.")
        if not form and not find_spec("ai_edge_litert"):
            chosen = "keras"
        if not form and chosen == "keras" and not find_spec("keras"):
            chosen = "float"
        file = _file(folder, chosen)
        if not file.is_file():
            raise MissingStep(
                f"{folder} holds no trained network ({file.name} is missing). "
                "03_custom_cnn and 04_vgg16_transfer write one into their run."
            )
        try:
            network: Any = _keras(file, told) if chosen == "keras" else _Lite(file)
            genres, size = network.genres, network.size
            if not np.isfinite(network(np.zeros((1, *size, 3), np.uint8))).all():
                raise ValueError("of a blank poster, its scores are no numbers")
        except (
            ArithmeticError,
            AttributeError,
            KeyError,
            OSError,
            RuntimeError,
            TypeError,
            ValueError,
        ) as error:
            reason = str(error).splitlines()[0] if str(error) else type(error).__name__
            raise StudyError(
                f"{file} cannot be read as a network ({reason}). Train the network again."
            ) from None
        if genres != len(told["vocabulary"]):
            raise StudyError(
                f"The bundle {folder} does not fit together: its network answers {genres} genres, "
                f"its vocabulary has {len(told['vocabulary'])}. Train the network again."
            )
        return cls(
            folder,
            chosen,
            size,
            told["vocabulary"],
            told["majors"],
            np.array(told["thresholds"]),
            np.array(told["calibration"]),
            np.array(told.get("scaling", reading.plain_scaling(told["majors"]))),
            math.inf if told.get("sure") is None else told["sure"],
            told["card"],
            network,
        )

    @cached_property
    def model(self) -> "keras.Model":
        """Return the network in Keras, layer by layer, whatever form answers.

        Of one that looks at mirror images as well, the network that looks at one view.
        """
        from postergenre import architectures

        return architectures.one_way(_keras(_file(self.folder, "keras"), _told(self.folder)).model)

    def classify(self, posters: Sequence[bytes | Path]) -> list[dict[str, Any]]:
        """Return for each poster (bytes or path) what `read` says of it, and `warnings`.

        A poster that cannot be read gives `{"error": reason}` in its place.
        """
        answers: list[dict[str, Any]] = []
        seen: list[Posters] = []
        for poster in posters:
            try:
                data = poster.read_bytes() if isinstance(poster, Path) else poster
                picture, warnings = self.look(data)
                seen.append(picture)
                answers.append({"warnings": warnings})
            except (OSError, ValueError) as error:
                answers.append({"error": getattr(error, "strerror", None) or str(error)})
        if seen:
            readable = [answer for answer in answers if "error" not in answer]
            for answer, read in zip(readable, self.read(self.score(np.stack(seen))), strict=True):
                answer |= read | {"warnings": answer.pop("warnings")}
        return answers

    def look(self, data: bytes, *, largest: int = pictures.LARGEST) -> tuple[Posters, list[str]]:
        """Return a poster as the network takes it, (height, width, 3), and what is odd about it."""
        image = pictures.read(data, largest=largest)
        return pictures.resize(image, self.size), pictures.faults(image)

    def read(self, scores: NDArray[np.float32]) -> list[dict[str, Any]]:
        """Say what scores (posters, genres) mean, a dictionary a poster.

        `scores` by genre, calibrated; `genres` above their threshold; the likeliest `major` genre,
        if the film has just one; how `sure` that is (its `reading.major_shares`); and whether to
        `abstain`, because validation films answered this surely were not right in 85 %.
        """
        chances = reading.calibrate(scores, self.calibration)
        shares = reading.major_shares(chances, self.vocabulary, self.majors, self.scaling)
        majors, sure = reading.major_choice(shares, self.majors), shares.max(axis=1)
        return [
            {
                "scores": dict(zip(self.vocabulary, row.round(4).tolist(), strict=True)),
                "genres": np.array(self.vocabulary)[row >= self.thresholds].tolist(),
                "major": str(major),
                "sure": round(float(one), 4),
                "abstain": bool(one < self.sure),
            }
            for row, major, one in zip(chances, majors, sure, strict=True)
        ]

    def explain(self, poster: bytes | Path) -> dict[str, Any]:
        """Classify one poster, and map by genre where covering it lowers the chance.

        `maps` holds for each genre rows of log odds lost (8 by 6 cells, from the top left). The
        method is occlusion (Zeiler and Fergus, ECCV 2014) with the poster's mean colour.
        """
        picture, warnings = self.look(poster.read_bytes() if isinstance(poster, Path) else poster)
        scores = self.score(np.stack([picture, *alterations.covered(picture)]))
        return self.read(scores[:1])[0] | {"warnings": warnings, "maps": self.maps(scores)}

    def maps(self, scores: NDArray[np.float32]) -> dict[str, list[list[float]]]:
        """Return the maps of `explain` from the scores of a poster and of its `covered` copies."""
        lost = reading.logit(reading.calibrate(scores, self.calibration))
        cells = alterations.cells(lost[0] - lost[1:]).round(3)
        return {genre: cells[..., at].tolist() for at, genre in enumerate(self.vocabulary)}


class _Lite:
    """A network in LiteRT, for any number of posters; one pass at a time."""

    def __init__(self, file: Path) -> None:
        from ai_edge_litert.interpreter import Interpreter

        # A small network has answered before a second thread has woken.
        self._threads = min(4, os.cpu_count() or 1) if file.stat().st_size > SMALL else 1
        self._make = lambda: Interpreter(model_path=str(file), num_threads=self._threads)
        self._ready: dict[int, Any] = {}
        self._lock = threading.Lock()
        with _quiet():
            first = self._make()
        shape = first.get_input_details()[0]["shape"]
        self.size = (int(shape[1]), int(shape[2]))
        self.genres = int(first.get_output_details()[0]["shape"][-1])

    def __call__(self, posters: Posters) -> NDArray[np.float32]:
        parts = [posters[start : start + AT_ONCE] for start in range(0, len(posters), AT_ONCE)]
        with self._lock:
            return np.concatenate([self._pass(part) for part in parts])

    def _pass(self, posters: Posters) -> NDArray[np.float32]:
        # A new number of posters costs a new plan, so there are few: powers of two.
        many = 1 << (len(posters) - 1).bit_length()
        if many not in self._ready:
            with _quiet():
                made = self._make()
                made.resize_tensor_input(
                    made.get_input_details()[0]["index"], [many, *posters.shape[1:]]
                )
                made.allocate_tensors()
            self._ready[many] = made
        network = self._ready[many]
        batch = np.zeros((many, *posters.shape[1:]), np.float32)
        batch[: len(posters)] = posters
        network.set_tensor(network.get_input_details()[0]["index"], batch)
        network.invoke()
        scores = network.get_tensor(network.get_output_details()[0]["index"])
        return np.asarray(scores[: len(posters)], dtype=np.float32)


class _Keras:
    def __init__(self, model: "keras.Model") -> None:
        self.model, self.genres = model, int(model.output_shape[-1])
        self.size = (int(model.input_shape[1]), int(model.input_shape[2]))

    def __call__(self, posters: Posters) -> NDArray[np.float32]:
        return np.asarray(self.model.predict(posters, batch_size=AT_ONCE, verbose=0))


def _file(folder: Path, form: str) -> Path:
    whole = folder / FORMATS[form]
    return folder / CHANGED if form == "keras" and not whole.is_file() else whole


def _keras(file: Path, told: Mapping[str, Any]) -> _Keras:
    import keras

    if file.suffix == ".keras":
        return _Keras(keras.models.load_model(file, compile=False))
    import h5py

    from postergenre import architectures

    with h5py.File(file) as stored:
        model = architectures.vgg16(
            tuple(told["card"]["size"]),
            len(told["vocabulary"]),
            weights=told["card"]["weights"],
            hidden=stored["logits/kernel"].shape[0],
        )
        for layer, weights in stored.items():
            by_name = {weight.name: weight for weight in model.get_layer(layer).weights}
            for name, stored_weight in weights.items():
                values = stored_weight[()].astype(np.float32)
                if values.shape != by_name[name].shape:
                    raise ValueError(f"{layer}/{name} is {values.shape}, not {by_name[name].shape}")
                if "step" in stored_weight.attrs:
                    values = np.asarray(by_name[name]) + values * stored_weight.attrs["step"]
                by_name[name].assign(values)
    return _Keras(model)


class _quiet:  # noqa: N801
    """Keep what LiteRT's C++ says of its delegates off standard error."""

    def __enter__(self) -> None:
        self._null = os.open(os.devnull, os.O_WRONLY)
        try:
            self._kept = os.dup(2)
        except OSError:  # closed, as by `2>&-`: nothing is said there, and 2 may now be our own
            self._kept = -1
            return
        os.dup2(self._null, 2)

    def __exit__(self, *_: object) -> None:
        if self._kept >= 0:
            os.dup2(self._kept, 2)
            os.close(self._kept)
        os.close(self._null)


def _told(folder: Path) -> dict[str, Any]:
    file = folder / NAME
    if not file.is_file():
        raise MissingStep(
            f"{folder} holds no trained network ({NAME} is missing). "
            "03_custom_cnn and 04_vgg16_transfer write one into their run."
        )
    needed = {"vocabulary", "majors", "thresholds", "calibration", "card"}
    try:
        told = paths.read_json(file)
        missing = needed - set(told)
        wrong = "" if missing else _wrong(told)
    except (ValueError, TypeError, AttributeError, RecursionError):
        missing, wrong = needed, ""
    if missing or wrong:
        wrong = wrong or ", ".join(sorted(missing))
        raise StudyError(
            f"{file} is not the description of a network: {wrong} expected. "
            "Train the network again."
        )
    return dict(told)


def _wrong(told: Mapping[str, Any]) -> str:
    """Return what the description of a network should have and does not, or nothing."""
    genres, majors, sure = told["vocabulary"], told["majors"], told.get("sure")
    if not (isinstance(genres, list) and all(isinstance(genre, str) for genre in genres)):
        return "a vocabulary of words"
    if len(set(genres)) != len(genres):
        return "a vocabulary without repetition"
    if not (isinstance(majors, list) and majors and set(majors) <= set(genres)):
        return "majors out of the vocabulary"
    shapes = {"thresholds": (len(genres),), "calibration": (len(genres), 2)}
    shapes |= {"scaling": (1 + len(majors),)} if "scaling" in told else {}
    for name, shape in shapes.items():
        values = np.asarray(told[name])
        if values.dtype.kind not in "if" or values.shape != shape or not np.isfinite(values).all():
            return f"{name} of {shape} numbers"
    if sure is not None and not (isinstance(sure, (int, float)) and sure >= 0):
        return "a number as sure"
    return "" if isinstance(told["card"], dict) else "a card of names and values"


def save(
    folder: Path,
    model: "keras.Model",
    result: "Evaluation",
    *,
    vocabulary: Sequence[str],
    majors: Sequence[str],
    card: Mapping[str, Any],
    check: tuple["Part", Posters],
) -> None:
    """Write a bundle: the network for Keras and for LiteRT, and `bundle.json`.

    `result` gives calibration, thresholds, scaling, the cut of confidence and its deciles. `check` holds the
    validation films and all films' posters (films, height, width, 3): there the forms are compared,
    and the fastest whose scores all lie within 0.05 of Keras's serves.
    """
    folder.mkdir(parents=True, exist_ok=True)
    bare = type(model)(model.inputs, model.outputs, name=model.name)  # without an optimiser
    bare.save(folder / "part-model.keras")
    (folder / "part-model.keras").replace(folder / FORMATS["keras"])
    for form, data in _exported(bare).items():
        paths.write_bytes(folder / FORMATS[form], data)
    forms = compare(folder, model, check)
    passing = [name for name, told in forms.items() if told["largest_difference"] <= DIFFERENCE]
    measured = result.table.astype(float).round(4).to_dict("index")
    deciles = result.coverage["confidence"].quantile(np.arange(1, 10) / 10).round(4).tolist()
    told = {"measured": measured, "passing": result.plain()["coverage_at_85"], "deciles": deciles}
    paths.write_json(
        folder / NAME,
        {
            "version": __version__,
            "vocabulary": list(vocabulary),
            "majors": list(majors),
            "thresholds": result.thresholds.tolist(),
            "calibration": result.calibration.tolist(),
            "scaling": result.scaling.tolist(),
            "sure": result.cut if math.isfinite(result.cut) else None,
            "serves": min(passing, key=lambda name: forms[name]["milliseconds"]),
            "forms": forms,
            "card": {**card, **told},
        },
    )


def ship(folder: Path, target: Path, check: Posters) -> None:
    """Copy a bundle to where it ships: a small one for Keras and as it serves, VGG16 as what training changed.

    A convolution's kernel is its distance from ImageNet's, in 8 bits a weight and one step for each
    filter; other changed weights are in half precision, those of which a layer has few in single
    precision; the rest is in the file of ImageNet's weights that the card names. How far its scores
    for the posters `check` then lie from the network's goes into the bundle, and at most 0.05 does.
    """
    told = _told(folder)
    target.mkdir(parents=True, exist_ok=True)
    if told["card"]["network"] != "vgg16":
        forms = {form: told["forms"][form] for form in ("keras", told["serves"])}
        for form in forms:
            paths.write_bytes(target / FORMATS[form], (folder / FORMATS[form]).read_bytes())
        paths.write_json(target / NAME, told | {"forms": forms})
        return
    import h5py

    from postergenre import architectures

    model = _keras(_file(folder, "keras"), told).model
    size, units = tuple(told["card"]["size"]), model.get_layer("hidden").units
    base = architectures.vgg16(
        size, len(told["vocabulary"]), weights=told["card"]["weights"], hidden=units
    )
    part = target / f"part-{CHANGED}"
    with h5py.File(part, "w") as file:
        for weight in model.weights:
            layer = weight.path.rpartition("/")[0]
            values = np.asarray(weight)
            known = {one.name: np.asarray(one) for one in base.get_layer(layer).weights}
            change = values - known[weight.name]
            if values.ndim == 4 and change.any():
                step = np.abs(change).max(axis=(0, 1, 2)).clip(1e-9) / 127
                file[f"{layer}/{weight.name}"] = np.round(change / step).astype(np.int8)
                file[f"{layer}/{weight.name}"].attrs["step"] = step
            elif change.any():
                kind = np.float16 if values.size > FEW else np.float32
                file[f"{layer}/{weight.name}"] = values.astype(kind)
    apart = np.abs(_keras(part, told)(check) - _Keras(model)(check))
    if apart.max() > DIFFERENCE:
        part.unlink()
        raise StudyError(
            f"As what training has changed, {folder} would answer otherwise: a score differs by "
            f"{apart.max():.2f}, and at most {DIFFERENCE} may. Nothing was shipped."
        )
    told["forms"]["keras"] |= {
        "bytes": part.stat().st_size,
        "largest_difference": float(apart.max()),
        "mean_difference": float(apart.mean()),
    }
    part.replace(target / CHANGED)
    forms = {"keras": told["forms"]["keras"]}
    paths.write_json(target / NAME, told | {"serves": "keras", "forms": forms})


def compare(
    folder: Path, model: "keras.Model", check: tuple["Part", Posters]
) -> dict[str, dict[str, float]]:
    """Return for each form of a bundle its distance from Keras's scores, macro AUROC, size and time.

    The time is the median of one poster after another, in milliseconds; Keras's is that of its
    compiled graph, without `predict`'s own.
    """
    from postergenre.films import of
    from postergenre.metrics import multilabel
    from postergenre.training import milliseconds_per_poster

    held = of("validation", check[0])
    drawn = np.random.default_rng(0).permutation(len(held.rows))[:CHECKED]
    posters, truth = check[1][held.rows[drawn]], held.truth[drawn]
    networks: dict[str, Any] = {"keras": _Keras(model)}
    networks |= {form: _Lite(folder / FORMATS[form]) for form in ("float", "int8")}
    expected, table = networks["keras"](posters), {}
    half = np.full(truth.shape[1], 0.5)
    for form, network in networks.items():
        scores = expected if form == "keras" else network(posters)
        if form == "keras":
            milliseconds = milliseconds_per_poster(model, posters)
        else:
            times = []
            for poster in posters[:30]:
                began = time.perf_counter()
                network(poster[None])
                times.append(1000 * (time.perf_counter() - began))
            milliseconds = float(np.median(times))
        apart = np.abs(scores - expected)
        table[form] = {
            "bytes": (folder / FORMATS[form]).stat().st_size,
            "largest_difference": float(apart.max()),
            "mean_difference": float(apart.mean()),
            "macro_auroc": multilabel(truth, scores, half)["macro_auroc"],
            "milliseconds": milliseconds,
        }
    return table


def _exported(model: "keras.Model") -> dict[str, bytes]:
    """Return the network for LiteRT, in single precision and with 8-bit weights (dynamic range)."""
    import tensorflow as tf

    made = {}
    logger = tf.get_logger()  # in a notebook it tells of the converter's temporary files
    level = logger.level
    logger.setLevel("ERROR")
    for form in ("float", "int8"):
        converter = tf.lite.TFLiteConverter.from_keras_model(model)
        if form == "int8":
            converter.optimizations = [tf.lite.Optimize.DEFAULT]
        with _quiet(), redirect_stdout(io.StringIO()):
            made[form] = bytes(converter.convert())
    logger.setLevel(level)
    return made
