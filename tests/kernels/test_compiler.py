"""Compiled once, kept on disk: a second process compiles nothing, and a cache that fails only costs time."""

import json

import pytest

from foveal.kernels.compiler import fields
from foveal.kernels.tasks import once, per_task
from tests.support.subprocesses import python

TRAIN = """
    import json, numpy as np, foveal as fv
    from foveal.kernels import assembler, compiler
    rng = np.random.default_rng(0)
    x, t = rng.integers(0, 256, (30, 1, 12, 12)).astype(np.uint8), rng.integers(0, 10, 30)
    conv = {"filter_num": 3, "filter_size": 3, "pad": 0, "stride": 1}
    net = fv.models.SimpleConvNet((1, 12, 12), conv, hidden_size=8)
    history = fv.fit(net, x, t, epochs=1, batch_size=20, progress=False)
    print(json.dumps([compiler.compiled(), assembler.compiled(), history.loss, float(net.predict(x).sum())]))
"""


def test_a_second_process_compiles_nothing(tmp_path):
    kernels, tiles, *first = json.loads(python(TRAIN, FOVEAL_CACHE=str(tmp_path)))
    assert {"convolution_pool_forward", "affine_forward", "run_program", "adam"} <= set(kernels)
    assert tiles > 0
    kernels, tiles, *second = json.loads(python(TRAIN, FOVEAL_CACHE=str(tmp_path)))
    assert kernels == []
    assert tiles == 0
    assert second == first
    assert not list(tmp_path.rglob("*.tmp*")), "temporary files are left behind"


def test_a_cache_that_cannot_be_written_only_costs_time(tmp_path):
    (tmp_path / "file").write_text("not a folder")
    source = """
        import numpy as np, foveal as fv
        y = fv.correlate(np.ones((1, 1, 4, 4), np.float32), np.ones((1, 1, 3, 3), np.float32))
        assert (y == 9).all()
    """
    python(source, FOVEAL_CACHE=str(tmp_path / "file" / "below"))


def test_a_damaged_cache_is_not_run(tmp_path):
    """Cut every cached tile short: the next process must not run half a tile."""
    source = """
        import numpy as np, foveal as fv
        y = fv.correlate(np.ones((1, 1, 4, 4), np.float32), np.ones((1, 1, 3, 3), np.float32))
        assert (y == 9).all()
    """
    python(source, FOVEAL_CACHE=str(tmp_path))
    tiles = list((tmp_path / "tiles").glob("*.o"))
    assert tiles
    for path in tiles:
        path.write_bytes(path.read_bytes()[:100])
    python(source, FOVEAL_CACHE=str(tmp_path))


def test_blocks_want_every_field_and_no_other():
    made = per_task(fields("x n", "scale"), once)(lambda a, task, thread: None)
    assert made.block(x=1, n=2, scale=0.5)[0].tolist() == (1, 2, 0.5)
    for wrong in ({"x": 1, "n": 2}, {"x": 1, "n": 2, "scale": 1.0, "y": 3}):
        with pytest.raises(TypeError, match="missing or unknown"):
            made.block(**wrong)
