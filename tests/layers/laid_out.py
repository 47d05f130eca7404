"""A BitBake layer of recipes that install a folder as it is (class laid-out), written before BitBake runs."""

import hashlib
from pathlib import Path


def write_recipe(layer: Path, name: str, version: str, description: str, lines: str = "") -> None:
    """The recipe that installs layer/files/NAME; `lines` are put into it."""
    files = layer / "files" / name
    folder = layer / "recipes-laid-out" / name
    folder.mkdir(parents=True)
    (folder / f"{name}_{version}.bb").write_text(
        f'SUMMARY = "{name}, made elsewhere"\nDESCRIPTION = "{description}"\n{lines}'
        f'LAID_OUT = "{files}"\nLAID_OUT_CONTENT = "{content(files)}"\ninherit laid-out\n'
    )


def content(folder: Path) -> str:
    """A hash of everything in a folder."""
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        digest.update(str(path.relative_to(folder)).encode() + b"\0")
        if path.is_symlink():
            digest.update(str(path.readlink()).encode())
        elif path.is_file():
            digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()


def write_layer(layer: Path, name: str) -> None:
    """Its conf, once its recipes are there. The layer stand-ins gives their names up: nothing is behind them there."""
    (layer / "conf").mkdir()
    recipes = " ".join(sorted(path.name for path in (layer / "recipes-laid-out").iterdir()))
    (layer / "conf" / "layer.conf").write_text(
        f'BBPATH .= ":${{LAYERDIR}}"\nBBFILES += "${{LAYERDIR}}/recipes-*/*/*.bb"\nBBFILE_COLLECTIONS += "{name}"\n'
        f'BBFILE_PATTERN_{name} = "^${{LAYERDIR}}/"\nBBFILE_PRIORITY_{name} = "99"\n'
        f'LAYERSERIES_COMPAT_{name} = "scarthgap"\n'
        f'PROVIDES:remove:pn-stand-in = "{recipes}"\nRPROVIDES:stand-in:remove = "{recipes}"\n'
    )
