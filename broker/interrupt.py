"""Starts a program so that Ctrl-C ends it without a trace, also while it is still being imported."""

from importlib import import_module

INTERRUPTED = 130
"""The exit code of what Ctrl-C has ended, as shells have it."""


def run(program: str) -> int:
    """Import and call `program`, a "module:function", and return its exit code."""
    module, _, function = program.partition(":")
    try:
        return int(getattr(import_module(module), function)())
    except KeyboardInterrupt:
        return INTERRUPTED
