"""The figures of a summary as rows of text, the same in the terminal and in the report."""

from dataclasses import dataclass

from unina.evaluate.precision_recall import OperatingPoint
from unina.evaluate.summary import Summary


@dataclass(frozen=True)
class Row:
    """One figure."""

    section: str
    name: str
    text: str


def rows(summary: Summary) -> list[Row]:
    """Every figure, in the order of docs/evaluation.md."""
    found = [
        Row("average precision", "mAP50", fraction(summary.map50)),
        Row(
            "average precision", "its 95 % interval", f"{fraction(summary.map50_low)} … {fraction(summary.map50_high)}"
        ),
        Row("average precision", "mAP50-95", fraction(summary.map50_95)),
        *(Row("average precision", f"AP50 {name}", fraction(value)) for name, value in summary.ap50.items()),
    ]
    found += [
        Row("pictures", f"mAP50 {row.name} ({row.images} pictures, {row.boxes} boxes)", fraction(row.map50))
        for row in summary.groups
    ]
    pixels = "input pixels" if summary.input else "picture pixels"
    for height in summary.heights:
        name = f"{height.range} ({height.boxes} boxes)"
        text = f"{fraction(height.ap50)}  {fraction(height.recall)}  {fraction(height.recall_lowest)}"
        found.append(Row(f"AP50, recall, at any score; by height in {pixels}", name, text))
    section = "score, precision, recall, F1 at the recommended scores"
    for name, point in summary.operating.items():
        limit = f"{summary.thresholds[name]:.2f}" if name in summary.thresholds else "    "
        found.append(Row(section, name, f"{limit}  {_point(point)}"))
    if summary.operating_manifest is not None:
        found.append(Row(section, "all, at the manifest's scores", _point(summary.operating_manifest)))
    section = "recall, in any class, score; by false positives"
    for at, loose in zip(summary.at_rates, summary.at_rates_any_class, strict=True):
        text = f"{fraction(at.recall)}  {fraction(loose.recall)}  {at.threshold:.2f}"
        found.append(Row(section, f"{at.rate:g} a picture", text))
    if summary.negatives is not None:
        at, loose = summary.negatives.at_rate, summary.negatives.at_rate_any_class
        text = f"{fraction(at.recall)}  {fraction(loose.recall)}  {at.threshold:.2f}"
        found.append(Row(section, f"{at.rate:g} a cone-free picture ({summary.negatives.images})", text))
        found.append(
            Row(section, "per cone-free picture, at the recommended scores", f"{summary.negatives.false_per_image:.2f}")
        )
    if summary.map50_ignored_as_background is not None:
        found.append(
            Row(
                "ignored boxes",
                f"mAP50 were the {summary.ignored_boxes} ignored boxes background",
                fraction(summary.map50_ignored_as_background),
            )
        )
    if summary.map50_with_ignored is not None:
        found.append(
            Row("ignored boxes", "mAP50 with the ignored classes scored", fraction(summary.map50_with_ignored))
        )
    nms = summary.nms
    section = f"class-wise NMS at IoU {nms.iou:g}, to compare"
    return [
        *found,
        Row(section, "mAP50 with NMS (points gained)", f"{fraction(nms.map50)} ({100 * nms.difference:+.1f})"),
        Row(section, "F1 without, with", f"{fraction(nms.f1)}  {fraction(nms.f1_nms)}"),
        Row(section, "duplicates a picture, without", f"{nms.duplicates_per_image:.2f}"),
    ]


def fraction(value: float | None) -> str:
    """Three digits; a dash where there is nothing to measure."""
    return "–" if value is None else f"{value:.3f}"


def _point(point: OperatingPoint) -> str:
    return f"{fraction(point.precision)}  {fraction(point.recall)}  {fraction(point.f1)}"
