"""The verbs of `Cyborg`, one file for each sort."""
