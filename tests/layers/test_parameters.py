"""The protocol between a layer's arrays and an engine that keeps packed copies of them."""

import numpy as np
import pytest

from foveal.layers import Parameters


@pytest.fixture
def p():
    return Parameters({"weight": np.arange(6.0).reshape(2, 3), "bias": [1, 2]})


def test_arrays_are_float32_copies(p):
    source = np.zeros(2, np.float32)
    q = Parameters({"bias": source})
    q["bias"][0] = 1
    assert source[0] == 0
    assert {array.dtype for array in p.values()} == {np.dtype(np.float32)}
    assert p.shapes == {"weight": (2, 3), "bias": (2,)}
    assert repr(p) == "Parameters({'weight': (2, 3), 'bias': (2,)})"


def test_writing_copies_into_the_same_array(p):
    held = p.peek()["bias"]
    value = np.array([5.0, 6.0])
    p["bias"] = value
    value[0] = 9
    np.testing.assert_array_equal(held, [5, 6])
    assert p.peek()["bias"] is held
    assert p.version == 1
    p.update({"bias": [7, 8], "weight": np.zeros((2, 3))})
    assert p.version == 3
    np.testing.assert_array_equal(held, [7, 8])


def test_only_reading_hands_out(p):
    assert list(p) == ["weight", "bias"]
    assert len(p) == 2
    assert "bias" in p
    assert "W" not in p
    assert p.shapes
    assert p.peek()
    p["bias"] = [1, 1]
    assert p.get("W") is None
    assert not p.handed_out
    assert p.get("bias") is p.peek()["bias"]
    assert p.handed_out


@pytest.mark.parametrize("read", [lambda p: p["bias"], lambda p: dict(p), lambda p: list(p.values())])
def test_every_way_to_read_refreshes_first(p, read):
    def refresh():
        p.peek()["bias"][...] = 77

    p.refresh = refresh
    assert (p.peek()["bias"] == [1, 2]).all()
    read(p)
    assert (p.peek()["bias"] == 77).all()
    assert p.handed_out


def test_writing_one_keeps_the_engines_newer_values_of_the_others(p):
    def refresh():
        p.peek()["weight"][...] = 5
        p.peek()["bias"][...] = 5

    p.refresh = refresh
    p["bias"] = [1, 2]
    np.testing.assert_array_equal(p.peek()["bias"], [1, 2])
    np.testing.assert_array_equal(p.peek()["weight"], 5)


def test_a_refused_write_changes_nothing(p):
    for value in (np.zeros(3), "text", [1 + 2j, 0]):
        with pytest.raises(ValueError, match="parameter 'bias'"):
            p["bias"] = value
    np.testing.assert_array_equal(p.peek()["bias"], [1, 2])
    assert p.version == 0


def test_an_unknown_name_is_a_key_error_as_of_any_mapping(p):
    with pytest.raises(KeyError, match="W"):
        p["W"]
