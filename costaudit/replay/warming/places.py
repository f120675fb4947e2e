"""Which answers may be written into a cache that keeps some fields apart, and no others."""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from costaudit.replay.stream import BYPASS, ReplayStream
from costaudit.replay.warm import WarmAnswer
from costaudit.replay.warming.target import Separation

PROBES = 200  # questions asked from another scope, at most
Place = tuple[str, ...]


@dataclass(frozen=True)
class Admitted:
    """The answers that a cache can hold without serving one across a scope."""

    answers: tuple[WarmAnswer, ...]
    left_out: Mapping[str, int]  # why, in words → answers


def admitted(
    answers: Sequence[WarmAnswer],
    stream: ReplayStream,
    separation: Separation,
    scope: Sequence[str],
) -> Admitted:
    """Leave out each answer that the cache would also serve to another scope of the log.

    `scope` names the fields that must be equal. A place is all that the cache can't distinguish; an
    answer is admitted where the log's requests of its place are of one scope.
    """
    apart = [name for name in scope if name not in separation.fields]
    places, scopes = _places_of(stream, separation, apart)
    kept, why = [], Counter[str]()
    for one in answers:
        reason = _refusal(one, separation)
        if not reason:
            reason = _mixture(places[place_of(one.scope, separation)], scopes, apart)
        if reason:
            why[reason] += 1
        else:
            kept.append(one)
    return Admitted(tuple(kept), dict(why))


def place_of(scope: Mapping[str, str], separation: Separation) -> Place:
    """Return the values by which the cache distinguishes a scope from others."""
    values = (scope.get(name, "").strip() for name in separation.fields)
    return tuple(value.casefold() if separation.folds_case else value for value in values)


def foreign(
    answers: Sequence[WarmAnswer], separation: Separation
) -> list[tuple[WarmAnswer, Mapping[str, str]]]:
    """Pair answers with a scope of another answer, from where none of them may be served."""
    by_place: dict[Place, Mapping[str, str]] = {}
    for one in answers:
        by_place.setdefault(place_of(one.scope, separation), one.scope)
    places = list(by_place)
    if len(places) < 2:
        return []
    pairs = []
    for number, one in enumerate(answers[:PROBES]):
        here = places.index(place_of(one.scope, separation))
        step = 1 + number % (len(places) - 1)
        pairs.append((one, by_place[places[(here + step) % len(places)]]))
    return pairs


def owners_of(answers: Sequence[WarmAnswer], separation: Separation) -> dict[str, set[Place]]:
    """Return the places for which each text of an answer was written."""
    owners: dict[str, set[Place]] = defaultdict(set)
    for one in answers:
        owners[one.answer].add(place_of(one.scope, separation))
    return dict(owners)


def crosses(
    served: str | None,
    scope: Mapping[str, str],
    owners: Mapping[str, set[Place]],
    separation: Separation,
) -> bool:
    """Return whether an answer that was written for other places alone was served to a scope."""
    places = owners.get(served or "")
    return places is not None and place_of(scope, separation) not in places


def _refusal(one: WarmAnswer, separation: Separation) -> str:
    if one.follows and not separation.whole_prompt:
        return "they answer a later turn, and this cache compares the question alone"
    for name in separation.fields:
        value = one.scope.get(name, "")
        if not value.strip():
            return f"their {name} is not known"
        if any(sign in value for sign in separation.separators):
            return f"their {name} holds a character that separates values in this cache"
    for name, value in separation.only:
        if one.scope.get(name, value) != value:
            return f"their {name} is not {value}"
    return ""


def _places_of(
    stream: ReplayStream, separation: Separation, apart: Sequence[str]
) -> tuple[dict[Place, set[tuple[object, ...]]], dict[tuple[object, ...], Mapping[str, str]]]:
    """Return the scopes of the log's requests by place, and the fields of each."""
    places: dict[Place, set[tuple[object, ...]]] = defaultdict(set)
    fields: dict[tuple[object, ...], Mapping[str, str]] = {}
    pools = (stream.partitions if stream.pools is None else stream.pools).tolist()
    for index, row in enumerate(stream.rows.tolist()):
        if row == BYPASS:
            continue
        scope = stream.scopes[index] if stream.scopes else {}
        if any(scope.get(name, value) != value for name, value in separation.only):
            continue  # never looked up here
        values = tuple(scope.get(name, "") for name in apart)
        kind: tuple[object, ...] = values if separation.whole_prompt else (pools[index], *values)
        places[place_of(scope, separation)].add(kind)
        fields.setdefault(kind, scope)
    return places, fields


def _mixture(
    kinds: set[tuple[object, ...]],
    scopes: Mapping[tuple[object, ...], Mapping[str, str]],
    apart: Sequence[str],
) -> str:
    """Name what differs among the scopes of one place; "" where it is one scope."""
    if len(kinds) < 2:
        return ""
    names = [name for name in apart if len({scopes[one].get(name, "") for one in kinds}) > 1]
    if not names:
        names = ["system prompt or tools"]
    return f"{' and '.join(names)} would be mixed: this cache does not keep them apart"
