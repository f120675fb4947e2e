"""The levers in the order of the ledger."""

from collections.abc import Collection

import polars as pl

from costaudit.contracts.ledger import Lever
from costaudit.levers.batch import batch
from costaudit.levers.output import output_length
from costaudit.levers.routing import routing
from costaudit.levers.waste import waste


def propose(
    requests: pl.DataFrame, blocks: pl.DataFrame, batch_endpoints: Collection[str] = ()
) -> tuple[Lever, ...]:
    """List what each lever would change; levers with nothing to change are left out."""
    found = (
        routing(requests, blocks),
        output_length(requests),
        batch(requests, batch_endpoints),
        waste(requests),
    )
    return tuple(lever for lever in found if lever is not None)
