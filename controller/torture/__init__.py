"""Breaks a whole EdgeWatt on purpose, and proves from what was written down that nothing was lost."""
