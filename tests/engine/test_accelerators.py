"""Ray's actors own one accelerator each, and embed there; without accelerators nothing changes."""

import subprocess
import sys
from pathlib import Path

import pytest

OWNED = """
import sys
from pathlib import Path
import polars as pl
import ray
import tests.engine
from costaudit.embed.embedders import embedder_named, embedder_on
from costaudit.embed.store import VectorStore, embed_texts
from costaudit.engine.engine import engine_named
from tests.engine.partitions import Fatal, dies

folder, accelerators = Path(sys.argv[1]), int(sys.argv[2])
ray.init(
    "local", num_cpus=3, num_gpus=accelerators, include_dashboard=False, log_to_driver=False
)
code = Path(tests.engine.__path__[0]) / "told_embedder.py"
embedder = embedder_on(f"{code}:Told?folder={folder}", "ray")
texts = [f"Where is parcel {10**n}?" for n in range(16)]
table = pl.DataFrame({"text_id": texts, "text": texts})
made = embed_texts(table, embedder, VectorStore(folder / "vectors", "told", "1", 2))
assert (embedder.spec.concurrency, made.embedded_now) == (2 * (accelerators or 3), 16)
if accelerators:
    there, here = embedder_on("minilm", "ray").encode(texts), embedder_named("minilm").encode(texts)
    assert there.tobytes() == here.tobytes()
    tasks = [Fatal(n, told=folder / "died") for n in range(8)]
    mapped = engine_named("ray", 3).map(dies, tasks, needs_accelerator=True)
    assert list(mapped) == list(range(8)) and (folder / "died").exists()
"""


@pytest.mark.slow
@pytest.mark.parametrize("accelerators", [0, 2])
def test_accelerators_of_ray_have_owners_that_load_a_model_once(
    tmp_path: Path, accelerators: int
) -> None:
    """Ray counts accelerators without looking for them, so two can be promised to a real Ray."""
    command = [sys.executable, "-c", OWNED, str(tmp_path), str(accelerators)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    told = [line.split(" ") for line in (tmp_path / "told").read_text().splitlines()]
    encoded = {(process, owned) for what, process, owned in told if what == "encode"}
    assert sum(what == "encode" for what, _, _ in told) == 8
    loads = [process for what, process, _ in told if what == "load"]
    assert all(loads.count(process) == 1 for process, _ in encoded)
    owned = [owned for _, owned in encoded]
    if accelerators:  # two processes never share one; the second may start too late to encode
        assert len(set(owned)) == len(owned) and {"0", "1"}.issuperset(owned)
    else:
        assert set(owned) == {""}
