"""Two examples for the help of every verb."""

# ruff: noqa: E501

EXAMPLES = {
    "analyze": ("costaudit analyze logs/*.jsonl.gz", "costaudit analyze log.jsonl --since 2026-11-01 --lang es"),
    "debug": ("costaudit debug", "costaudit debug --format json"),
    "doctor": ("costaudit doctor log.jsonl", "costaudit doctor s3://bucket/logs/ --format json"),
    "erase": ("costaudit erase run --where user=alice@example.com", "costaudit erase run --where tenant=acme --where user=17"),
    "ingest": ("costaudit ingest log.jsonl --out run", "costaudit ingest log.csv --map fields.toml --redact hash"),
    "spend": ("costaudit spend run", "costaudit spend log.jsonl --by tenant,user --format csv"),
    "sweep": ("costaudit sweep run", "costaudit sweep run --thresholds 0.90:0.99:0.01 --ttl 24h"),
    "clusters": ("costaudit clusters run", "costaudit clusters run --all --show-prompts"),
    "prefix": ("costaudit prefix run", "costaudit prefix run --format md"),
    "levers": ("costaudit levers run", "costaudit levers run --where endpoint=/v1/chat"),
    "judge": ("costaudit judge run", "costaudit judge run --help"),
    "replay": ("costaudit replay run --cache memory://", "costaudit replay run --cache redis://localhost:6379"),
    "warm": ("costaudit warm run --cache redis://localhost:6379", "costaudit warm run --help"),
    "monitor": ("costaudit monitor run", "costaudit monitor --help"),
    "compare": ("costaudit compare before after", "costaudit compare base.json run --format md"),
    "gate": ("costaudit gate run --max-unsafe-served 0.5%", "costaudit gate run --config costaudit.toml --baseline base.json"),
    "report": ("costaudit report run --format html --out report.html", "costaudit report run --where endpoint=/v1/chat --lang es"),
    "prices": ("costaudit prices gpt-4o", "costaudit prices claude-sonnet-4-5 --date 2026-10-01"),
    "claims": ("costaudit claims run", "costaudit claims audit.json --format md"),
    "demo": ("costaudit demo", "costaudit demo --out demo --lang es"),
    "sessions": ("costaudit sessions run", "costaudit sessions ~/.claude/projects/app --session 2f0c"),
    "route": ("costaudit route run --candidate openai:gpt-4.1-mini --judge openai:gpt-4.1", "costaudit route run --candidate openai:gpt-4.1-mini --judge human:form.csv"),
    "forecast": ("costaudit forecast run", "costaudit forecast run --format json"),
    "schema": ("costaudit schema", "costaudit schema > audit.schema.json"),
}  # fmt: skip
