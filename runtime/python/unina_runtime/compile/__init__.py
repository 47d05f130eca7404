"""`unina-compile`: verifies a bundle and compiles it for the DLA of the machine that it runs on (docs/first-boot.md).

The standard library is enough, and `cryptography` where a key is provisioned: it runs before anything else does.
"""
