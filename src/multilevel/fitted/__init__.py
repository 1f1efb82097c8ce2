"""Frozen records of what was estimated: arrays only, no behaviour, no native handles."""
