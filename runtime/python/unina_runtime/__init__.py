"""Runs UNINA detector bundles; a thin face over libunina."""

from unina_runtime._unina import UninaError

__all__ = ["UninaError"]
