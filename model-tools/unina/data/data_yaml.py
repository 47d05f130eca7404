"""`data.yaml`, the table of contents of a YOLO-txt data set: where the splits lie and what the classes are called."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import yaml

from unina.data.faults import DataError, Fault

SPLITS = ("train", "val", "test")


@dataclass(frozen=True)
class DataYaml:
    """A data.yaml, checked."""

    path: Path
    root: Path
    """what the splits' sources are relative to"""
    names: tuple[str, ...]
    """what the label files' indices mean"""
    ignore: tuple[str, ...]
    """those of `names` whose boxes count neither way"""
    sources: dict[str, tuple[Path, ...]]
    """split → folders, list files (.txt) or pictures"""
    lines: dict[str, int]
    """split → line that names it, 1-based"""


def read_data_yaml(path: Path) -> DataYaml:
    """Reads and checks a data.yaml; the pictures are not looked at.

    Raises:
        DataError: with every fault of the file.
    """
    if path.is_dir():
        raise DataError([Fault(path, None, "", "a folder; name the data.yaml in it")])
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except FileNotFoundError:
        raise DataError([Fault(path, None, "", "no such file; name the data.yaml of a YOLO-txt data set")]) from None
    except OSError as error:
        raise DataError([Fault(path, None, "", f"can't be read ({error.strerror})")]) from None
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        raise DataError([Fault(path, line, "", "not UTF-8 text; save it as plain UTF-8 text")]) from None
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        line = mark.line + 1 if mark else 1
        found = text.splitlines()[line - 1].strip() if line <= len(text.splitlines()) else ""
        raise DataError([Fault(path, line, found, f"not YAML ({error.problem}); mend the line")]) from None
    except yaml.YAMLError as error:
        raise DataError([Fault(path, None, "", f"not YAML ({error})")]) from None
    if not isinstance(node, yaml.MappingNode):
        raise DataError([Fault(path, 1, "", "must hold `path`, `train`, `val` and `names`; see docs/data.md")])

    entries = {str(key.value): (key.start_mark.line + 1, value) for key, value in node.value}
    faults: list[Fault] = []
    names = tuple(_names(path, entries, faults))
    root = path.parent
    if "path" in entries:
        line, value = entries["path"]
        root = path.parent / str(value.value)  # an absolute `path` wins
        if not isinstance(value, yaml.ScalarNode) or not root.is_dir():
            faults.append(Fault(path, line, f"path: {_shown(value)}", f"no such folder ({root}); mend or delete it"))
    sources: dict[str, tuple[Path, ...]] = {}
    lines: dict[str, int] = {}
    for split in SPLITS:
        if split not in entries:
            continue
        line, value = entries[split]
        words = [item.value for item in value.value] if isinstance(value, yaml.SequenceNode) else [value.value]
        if not words or not all(isinstance(word, str) and word for word in words):
            if isinstance(value, yaml.ScalarNode) and value.tag.endswith(":null"):
                continue  # `test:` with nothing behind it is how people say "none"
            faults.append(Fault(path, line, f"{split}: {_shown(value)}", "must name a folder, a list file or several"))
            continue
        sources[split] = tuple(root / word for word in words)
        lines[split] = line
    ignore = tuple(_ignored(path, entries, names, faults))
    if not sources and not faults:
        faults.append(Fault(path, None, "", "names no split; add `train: images/train` and `val: images/val`"))
    if faults:
        raise DataError(faults)
    return DataYaml(path, root, names, ignore, sources, lines)


def _names(path: Path, entries: dict[str, tuple[int, yaml.Node]], faults: list[Fault]) -> Iterator[str]:
    """The class names in the order of their indices; adds to `faults`."""
    if "names" not in entries:
        faults.append(Fault(path, None, "", "`names` is missing; add e.g. `names: [blue_cone, yellow_cone]`"))
        return
    line, value = entries["names"]
    names: list[str] = []
    if isinstance(value, yaml.SequenceNode):
        names = [str(item.value) for item in value.value]
    elif isinstance(value, yaml.MappingNode):
        table = {str(key.value): str(name.value) for key, name in value.value}
        if set(table) != {str(index) for index in range(len(table))} or len(table) != len(value.value):
            found = ", ".join(str(key.value) for key, _ in value.value)
            faults.append(Fault(path, line, f"names: {found}", "the indices must be 0, 1, 2, … each once"))
            return
        names = [table[str(index)] for index in range(len(table))]
    else:
        faults.append(Fault(path, line, f"names: {_shown(value)}", "must be a list or a table of index: name"))
        return
    if not names or not all(name.strip() for name in names):
        faults.append(Fault(path, line, "names", "every class needs a name; name at least one class"))
    for name in sorted({name for name in names if names.count(name) > 1}):
        faults.append(Fault(path, line, f"names: {name}", "two classes of one name; rename one"))
    if "nc" in entries:
        line, count = entries["nc"]
        if str(count.value) != str(len(names)):
            faults.append(Fault(path, line, f"nc: {_shown(count)}", f"`names` holds {len(names)}; delete `nc`"))
    yield from names


def _ignored(
    path: Path, entries: dict[str, tuple[int, yaml.Node]], names: tuple[str, ...], faults: list[Fault]
) -> Iterator[str]:
    """The names under `ignore`; adds to `faults`."""
    if "ignore" not in entries:
        return
    line, value = entries["ignore"]
    words = [item.value for item in value.value] if isinstance(value, yaml.SequenceNode) else [value.value]
    if isinstance(value, yaml.ScalarNode) and value.tag.endswith(":null"):
        return
    for word in words:
        if word in names:
            yield str(word)
        elif names:  # without names there is a fault already
            shown = word if isinstance(word, str) else _shown(value)
            faults.append(Fault(path, line, f"ignore: {shown}", f"is none of `names` ({', '.join(names)}); mend it"))


def _shown(node: yaml.Node) -> str:
    return (
        str(node.value)
        if isinstance(node, yaml.ScalarNode)
        else f"({type(node).__name__.removesuffix('Node').lower()})"
    )
