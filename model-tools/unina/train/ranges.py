"""The one check that every numeric field of a spec makes."""


def check_range(owner: str, value: object, low: float, high: float) -> None:
    """Raises ValueError that names the field unless low ≤ value ≤ high."""
    if not isinstance(value, int | float) or not low <= value <= high:
        raise ValueError(f"{owner}: {value}: must lie in {low:g}..{high:g}")
