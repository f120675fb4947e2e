"""The exceptions of costaudit, each with an exit code and a hint about the next step.

CostauditError              exit 1  an internal failure (130: interrupted by the user)
├── UsageError              exit 2  an option or a combination of options that can't work
├── InputError              exit 2  a file that can't be found, opened or understood
│   └── RunDirError         exit 2  a run directory without a stage, or of another version
├── GateFailedError         exit 3  a budget was exceeded
├── InsufficientDataError   exit 4  the log can't answer the question
└── BackendError            exit 5  a model, cache, price source or network peer failed
"""


class CostauditError(Exception):
    """An error with a message and a hint about what to try next."""

    exit_code = 1  # exit status of the process; see the tree above

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message  # one sentence: what went wrong, and where
        self.hint = hint  # one sentence: what to try next; may be empty


class UsageError(CostauditError):
    """An option or a combination of options can't work."""

    exit_code = 2


class InputError(CostauditError):
    """An input can't be found, opened or understood."""

    exit_code = 2


class RunDirError(InputError):
    """A run directory lacks what a stage needs, or was written by another version."""


class GateFailedError(CostauditError):
    """A budget was exceeded."""

    exit_code = 3


class InsufficientDataError(CostauditError):
    """The log can't answer the question."""

    exit_code = 4


class BackendError(CostauditError):
    """A model, a cache, a price source or a network peer failed."""

    exit_code = 5
