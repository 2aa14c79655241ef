"""The command line: run the study, build its book, classify posters, serve a network."""

import argparse
import io
import json
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tqdm import tqdm

import postergenre
from postergenre import paths
from postergenre.errors import StudyError

# Where a network to serve is looked for, when none is named.
NETWORKS = (
    "weights/custom_cnn_distilled",
    "runs/demo/custom_cnn_distilled",
    "runs/demo/vgg16",
    "runs/demo/custom_cnn",
)
AT_ONCE = 64  # posters read before the first of them is answered
PICTURES = (".jpg", ".jpeg", ".png", ".webp")


def parser() -> argparse.ArgumentParser:
    """Return what the command line understands."""
    top = argparse.ArgumentParser(prog="python -m postergenre", description=postergenre.__doc__)
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND")

    study = commands.add_parser(
        "study",
        help="run the notebooks in order, then build the book of the run",
        description="Run the notebooks in order. What is done already, with the same code and the "
        "same parameters, is kept; a study that was stopped goes on where it was.",
    )
    study.add_argument("--run", default="runs/demo", help="directory of the run (%(default)s)")
    study.add_argument(
        "--parameters",
        type=Path,
        metavar="FILE.yml",
        help="parameters for all notebooks that have them; a section named after a notebook is "
        "for that one only",
    )
    study.add_argument(
        "-p",
        nargs=2,
        action="append",
        default=[],
        dest="given",
        metavar=("NAME", "VALUE"),
        help="one parameter, such as `-p epochs 2` or `-p 03.epochs 2`; wins over the file",
    )
    study.add_argument("--from", dest="start", metavar="NN", help="run again from this notebook on")
    study.add_argument("--only", metavar="NN", help="run this notebook only")
    study.add_argument("--force", action="store_true", help="run all notebooks again")
    study.add_argument("--no-book", action="store_true", help="leave the book out")

    again = commands.add_parser(
        "refresh",
        help="ask TMDB again for what has changed in a collection, and take out what is gone",
        description="Ask TMDB again for films that are new in its lists, told differently there, or "
        "older than five months, and take out what it no longer has.",
    )
    again.add_argument("--run", required=True, help="directory of a run collected from TMDB")

    book = commands.add_parser("book", help="build the book of a run, or the published one")
    book.add_argument("--run", help="directory of a finished run; without it the published book")

    classify = commands.add_parser(
        "classify",
        help="name the genres of posters",
        description="Name the genres of posters with a network that a run has trained. A poster "
        "that cannot be read is reported in its place and at the end, and the others go on. A genre "
        "with a question mark is one that the network would rather not name.",
    )
    classify.add_argument("posters", nargs="+", type=Path, metavar="POSTER", help="file or folder")
    classify.add_argument("--json", action="store_true", help="one JSON object a poster")

    serve = commands.add_parser(
        "serve",
        help="answer over HTTP, with a page for people",
        description="Classify posters over HTTP, with a page at /, and a description at /docs.",
    )
    serve.add_argument("--host", default="127.0.0.1", help="address to listen at (%(default)s)")
    serve.add_argument("--port", type=int, default=8000, help="port to listen at (%(default)s)")
    commands.add_parser("openapi", help="print the service's description of itself")
    ship = commands.add_parser("ship", help="copy a run's networks to weights/, small enough")
    ship.add_argument("--run", default="runs/published", help="the run (%(default)s)")
    for command in (classify, serve):
        command.add_argument(
            "--network",
            type=Path,
            metavar="FOLDER",
            help="a trained network; without it, the first there is of " + ", ".join(NETWORKS),
        )
    return top


def trained(given: Path | None) -> Path:
    """Return the folder of the network to use: the one given, or the first of `NETWORKS` there is."""
    if given:
        return given
    for place in NETWORKS:
        if (paths.project() / place / "bundle.json").is_file():
            return paths.project() / place
    raise StudyError(
        f"No trained network is in {', '.join(NETWORKS)}. `make study` trains them on drawn "
        "posters; --network names another folder."
    )


def serve(network: Path, *, host: str, port: int) -> int:
    """Answer over HTTP until stopped; what was taken is answered first."""
    try:
        from postergenre import server
    except ImportError as error:
        raise StudyError(
            f"The service needs {error.name}: install this package with its extra, "
            "`pip install 'postergenre[serve]'`."
        ) from None
    from postergenre.classifier import Classifier

    reader = Classifier.load(network)
    app = server.create(reader, book=paths.project() / "_build" / "html")
    with server.listen(host, port) as place:
        shown, taken = f"[{host}]" if ":" in host else host, place.getsockname()[1]
        print(f"{network.name} ({reader.form}) answers at http://{shown}:{taken}/", flush=True)
        server.run(app, place)
    return 0


