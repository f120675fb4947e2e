"""Which price variant a request's service tier asks for."""

STANDARD = ""
BATCH = "batch"
_STANDARD_NAMES = {
    "", "default", "standard", "standard_only", "auto", "on_demand", "on-demand", "none",
}  # fmt: skip


def variant_of(service_tier: str | None, is_batch: bool | None) -> str:
    """Name the variant: "" for standard, batch, flex, priority, fast, or another tier's name."""
    name = (service_tier or "").strip().lower()
    if is_batch or name == BATCH:
        return BATCH
    return STANDARD if name in _STANDARD_NAMES else name


def price_contexts(variant: str) -> tuple[dict[str, str], ...]:
    """List the price library's contexts that can stand for a variant, most specific first."""
    if variant == BATCH:
        return ({"processing": "batch"},)
    if variant == "fast":
        return ({"service_tier": "fast"}, {"speed": "fast"})
    return ({"service_tier": variant},)
