# `just` lists these; each is one command that you can also type yourself.

python := ".venv/bin/python"

default:
    @just --list

# Make the environment.
setup:
    python3 -m venv .venv
    .venv/bin/pip install -q -c constraints.txt -e '.[test]'

# Run the tests in parallel; `just test tests/ingest` runs a part.
test *ARGS:
    {{python}} -m pytest -n auto {{ARGS}}

# Check style, format and types.
lint:
    .venv/bin/ruff check .
    .venv/bin/ruff format --check .
    .venv/bin/mypy

# Run one benchmark, such as `just bench ingest`.
bench NAME:
    {{python}} benchmarks/bench_{{NAME}}.py

# Write golden files and output blocks of the README again; read the difference before you commit.
docs:
    {{python}} -m pytest -n 0 tests/report tests/cli/test_readme_examples.py tests/test_docs.py tests/ingest/test_formats_page.py --update-golden

# Take the README's pictures of the sample's report again.
pictures:
    .venv/bin/costaudit analyze sample_logs/support_chatbot.jsonl.zst
    {{python}} docs/pictures/take.py costaudit-support_chatbot/report.html

# Run tests with the oldest versions that pyproject.toml allows: `just oldest python3.13 tests/ingest`.
oldest *ARGS:
    .ci/oldest {{ARGS}}

# Write a CycloneDX list of all packages that an installation contains, as released with the wheel.
sbom *ARGS:
    .ci/sbom {{ARGS}}

# Look up the installed packages in the database of known vulnerabilities.
audit:
    {{python}} .ci/audit.py

# Change the code that makes figures, and see that a test notices: `just mutate` or a function's name.
mutate *NAMES:
    {{python}} .ci/mutate.py {{NAMES}}

# Everything that must hold before a change is merged, from a clean state.
ci:
    .ci/run
