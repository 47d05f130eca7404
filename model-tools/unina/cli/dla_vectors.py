"""`unina-dla vectors`: test vectors for a Jetson, and what it says to them."""

import argparse
from pathlib import Path

from unina.cli.eval import one_of, share

EXAMPLES = """examples:
  unina-dla vectors cones.unina --output vectors                 four synthetic scenes
  unina-dla vectors cones.unina --output vectors --images track --count 10 --rounding all --pointwise all
  scp -r vectors jetson: && ssh jetson vectors/replay.sh cones.engine && scp -r jetson:vectors .
  unina-dla vectors cones.unina --compare vectors                which mode does the DLA compute in?

What comes back lies beside each input: 000/returned.json (trtexec --exportOutput, TensorRT 10 or newer) or
000/returned/NAME.chw32.bin (raw buffers, or NAME.linear.bin). No mode of the host engine is bit-exact with silicon.
Exit code: 0 written, or every output agrees with the best mode within the tolerance; 1 it does not; 2 can't say.
"""


def add_vectors(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Adds the command."""
    parser = commands.add_parser(
        "vectors",
        help="write test vectors for a Jetson, and compare what comes back",
        description="Writes input and output tensors of a bundle, in its I/O formats, to be replayed on a Jetson by "
        "trtexec or cuDLA; or compares what came back with every mode of the host engine's arithmetic.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("bundle", metavar="BUNDLE", type=Path, help="a bundle folder")
    form = parser.add_mutually_exclusive_group(required=True)
    form.add_argument("--output", type=Path, metavar="DIR", help="write the vectors there")
    form.add_argument("--compare", type=Path, metavar="DIR", help="compare what came back there")
    add("--count", type=at_least_one, default=4, metavar="N", help="vectors at most (default: 4)")
    add("--images", type=Path, metavar="DIR", help="pictures to make them of, instead of synthetic scenes")
    add("--seed", type=seed, default=0, help="of the scenes (default: 0)")
    for name, values in (("rounding", ("half-away", "half-even")), ("pointwise", ("fp32", "fp19"))):
        own = "the bundle's own" if name == "rounding" else "fp32"
        text = f"{', '.join(values)} or all: of the outputs that are written (default: {own})"
        add(f"--{name}", type=one_of(*values), action="extend", metavar="MODE,…", help=text)
    add("--force", action="store_true", help="replace the folder that --output names")
    add("--tolerance", type=steps, default=1, metavar="STEPS", help="of int8 that a value may differ by (default: 1)")
    add("--share", type=share, default=0.999, help="of an output's values that must be within it (default: 0.999)")
    add("--json", action="store_true", help="print JSON instead of text")
    parser.set_defaults(command=run)


def at_least_one(text: str) -> int:
    """A count."""
    return _integer(text, 1, 999)


def seed(text: str) -> int:
    """Of the scenes."""
    return _integer(text, 0, 2**32 - 1)


def steps(text: str) -> int:
    """A difference of int8."""
    return _integer(text, 0, 255)


def _integer(text: str, low: int, high: int) -> int:
    try:
        value = int(text)
    except ValueError:
        value = low - 1
    if not low <= value <= high:
        raise argparse.ArgumentTypeError(f"{text!r}: a whole number from {low} to {high}")
    return value


def run(arguments: argparse.Namespace) -> int:
    """Returns the exit code."""
    from unina.cli.dla_vectors_run import write_or_compare  # noqa: PLC0415 (torch takes seconds to load)

    return write_or_compare(arguments)
