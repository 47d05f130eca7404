"""Export: from a checkpoint to the bundle that the device runs."""

from unina.export.exporter import ExportResult, ExportSettings, export_bundle

__all__ = ["ExportResult", "ExportSettings", "export_bundle"]
