"""The `edgewatt` command line; everything heavy is imported on use."""


def main() -> None:
    """Run the command line with the process's arguments and exit with its code."""
    from controller.cli.app import run  # noqa: PLC0415 - the demo's children import this package without a command line

    raise SystemExit(run())
