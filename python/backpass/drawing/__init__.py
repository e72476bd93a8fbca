"""Pictures of plain arrays and dicts with matplotlib: curves, grids of small images."""
