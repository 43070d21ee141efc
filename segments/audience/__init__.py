"""Whom a Find People query means: JSON to a tree (parse), the tree to SQL (compile) and to a sentence (describe)."""
