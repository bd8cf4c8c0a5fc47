"""What holds for both doors of an operation: `foveal.reference` and `foveal.ops`."""

import pytest

from foveal import ops, reference
from foveal.errors import FovealError


def assert_same_error(name, *args, **options):
    """Check that both refuse these arguments with the same words."""
    with pytest.raises(FovealError) as expected:
        getattr(reference, name)(*args, **options)
    with pytest.raises(type(expected.value)) as found:
        getattr(ops, name)(*args, **options)
    assert str(found.value) == str(expected.value)
