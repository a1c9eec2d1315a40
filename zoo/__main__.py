"""``python -m zoo`` is the command ``zoo``."""

import sys

INTERRUPTED = 130


def main() -> None:
    """Run the command line; Ctrl-C while it is imported ends it as later."""
    try:
        from zoo.cli import main as run_command
    except KeyboardInterrupt:
        print("zoo: interrupted", file=sys.stderr)
        sys.exit(INTERRUPTED)
    run_command()


if __name__ == "__main__":
    main()