def refresh(run: str) -> int:
    """Bring a collection up to what TMDB has now."""
    from postergenre import sources

    counts = sources.refresh(run)
    print(
        f"{counts['asked']} asked for again, {counts['gone']} gone from TMDB. Run the study again "
        "where films have changed: its later chapters stand on the films as they were."
    )
    if counts["left"]:
        print(f"{counts['left']} of them gave no answer and stay as they were: call again later.")
    return 0


def describe() -> int:
    """Print the service's OpenAPI description."""
    from postergenre import server

    print(json.dumps(server.description(), indent=1))
    return 0


def ship(run: str) -> int:
    """Copy the networks that answer people from a run to `weights/`."""
    from postergenre import batches, classifier, films

    population, _, _ = films.load(run)
    held = (population["split"] == "validation").to_numpy().nonzero()[0][: classifier.CHECKED]
    for name in ("custom_cnn_distilled", "vgg16"):
        target, bundle = paths.project() / "weights" / name, paths.need(run, name)
        posters = batches.images(run, population, classifier.Classifier.load(bundle).size)
        classifier.ship(bundle, target, posters[held])
        size = sum(file.stat().st_size for file in target.iterdir())
        print(f"{target.relative_to(paths.project())}: {size / 1e6:.1f} MB")
    return 0


def classify(posters: Sequence[Path], network: Path, *, as_json: bool) -> int:
    """Print one line a poster; return 0, or 1 when a poster could not be read."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    from postergenre.classifier import Classifier

    files: list[Path] = []
    for poster in posters:
        if poster.is_dir():
            inside = [file for file in poster.rglob("*") if file.suffix.lower() in PICTURES]
            files += sorted(file for file in inside if file.is_file())
        else:
            files.append(poster)
    if not files:
        kinds = ", ".join(PICTURES)
        raise StudyError(f"No pictures ({kinds}) in {', '.join(map(str, posters))}; name others.")
    reader = Classifier.load(network)
    unread: list[str] = []
    hidden = len(files) <= AT_ONCE or not sys.stderr.isatty()
    with tqdm(total=len(files), unit=" posters", disable=hidden) as bar:
        for start in range(0, len(files), AT_ONCE):
            part = files[start : start + AT_ONCE]
            for file, answer in zip(part, reader.classify(part), strict=True):
                if "error" in answer:
                    unread.append(f"{named(file)}: {answer['error']}")
                told = {"file": str(file)} | answer
                bar.write(json.dumps(told) if as_json else line(file, answer))
            bar.update(len(part))
    if unread:
        print(
            f"{len(unread)} of {len(files)} could not be read:", *unread, sep="\n", file=sys.stderr
        )
    return 1 if unread else 0


def named(file: Path) -> str:
    """Return a file's name with a question mark for each letter that would not print."""
    return "".join(letter if letter.isprintable() else "?" for letter in str(file))


def line(file: Path, answer: Mapping[str, Any]) -> str:
    """Word a classified poster for people: its major genre, then the three likeliest genres."""
    name = named(file)
    if "error" in answer:
        return f"{name}  not read: {answer['error']}"
    likeliest = sorted(answer["scores"].items(), key=lambda item: -item[1])[:3]
    told = ", ".join(f"{genre} {score:.0%}" for genre, score in likeliest)
    major = f"{answer['major']}?" if answer["abstain"] else answer["major"]
    odd = f"  [{', '.join(answer['warnings'])}]" if answer["warnings"] else ""
    return f"{name}  {major:<12}  {told}{odd}"


def main(words: Sequence[str] | None = None) -> int:
    """Do what is asked; return 0, 1 (a notebook failed), 2 (refused) or 130 (Ctrl-C)."""
    asked = parser().parse_args(words)
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # a name may hold any bytes
    try:
        if asked.command == "classify":
            return classify(asked.posters, trained(asked.network), as_json=asked.json)
        if asked.command == "openapi":
            return describe()
        if asked.command == "ship":
            return ship(asked.run)
        if asked.command == "serve":
            return serve(trained(asked.network), host=asked.host, port=asked.port)
        if asked.command == "refresh":
            return refresh(asked.run)
        from postergenre import book, study

        if asked.command == "book":
            print("Book:", book.build(asked.run))
            return 0
        complete = study.study(
            asked.run,
            file=asked.parameters,
            given=[(name, value) for name, value in asked.given],
            start=asked.start,
            only=asked.only,
            force=asked.force,
        )
        if complete and not asked.no_book:
            print("Building the book …", flush=True)
            page = book.build(asked.run)
            print(f"\n{book.headline(asked.run)}\n\nBook: {page}")
        return 0
    except StudyError as error:
        print(error, file=sys.stderr)
        return error.status
    except BrokenPipeError:  # whoever read our answers has heard enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        print(
            f"{where}{error.strerror or error}. Expected a place that exists, that you may use and "
            "that has room; nothing that was finished is lost.",
            file=sys.stderr,
        )
        return StudyError.status
    except KeyboardInterrupt:
        more = " What is finished is kept; call again and it goes on."
        print("\nStopped." + (more if asked.command == "study" else ""), file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main())
