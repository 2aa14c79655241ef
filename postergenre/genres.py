"""The genre words of TMDB and IMDb, and the one vocabulary in which the study speaks."""

from collections.abc import Iterable

# TMDB's movie genres, as `/3/genre/movie/list` gives them.
TMDB = {
    28: "Action",
    12: "Adventure",
    16: "Animation",
    35: "Comedy",
    80: "Crime",
    99: "Documentary",
    18: "Drama",
    10751: "Family",
    14: "Fantasy",
    36: "History",
    27: "Horror",
    10402: "Music",
    9648: "Mystery",
    10749: "Romance",
    878: "Science Fiction",
    10770: "TV Movie",
    53: "Thriller",
    10752: "War",
    37: "Western",
}

# IMDb's title genres.
IMDB = frozenset(
    [
        "Action",
        "Adult",
        "Adventure",
        "Animation",
        "Biography",
        "Comedy",
        "Crime",
        "Documentary",
        "Drama",
        "Family",
        "Fantasy",
        "Film-Noir",
        "Game-Show",
        "History",
        "Horror",
        "Music",
        "Musical",
        "Mystery",
        "News",
        "Reality-TV",
        "Romance",
        "Sci-Fi",
        "Short",
        "Sport",
        "Talk-Show",
        "Thriller",
        "War",
        "Western",
    ]
)

# Words that name a length, a channel or an audience, not what a film is like.
NOT_GENRES = frozenset(
    {"Short", "TV Movie", "News", "Adult", "Reality-TV", "Talk-Show", "Game-Show"}
)

# The major genres of the study's question, in the order of the tables.
MAJORS = ("Action", "Animation", "Comedy", "Documentary", "Drama", "Horror", "Romance")

_SPELLINGS = {"Science Fiction": "Sci-Fi", "SciFi": "Sci-Fi", "Film Noir": "Film-Noir"}


def common(names: Iterable[str]) -> list[str]:
    """Translate genre names of either source to the common vocabulary, sorted.

    Words that name no genre (`NOT_GENRES`) and words that neither source uses are left out.
    """
    words = {_SPELLINGS.get(name, name) for name in names}
    return sorted((words & IMDB) - NOT_GENRES)


def known(name: str) -> bool:
    """Return whether TMDB or IMDb uses a word, for a genre or for a format."""
    return _SPELLINGS.get(name, name) in IMDB | set(TMDB.values())


def major(names: Iterable[str], majors: Iterable[str] = MAJORS) -> str | None:
    """Return the one major genre among the names; None when there is none or more than one."""
    found = set(names) & set(majors)
    return found.pop() if len(found) == 1 else None
