"""Store and compare what each detector finds in each distinct text, and use it as a guard."""

from collections.abc import Sequence
from contextlib import suppress
from copy import copy
from functools import cache
from importlib.resources import files
from pathlib import Path

import msgspec
import numpy as np
import numpy.typing as npt
from xxhash import xxh3_128

from costaudit.answers.traps.detectors import TRAP_NAMES, TRAPS, Reading, Trap
from costaudit.contracts.run_dir import atomic_write
from costaudit.errors import UsageError

Index = npt.NDArray[np.integer]
Mask = npt.NDArray[np.uint16]


class Signatures:
    """The values that each detector finds in each of a list of distinct texts."""

    def __init__(self, texts: Sequence[str]) -> None:
        values: list[list[frozenset[str]]] = [[] for _ in TRAPS]
        for text in texts:
            reading = Reading(text)
            for trap, found in zip(TRAPS, values, strict=True):
                found.append(trap.find(reading))
        self._columns = [_Column.of(*pair) for pair in zip(TRAPS, values, strict=True)]

    def encoded(self) -> bytes:
        """Return all values as bytes, so that the texts needn't be analysed again."""
        told = [(c.ids.tobytes(), [sorted(values) for values in c.sets]) for c in self._columns]
        return msgspec.msgpack.encode(told)

    @classmethod
    def decoded(cls, data: bytes) -> "Signatures":
        """Return signatures from the bytes of `encoded`; raise ValueError if they are invalid."""
        told = msgspec.msgpack.decode(data, type=list[tuple[bytes, list[frozenset[str]]]])
        signatures = cls(())
        signatures._columns = [
            _Column(trap.rule, np.frombuffer(ids, np.int32), sets)
            for trap, (ids, sets) in zip(TRAPS, told, strict=True)
        ]
        for one in signatures._columns:
            if len(one.ids) and not 0 <= one.ids.min() <= one.ids.max() < len(one.sets):
                raise ValueError("an id without values")
        return signatures

    def __len__(self) -> int:
        """Return the number of texts; 0 if the detectors have different numbers."""
        lengths = {len(one.ids) for one in self._columns}
        return lengths.pop() if len(lengths) == 1 else 0

    def column(self, name: str) -> "_Column":
        """Return one detector's values."""
        return self._columns[TRAP_NAMES.index(name)]

    def differs(self, first: Index, second: Index) -> Mask:
        """Return flags per pair of questions: bit t is set if detector t separates the texts."""
        return self._flags([c.differs(first, second) for c in self._columns])

    def contradicts(self, first: Index, second: Index) -> Mask:
        """Return flags per pair of answers: like `differs`, but one answer may say more.

        Two wordings of one answer rarely mention the same details. They contradict each other only
        if each has a value that the other lacks.
        """
        return self._flags([c.contradicts(first, second) for c in self._columns])

    @staticmethod
    def _flags(columns: list[npt.NDArray[np.bool_]]) -> Mask:
        mask = np.zeros(len(columns[0]), np.uint16)
        for bit, column in enumerate(columns):
            mask |= column.astype(np.uint16) << np.uint16(bit)
        return mask


