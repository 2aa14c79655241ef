from pathlib import Path

import pytest
from conftest import jpeg

from postergenre import paths
from postergenre.errors import DamagedFile, MissingStep


def test_a_missing_file_names_the_notebook_that_writes_it(run: str) -> None:
    with pytest.raises(MissingStep, match="02_genre_distribution writes it"):
        paths.need(run, "films.parquet")
    with pytest.raises(MissingStep, match="04_vgg16_transfer writes it"):
        paths.need(run, "vgg16/predictions.parquet")


def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "kept.json"
    paths.write_json(path, {"old": True})

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="No space left"):
        paths.write_bytes(path, jpeg(1))
    assert paths.read_json(path) == {"old": True}
    assert list(tmp_path.iterdir()) == [path]


def test_a_damaged_file_is_named_with_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "provenance.json").write_text('{"fingerprint": "66')
    with pytest.raises(DamagedFile, match=r"provenance\.json is damaged.*Remove it and run"):
        paths.fingerprint(tmp_path)


def test_a_relative_run_counts_from_the_project() -> None:
    assert paths.run_directory("runs/x") == paths.project() / "runs/x"
    assert (paths.project() / "postergenre" / "paths.py").is_file()
