"""The speed table of the README is the stored result of the benchmark, not another."""

import json
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
HEAD = """
| what | Foveal, ms | PyTorch, best, ms | its setting | ratio | share of FMA peak |
|---|---|---|---|---|---|
"""


def table(results):
    rows = ""
    for c in results["contests"]:
        peer = c["best_peer"]
        times = f"{c['ms']['foveal']:.3f} | {c['ms'][peer]:.3f} | {peer.removeprefix('torch ')}"
        rows += f"| {c['name']} | {times} | {c['ratio']:.2f} | {c['share_of_peak']:.0%} |\n"
    machine = results["machine"]
    torch = machine["versions"]["torch"].partition("+")[0]
    where = f"On {machine['cpu']}, {machine['threads']} threads, PyTorch {torch}, {machine['date']}"
    return f"{HEAD}{rows}\n{where}: a shared machine, whose clock changes by the minute.\n\n"


def test_the_speed_table_is_the_stored_result():
    results = json.loads((ROOT / "benchmarks" / "results" / "simple.json").read_text())
    shown = (ROOT / "README.md").read_text().partition("<!-- speed -->\n")[2].partition("<!-- /speed -->")[0]
    assert shown == table(results)
