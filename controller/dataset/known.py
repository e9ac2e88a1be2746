"""Looks up what is known of a network by its name: timm's architectures, and the networks that were measured."""

from collections.abc import Mapping
from functools import cache

from controller.dataset.reference import Network
from controller.models import listed
from controller.predict import published


def known(name: str) -> Network | None:
    """Return what is known of the network called `name`, as `taken_apart` gives it; None of a stranger."""
    return _networks().get(name)


@cache
def _networks() -> Mapping[str, Network]:
    measured = {
        each.name: Network(
            name=each.name,
            params_m=each.features.params_m,
            gmacs_at={each.features.input_res or 0: each.features.gmacs},
        )
        for each in published.networks()
    }
    counted = {
        each.name.lower(): Network(
            name=each.name,
            params_m=each.params_m,
            gmacs_at={each.input_res: each.gmacs},
            gmacs_published=each.gmacs_published,
        )
        for each in listed.load().values()
    }
    return measured | counted
