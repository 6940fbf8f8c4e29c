"""`python -m connector`, and the command `connector`."""

import sys

from connector import INTERRUPTED, INTERRUPTED_STATUS


def main() -> None:
    """Run the command line. Ctrl-C while it loads ends it like Ctrl-C later."""
    try:
        from connector.cli import main as command_line  # here: loading takes a moment

        command_line()
    except KeyboardInterrupt:
        sys.stderr.write(f"{INTERRUPTED}\n")
        sys.exit(INTERRUPTED_STATUS)


if __name__ == "__main__":
    main()
