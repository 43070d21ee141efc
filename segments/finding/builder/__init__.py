"""The form in which a person puts a Find People query together. Plain Python, no Django."""
