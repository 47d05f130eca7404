"""unina-compile's part of the package, by itself; the whole is the Python package unina-runtime."""
