import pytest

from databroker_like.errors import Invalid
from databroker_like.service import Settings


@pytest.mark.parametrize("value", [0, -1, 1.5, "5", None, True])
def test_a_limit_is_a_positive_number(value):
    with pytest.raises(Invalid, match="'most_items'"):
        Settings(most_items=value)
