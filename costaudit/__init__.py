"""The library: `analyze` a log, or `open_run` an earlier audit, and get a `Result`.

    import costaudit

    result = costaudit.analyze("requests.jsonl")
    print(result.audit.verdict.headline)

Importing the package loads nothing: each name is looked up in `costaudit.library` at first use.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from costaudit.library import Result, analyze, open_run

__version__ = "0.2.0"
__all__ = ["Result", "__version__", "analyze", "open_run"]


def __getattr__(name: str) -> Any:
    if name in __all__:
        from costaudit import library

        return getattr(library, name)
    raise AttributeError(f"module 'costaudit' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
