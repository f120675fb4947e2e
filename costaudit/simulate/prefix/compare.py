"""The same traffic under other providers' rules."""

from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from costaudit.simulate.prefix.anchors import Anchors
from costaudit.simulate.prefix.assigned import assign_rules
from costaudit.simulate.prefix.best import best_markers, input_prices
from costaudit.simulate.prefix.groups import Groups
from costaudit.simulate.prefix.markers import Markers
from costaudit.simulate.prefix.prompts import Prompts
from costaudit.simulate.prefix.replay import READ, replay
from costaudit.simulate.prefix.rules import named_rules, rules_date
from costaudit.simulate.prefix.run import billed_classes, unconfirmed_of

COMPARED: tuple[tuple[str, str, tuple[str, ...]], ...] = (
    ("openai", "OpenAI, GPT-5.6 and later", ("30m",)),
    ("openai_classic_24h", "OpenAI, GPT-5 to 5.4", ()),
    ("anthropic", "Anthropic, 5-minute writes", ("5m",)),
    ("anthropic", "Anthropic, 1-hour writes", ("1h",)),
    ("bedrock", "Amazon Bedrock, Claude, 5-minute writes", ("5m",)),
    ("gemini", "Google Gemini, implicit caching", ()),
    ("deepseek", "DeepSeek", ()),
)  # rule set, label, lifetimes that markers may ask for


@dataclass(frozen=True)
class ProviderFacts:
    """The traffic as another provider's cache would have billed it, with its best markers."""

    rules: str  # rule set name
    label: str
    classes: pl.DataFrame  # TOKEN_CLASSES, aligned with the requests
    multipliers: dict[str, str]  # decimals over the uncached input price: read, 5m, 1h, 30m
    input_tokens: int  # of the requests that were replayed
    read_tokens: int
    unconfirmed: tuple[str, ...]


def compare_providers(
    requests: pl.DataFrame,
    prompts: Prompts,
    groups: Groups,
    anchors: Anchors,
    as_is: Markers,
    reach: NDArray[np.bool_],
) -> tuple[ProviderFacts, ...]:
    """Replay the traffic under each rule set of COMPARED, markers chosen by its multipliers."""
    found = []
    for name, label, ttls in COMPARED:
        assigned = assign_rules(requests, prompts, name)
        prices = input_prices(assigned, None)
        best = best_markers(prompts, assigned, groups, anchors, as_is, prices, reach, ttls)
        result = replay(prompts, assigned, best.markers, reach)
        rules = named_rules(name, "", rules_date())
        found.append(
            ProviderFacts(
                rules=name,
                label=label,
                classes=billed_classes(requests, result, reach),
                multipliers={"read": rules.read_mult, **dict(rules.write_mult)},
                input_tokens=int(prompts.billed[result.chosen].sum()),
                read_tokens=int(result.tokens[:, READ].sum()),
                unconfirmed=unconfirmed_of(assigned),
            )
        )
    return tuple(found)
