"""What balena knows of the boards that it runs: looked at, joined with ours, releases pinned."""
