"""Signatures kept beside a run, so that texts are read once for as long as detectors stay alike."""

from collections.abc import Sequence
from functools import cache
from importlib.resources import files
from pathlib import Path

import msgspec
from xxhash import xxh3_128

from costaudit.answers.traps.signatures import Signatures
from costaudit.contracts.run_dir import atomic_write


def stored_signatures(texts: Sequence[str], folder: Path) -> Signatures:
    """Give what every detector finds in each text, from `folder` where these texts were read."""
    path = folder / f"{_digest(texts)}.msgpack"
    try:
        return Signatures.decoded(path.read_bytes())
    except (OSError, msgspec.DecodeError):
        found = Signatures(texts)
    with atomic_write(path) as part:
        part.write_bytes(found.encoded())
    return found


def _digest(texts: Sequence[str]) -> str:
    digest = xxh3_128(_detectors())
    for text in texts:
        content = text.encode("utf-8", "surrogatepass")
        digest.update(len(content).to_bytes(8, "little") + content)
    return digest.hexdigest()


@cache
def _detectors() -> bytes:
    """Digest the code and the word lists of the detectors: other detectors, other signatures."""
    digest = xxh3_128()
    sources = sorted(files("costaudit.answers.traps").iterdir(), key=lambda file: file.name)
    for file in sources:
        if file.name.endswith((".py", ".toml")):
            digest.update(file.read_bytes())
    return digest.digest()
