"""The library: `analyze` a log, or `open_run` to open an earlier audit; both return a `Result`.

    import costaudit

    result = costaudit.analyze("requests.jsonl")
    print(result.audit.verdict.headline)

Importing the package is cheap: `costaudit.library` is imported at the first use of a name.
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
