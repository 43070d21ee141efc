"""How segments share their people."""
