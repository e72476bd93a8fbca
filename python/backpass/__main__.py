"""python -m backpass: demo, bench, doctor."""

import argparse
import importlib
import sys
from collections.abc import Sequence

COMMANDS = {
    "demo": "train a classifier of handwritten digits on every backend, and draw its learning curves",
    "bench": "time native, Numba and NumPy side by side",
    "doctor": "versions, CPU, threads, backends and a quick speed check, for a bug report",
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m backpass", description="Train small and medium networks fast, on a CPU."
    )
    commands = parser.add_subparsers(dest="command", metavar="command")
    modules = {}
    for name, purpose in COMMANDS.items():
        modules[name] = importlib.import_module(f"backpass.cli.{name}")
        modules[name].add_arguments(
            commands.add_parser(
                name,
                help=purpose,
                description=modules[name].__doc__,
                formatter_class=argparse.RawDescriptionHelpFormatter,
            )
        )
    options = parser.parse_args(arguments)
    if options.command is None:
        parser.print_help()
        return 0
    try:
        modules[options.command].run(options)
    except (ImportError, OSError, RuntimeError, ValueError) as error:
        print(f"python -m backpass {options.command}: error: {' '.join(str(error).split())}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
