"""The index: what people are and did as bitmaps and columns, kept current by deltas (ADR 10)."""
