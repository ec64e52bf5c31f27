"""The asset graph. `definitions.build_defs` assembles it; each module holds one stage."""
