"""The bus: the contract every part speaks, and the carriers that move it."""
