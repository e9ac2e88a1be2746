"""Brings one model to many devices, wave after wave."""
