"""Writes the seeds of the fuzz corpus: small valid inputs, one a feature. Run it when a format grows.

What a fuzzer found later lies beside them under names of its own and is kept.
"""

import json
import re
import struct
import sys
import tempfile
from pathlib import Path

import numpy as np

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent))

from loadable_writer import Network, header_and_data, loadable_bytes  # noqa: E402  (needs the path above)
from tiny_bundle import make_bundle, promote_class_maps  # noqa: E402

END = b"\n~~\n"


def every_operator() -> Network:
    """Each operator of version 1 once, on tensors of a few hundred bytes."""
    rng = np.random.default_rng(0)
    network = Network()
    network.input("x", 3, 8, 8)

    def conv(source: str, output: str, out_channels: int, in_channels: int, kernel: int, **window: object) -> None:
        weights = rng.integers(-127, 128, (out_channels, in_channels, kernel, kernel)).astype(np.int8)
        bias = rng.integers(-99, 99, out_channels).astype(np.int32)
        network.conv(source, output, weights, bias, np.full(out_channels, 0.01, np.float32), **window)  # type: ignore[arg-type]

    conv("x", "a", 4, 3, 3, pads=(1, 1, 1, 1), relu=True)
    conv("a", "b", 4, 1, 3, pads=(1, 1, 1, 1), groups=4)
    network.relu("b", "c")
    network.add("a", "c", "d")
    network.concat(["a", "d"], "e")
    network.pool("maxpool", "e", "f", kernel=(2, 2), stride=(2, 2))
    network.resize("f", "g", (2, 2))
    conv("g", "h", 5, 8, 1, stride=(2, 2))
    network.outputs = ["h", "d"]
    return network


def promoted() -> Network:
    rng = np.random.default_rng(1)
    network = Network()
    network.input("x", 3, 6, 6)
    network.float_conv("x", "a", rng.normal(0, 0.1, (4, 3, 3, 3)).astype(np.float16), np.zeros(4, np.float32))
    network.outputs = ["a"]
    return network


def version_3() -> Network:
    """Each operator that came with version 3 once."""
    rng = np.random.default_rng(2)
    network = Network(rounding="half-even")
    network.input("x", 8, 6, 5, 0.5)
    network.table("x", "a", rng.integers(-128, 128, 256), scale=0.5)
    network.pool("avgpool", "a", "b", (6, 5))
    network.mul("a", "b", "c", scale=0.5)
    network.extreme("max", "a", "c", "d")
    network.extreme("min", "d", "x", "e")
    network.pool("avgpool", "e", "f", (3, 3), (2, 1), (1, 0, 1, 2))
    network.bilinear("f", "g", (2, 3), corner="asymmetric", scale=0.25)
    network.bilinear("g", "h", (1, 2), scale=0.5)
    network.depth_to_space("h", "i", (2, 2), (1, 1))
    network.mul("i", "i", "j")
    network.outputs = ["j", "e"]
    return network


def split(network: Network) -> bytes:
    """'h', the header, a zero byte, the data: see loadable_file.h."""
    header, data = header_and_data(network)
    return b"h" + json.dumps(header, separators=(",", ":")).encode() + b"\0" + data


def split_file(content: bytes) -> bytes:
    (length,) = struct.unpack_from("<I", content, 8)
    start = -(-(12 + length) // 64) * 64
    return b"h" + content[12 : 12 + length] + b"\0" + content[start:]


def configuration_seeds() -> dict[str, bytes]:
    """Each key once; and what a line may look like."""
    shipped = (HERE.parents[2] / "runtime" / "etc" / "detector.toml").read_text(encoding="utf-8")
    keys = "\n".join(re.sub(r"^#(?=[a-z_]+ = )", "", line) for line in shipped.splitlines() if " = " in line)
    odd = '\tbundle=\'b\'#\r\n source = "video:a\\\\b\\t?fps=30&loop=1" # "\n\nstale_ms=+20\nscore_threshold = 5e-1\n'
    return {"keys": keys.encode(), "odd": odd.encode()}


def message_seeds() -> dict[str, bytes]:
    """The first byte says which: see fuzz_message.cpp."""
    detection = struct.pack("<B5f", 1, 0.5, 1.5, -2.0, 1e9, float("nan"))
    report = struct.pack("<QqI", 7, 1 << 60, 1280)
    return {
        **{name: b"q" + name.encode() + b"\n" for name in ("status", "metrics", "snapshot")},
        "http": b"qGET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n",
        "no_request": "qHallo Fahrer \u00fc\n".encode() + bytes(range(20)),
        "answer": b"aok 19\n" + b'{"status": "1 fps"}',
        "refusal": b"aerror no picture came\n",
        "message": b"m" + "blue_cone\0\u00fcber\0a/b.png\0".encode() + report + 3 * detection,
        "no_text": b"m\xff\0\xed\xa0\x80\0\xf4\x90\xf0\x9f\x98\0" + report + detection,
    }


def frames_seeds() -> dict[str, bytes]:
    """Headers of rings with two pictures, in a file of 128 KiB: see unina/frame_ring.h."""

    def header(form: int, slots: int, width: int, height: int, stride: int) -> bytes:
        fields = struct.pack("<8sIIQIIIIII16x", b"UNINAFR1", 1, 1600, 20480, slots, width, height, stride, form, 1)
        states = [struct.pack("<IIQq", state, 0, number, 1000) for number, state in enumerate((2, 0, 3, 2, 1, 0))]
        return (fields + b"".join(states)).ljust(1600, b"\0")

    bgr, nv12 = header(0, 6, 64, 48, 256), header(2, 6, 100, 40, 128)
    return {
        "bgr": bgr,
        "nv12": nv12,
        "uyvy": header(3, 6, 98, 40, 200),
        "changed": nv12 + header(0, 64, 8192, 8192, 32768),
    }


def main() -> None:
    seeds: dict[str, bytes] = {
        **{f"configuration/{name}": seed for name, seed in configuration_seeds().items()},
        **{f"message/{name}": seed for name, seed in message_seeds().items()},
        **{f"frames/{name}": seed for name, seed in frames_seeds().items()},
        "loadable/operators": split(every_operator()),
        "loadable/promoted": split(promoted()),
        "loadable/version_3": split(version_3()),
        "loadable/file": b"f" + loadable_bytes(promoted()),
    }
    with tempfile.TemporaryDirectory() as folder:
        bundle = make_bundle(Path(folder) / "tiny.unina")
        for name in ("int8", "float16"):
            if name == "float16":
                promote_class_maps(bundle)
            manifest = json.dumps(bundle.manifest, separators=(",", ":")).encode()
            loadable = (bundle.path / "host.loadable").read_bytes()
            labels = (bundle.path / "labels.txt").read_bytes()
            seeds[f"manifest/{name}"] = manifest
            seeds[f"bundle/{name}"] = END.join([manifest, split_file(loadable), labels])
        seeds["bundle/kept_hashes"] = END.join([b"!" + manifest, b"f" + loadable, labels])
    for name, content in seeds.items():
        path = HERE / "corpus" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        print(f"{name}: {len(content)} bytes")


if __name__ == "__main__":
    main()
