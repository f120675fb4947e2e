"""Expand paths, folders, glob patterns and addresses into a list of files."""

import glob
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches
from pathlib import Path, PurePosixPath

from costaudit.errors import InputError
from costaudit.ingest.files.containers import is_of_a_client

PATTERN = frozenset("*?[")
NO_LOGS = ("amazon-bedrock-logs-permission-check", "manifest.json", "thumbs.db", "_success")
OTHER_KINDS = (  # extensions of documents, programs and pictures; tables may be logs
    "adoc", "bat", "c", "cfg", "conf", "cpp", "cs", "css", "doc", "docx", "eps", "gif", "go",
    "h", "htm", "html", "ico", "ini", "ipynb", "java", "jpeg", "jpg", "js", "jsx", "kt",
    "less", "lock", "md", "mdx", "mjs", "mp3", "mp4", "odt", "otf", "pdf", "php", "pl", "png",
    "ppt", "pptx", "ps1", "py", "pyc", "pyi", "r", "rb", "rs", "rst", "scala", "scss", "sh",
    "so", "sql", "svelte", "svg", "swift", "tex", "tf", "tiff", "toml", "ts", "tsx", "ttf",
    "vue", "wasm", "webp", "woff", "woff2", "xml", "yaml", "yml",
)  # fmt: skip
BODIES = "/BedrockModelInvocationLogs/"  # the data/ folders below it hold bodies, not logs


@dataclass(frozen=True)
class Input:
    """One file to read."""

    name: str  # unique among the inputs; relative to a folder that was named
    address: str  # path or URL
    asked_for: bool  # the user named it, by itself or by a local pattern: it must be a log
    is_only: bool = False  # it is the only input file


def expand(inputs: Sequence[str]) -> list[Input]:
    """Return the files that the inputs name, sorted by name; raises InputError if there are none.

    `-` means standard input.
    """
    if not inputs:
        raise InputError(
            "No log was named.", hint="Name a file, a folder, a pattern or - for stdin."
        )
    found: dict[str, Input] = {}
    for text in inputs:
        for each in _expand_one(text):
            found.setdefault(each.address, each)
    if len(found) == 1:
        return [replace(one, is_only=True) for one in found.values()]
    return sorted(_distinct(list(found.values())), key=lambda each: each.name)


def _expand_one(text: str) -> list[Input]:
    if text == "-":
        return [Input("stdin", "-", True)]
    if "://" in text:
        return _remote(text)
    path = Path(text)
    if path.is_dir():
        return _folder(path)
    if path.exists() or path.is_symlink():
        return [Input(printable(path.name), str(path.absolute()), True)]
    if PATTERN & set(text):
        matches = sorted(
            p
            for p in glob.glob(text, recursive=True)  # noqa: PTH207
            if not Path(p).is_dir()
        )
        if matches:
            return [Input(printable(Path(p).name), str(Path(p).absolute()), True) for p in matches]
        raise InputError(f"No file matches {text}.", hint="Check the pattern and quote it.")
    raise InputError(f"There is no file {text}.", hint=_nearest(path))


def _nearest(path: Path) -> str:
    try:
        names = sorted(each.name for each in path.parent.iterdir())
    except OSError:
        return "Check the path."
    near = get_close_matches(path.name, names, n=1)
    return f"Did you mean {path.parent / near[0]}?" if near else "Check the path."


def _folder(folder: Path) -> list[Input]:
    files = [
        Input(printable(path.relative_to(folder).as_posix()), str(path.absolute()), False)
        for path in _walk(folder)
    ]
    if not files:
        raise InputError(
            f"The folder {folder} has no files.", hint="Name a folder with logs in it."
        )
    return files


def _walk(folder: Path) -> Iterator[Path]:
    """Yield the files below a folder; links are followed, but each folder is visited once."""
    seen = set()
    for root, folders, names in os.walk(folder, followlinks=True):
        status = Path(root).stat()
        if (status.st_dev, status.st_ino) in seen:
            folders.clear()
            continue
        seen.add((status.st_dev, status.st_ino))
        folders[:] = sorted(
            f
            for f in folders
            if not f.startswith(".") and not (f == "data" and BODIES in root + "/")
        )
        for name in sorted(names):
            if not name.startswith(".") and name.lower() not in NO_LOGS:
                yield Path(root) / name


def _remote(address: str) -> list[Input]:
    import fsspec

    if address.partition("://")[0] not in fsspec.available_protocols():
        raise InputError(
            f"{address} is of no kind that can be opened.",
            hint="Name a file, a folder, or an address that begins with s3://, gs:// or https://.",
        )
    if not PATTERN & set(address) and not address.endswith("/"):
        return [Input(PurePosixPath(address.partition("?")[0]).name, address, True)]
    try:
        files, paths = fsspec.core.url_to_fs(address)
        scheme = address.partition("://")[0]
        names = sorted(files.glob(paths) if PATTERN & set(address) else files.find(paths))
    except ImportError as error:
        raise InputError(
            f"{address} can't be opened: {error}.",
            hint="Install it: pip install 'costaudit[remote]'.",
        ) from None
    except Exception as error:
        if not isinstance(error, OSError) and not is_of_a_client(error):
            raise
        raise InputError(
            f"{address} can't be listed: {error}.",
            hint="Check the address, the credentials and the right to list; or name each file.",
        ) from None
    if not names:
        raise InputError(f"Nothing is stored at {address}.", hint="Check the address.")
    return [Input(PurePosixPath(n).name, f"{scheme}://{n}", False) for n in names]


def _distinct(inputs: list[Input]) -> list[Input]:
    """Make names unique by prefixing those that collide with their parent folders."""
    depth = 1
    while True:
        counts = Counter(each.name for each in inputs)
        if max(counts.values()) == 1:
            return inputs
        depth += 1
        inputs = [
            each if counts[each.name] == 1 else replace(each, name=_tail(each, depth))
            for each in inputs
        ]


def _tail(each: Input, depth: int) -> str:
    parts = PurePosixPath(each.address.replace("\\", "/")).parts
    return printable("/".join(parts[-depth:]) if depth <= len(parts) else each.address)


def is_other_kind(name: str) -> bool:
    """Return whether a file's extension is one of a document, a program or a picture."""
    return PurePosixPath(name).suffix.lower().lstrip(".") in OTHER_KINDS


def printable(name: str) -> str:
    """Return a file name as text; bytes that are not UTF-8 are escaped: `\\xe9`."""
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
