"""`python -m controller.cli` is `edgewatt`."""

from controller.cli import main

main()
