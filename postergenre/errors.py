"""Errors a user can act on: each message says what was expected, what came and what to do."""


class StudyError(Exception):
    """Stop the study for a reason the user can mend; the command line ends with `status`."""

    status = 2


class SourceError(StudyError):
    """Report a source of films that cannot be used, or that answered wrongly."""


class MissingStep(StudyError):
    """Report that a file of an earlier notebook is missing."""


class DamagedFile(StudyError, ValueError):
    """Report a file of a run that holds something else than it was written with."""


class ParameterError(StudyError):
    """Report an unknown parameter, or a value of the wrong kind."""
