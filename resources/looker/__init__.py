"""Looker: dbt's semantic models as LookML.

Here: reading semantic models from dbt's manifest (`semantics`), rendering them (`lookml`), the committed
files and what people wrote beside them (`project`). Not here: the metrics (`dbt_project/models/semantic`).
"""

from resources.settings import PROJECT_ROOT

FOLDER = PROJECT_ROOT / "looker"
"""The Looker project: what is generated, and what people refined beside it."""
