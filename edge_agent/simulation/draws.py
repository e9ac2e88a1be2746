"""Gives each part of each simulated device chance of its own, the same in every run with one seed."""

import random


def draws(seed: int, device_id: str, about: str) -> random.Random:
    """Return the generator for what is drawn `about` something of a device; independent of all others."""
    return random.Random(f"{seed}/{device_id}/{about}")  # noqa: S311 - a simulation that can be repeated
