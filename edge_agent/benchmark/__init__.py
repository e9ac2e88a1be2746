"""Benchmarks of model files on this device, one row each."""
