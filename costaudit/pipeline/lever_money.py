"""The levers beside the caches, each with its money alone and in the ledger."""

from costaudit.contracts.levers import LeverRow
from costaudit.costing.lever_rows import lever_rows
from costaudit.levers.table import propose
from costaudit.pipeline.before_after import ledger_of
from costaudit.pipeline.loaded import Loaded
from costaudit.pipeline.prompt_caching import PromptCaches
from costaudit.pipeline.semantic import swept
from costaudit.pipeline.settings import AnalyzeOptions
from costaudit.progress import Progress


def levered(log: Loaded, options: AnalyzeOptions, progress: Progress) -> tuple[LeverRow, ...]:
    """Simulate the caches, which come first, and price the levers on what they leave."""
    levers = propose(log.requests, log.blocks)
    ledger = ledger_of(log, swept(log, options, progress), PromptCaches(log), levers)
    return lever_rows(log.tariff, levers, ledger, log.quality.covered_days)
