"""Looks up what is known of a network: the published ones that were measured, by their names there."""

from collections.abc import Mapping
from functools import cache

from controller.dataset.reference import Network
from controller.predict.published import networks


def known(name: str) -> Network | None:
    """Return what is known of the network called `name`, as `taken_apart` gives it; None of a stranger."""
    return _networks().get(name)


@cache
def _networks() -> Mapping[str, Network]:
    return {
        each.name: Network(
            name=each.name,
            params_m=each.features.params_m,
            gmacs_at={each.features.input_res or 0: each.features.gmacs},
        )
        for each in networks()
    }
