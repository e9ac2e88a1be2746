"""Plays boards on this machine: one beside a real inference, or a whole fleet in few processes."""
