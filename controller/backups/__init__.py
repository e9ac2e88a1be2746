"""Backups of a controller's data folder: one file each, checked against its own table of contents."""
