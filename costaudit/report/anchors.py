"""The sections of the report and where a lever or a finding leads."""

SECTIONS = (
    ("verdict", "Verdict"),
    ("quality", "Data and assumptions"),
    ("waterfall", "Waterfall"),
    ("sweep", "Thresholds"),
    ("isolation", "Isolation"),
    ("clusters", "Clusters"),
    ("prefix", "Prompt caching"),
    ("spend", "Spend"),
    ("levers", "Other levers"),
    ("replay", "Replay"),
    ("plan", "Plan"),
    ("method", "Method"),
)
_ALSO = {
    "duplicates": "sweep",
    "semantic": "sweep",
    "prompt_caching": "prefix",
    "routing": "levers",
    "output": "levers",
    "batch": "levers",
    "waste": "levers",
}


def anchor(section: str) -> str:
    """Give the anchor that a section or lever leads to; empty where there is none."""
    name = _ALSO.get(section, section)
    return name if name in dict(SECTIONS) else ""
