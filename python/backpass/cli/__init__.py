"""The commands of `python -m backpass`: demo, bench, doctor."""
