"""GLib's own reader of key files, which is what DeepStream reads its configuration with."""

import ctypes
from pathlib import Path
from typing import Any


class KeyFile:
    """One file. Raises ValueError, with GLib's words, for a file or a value that it does not take."""

    def __init__(self, path: Path) -> None:
        self._glib = ctypes.CDLL("libglib-2.0.so.0")
        for name, kind in (
            ("new", ctypes.c_void_p),
            ("get_groups", ctypes.POINTER(ctypes.c_char_p)),
            ("get_keys", ctypes.POINTER(ctypes.c_char_p)),
            ("get_string", ctypes.c_char_p),
            ("get_string_list", ctypes.POINTER(ctypes.c_char_p)),
            ("get_integer", ctypes.c_int),
            ("get_double", ctypes.c_double),
        ):
            getattr(self._glib, f"g_key_file_{name}").restype = kind
        self._file = ctypes.c_void_p(self._glib.g_key_file_new())
        self._call("load_from_file", str(path).encode(), 0)

    def groups(self) -> list[str]:
        return _texts(self._glib.g_key_file_get_groups(self._file, None))

    def keys(self, group: str) -> list[str]:
        return _texts(self._call("get_keys", group.encode(), None))

    def string(self, group: str, key: str) -> str:
        return str(self._call("get_string", group.encode(), key.encode()).decode())

    def strings(self, group: str, key: str) -> list[str]:
        return _texts(self._call("get_string_list", group.encode(), key.encode(), None))

    def integer(self, group: str, key: str) -> int:
        return int(self._call("get_integer", group.encode(), key.encode()))

    def double(self, group: str, key: str) -> float:
        return float(self._call("get_double", group.encode(), key.encode()))

    def _call(self, name: str, *arguments: object) -> Any:
        error = ctypes.POINTER(_Error)()
        result = getattr(self._glib, f"g_key_file_{name}")(self._file, *arguments, ctypes.byref(error))
        if error:
            raise ValueError(error.contents.message.decode())
        return result


class _Error(ctypes.Structure):
    _fields_ = (("domain", ctypes.c_uint32), ("code", ctypes.c_int), ("message", ctypes.c_char_p))


def _texts(array: Any) -> list[str]:
    texts = []
    while array[len(texts)] is not None:
        texts.append(array[len(texts)].decode())
    return texts