class _Column:
    """The values that one detector finds in each text."""

    def __init__(self, rule: str, ids: npt.NDArray[np.int32], sets: list[frozenset[str]]) -> None:
        self.rule = rule
        self.ids = ids  # per text: index into `sets`
        self.sets = sets  # distinct sets of values; the first one is empty

    @classmethod
    def of(cls, trap: Trap, values: list[frozenset[str]]) -> "_Column":
        if trap.rule == "sides":
            values = _contested(values)
        ids: dict[frozenset[str], int] = {frozenset(): 0}
        column = np.array([ids.setdefault(v, len(ids)) for v in values], np.int32)
        return cls(trap.rule, column, list(ids))

    def at(self, rows: Index) -> "_Column":
        """Return the values of some of the texts."""
        kept, ids = np.unique(np.append(0, self.ids[rows]), return_inverse=True)
        return _Column(self.rule, ids[1:].astype(np.int32), [self.sets[k] for k in kept.tolist()])

    def differs(self, first: Index, second: Index) -> npt.NDArray[np.bool_]:
        if self.rule == "sides":
            return self.contradicts(first, second)
        return np.asarray(self.ids[first] != self.ids[second])

    def contradicts(self, first: Index, second: Index) -> npt.NDArray[np.bool_]:
        a, b = self.ids[first].astype(np.int64), self.ids[second].astype(np.int64)
        out = np.zeros(len(a), np.bool_)
        unlike = np.flatnonzero((a != b) & (a != 0) & (b != 0))
        if len(unlike):
            low, high = np.minimum(a[unlike], b[unlike]), np.maximum(a[unlike], b[unlike])
            keys, where = np.unique(low * len(self.sets) + high, return_inverse=True)
            clash = _sides_clash if self.rule == "sides" else _values_clash
            verdicts = [clash(self.sets[k // len(self.sets)], self.sets[k % len(self.sets)])
                        for k in keys.tolist()]  # fmt: skip
            out[unlike] = np.array(verdicts, np.bool_)[where]
        return out


def _contested(values: list[frozenset[str]]) -> list[frozenset[str]]:
    """Leave out axes with one side in all texts, because no two texts can clash there."""
    sides: dict[str, set[str]] = {}
    for value in set().union(*values):
        axis, _, side = value.partition("=")
        sides.setdefault(axis, set()).add(side)
    kept = {f"{axis}={side}" for axis, found in sides.items() if len(found) > 1 for side in found}
    return [value & kept for value in values]


def _values_clash(first: frozenset[str], second: frozenset[str]) -> bool:
    """Return whether each set has a value that the other lacks."""
    return not (first <= second or second <= first)


def _sides_clash(first: frozenset[str], second: frozenset[str]) -> bool:
    """Return whether both texts name an axis, but different sides of it."""
    sides = _by_axis(first), _by_axis(second)
    shared = sides[0].keys() & sides[1].keys()
    return any(_values_clash(sides[0][axis], sides[1][axis]) for axis in shared)


def _by_axis(values: frozenset[str]) -> dict[str, frozenset[str]]:
    axes: dict[str, set[str]] = {}
    for value in values:
        axis, _, side = value.partition("=")
        axes.setdefault(axis, set()).add(side)
    return {axis: frozenset(sides) for axis, sides in axes.items()}


class TrapGuard:
    """Refuses pairs of questions that any chosen detector separates."""

    def __init__(self, signatures: Signatures, names: Sequence[str]) -> None:
        names = TRAP_NAMES if "all" in names else names
        unknown = [name for name in names if name not in TRAP_NAMES]
        if unknown:
            raise UsageError(
                f"There is no guard named {unknown[0]!r}.",
                hint=f"Choose from {', '.join(TRAP_NAMES)}, or all.",
            )
        self._columns = [signatures.column(name) for name in dict.fromkeys(names)]

    def of(self, rows: Index) -> "TrapGuard":
        """Return the guard of some of the texts, which holds only their values."""
        part = copy(self)
        part._columns = [column.at(rows) for column in self._columns]
        return part

    def __call__(self, first: Index, second: Index) -> npt.NDArray[np.bool_]:
        """Return whether to refuse each pair, given by indices into the distinct texts."""
        refused = np.zeros(len(first), np.bool_)
        for column in self._columns:
            refused |= column.differs(first, second)
        return refused


def guard(names: Sequence[str], texts: Sequence[str]) -> TrapGuard:
    """Return a guard that uses the named detectors on distinct texts."""
    return TrapGuard(Signatures(texts), names)


def stored_signatures(
    texts: Sequence[str], folder: Path, detectors: bytes | None = None
) -> Signatures:
    """Return the signatures of texts, from `folder` if they are stored there; else store them.

    `detectors` identifies the version of the detectors; None: a digest of their code and word
    lists.
    """
    path = folder / f"{_digest(texts, detectors or _detectors())}.msgpack"
    with suppress(OSError, ValueError):  # there is none, or it is damaged
        stored = Signatures.decoded(path.read_bytes())
        if len(stored) == len(texts):
            return stored
    found = Signatures(texts)
    with atomic_write(path) as part:
        part.write_bytes(found.encoded())
    return found


def _digest(texts: Sequence[str], detectors: bytes) -> str:
    digest = xxh3_128(detectors)
    for text in texts:
        content = text.encode("utf-8", "surrogatepass")
        digest.update(len(content).to_bytes(8, "little") + content)
    return digest.hexdigest()


@cache
def _detectors() -> bytes:
    """Return a digest of the detectors' code and word lists; signatures depend on both."""
    digest = xxh3_128()
    sources = sorted(files("costaudit.answers.traps").iterdir(), key=lambda file: file.name)
    for file in sources:
        if file.name.endswith((".py", ".toml")):
            digest.update(file.read_bytes())
    return digest.digest()
