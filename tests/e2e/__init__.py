"""Everything at once: real clients, a real collector process, a real file."""
