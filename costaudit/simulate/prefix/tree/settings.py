"""Read the request settings that a provider renders into the prompt, and their places in it."""

import re
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import polars as pl
from numpy.typing import NDArray

from costaudit.contracts.run_dir import column

Place = Literal["start", "system", "messages"]
PLACES: tuple[Place, ...] = ("start", "system", "messages")  # in the order of the prompt
SettingName = Literal["tool_choice", "thinking", "response_format"]  # columns of REQUESTS
FIELDS: tuple[SettingName, ...] = get_args(SettingName)

# Anthropic's guide says that a change of tool_choice or thinking keeps the cache of tools and
# system and loses the messages'; structured outputs add a format to the system prompt. OpenAI's
# guide puts the schema before the system message; reasoning effort may change the hidden
# instructions, which come first; a change of tool_choice is safe.
ENTERS: tuple[tuple[str, dict[SettingName, Place]], ...] = (
    (
        r"claude",
        {"tool_choice": "messages", "thinking": "messages", "response_format": "system"},
    ),
    (
        r"(^|[./:])(chatgpt-|gpt-|o[134]($|-)|codex-)",
        {"thinking": "start", "response_format": "system"},
    ),
)

# Values of settings that equal the default.
DEFAULTS: dict[SettingName, tuple[str, ...]] = {
    "tool_choice": ('"auto"', '{"type":"auto"}'),
    "thinking": ('{"type":"disabled"}',),
    "response_format": ('"text"', '{"type":"text"}', '{"format":{"type":"text"}}'),
}


@dataclass(frozen=True)
class Settings:
    """Values of settings per request, as codes, and the place of each in the prefix."""

    codes: dict[SettingName, NDArray[np.int32]]  # by field; 0: not set, or not in the prefix
    places: dict[SettingName, NDArray[np.int8]]  # by field: index into PLACES

    @property
    def varying(self) -> tuple[SettingName, ...]:
        """Return the fields with more than one value."""
        return tuple(name for name, codes in self.codes.items() if len(np.unique(codes)) > 1)

    def hops(self, left_out: tuple[SettingName, ...] = ()) -> NDArray[np.int32]:
        """Return numbers of the combined values by request and place; 0 if nothing is set.

        There are no rows if no request has such a setting.
        """
        fields = [name for name in self.codes if name not in left_out and self.codes[name].any()]
        if not fields:
            return np.zeros((0, len(PLACES)), np.int32)
        count = len(self.codes[fields[0]])
        found = np.zeros((count, len(PLACES)), np.int32)
        for place in range(len(PLACES)):
            values = np.stack(
                [np.where(self.places[name] == place, self.codes[name], 0) for name in fields]
            )
            if values.any():
                rows, number = np.unique(values, axis=1, return_inverse=True)
                nothing = np.asarray(rows.sum(axis=0) == 0)
                found[:, place] = np.where(nothing[number.ravel()], 0, number.ravel() + 1)
        return found


def request_settings(requests: pl.DataFrame) -> Settings:
    """Return the settings of each request that its provider renders into the prompt."""
    codes: dict[SettingName, NDArray[np.int32]] = {}
    places: dict[SettingName, NDArray[np.int8]] = {}
    models = column(requests, "model").fill_null("")
    for name in FIELDS:
        values = column(requests, name)
        if values.null_count() == len(values):
            continue
        place = _places(models, name)
        kept = values.filter(values.is_in(list(DEFAULTS[name])).not_())
        names = {text: number for number, text in enumerate(kept.drop_nulls().unique().sort(), 1)}
        code = values.replace_strict(names, default=0, return_dtype=pl.Int32).fill_null(0)
        codes[name] = np.where(place >= 0, code.to_numpy(), 0).astype(np.int32)
        places[name] = np.maximum(place, 0).astype(np.int8)
    return Settings(codes, places)


def _places(models: pl.Series, field: SettingName) -> NDArray[np.int8]:
    of_model = {model: _place(model, field) for model in models.unique().to_list()}
    found = models.replace_strict(of_model, return_dtype=pl.Int8)
    return found.to_numpy()


def _place(model: str, field: SettingName) -> int:
    for pattern, fields in ENTERS:
        if re.search(pattern, model):
            return PLACES.index(fields[field]) if field in fields else -1
    return -1
