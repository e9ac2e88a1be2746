"""A variant of a model has a name of its own, from which network and variant are read back."""

from typing import get_args

from hypothesis import given
from hypothesis import strategies as st

from controller.models.manifest import Variant
from controller.models.naming import split, variant_name


@given(base=st.from_regex(r"[a-z][a-z0-9_.]{0,40}", fullmatch=True), variant=st.sampled_from(get_args(Variant)))
def test_split_is_the_inverse_of_variant_name(base, variant):
    assert split(variant_name(base, variant)) == (base, variant)
