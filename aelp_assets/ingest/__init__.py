"""How rows reach `raw.*`: one module per kind of source."""
