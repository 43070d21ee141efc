"""What arrives from partners and what goes back to them, a folder a partner."""
