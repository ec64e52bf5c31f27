"""The asset graph. `definitions.build_defs` assembles it; each module holds one stage."""

import gc
import warnings

import dagster as dg

# Beta and preview parts of Dagster we use knowingly; any other warning should reach a person.
for _category, _message in (
    (dg.BetaWarning, ".*allow_nonexistent_upstream_partitions.*"),
    (dg.PreviewWarning, ".*partitions_def on an AssetCheckSpec.*"),
    (dg.PreviewWarning, ".*partitions_def.*asset_check.*"),
):
    warnings.filterwarnings("ignore", message=_message, category=_category)

# Half a million objects of libraries stay for good; looking through them for garbage as often as Python does
# took a sixth of loading the graph (4.8 CPU seconds, 4.1 without: `benchmarks/definitions_load.py`).
gc.set_threshold(50_000)
