"""Makes the parts of docs/site importable that need no MkDocs: tests read links and the tree by them."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2] / "docs" / "site"))
